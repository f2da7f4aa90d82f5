"""DeepFM: a factorization machine and a network of hidden layers on the same vectors, added up.

s = sum_f w_f + sum_{f < g} <v_f, v_g> + MLP(v_1 .. v_F). Source: Guo et al. 2017, "DeepFM", equations 1 to 4. Where we differ: the
bias is that of the last layer, as the machine needs none of its own; layers are Linear, batch normalisation, activation, dropout.
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
class DeepFMConfig(DeepConfig):
    """Settings of DeepFM."""


class DeepFM(DeepModel):
    """A weight and a vector per table row, and hidden layers on the vectors."""

    Config = DeepFMConfig
    config: DeepFMConfig
    label = "DeepFM"
    summary = "pairs of fields and hidden layers"
    mark = 1
    tuning = ranges(**TUNED_DEEP)

    def layers(self) -> None:
        self.linear, self.embedding = self.linear_part(bias=False), self.vector_part()
        self.mlp = self.deep_part(self.n_vector_numbers)

    def logit(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        e_BFD = self.vectors(idx, weight)
        return self.weights(idx, weight) + fm(e_BFD) + self.deep(e_BFD.flatten(1))

    def parts(self) -> Parts:
        return Parts(self.linear, pairs=self.embedding, deep=(self.embedding, self.mlp))
