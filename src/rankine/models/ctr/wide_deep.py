"""Wide & Deep: a linear part that sees declared crosses and hidden layers on the vectors, trained as one model.

s = w . (x, crosses of x) + MLP(v_1 .. v_F). Without crosses and with one optimiser it is what others call LR & DNN.
Source: Cheng et al. 2016, "Wide & Deep learning for recommender systems", equation 3, its optimisers as `wide_optimizer = "ftrl"`
and `optimizer = "adagrad"`. The bias is that of the last layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rankine import config as settings
from rankine.features.events import EventArrays
from rankine.models.ctr.config import TUNED_DEEP, DeepConfig
from rankine.models.ctr.deep import DeepModel
from rankine.models.ctr.scoring import Parts
from rankine.models.tuning import ranges
from rankine.nn.optim import RowOptimizer


@dataclass(frozen=True, kw_only=True)
class WideDeepConfig(DeepConfig):
    """Settings of Wide & Deep. wide_optimizer: of the linear part, in the same steps; its own learning rate and l1 are of `ftrl`."""

    wide_optimizer: Literal["same", "ftrl"] = "same"
    wide_learning_rate: float = 0.05
    l1: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        settings.require(self, "wide_learning_rate", above=0)
        settings.require(self, "l1", at_least=0)


class WideDeep(DeepModel):
    """A weight and a vector per table row, a weight per cross, and hidden layers on the vectors."""

    Config = WideDeepConfig
    config: WideDeepConfig
    label = "Wide & Deep"
    summary = "crosses and hidden layers"
    mark = 6
    tuning = ranges(**TUNED_DEEP)

    def layers(self) -> None:
        self.linear, self.embedding = self.linear_part(bias=False), self.vector_part()
        self.mlp = self.deep_part(self.n_vector_numbers)

    def initialise(self, data: EventArrays, generator: torch.Generator) -> None:
        super().initialise(data, generator)
        if self.config.wide_optimizer == "ftrl":
            self.linear.table.initialise(generator, 0.0)  # else a first value would count as gradient beyond l1

    def optimizers(self) -> list[RowOptimizer]:
        if self.config.wide_optimizer == "same":
            return super().optimizers()
        wide = list(self.linear.parameters())
        deep = [*self.embedding.parameters(), *self.mlp.parameters()]
        ftrl = self.optimizer("ftrl", self.config.wide_learning_rate, wide)
        return [ftrl, self.optimizer(self.config.optimizer, self.config.learning_rate, deep)]

    def logit(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        return self.weights(idx, weight) + self.deep(self.vectors(idx, weight).flatten(1))

    def parts(self) -> Parts:
        return Parts(self.linear, deep=(self.embedding, self.mlp))
