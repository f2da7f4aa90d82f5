"""MF: matrix factorization by gradients, of ratings or of what was taken, under the loss of one's choice.

s_ui = mu + b_u + b_i + p_u . q_i, and each pair, met once per epoch in random order, moves what it touches by the gradient of
squared      1/2 (r_ui - s_ui)^2; mu is the mean of the training ratings, else 0
logistic     -log sigmoid(s_ui) - sum over negatives j of log sigmoid(-s_uj)
bpr          -log sigmoid(s_ui - s_uj); bpr_sigmoid: 1 - sigmoid(s_ui - s_uj); warp: log(rank) max(0, 1 - s_ui + s_uj)
all_pairs    sum over taken (s_ui - 1)^2 + a0 sum over all pairs s_ui^2, as <P'P, Q'Q>, no biases: the loss of implicit ALS
and l2 / 2 (b^2 + |p|^2 + |q|^2) for each row that a pair or a negative touches (all_pairs: as ALS with nu = 1).
Negatives come evenly, by popularity^alpha, or from the batch itself with scores less log(n_items Q(i)).
Sources: Koren, Bell, Volinsky 2009, equations 4 and 5; Rendle et al. 2020, "Neural collaborative filtering vs. matrix
factorization revisited"; Rendle et al. 2009; Weston et al. 2011; Hu, Koren, Volinsky 2008.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int
from rankine.errors import ConfigError, ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.als import FixedSide, fold_in
from rankine.kernels.pairs import Pairs, Table, deal
from rankine.kernels.rating_sgd import sgd_epoch
from rankine.kernels.sampled_sgd import sampled_epoch, sampled_fold_in
from rankine.models.base import (
    ItemNeighbours,
    Monitor,
    Needs,
    RatingModel,
    SolvedModel,
    Source,
    VectorModel,
    no_monitor,
)
from rankine.models.factorization.histories import (
    alike,
    history_matrix,
    met_matrix,
    news_matrix,
    seen_in,
    someone_known,
)
from rankine.models.tuning import Real, Whole, ranges
from rankine.nn.samplers import ItemSampler
from rankine.progress import track
from rankine.random import stream


@dataclass(frozen=True, kw_only=True)
class MFConfig:
    """Settings of MF; `learning_rate` is per pair.

    n_negatives: per taken pair; alpha: for negatives by popularity; unobserved_weight: a0; fold_in_rate, fold_in_passes: the steps
    for a visitor not known, or for what a known one took since; engine: `compiled` makes plain steps pair by pair, `torch` steps of
    whole batches, `auto` the former wherever it can. Of `torch` alone: batch_size; optimizer `adam`; the loss `all_pairs`;
    negatives `in_batch`; shared_negatives: drawn once for a whole batch, counted as n_negatives (0: each pair its own).
    """

    loss: Literal["squared", "logistic", "bpr", "bpr_sigmoid", "warp", "all_pairs"] = "squared"
    engine: Literal["auto", "torch", "compiled"] = "auto"
    embedding_dim: int = 64
    epochs: int = 30
    learning_rate: float = 0.007
    l2: float = 0.05
    init_sd: float = 0.05
    n_negatives: int = 4
    negatives: Literal["uniform", "popularity", "in_batch"] = "uniform"
    alpha: float = 0.75
    fold_in_rate: float = 0.03
    fold_in_passes: int = 20
    optimizer: Literal["sgd", "adam"] = "sgd"
    batch_size: int = 256
    shared_negatives: int = 0
    unobserved_weight: float = 0.1

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "epochs", "batch_size", "n_negatives", "fold_in_passes"):
            settings.require(self, name, at_least=1)
        for name in ("learning_rate", "init_sd", "unobserved_weight", "fold_in_rate"):
            settings.require(self, name, above=0)
        for name in ("l2", "shared_negatives", "alpha"):
            settings.require(self, name, at_least=0)
        if self.engine == "compiled" and self.only_in_torch:
            raise ConfigError(f"`engine` = `compiled` has no {self.only_in_torch}: set `engine` to `auto` or `torch`")

    @property
    def only_in_torch(self) -> str:
        """The first setting that only the torch engine knows, empty where there is none."""
        lacks = {
            "`loss` = `all_pairs`": self.loss == "all_pairs",
            "`optimizer` = `adam`": self.optimizer == "adam",
            "`negatives` = `in_batch`": self.sampled and self.negatives == "in_batch",
            "`shared_negatives`": self.sampled and self.shared_negatives > 0,
        }
        return next((name for name, lacking in lacks.items() if lacking), "")

    @property
    def sampled(self) -> bool:
        """Whether pairs meet negatives."""
        return self.loss not in ("squared", "all_pairs")

    def sampler(self, taken: Int, n_items: int) -> ItemSampler:
        """The draw of negatives, given the items of all taken pairs; a batch's own come as often as they were taken."""
        alpha = {"uniform": 0.0, "popularity": self.alpha, "in_batch": 1.0}[self.negatives]
        return ItemSampler.by_popularity(np.bincount(taken, minlength=n_items), alpha)


class MF(ItemNeighbours, VectorModel, RatingModel, SolvedModel):
    """Users without a training pair stay zero, and so do items where no negatives are drawn; who is unknown gets mu and what is known.

    A known user has the trained vector, moved on by a few steps where the history has items that training has not seen of them
    (`all_pairs`: every visitor has the vector that is exact for the history).
    """

    Config = MFConfig
    config: MFConfig
    label = "Matrix factorization"
    summary = "user and item factors"
    mark = 1
    source = Source.HISTORY
    iterative = True
    tuning = ranges(
        embedding_dim=Whole(8, 256, log=True), learning_rate=Real(5e-4, 0.2, log=True), l2=Real(1e-4, 0.3, log=True),
        init_sd=Real(0.01, 0.3, log=True),
    )  # fmt: skip
    fitted = ("user_factors", "item_factors", "log_rate", "log_excess", "seen")

    user_factors: Float  # [n_users + 1, D + 2]: factors, 1, mu + bias
    item_factors: Float  # [n_items + 1, D + 2]: factors, bias, 1
    log_rate: Float  # [n_users + 1], log of how often a pair of the user came as a negative
    log_excess: Float  # [n_items + 1], log of how much more often an item is drawn than the mean item
    seen: CSR  # what training has seen of each user, where a history may move the vector; no values
    _prepared: tuple[Float, Table] | None = None
    _solid: tuple[Float, FixedSide] | None = None

    @property
    def needs(self) -> Needs:
        """Values, where it learns ratings."""
        return Needs(values=self.config.loss == "squared")

    def network(self) -> Any:
        """The network of the torch engine, where the settings ask for it."""
        if self.config.engine == "torch" or self.config.only_in_torch:
            from rankine.models.factorization.network import FactorNetwork  # loads torch

            return FactorNetwork(self)
        return None

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        pairs, mean = self.prepare(data)
        if not len(pairs):
            raise ModelError(f"{self.label} got nothing to train on: no event of a known user has what it needs")
        users, items = (Table(factors) for factors in self.first_factors(pairs, stream(seed, "init")))
        make_epoch = self._epochs(pairs, data, users, items, mean, stream(seed, "shuffle"))
        for epoch in track(range(1, self.config.epochs + 1), f"training {self.label}"):
            loss = make_epoch()
            if not np.isfinite(loss):
                raise ModelError(f"{self.label} diverged in epoch {epoch}: lower `learning_rate`")
            if epoch == self.config.epochs or monitor is not no_monitor:
                self.take(users.factors, users.bias, items.factors, items.bias, mean)
                if monitor(epoch, self, loss=loss / len(pairs)):
                    break

    def prepare(self, data: EventArrays) -> tuple[Pairs, float]:
        """The pairs of known users that are learned from, and mu. Keeps what the data says about later requests."""
        n_users, n_items = data.n_users, data.n_items
        if self.config.loss == "squared":
            user, item, value = data.ratings
            known = user < n_users
            pairs = Pairs.of_columns(user[known], item[known], value[known], n_users, n_items)
            mean, self.seen = float(value.mean()), _nothing(n_users, n_items)
        else:
            pairs, mean = Pairs.of_matrix(data.interactions), 0.0
            self.seen = seen_in(data) if self.config.sampled else _nothing(n_users, n_items)
        self._keep_rates(pairs)
        return pairs, mean

    def first_factors(self, pairs: Pairs, rng: np.random.Generator) -> tuple[Float, Float]:
        """Random factors of users [n_users, D] and items [n_items, D], zeros for rows without a pair."""

        def drawn(counts: Array) -> Float:
            factors = rng.normal(0, self.config.init_sd, (len(counts), self.config.embedding_dim))
            return np.asarray(factors * (counts > 0)[:, None], np.float32)

        return drawn(np.diff(pairs.indptr)), drawn(np.bincount(pairs.item, minlength=pairs.n_items))

    def _epochs(
        self, pairs: Pairs, data: EventArrays, users: Table, items: Table, mean: float, rng: np.random.Generator
    ) -> Callable[[], float]:
        """A function that makes one epoch and returns its summed loss."""
        steps: dict[str, Any] = {"learning_rate": self.config.learning_rate, "l2": self.config.l2, "rng": rng}
        if self.config.loss == "squared":
            grid = deal(pairs, rng)
            return lambda: 0.5 * sgd_epoch(grid, users, items, mean=mean, **steps)
        sampler = self.config.sampler(pairs.item, pairs.n_items)
        weights = None if self.config.negatives == "uniform" else sampler.probabilities
        return lambda: sampled_epoch(
            deal(pairs, rng), data.interactions, users, items, loss=self.config.loss, n_negatives=self.config.n_negatives,
            weights=weights, **steps,
        )  # fmt: skip

    def take(self, user: Float, user_bias: Float, item: Float, item_bias: Float, mean: float) -> None:
        """Keep what is learned so far, with a last row for an unknown user and an unknown item."""
        self.user_factors = _rows(user, 1.0, user_bias + np.float32(mean), last=(1.0, mean))
        self.item_factors = _rows(item, item_bias, 1.0, last=(0.0, 1.0))

    def rate(self, user_idx: Int, item_idx: Int) -> Float:
        return np.asarray(np.einsum("bd,bd->b", self.user_factors[user_idx], self.item_factors[item_idx]))

    def probability(self, user_idx: Int, item_idx: Int) -> Float:
        """How likely each pair is among all pairs, float32 [B]. Raises ModelError for a loss that learns no probability.

        Negatives are drawn from all pairs, so the odds to them, times the rate at which they came, are shares of all pairs.
        """
        if self.config.loss != "logistic":
            raise ModelError(f"`loss` = `{self.config.loss}` learns no probability: train with `logistic`")
        log_share = self.rate(user_idx, item_idx) + self.log_rate[user_idx] + self.log_excess[item_idx]
        return np.asarray(np.exp(np.minimum(log_share, 0)))

    def query_vectors(self, queries: Queries) -> Float:
        vectors = self.user_factors[queries.user_idx]
        if self.config.loss == "squared" or not len(queries.history.values):
            return vectors
        if self.config.loss == "all_pairs":
            acted = queries.history.lengths > 0
            vectors[acted, :-2] = self._solved(history_matrix(queries))[acted]
            return vectors
        news = news_matrix(queries, self.seen)
        return self._moved(vectors, news, met_matrix(queries, self.seen)) if news.nnz else vectors

    def item_vectors(self) -> Float:
        return self.item_factors[:-1]

    def evidence(self, queries: Queries) -> Array:
        return queries.known_user if self.config.loss == "squared" else someone_known(queries)

    def similar(self, item_idx: int) -> tuple[Int, Float]:
        return alike(self.item_factors[:-1, :-2], item_idx)

    def _moved(self, vectors: Float, news: CSR, met: CSR) -> Float:
        """The vectors of visitors after a few steps on what is new of each, items held fixed."""
        start = np.concatenate([vectors[:, :-2], vectors[:, -1:]], axis=1)
        moved = sampled_fold_in(
            news, met, self._item_table(), start, loss=self.config.loss, learning_rate=self.config.fold_in_rate,
            l2=self.config.l2, n_negatives=self.config.n_negatives, n_passes=self.config.fold_in_passes,
        )  # fmt: skip
        vectors[:, :-2], vectors[:, -1] = moved[:, :-1], moved[:, -1]
        return vectors

    def _item_table(self) -> Table:
        """What histories meet: made when first needed, kept while the items stay what they are."""
        if self._prepared is None or self._prepared[0] is not self.item_factors:
            self._prepared = self.item_factors, Table(self.item_factors[:-1, :-2], self.item_factors[:-1, -2])
        return self._prepared[1]

    def _solved(self, taken: CSR) -> Float:
        """The factors that are exact for what visitors took."""
        a0 = self.config.unobserved_weight
        if self._solid is None or self._solid[0] is not self.item_factors:
            items = np.ascontiguousarray(self.item_factors[:-1, :-2])
            self._solid = self.item_factors, FixedSide.of(items, a0)
        binary = CSR(taken.indptr, taken.indices, np.ones(taken.nnz, np.float32), taken.n_columns)
        penalty = self.config.l2 * (np.diff(binary.indptr) + a0 * binary.n_columns)
        return fold_in(binary, self._solid[1], alpha0=a0, regularization=penalty)

    def _keep_rates(self, pairs: Pairs) -> None:
        """Keep how often negatives come, to turn logits into probabilities."""
        self.log_rate = np.zeros(pairs.n_users + 1, np.float32)
        self.log_excess = np.zeros(pairs.n_items + 1, np.float32)
        if self.config.loss == "logistic" and len(pairs):
            counts = np.diff(pairs.indptr)
            counts = np.append(counts, counts.mean()).clip(min=1)
            self.log_rate[:] = np.log(counts * self.config.n_negatives / pairs.n_items)
            if self.config.negatives == "popularity":
                self.log_excess[:-1] = self.config.sampler(pairs.item, pairs.n_items).log_excess


def _nothing(n_users: int, n_items: int) -> CSR:
    """A matrix without entries."""
    return CSR(np.zeros(n_users + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), n_items)


def _rows(factors: Float, first: Float | float, second: Float | float, last: tuple[float, float]) -> Float:
    """The factors with two columns more, and a last row of zeros and `last`."""
    n, dim = factors.shape
    rows = np.zeros((n + 1, dim + 2), np.float32)
    rows[:n, :dim], rows[:n, dim], rows[:n, dim + 1], rows[n, dim:] = factors, first, second, last
    return rows
