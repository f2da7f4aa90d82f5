"""Rating ALS: biased matrix factorization for ratings, solved one side at a time.

r_ui = mu + b_u + b_i + p_u . q_i; loss sum (r - r_ui)^2 + l2 (sum_u n_u |p_u|^2 + sum_i n_i |q_i|^2) + bias_l2 (sum_u b_u^2 +
sum_i b_i^2), n = number of ratings, mu the mean of the training ratings. With q~ = (q, 1) and y_i = r - mu - b_i:
(p_u, b_u) = (sum_i q~_i q~_i' + diag(l2 n_u, ..., l2 n_u, bias_l2))^-1 sum_i q~_i y_i; the items likewise.
Source: Zhou et al. 2008, "Large-scale parallel collaborative filtering for the Netflix Prize" (ALS-WR); biases are our addition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine import config as settings
from rankine.arrays import Array, Float, Int, Offsets
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.rating_als import solve_ratings
from rankine.models.base import Monitor, Needs, RatingModel, SolvedModel, Source, no_monitor
from rankine.models.tuning import Real, Whole, ranges
from rankine.progress import track
from rankine.random import stream


@dataclass(frozen=True, kw_only=True)
class RatingALSConfig:
    """Settings of Rating ALS; l2: per rating of a row; bias_l2: ratings' worth of pull of the biases towards zero."""

    embedding_dim: int = 32
    epochs: int = 10
    l2: float = 0.1
    bias_l2: float = 5.0
    init_sd: float = 0.1

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "epochs"):
            settings.require(self, name, at_least=1)
        for name in ("l2", "bias_l2", "init_sd"):
            settings.require(self, name, above=0)


class RatingALS(RatingModel, SolvedModel):
    """Biases and a dot product; rows without a training rating are zero, so unknown users and items get mu and what is known."""

    Config = RatingALSConfig
    config: RatingALSConfig
    label = "Rating ALS"
    summary = "user and item factors, solved"
    mark = 3
    source = Source.HISTORY
    iterative = True
    needs = Needs(values=True)
    fitted = ("mean", "user_factors", "item_factors", "user_bias", "item_bias")
    tuning = ranges(
        embedding_dim=Whole(4, 128, log=True), l2=Real(0.01, 1.0, log=True), bias_l2=Real(0.1, 100.0, log=True)
    )

    mean: Float  # [1]
    user_factors: Float  # [n_users + 1, D]
    item_factors: Float  # [n_items + 1, D]
    user_bias: Float  # [n_users + 1]
    item_bias: Float  # [n_items + 1]

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        user, item, value = data.ratings
        known = user < data.n_users
        if not known.any():
            raise ModelError(f"{self.label} got nothing to train on: no rating comes from a known user")
        self.mean = np.array([value.mean()], np.float32)
        user, item, value = user[known], item[known], (value[known] - self.mean).astype(np.float32)
        by_user, by_item = _grouped(user, item, value, data.n_users + 1), _grouped(item, user, value, data.n_items + 1)
        q = stream(seed, "init").normal(0, self.config.init_sd, (data.n_items + 1, self.config.embedding_dim))
        self.item_factors, self.item_bias = q.astype(np.float32), np.zeros(data.n_items + 1, np.float32)
        penalty = self.config.l2, self.config.bias_l2
        for epoch in track(range(1, self.config.epochs + 1), f"solving {self.label}"):
            self.user_factors, self.user_bias = solve_ratings(*by_user, self.item_factors, self.item_bias, *penalty)
            self.item_factors, self.item_bias = solve_ratings(*by_item, self.user_factors, self.user_bias, *penalty)
            if monitor is not no_monitor and monitor(epoch, self, loss=self._loss(user, item, value) / len(value)):
                break

    def _loss(self, user: Int, item: Int, value: Float) -> float:
        squares = (value + self.mean - self.rate(user, item)).astype(np.float64) ** 2
        for index, factors, bias in (
            (user, self.user_factors, self.user_bias),
            (item, self.item_factors, self.item_bias),
        ):
            n = np.bincount(index, minlength=len(bias))
            penalty = self.config.l2 * n * np.einsum("nd,nd->n", factors, factors) + self.config.bias_l2 * bias**2
            squares = np.append(squares, penalty)
        return float(squares.sum())

    def rate(self, user_idx: Int, item_idx: Int) -> Float:
        products = np.einsum("bd,bd->b", self.user_factors[user_idx], self.item_factors[item_idx])
        return np.asarray(self.mean + self.user_bias[user_idx] + self.item_bias[item_idx] + products, np.float32)

    def score_all(self, queries: Queries) -> Float:
        products = self.user_factors[queries.user_idx] @ self.item_factors[:-1].T
        bias = self.mean + self.user_bias[queries.user_idx]
        return np.asarray(products + bias[:, None] + self.item_bias[:-1], np.float32)

    def evidence(self, queries: Queries) -> Array:
        return queries.known_user


def _grouped(key: Int, other: Int, value: Float, n_keys: int) -> tuple[Offsets, Int, Float]:
    """Offsets of the ratings of each key, and the other index and the value of each rating."""
    order = np.argsort(key, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(key, minlength=n_keys))]).astype(np.int64)
    return offsets, other[order], value[order]
