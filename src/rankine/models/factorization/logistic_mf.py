"""Logistic MF: the probability that a visitor takes an item, from factors and biases of both.

p_ui = sigmoid(x_u . y_i + b_u + b_i); maximise sum over taken (1 + confidence w_ui) log p_ui + sum over negatives log(1 - p_uj)
- l2 / 2 (|x|^2 + |y|^2 + b^2), users and items in turn, one AdaGrad step per row and turn. Negatives are drawn evenly.
Source: Johnson 2014, "Logistic matrix factorization for implicit feedback data", with sampled negatives instead of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.logistic import ascend_rows, padded_rows
from rankine.kernels.sparse import transpose
from rankine.models.base import ItemNeighbours, Monitor, SolvedModel, Source, VectorModel, no_monitor
from rankine.models.factorization.histories import (
    alike,
    check_pairs,
    news_matrix,
    seen_in,
    someone_known,
    trained_vectors,
)
from rankine.models.tuning import Real, Whole, ranges
from rankine.progress import track
from rankine.random import seed_of, stream


@dataclass(frozen=True, kw_only=True)
class LogisticMFConfig:
    """Settings of Logistic MF.

    confidence: extra weight of a taken pair per unit of event weight; n_negatives: per taken pair, at most all of a row;
    fold_in_steps: on the vector of a visitor who is not known.
    """

    embedding_dim: int = 30
    epochs: int = 30
    learning_rate: float = 0.3
    l2: float = 0.6
    confidence: float = 0.0
    n_negatives: int = 30
    init_sd: float = 0.1
    fold_in_steps: int = 30

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "epochs", "n_negatives", "fold_in_steps"):
            settings.require(self, name, at_least=1)
        for name in ("learning_rate", "init_sd"):
            settings.require(self, name, above=0)
        for name in ("l2", "confidence"):
            settings.require(self, name, at_least=0)


class LogisticMF(ItemNeighbours, VectorModel, SolvedModel):
    """A known user has the trained vector; a visitor with a history gets one by the same steps, items held fixed."""

    Config = LogisticMFConfig
    config: LogisticMFConfig
    label = "Logistic MF"
    summary = "probability from factors"
    mark = 4
    source = Source.HISTORY
    iterative = True
    tuning = ranges(
        embedding_dim=Whole(8, 128, log=True), learning_rate=Real(0.03, 2.0, log=True), l2=Real(0.01, 10.0, log=True),
        confidence=Real(0.0, 50.0), n_negatives=Whole(3, 100, log=True),
    )  # fmt: skip
    fitted = ("user_factors", "item_factors", "seen")

    user_factors: Float  # [n_users, D + 2]: factors, bias, 1
    item_factors: Float  # [n_items, D + 2]: factors, 1, bias
    seen: CSR  # what training has seen of each user; no values
    _prepared: tuple[Float, Float] | None = None

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        check_pairs(data.interactions, self.label)
        users, self.seen = self._weighted(data.interactions), seen_in(data)
        items, dim, rng = transpose(users), self.config.embedding_dim, stream(seed, "init")
        self.user_factors = self._start(users, dim + 1, rng)
        self.item_factors = self._start(items, dim, rng)
        user_squares, item_squares = np.zeros_like(self.user_factors), np.zeros_like(self.item_factors)
        for epoch in track(range(1, self.config.epochs + 1), f"training {self.label}"):
            seeds = [seed_of(seed, "negatives", side, epoch) for side in ("users", "items")]
            loss = self._step(users, padded_rows(self.item_factors), self.user_factors, user_squares, dim + 1, seeds[0])
            self._step(items, padded_rows(self.user_factors), self.item_factors, item_squares, dim, seeds[1])
            self._prepared = None  # the items changed in place
            if not np.isfinite(loss):
                raise ModelError(f"{self.label} diverged in epoch {epoch}: lower `learning_rate`")
            if monitor is not no_monitor and monitor(epoch, self, loss=loss):
                break

    def _start(self, taken: CSR, constant: int, rng: np.random.Generator) -> Float:
        """Random factors, no bias, a column of ones; zeros but for the ones where a row has no entry."""
        start = np.zeros((taken.n_rows, self.config.embedding_dim + 2), np.float32)
        drawn = rng.normal(0, self.config.init_sd, (taken.n_rows, self.config.embedding_dim))
        start[:, :-2] = np.where(np.diff(taken.indptr)[:, None] > 0, drawn, 0)
        start[:, constant] = 1
        return start

    def _step(self, taken: CSR, fixed: Float, moved: Float, squares: Float, held: int, seed: int,
              same_draws: bool = False) -> float:  # fmt: skip
        return ascend_rows(taken, fixed, moved, squares, learning_rate=self.config.learning_rate, l2=self.config.l2,
                           n_negatives=self.config.n_negatives, held=held, seed=seed, same_draws=same_draws)  # fmt: skip

    def query_vectors(self, queries: Queries) -> Float:
        vectors, news = trained_vectors(queries, self.user_factors), news_matrix(queries, self.seen)
        vectors[:, -1] = 1
        return self._moved(vectors, news) if news.nnz else vectors

    def item_vectors(self) -> Float:
        return self.item_factors

    def evidence(self, queries: Queries) -> Array:
        return someone_known(queries)

    def similar(self, item_idx: int) -> tuple[Int, Float]:
        return alike(self.item_factors[:, :-2], item_idx)

    def probability(self, user_idx: Int, item_idx: Int) -> Float:
        """The learned probability of each pair, float32 [B]: among taken pairs and as many negatives as training drew."""
        logit = np.einsum("bd,bd->b", self.user_factors[user_idx], self.item_factors[item_idx])
        return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)), np.float32)

    def _moved(self, vectors: Float, news: CSR) -> Float:
        """The vectors of visitors after a few steps on what is new of each, items held fixed."""
        weighted, squares = self._weighted(news), np.zeros_like(vectors)
        items = self._fixed_items()
        for step in range(self.config.fold_in_steps):
            self._step(weighted, items, vectors, squares, vectors.shape[1] - 1, step, same_draws=True)
        return vectors

    def _fixed_items(self) -> Float:
        """The items as histories meet them: made when first needed, kept while they stay what they are."""
        if self._prepared is None or self._prepared[0] is not self.item_factors:
            self._prepared = self.item_factors, padded_rows(self.item_factors)
        return self._prepared[1]

    def _weighted(self, taken: CSR) -> CSR:
        return CSR(taken.indptr, taken.indices, 1 + np.float32(self.config.confidence) * taken.data, taken.n_columns)
