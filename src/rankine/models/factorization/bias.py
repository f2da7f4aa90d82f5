"""Bias: how far a user and an item lie above or below the mean rating.

r_ui = mu + b_u + b_i, by alternating least squares:
b_i = sum_u (r_ui - mu - b_u) / (reg_item + n_i), b_u = sum_i (r_ui - mu - b_i) / (reg_user + n_u).
Source: Koren 2010, "Factor in the neighbors", section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine import config as settings
from rankine.arrays import Array, Float, Int
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.base import Monitor, Needs, RatingModel, SolvedModel, Source, no_monitor
from rankine.models.tuning import Real, ranges


@dataclass(frozen=True, kw_only=True)
class BiasConfig:
    """epochs: sweeps over both sides; reg_user, reg_item: ratings' worth of pull towards the mean."""

    epochs: int = 10
    reg_user: float = 15.0
    reg_item: float = 10.0

    def __post_init__(self) -> None:
        settings.require(self, "epochs", at_least=1)
        settings.require(self, "reg_user", at_least=0)
        settings.require(self, "reg_item", at_least=0)


class Bias(RatingModel, SolvedModel):
    """The mean and two biases; an unknown user or item has bias 0."""

    Config = BiasConfig
    config: BiasConfig
    label = "Bias"
    summary = "mean, user and item effect"
    mark = 7
    baseline = "popularity"
    source = Source.POPULAR
    needs = Needs(values=True)
    fitted = ("mean", "user_bias", "item_bias")
    tuning = ranges(reg_user=Real(0.1, 100.0, log=True), reg_item=Real(0.1, 100.0, log=True))

    mean: Float  # [1]
    user_bias: Float  # [n_users + 1]
    item_bias: Float  # [n_items + 1]

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        user, item, value = data.ratings
        mean = value.mean() if len(value) else 0.0
        n_user, n_item = np.bincount(user, minlength=data.n_users + 1), np.bincount(item, minlength=data.n_items + 1)
        b_user, b_item = np.zeros(data.n_users + 1), np.zeros(data.n_items + 1)
        user_scale = np.maximum(self.config.reg_user + n_user, 1e-12)  # neither pull nor ratings: the bias stays 0
        item_scale = np.maximum(self.config.reg_item + n_item, 1e-12)
        for _ in range(self.config.epochs):
            b_item = np.bincount(item, value - mean - b_user[user], data.n_items + 1) / item_scale
            b_user = np.bincount(user, value - mean - b_item[item], data.n_users + 1) / user_scale
            b_user[data.n_users] = 0
        self.mean = np.array([mean], np.float32)
        self.user_bias, self.item_bias = b_user.astype(np.float32), b_item.astype(np.float32)

    def rate(self, user_idx: Int, item_idx: Int) -> Float:
        return np.asarray(self.mean + self.user_bias[user_idx] + self.item_bias[item_idx], np.float32)

    def evidence(self, queries: Queries) -> Array:
        return np.ones(len(queries), bool)
