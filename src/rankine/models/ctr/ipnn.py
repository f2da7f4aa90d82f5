"""IPNN: product network, hidden layers on the vectors of all fields and on the inner product of each pair.

s = MLP(v_1 .. v_F, <v_1, v_2> .. <v_{F-1}, v_F>). Source: Qu et al. 2016, "Product-based neural networks for user response
prediction", equations 1 to 8. Where we differ: products are written out as inputs of the first layer instead of factored into
|sum_f theta_f v_f|^2 per unit, which the authors themselves gave up since it restricts what a unit can say.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rankine.models.ctr.config import TUNED_DEEP, DeepConfig
from rankine.models.ctr.deep import DeepModel
from rankine.models.tuning import ranges
from rankine.nn.interactions import InnerProducts


@dataclass(frozen=True, kw_only=True)
class IPNNConfig(DeepConfig):
    """Settings of IPNN."""


class IPNN(DeepModel):
    """A vector per table row; no linear part."""

    Config = IPNNConfig
    config: IPNNConfig
    label = "IPNN"
    summary = "layers on inner products"
    mark = 3
    tuning = ranges(**TUNED_DEEP)

    def layers(self) -> None:
        self.embedding = self.vector_part()
        self.products = InnerProducts(self.embedding.n_fields)
        self.mlp = self.deep_part(self.n_vector_numbers + self.products.n_outputs)

    def logit(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        e_BFD = self.vectors(idx, weight)
        return self.deep(torch.cat([e_BFD.flatten(1), self.products(e_BFD)], 1))
