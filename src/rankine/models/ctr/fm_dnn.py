"""FM & DNN: a factorization machine and a network of hidden layers, each with vectors of its own, added up.

s = sum_f w_f + sum_{f < g} <v_f, v_g> + MLP(u_1 .. u_F). Source: Guo et al. 2017, "DeepFM", section 3.1, where it stands for what
shared vectors gain. The bias is that of the last layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rankine.models.ctr.config import TUNED_DEEP, DeepConfig
from rankine.models.ctr.deep import DeepModel
from rankine.models.ctr.scoring import Parts
from rankine.models.tuning import ranges
from rankine.nn.interactions import fm


@dataclass(frozen=True, kw_only=True)
class FMDNNConfig(DeepConfig):
    """Settings of FM & DNN."""


class FMDNN(DeepModel):
    """A weight and two vectors per table row: one for pairs, one for the hidden layers."""

    Config = FMDNNConfig
    config: FMDNNConfig
    label = "FM & DNN"
    summary = "DeepFM without sharing"
    mark = 8
    tuning = ranges(**TUNED_DEEP)

    def layers(self) -> None:
        self.linear, self.factors, self.embedding = self.linear_part(bias=False), self.vector_part(), self.vector_part()
        self.mlp = self.deep_part(self.n_vector_numbers)

    def logit(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        pairs = fm(self.vectors(idx, weight, self.factors))
        return self.weights(idx, weight) + pairs + self.deep(self.vectors(idx, weight).flatten(1))

    def parts(self) -> Parts:
        return Parts(self.linear, pairs=self.factors, deep=(self.embedding, self.mlp))
