"""BPR: what was taken should score above what was not.

s_ui = x_u . y_i + b_i; for a taken item i and an item j not taken, both of user u, d = s_ui - s_uj: minimise -log sigmoid(d)
(`bpr`), or 1 - sigmoid(d) (`sigmoid`, bounded: hardly moved by pairs that are far on the wrong side), with
l2 / 2 (|x_u|^2 + |y_i|^2 + |y_j|^2 + b_i^2 + b_j^2) for each triple. Negatives are drawn by popularity^alpha, 0 is uniform.
Source: Rendle et al. 2009, "BPR: Bayesian personalized ranking from implicit feedback"; one pass meets every taken pair once,
where the paper draws pairs with replacement.
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
from rankine.kernels.bpr import EVEN, Table, Triples, bpr_epoch, bpr_fold_in, padded_items
from rankine.kernels.draws import alias_table
from rankine.models.base import ItemNeighbours, Monitor, SolvedModel, Source, VectorModel, no_monitor
from rankine.models.factorization.histories import alike, someone_known, trained_or_folded
from rankine.models.tuning import Real, Whole, ranges
from rankine.progress import track
from rankine.random import seed_of, stream


@dataclass(frozen=True, kw_only=True)
class BPRConfig:
    """Settings of BPR.

    schedule: `linear` lets the learning rate fall to zero over the epochs; alpha: negatives are drawn by popularity^alpha;
    fold_in_passes: over the history of a visitor who is not known; n_threads: only 1 repeats to the bit.
    """

    embedding_dim: int = 64
    epochs: int = 60
    learning_rate: float = 0.05
    schedule: Literal["linear", "constant"] = "linear"
    l2: float = 0.01
    loss: Literal["bpr", "sigmoid"] = "bpr"
    alpha: float = 0.0
    init_sd: float = 0.1
    fold_in_passes: int = 20
    n_threads: int = 1

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "epochs", "fold_in_passes", "n_threads"):
            settings.require(self, name, at_least=1)
        for name in ("learning_rate", "init_sd"):
            settings.require(self, name, above=0)
        for name in ("l2", "alpha"):
            settings.require(self, name, at_least=0)


class BPR(ItemNeighbours, VectorModel, SolvedModel):
    """A known user has the trained vector; a visitor with a history gets one by the same steps, items held fixed."""

    Config = BPRConfig
    config: BPRConfig
    label = "BPR"
    summary = "taken above not taken"
    mark = 3
    source = Source.HISTORY
    iterative = True
    tuning = ranges(
        embedding_dim=Whole(16, 256, log=True), learning_rate=Real(0.005, 0.3, log=True), l2=Real(1e-4, 0.1, log=True),
        alpha=Real(0.0, 1.0), init_sd=Real(0.01, 0.3, log=True),
    )  # fmt: skip
    fitted = ("user_factors", "item_factors", "item_bias", "draw_weight")

    user_factors: Float  # [n_users, D]
    item_factors: Float  # [n_items, D]
    item_bias: Float  # [n_items]
    draw_weight: Float  # [n_items] of negatives

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        taken, dim = data.interactions, self.config.embedding_dim
        self.draw_weight = self._draw_weights(taken)
        triples = Triples(taken, dim=dim, table=self._table(), seed=seed_of(seed, "shuffle"))
        rng = stream(seed, "init")
        users, items = rng.normal(0, self.config.init_sd, (data.n_users, dim)), padded_items(data.n_items, dim)
        self.user_factors = np.where(np.diff(taken.indptr)[:, None] > 0, users, 0).astype(np.float32)
        items[:, :dim] = rng.normal(0, self.config.init_sd, (data.n_items, dim))
        for epoch in track(range(1, self.config.epochs + 1), f"training {self.label}"):
            loss = bpr_epoch(triples, self.user_factors, items, **self._steps(epoch),
                             seed=seed_of(seed, "negatives", epoch), n_threads=self.config.n_threads)  # fmt: skip
            if not np.isfinite(loss):
                raise ModelError(f"{self.label} diverged in epoch {epoch}: lower `learning_rate`")
            self.item_factors, self.item_bias = items[:, :dim], items[:, dim]
            if monitor is not no_monitor and monitor(epoch, self, loss=loss):
                break
        self.item_factors, self.item_bias = items[:, :dim].copy(), items[:, dim].copy()

    def query_vectors(self, queries: Queries) -> Float:
        vectors = trained_or_folded(queries, self.user_factors, self._fold_in)
        return np.concatenate([vectors, np.ones((len(queries), 1), np.float32)], axis=1)

    def item_vectors(self) -> Float:
        return np.concatenate([self.item_factors, self.item_bias[:, None]], axis=1)

    def evidence(self, queries: Queries) -> Array:
        return someone_known(queries)

    def similar(self, item_idx: int) -> tuple[Int, Float]:
        return alike(self.item_factors, item_idx)

    def _fold_in(self, histories: CSR) -> Float:
        return bpr_fold_in(histories, self.item_vectors(), self.config.embedding_dim, **self._steps(),
                           n_passes=self.config.fold_in_passes, table=self._table())  # fmt: skip

    def _steps(self, epoch: int = 1) -> dict[str, Any]:
        left = 1 - (epoch - 1) / self.config.epochs if self.config.schedule == "linear" else 1.0
        rate, bounded = self.config.learning_rate * left, self.config.loss == "sigmoid"
        return {"learning_rate": rate, "l2": self.config.l2, "bounded": bounded}

    def _draw_weights(self, taken: CSR) -> Float:
        counts = np.bincount(taken.indices, minlength=taken.n_columns)
        return np.asarray(counts**self.config.alpha, np.float32)  # 0^0 = 1: uniform over all items

    def _table(self) -> Table:
        return alias_table(self.draw_weight) if self.config.alpha and self.draw_weight.any() else EVEN
