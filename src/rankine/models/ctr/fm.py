"""FM: factorization machine, a weight for each value and an inner product for each pair of fields.

s = b + sum_f w_f + sum_{f < g} <v_f, v_g>, the pairs as 1/2 sum_c ((sum_f v_fc)^2 - sum_f v_fc^2), which costs F D and not F^2 D.
Source: Rendle 2010, "Factorization machines", equations 1 and 5. Where we differ: a field of several values (tags, a history) is
pooled to one vector first, so that values of one field do not meet each other.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rankine.models.ctr.base import CTRModel
from rankine.models.ctr.config import TUNED_VECTORS, VectorConfig
from rankine.models.ctr.scoring import Parts
from rankine.models.tuning import ranges
from rankine.nn.machine import machine


@dataclass(frozen=True, kw_only=True)
class FMConfig(VectorConfig):
    """Settings of FM."""

    learning_rate: float = 1e-2


class FM(CTRModel):
    """A weight and a vector per table row, and a bias."""

    Config = FMConfig
    config: FMConfig
    label = "FM"
    summary = "products of all pairs of fields"
    mark = 2
    tuning = ranges(**TUNED_VECTORS)

    def layers(self) -> None:
        self.linear, self.embedding = self.linear_part(bias=True), self.vector_part()

    def logit(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        return machine(self.linear, self.embedding, idx, weight)

    def parts(self) -> Parts:
        return Parts(self.linear, pairs=self.embedding)
