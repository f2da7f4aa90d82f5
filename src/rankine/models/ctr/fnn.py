"""FNN: hidden layers on the weights and vectors of a factorization machine that was trained first.

z_f = (w_f, v_f) for each field; l_0 = (w_0, z_1 .. z_F); s = MLP(l_0) with tanh. Stage one trains FM; stage two starts from its
bias, weights and vectors and trains them further with the layers.
Source: Zhang, Du, Wang 2016, "Deep learning over multi-field categorical data", section 3.1. Where we differ: layers start from
Xavier-normal draws, not from stacked Boltzmann machines; the last bias starts as the log-odds of the labels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from rankine import config as settings
from rankine.models.ctr.config import TUNED_DEEP, DeepConfig
from rankine.models.ctr.deep import DeepModel
from rankine.models.ctr.fm import FM, FMConfig
from rankine.models.neural import Network
from rankine.models.tuning import ranges
from rankine.nn.fields import FieldEmbedding
from rankine.nn.mlp import Activation


@dataclass(frozen=True, kw_only=True)
class FNNConfig(DeepConfig):
    """Settings of FNN. fm_epochs, fm_learning_rate and fm_l2 are those of stage one; fm_l2 is its penalty on all parameters."""

    hidden_dims: tuple[int, ...] = (200, 300, 100)
    activation: Activation = "tanh"
    fm_epochs: int = 5
    fm_learning_rate: float = 1e-2
    fm_l2: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        settings.require(self, "fm_epochs", at_least=1)
        settings.require(self, "fm_learning_rate", above=0)
        settings.require(self, "fm_l2", at_least=0)


class FNN(DeepModel):
    """A weight and a vector per table row as FM left them, and hidden layers on both."""

    Config = FNNConfig
    config: FNNConfig
    label = "FNN"
    summary = "layers on a trained FM"
    mark = 5
    tuning = ranges(**TUNED_DEEP)

    def layers(self) -> None:
        self.bias = nn.Parameter(torch.zeros(()))
        self.weight = FieldEmbedding(self._table(self.layout, 1), self.layout.embedded.slot_field)
        self.embedding = self.vector_part()
        self.mlp = self.deep_part(1 + self.weight.n_fields + self.n_vector_numbers)

    def forerunner(self) -> Network:
        """The FM of stage one."""
        config = self.config
        shared = {f.name: getattr(config, f.name) for f in fields(FMConfig)}
        own = {"epochs": config.fm_epochs, "learning_rate": config.fm_learning_rate, "drop_epochs": ()}
        return FM(FMConfig(**shared | own | {"embedding_l2": config.fm_l2, "l2": config.fm_l2}))

    def follow(self, forerunner: Network) -> None:
        assert isinstance(forerunner, FM)
        self.from_fm(forerunner)

    def from_fm(self, fm: FM) -> None:
        """Take over the bias and the tables of a fitted FM of the same fields."""
        with torch.no_grad():
            self.bias.copy_(fm.intercept)
            self.weight.table.weight.copy_(fm.linear.table.weight)
            self.embedding.table.weight.copy_(fm.embedding.table.weight)

    def logit(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        z_BFD = torch.cat([self.vectors(idx, weight, self.weight), self.vectors(idx, weight)], 2)
        return self.deep(torch.cat([self.bias.expand(len(idx), 1), z_BFD.flatten(1)], 1))
