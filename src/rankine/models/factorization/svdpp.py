"""SVD++: biased matrix factorization in which the items that somebody has rated speak for their taste as well.

r_ui = mu + b_u + b_i + q_i . (p_u + |N(u)|^-1/2 sum_{j in N(u)} y_j), N(u) = the items that u rated in training;
each rating moves every x in it by learning_rate (e dx - l2 x), e = r - r_ui.
Source: Koren 2008, "Factorization meets the neighborhood", equation 15; one user's ratings are taken after another's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int, Ragged
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.gram import sum_dense_rows
from rankine.kernels.svdpp import Factors, padded, svdpp_epoch, user_ratings
from rankine.models.base import Monitor, Needs, RatingModel, SolvedModel, Source, no_monitor
from rankine.models.factorization.histories import someone_known, trained_or_folded
from rankine.models.tuning import Real, Whole, ranges
from rankine.progress import track
from rankine.random import stream


@dataclass(frozen=True, kw_only=True)
class SVDppConfig:
    """Settings of SVD++; `learning_rate` and `l2` are per rating."""

    embedding_dim: int = 64
    epochs: int = 30
    learning_rate: float = 0.007
    l2: float = 0.05
    init_sd: float = 0.05

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "epochs"):
            settings.require(self, name, at_least=1)
        for name in ("learning_rate", "init_sd"):
            settings.require(self, name, above=0)
        settings.require(self, "l2", at_least=0)


class SVDpp(RatingModel, SolvedModel):
    """A user's vector is p_u and what they rated in training; a stranger's is made of the y of their history alone.

    `rate` knows a stranger by nothing and gives mu + b_i.
    """

    Config = SVDppConfig
    config: SVDppConfig
    label = "SVD++"
    summary = "factors, and what was rated"
    mark = 2
    source = Source.HISTORY
    iterative = True
    needs = Needs(values=True)
    fitted = ("mean", "user_factors", "item_factors", "rated_factors", "user_bias", "item_bias")
    tuning = ranges(
        embedding_dim=Whole(8, 256, log=True), learning_rate=Real(1e-3, 0.03, log=True), l2=Real(1e-3, 0.3, log=True),
        init_sd=Real(0.01, 0.3, log=True),
    )  # fmt: skip

    mean: Float  # [1]
    user_factors: Float  # [n_users + 1, D]: p_u + |N(u)|^-1/2 sum y_j
    item_factors: Float  # [n_items + 1, D]
    rated_factors: Float  # [n_items, D]: y
    user_bias: Float  # [n_users + 1]
    item_bias: Float  # [n_items + 1]

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        user, item, value = data.ratings
        known = user < data.n_users
        if not known.any():
            raise ModelError(f"{self.label} got nothing to train on: no rating comes from a known user")
        ratings = user_ratings(user[known], item[known], value[known], data.n_users, data.n_items)
        factors, rated_factors = self._start(
            np.diff(ratings.rated.indptr), ratings.item, data, float(value.mean()), seed
        )
        rng = stream(seed, "shuffle")
        for epoch in track(range(1, self.config.epochs + 1), f"training {self.label}"):
            loss = svdpp_epoch(
                ratings, factors, rated_factors, learning_rate=self.config.learning_rate, l2=self.config.l2, rng=rng
            )
            if not math.isfinite(loss):
                raise ModelError(f"{self.label} diverged in epoch {epoch}: lower `learning_rate`")
            last = epoch == self.config.epochs
            if last or monitor is not no_monitor:
                self._take(factors, rated_factors, ratings.rated)
                if monitor(epoch, self, loss=loss / len(ratings.item)):
                    break

    def _start(self, n_rated: Array, item: Int, data: EventArrays, mean: float, seed: int) -> tuple[Factors, Float]:
        """Random factors for the rows that have a rating, zeros for the others."""
        rng, shape = stream(seed, "init"), self.config.embedding_dim
        taken = np.bincount(item, minlength=data.n_items) > 0

        def drawn(some: Array) -> Float:
            return padded(rng.normal(0, self.config.init_sd, (len(some), shape)).astype(np.float32) * some[:, None])

        user_bias, item_bias = np.zeros(data.n_users, np.float32), np.zeros(data.n_items, np.float32)
        return Factors(drawn(n_rated > 0), drawn(taken), user_bias, item_bias, mean), drawn(taken)

    def _take(self, factors: Factors, rated_factors: Float, rated: CSR) -> None:
        """Keep what is learned so far, with a last row for an unknown user and an unknown item."""
        dim = self.config.embedding_dim
        self.mean = np.array([factors.mean], np.float32)
        self.rated_factors = rated_factors[:, :dim].copy()
        own = factors.user[:, :dim] + self._taste(Ragged(rated.indices, rated.indptr))
        self.user_factors = np.vstack([own, np.zeros((1, dim), np.float32)])
        self.item_factors = np.vstack([factors.item[:, :dim], np.zeros((1, dim), np.float32)])
        self.user_bias, self.item_bias = (np.append(b, np.float32(0)) for b in (factors.user_bias, factors.item_bias))

    def _taste(self, rated: Ragged) -> Float:
        """|N|^-1/2 sum of the y of N, for each row of distinct items N, float32 [len(rated), D]."""
        weight = 1 / np.sqrt(np.maximum(rated.lengths, 1))
        return sum_dense_rows(self.rated_factors, rated, np.repeat(weight, rated.lengths))

    def rate(self, user_idx: Int, item_idx: Int) -> Float:
        products = np.einsum("bd,bd->b", self.user_factors[user_idx], self.item_factors[item_idx])
        return np.asarray(self.mean + self.user_bias[user_idx] + self.item_bias[item_idx] + products, np.float32)

    def score_all(self, queries: Queries) -> Float:
        vectors = trained_or_folded(
            queries, self.user_factors[:-1], lambda history: self._taste(Ragged(history.indices, history.indptr))
        )
        bias = self.mean + self.user_bias[queries.user_idx]
        return np.asarray(vectors @ self.item_factors[:-1].T + bias[:, None] + self.item_bias[:-1], np.float32)

    def evidence(self, queries: Queries) -> Array:
        return someone_known(queries)
