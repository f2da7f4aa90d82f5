"""LR: logistic regression on the fields of a row, a weight for each value.

s = b + sum over slots of x w: x = 1 for a category, the number itself for a numeric field. Crosses declared in [features] are
values like others. With the optimiser `ftrl`, weights that have not gathered more gradient than `l1` are exactly zero.
Source: McMahan et al. 2013, "Ad click prediction: a view from the trenches", for FTRL-proximal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rankine import config as settings
from rankine.features.events import EventArrays
from rankine.models.ctr.base import CTRModel
from rankine.models.ctr.config import TUNED, CTRConfig
from rankine.models.ctr.scoring import Parts
from rankine.models.tuning import ranges


@dataclass(frozen=True, kw_only=True)
class LRConfig(CTRConfig):
    """Settings of LR. l1: of `ftrl` only, whose l2 is `embedding_l2`, in the scale of its formula."""

    optimizer: Literal["adam", "adagrad", "ftrl"] = "adam"
    learning_rate: float = 1e-2
    l1: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        settings.require(self, "l1", at_least=0)


class LR(CTRModel):
    """One weight per table row, and a bias."""

    Config = LRConfig
    config: LRConfig
    label = "LR"
    summary = "a weight per field value"
    mark = 6
    tuning = ranges(**TUNED)

    def layers(self) -> None:
        self.linear = self.linear_part(bias=True)

    def initialise(self, data: EventArrays, generator: torch.Generator) -> None:
        super().initialise(data, generator)
        if self.config.optimizer == "ftrl":
            self.linear.table.initialise(generator, 0.0)  # else a first value would count as gradient beyond l1

    def logit(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        return self.weights(idx, weight)

    def parts(self) -> Parts:
        return Parts(self.linear)
