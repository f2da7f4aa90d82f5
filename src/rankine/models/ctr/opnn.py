"""OPNN: product network, hidden layers on the vectors of all fields and on outer products of them.

s = MLP(v_1 .. v_F, p), p_fg = v_f' W_fg v_g for each pair f < g with a matrix, a diagonal (vector) or a number W_fg; or, superposed,
p = (sum_f v_f)(sum_f v_f)', D^2 numbers however many fields there are.
Source: Qu et al. 2016, "Product-based neural networks for user response prediction", equations 11 to 14. Where we differ: a kernel
per pair, as the paper's superposition, kept as `superposed`, says less than the outer products it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rankine.models.ctr.config import TUNED_DEEP, DeepConfig
from rankine.models.ctr.deep import DeepModel
from rankine.models.tuning import choice, ranges
from rankine.nn.interactions import OuterProducts, superposed


@dataclass(frozen=True, kw_only=True)
class OPNNConfig(DeepConfig):
    """Settings of OPNN. kernel: what turns the outer product of a pair into a number; `superposed`: one outer product of sums."""

    kernel: Literal["matrix", "vector", "number", "superposed"] = "matrix"


class OPNN(DeepModel):
    """A vector per table row; no linear part."""

    Config = OPNNConfig
    config: OPNNConfig
    label = "OPNN"
    summary = "layers on outer products"
    mark = 5
    tuning = ranges(**TUNED_DEEP, kernel=choice("matrix", "vector", "number", "superposed"))

    def layers(self) -> None:
        self.embedding = self.vector_part()
        dim, kernel = self.config.embedding_dim, self.config.kernel
        self.products = None if kernel == "superposed" else OuterProducts(self.embedding.n_fields, dim, kernel)
        n_products = dim * dim if self.products is None else self.products.n_outputs
        self.mlp = self.deep_part(self.n_vector_numbers + n_products)

    def logit(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        e_BFD = self.vectors(idx, weight)
        p_BP = superposed(e_BFD) if self.products is None else self.products(e_BFD)
        return self.deep(torch.cat([e_BFD.flatten(1), p_BP], 1))
