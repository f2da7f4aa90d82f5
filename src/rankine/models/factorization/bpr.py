"""BPR: what was taken should score above what was not.

s_ui = x_u . y_i + b_i; for a taken item i and an item j not taken, both of user u, d = s_ui - s_uj: minimise -log sigmoid(d)
(`bpr`), or 1 - sigmoid(d) (`sigmoid`, bounded: hardly moved by pairs that are far on the wrong side), with
l2 / 2 (|x_u|^2 + |y_i|^2 + |y_j|^2 + b_i^2 + b_j^2) for each triple. Of `n_candidates` items drawn by popularity^alpha, 0 is
uniform, j is the one that scores highest: 1 is the paper, more learn from the mistakes at the top of the list.
Source: Rendle et al. 2009, "BPR: Bayesian personalized ranking from implicit feedback"; Zhang et al. 2013, "Optimizing top-n
collaborative filtering via dynamic negative item sampling". One pass meets every taken pair once, where the paper draws pairs
with replacement; which items may meet as i and j is dealt anew for each pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.bpr import bpr_epoch, bpr_fold_in, padded_items, padded_users
from rankine.kernels.bpr_deal import pair_grid
from rankine.models.base import ItemNeighbours, Monitor, SolvedModel, Source, VectorModel, no_monitor
from rankine.models.factorization.histories import (
    alike,
    check_pairs,
    met_matrix,
    news_matrix,
    seen_in,
    someone_known,
    trained_vectors,
)
from rankine.models.tuning import Real, Whole, ranges
from rankine.progress import track
from rankine.random import seed_of, stream


@dataclass(frozen=True, kw_only=True)
class BPRConfig:
    """Settings of BPR; the result does not depend on the number of threads.

    schedule: `linear` lets the learning rate fall to zero over the epochs; n_candidates: the hardest of so many drawn is the
    negative; alpha: they are drawn by popularity^alpha; fold_in_passes: over what a history has that training has not seen.
    """

    embedding_dim: int = 64
    epochs: int = 40
    learning_rate: float = 0.1
    schedule: Literal["linear", "constant"] = "linear"
    l2: float = 0.025
    loss: Literal["bpr", "sigmoid"] = "bpr"
    n_candidates: int = 8
    alpha: float = 0.0
    init_sd: float = 0.02
    fold_in_passes: int = 5

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "epochs", "n_candidates", "fold_in_passes"):
            settings.require(self, name, at_least=1)
        for name in ("learning_rate", "init_sd"):
            settings.require(self, name, above=0)
        for name in ("l2", "alpha"):
            settings.require(self, name, at_least=0)


class BPR(ItemNeighbours, VectorModel, SolvedModel):
    """A known user has the trained vector, a stranger zeros; what is new in a history moves either by the same steps, items held fixed."""

    Config = BPRConfig
    config: BPRConfig
    label = "BPR"
    summary = "taken above not taken"
    mark = 3
    source = Source.HISTORY
    iterative = True
    tuning = ranges(
        embedding_dim=Whole(16, 256, log=True), learning_rate=Real(0.01, 0.3, log=True), l2=Real(1e-3, 0.1, log=True),
        n_candidates=Whole(1, 32, log=True), alpha=Real(0.0, 1.0),
    )  # fmt: skip
    fitted = ("user_factors", "item_table", "draw_weight", "seen")

    user_factors: Float  # [n_users, D]
    item_table: Float  # [n_items, D + 1], the bias last
    draw_weight: Float  # [n_items] of negatives
    seen: CSR  # what training has seen of each user; no values

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        taken, dim = data.interactions, self.config.embedding_dim
        check_pairs(taken, self.label)
        self.draw_weight, self.seen = self._draw_weights(taken), seen_in(data)
        grid = pair_grid(taken, dim, seed_of(seed, "shuffle"))
        users, items = self._start(taken, seed)
        for epoch in track(range(1, self.config.epochs + 1), f"training {self.label}"):
            loss = bpr_epoch(grid, users, items, **self._steps(epoch), weights=self.draw_weight if self.config.alpha else None,
                             seed=seed_of(seed, "negatives", epoch))  # fmt: skip
            if not np.isfinite(loss):
                raise ModelError(f"{self.label} diverged in epoch {epoch}: lower `learning_rate`")
            if monitor is not no_monitor:
                self._keep(users, items)
                if monitor(epoch, self, loss=loss):
                    break
        self._keep(users, items)

    @property
    def scheduled(self) -> bool:
        """Whether the steps get smaller towards the last epoch."""
        return self.config.schedule == "linear"

    def query_vectors(self, queries: Queries) -> Float:
        vectors, news = trained_vectors(queries, self.user_factors), news_matrix(queries, self.seen)
        vectors = self._moved(vectors, news, met_matrix(queries, self.seen)) if news.nnz else vectors
        return np.concatenate([vectors, np.ones((len(queries), 1), np.float32)], axis=1)

    def item_vectors(self) -> Float:
        return self.item_table

    def evidence(self, queries: Queries) -> Array:
        return someone_known(queries)

    def similar(self, item_idx: int) -> tuple[Int, Float]:
        return alike(self.item_table[:, :-1], item_idx)

    def _start(self, taken: CSR, seed: int) -> tuple[Float, Float]:
        """Small random vectors, and zeros for users who took nothing."""
        rng, dim, sd = stream(seed, "init"), self.config.embedding_dim, np.float32(self.config.init_sd)
        users, items = padded_users(taken.n_rows, dim), padded_items(taken.n_columns, dim)
        for table in (users, items):
            table[:, :dim] = rng.standard_normal((len(table), dim), np.float32)
            table *= sd
        users[np.diff(taken.indptr) == 0] = 0
        return users, items

    def _keep(self, users: Float, items: Float) -> None:
        dim, bias = self.config.embedding_dim, users.shape[1]
        self.user_factors = users[:, :dim].copy()
        self.item_table = np.ascontiguousarray(items[:, [*range(dim), bias]])  # rows together again

    def _moved(self, vectors: Float, news: CSR, met: CSR) -> Float:
        """The vectors of visitors after a few steps on what is new of each, where no negative is an item they `met`."""
        return bpr_fold_in(
            news, self.item_table, self.config.embedding_dim, **self._steps(), n_passes=self.config.fold_in_passes,
            weights=self.draw_weight if self.config.alpha else None, start=vectors, met=met,
        )  # fmt: skip

    def _steps(self, epoch: int = 1) -> dict[str, Any]:
        left = 1 - (epoch - 1) / self.config.epochs if self.config.schedule == "linear" else 1.0
        return {
            "learning_rate": self.config.learning_rate * left,
            "l2": self.config.l2,
            "bounded": self.config.loss == "sigmoid",
            "n_candidates": self.config.n_candidates,
        }

    def _draw_weights(self, taken: CSR) -> Float:
        counts = np.bincount(taken.indices, minlength=taken.n_columns)
        return np.asarray(counts**self.config.alpha, np.float32)  # 0^0 = 1: uniform over all items
