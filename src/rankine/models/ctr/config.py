"""Settings of click models: those of all, those of models with vectors, those of models with hidden layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rankine import config as settings
from rankine.errors import ConfigError
from rankine.models.tuning import Range, Real, Whole, choice
from rankine.nn.mlp import Activation
from rankine.nn.tables import Kind


@dataclass(frozen=True, kw_only=True)
class CTRConfig:
    """Settings that all click models share.

    lazy: a step moves the rows of its batch only; otherwise all rows, which the penalty then pulls to zero in every step.
    embedding_l2: penalty l2 / 2 of what tables hold, per batch; l2: of all other parameters. init_sd: spread of first values of
    tables. table: how they are stored, in about `share` of their rows unless plain; fields of at most `whole_below` rows stay
    whole. patience: epochs in a row without a better validation figure before training stops; each divides the learning
    rate by ten, as the epochs of `drop_epochs` do. n_negatives: per event, where no impressions were logged; `same_context`
    draws from what was taken in the same value of `negatives_context`.
    """

    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 1e-3
    lazy: bool = True
    embedding_l2: float = 0.0
    l2: float = 0.0
    init_sd: float = 0.01
    table: Kind = "plain"
    share: float = 1.0
    whole_below: int = 100
    patience: int = 2
    drop_epochs: tuple[int, ...] = ()
    clip_norm: float | None = 10.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    negatives: Literal["uniform", "popularity", "same_context"] = "uniform"
    n_negatives: int = 4
    negatives_context: str | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "n_negatives"):
            settings.require(self, name, at_least=1)
        for name in ("learning_rate", "init_sd", "clip_norm", "share"):
            settings.require(self, name, above=0)
        for name in ("embedding_l2", "l2", "whole_below"):
            settings.require(self, name, at_least=0)
        settings.require(self, "share", at_most=1)
        if self.table == "plain" and self.share < 1:
            raise ConfigError(
                f'`share` = {self.share} has no effect on `table = "plain"`: choose another `table`, or leave it out'
            )
        if self.negatives == "same_context" and self.negatives_context is None:
            raise ConfigError('`negatives = "same_context"` needs `negatives_context`: name a context column')


@dataclass(frozen=True, kw_only=True)
class VectorConfig(CTRConfig):
    """Settings of click models with a vector per table row."""

    embedding_dim: int = 16
    optimizer: Literal["adam", "adagrad"] = "adam"

    def __post_init__(self) -> None:
        super().__post_init__()
        settings.require(self, "embedding_dim", at_least=1)


@dataclass(frozen=True, kw_only=True)
class DeepConfig(VectorConfig):
    """Settings of click models with hidden layers. dropout: share of hidden units left out in each step of training."""

    epochs: int = 10
    embedding_l2: float = 0.01
    hidden_dims: tuple[int, ...] = (256, 128)
    activation: Activation = "relu"
    batch_norm: bool = True
    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.hidden_dims, default=0) < 1:
            raise ConfigError(f"`hidden_dims` must be whole numbers of at least 1; got {list(self.hidden_dims)}")
        settings.require(self, "dropout", at_least=0)
        if self.dropout >= 1:
            raise ConfigError(f"`dropout` must be below 1; got {self.dropout!r}")


TUNED: dict[str, Range] = {
    "learning_rate": Real(1e-4, 0.1, log=True),
    "batch_size": Whole(128, 8192, log=True),
    "embedding_l2": Real(0.0, 0.1),
}
TUNED_VECTORS: dict[str, Range] = TUNED | {"embedding_dim": Whole(4, 64, log=True)}
TUNED_DEEP: dict[str, Range] = TUNED_VECTORS | {"dropout": Real(0.0, 0.6), "batch_norm": choice(True, False)}
"""What is worth a search, and where."""
