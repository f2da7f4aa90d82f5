"""MF: biased matrix factorization for ratings.

r_ui = mu + b_u + b_i + p_u . q_i; loss per rating 1/2 [(r - r_ui)^2 + l2 (b_u^2 + b_i^2 + |p_u|^2 + |q_i|^2)], summed over
the batch, so that one step of plain SGD moves each row as one step per rating would. mu is the mean of the training ratings.
Source: Koren, Bell, Volinsky 2009, equations 4 and 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from rankine import config as settings
from rankine.arrays import Array, Float, Int
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.features.rows import row_batches
from rankine.models.base import Needs, RatingModel, Source
from rankine.models.neural import NeuralModel


@dataclass(frozen=True, kw_only=True)
class MFConfig:
    """Settings of MF; `learning_rate` is per rating."""

    embedding_dim: int = 100
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 0.005
    l2: float = 0.02
    init_sd: float = 0.1
    optimizer: Literal["sgd", "adam"] = "sgd"

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "epochs", "batch_size"):
            settings.require(self, name, at_least=1)
        settings.require(self, "learning_rate", above=0)
        settings.require(self, "l2", at_least=0)
        settings.require(self, "init_sd", above=0)


class MF(RatingModel, NeuralModel):
    """Biases and a dot product; rows without a training rating stay zero, so unknown users and items get mu and what is known."""

    Config = MFConfig
    config: MFConfig
    label = "Matrix factorization"
    summary = "user and item factors"
    mark = 1
    source = Source.HISTORY
    needs = Needs(values=True)
    mean: Tensor

    def build(self, n_users: int, n_items: int) -> None:
        dim = self.config.embedding_dim
        self.register_buffer("mean", torch.zeros(1))
        self.user_factors = nn.Embedding(n_users + 1, dim, sparse=True)
        self.item_factors = nn.Embedding(n_items + 1, dim, sparse=True)
        self.user_bias = nn.Embedding(n_users + 1, 1, sparse=True)
        self.item_bias = nn.Embedding(n_items + 1, 1, sparse=True)

    @torch.no_grad()
    def initialise(self, data: EventArrays, generator: torch.Generator) -> None:
        user, item, _ = self._known(data)
        self.mean.fill_(float(data.ratings[2].mean()))
        for table, seen in ((self.user_factors, user), (self.item_factors, item)):
            table.weight.normal_(0, self.config.init_sd, generator=generator)
            table.weight[torch.from_numpy(np.bincount(seen, minlength=len(table.weight)) == 0)] = 0
        self.user_bias.weight.zero_()
        self.item_bias.weight.zero_()

    def batches(self, data: EventArrays, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        user, item, value = self._known(data)
        return row_batches({"user": user, "item": item, "value": value}, self.config.batch_size, rng)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        parts = self._gather(batch["user"], batch["item"])
        error = batch["value"] - self._predict(*parts)
        penalty = torch.stack([part.square().sum() for part in parts]).sum()
        return 0.5 * (error.square().sum() + self.config.l2 * penalty)

    def _known(self, data: EventArrays) -> tuple[Int, Int, Float]:
        """The ratings of known users."""
        user, item, value = data.ratings
        known = user < data.n_users
        return user[known], item[known], value[known].astype(np.float32)

    def _gather(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.user_factors(user), self.item_factors(item), self.user_bias(user), self.item_bias(item)

    def _predict(self, p_BD: Tensor, q_BD: Tensor, b_user: Tensor, b_item: Tensor) -> Tensor:
        return self.mean + (b_user + b_item).squeeze(1) + (p_BD * q_BD).sum(1)

    @torch.no_grad()
    def rate(self, user_idx: Int, item_idx: Int) -> Float:
        parts = self._gather(torch.from_numpy(user_idx), torch.from_numpy(item_idx))
        return np.asarray(self._predict(*parts).numpy())

    @torch.no_grad()
    def score_all(self, queries: Queries) -> Float:
        user = torch.from_numpy(queries.user_idx)
        products = self.user_factors(user) @ self.item_factors.weight[:-1].T
        return np.asarray((self.mean + self.user_bias(user) + self.item_bias.weight[:-1].T + products).numpy())

    def evidence(self, queries: Queries) -> Array:
        return queries.known_user
