"""PNN*: product network, hidden layers on the vectors of all fields, on their inner and on their outer products.

s = MLP(v_1 .. v_F, <v_f, v_g> for f < g, v_f' W_fg v_g for f < g), W_fg a matrix, a diagonal (vector) or a number.
Source: Qu et al. 2016, "Product-based neural networks for user response prediction", section 4. Where we differ: as IPNN and OPNN do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rankine.models.ctr.config import TUNED_DEEP, DeepConfig
from rankine.models.ctr.deep import DeepModel
from rankine.models.tuning import choice, ranges
from rankine.nn.interactions import InnerProducts, OuterProducts


@dataclass(frozen=True, kw_only=True)
class PNNStarConfig(DeepConfig):
    """Settings of PNN*. kernel: what turns the outer product of a pair into a number."""

    kernel: Literal["matrix", "vector", "number"] = "matrix"


class PNNStar(DeepModel):
    """A vector per table row; no linear part."""

    Config = PNNStarConfig
    config: PNNStarConfig
    label = "PNN*"
    summary = "layers on both products"
    mark = 7
    tuning = ranges(**TUNED_DEEP, kernel=choice("matrix", "vector", "number"))

    def layers(self) -> None:
        self.embedding = self.vector_part()
        n_fields = self.embedding.n_fields
        self.inner = InnerProducts(n_fields)
        self.outer = OuterProducts(n_fields, self.config.embedding_dim, self.config.kernel)
        self.mlp = self.deep_part(self.n_vector_numbers + self.inner.n_outputs + self.outer.n_outputs)

    def logit(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        e_BFD = self.vectors(idx, weight)
        return self.deep(torch.cat([e_BFD.flatten(1), self.inner(e_BFD), self.outer(e_BFD)], 1))
