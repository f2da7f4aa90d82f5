"""MF: matrix factorization by gradients, of ratings or of what was taken, under the loss of one's choice.

s_ui = mu + b_u + b_i + p_u . q_i. Summed over the batch, so that one step of plain SGD moves each row as one step per pair would:
squared      1/2 (r_ui - s_ui)^2 per rating; mu is the mean of the training ratings, else 0
logistic     -log sigmoid(s_ui) - sum over negatives j of log sigmoid(-s_uj) per taken pair
bpr          -log sigmoid(s_ui - s_uj); bpr_sigmoid: 1 - sigmoid(s_ui - s_uj); warp: log(rank) max(0, 1 - s_ui + s_uj)
all_pairs    sum over taken (s_ui - 1)^2 + a0 sum over all pairs s_ui^2, as <P'P, Q'Q>, no biases: the loss of implicit ALS
and l2 / 2 (b^2 + |p|^2 + |q|^2) for each row that a pair or a negative touches (all_pairs: as ALS with nu = 1).
Negatives come evenly, by popularity^alpha, or from the batch itself with scores less log(n_items Q(i)).
Sources: Koren, Bell, Volinsky 2009, equations 4 and 5; Rendle et al. 2020, "Neural collaborative filtering vs. matrix
factorization revisited"; Rendle et al. 2009; Weston et al. 2011; Hu, Koren, Volinsky 2008.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.base import ItemNeighbours, Needs, RatingModel, Source, VectorModel
from rankine.models.factorization.framings import Parts, Sampled, framing_of
from rankine.models.factorization.histories import alike, someone_known, trained_or_folded
from rankine.models.neural import NeuralModel
from rankine.models.tuning import Real, Whole, ranges
from rankine.nn.losses import unsampled


@dataclass(frozen=True, kw_only=True)
class MFConfig:
    """Settings of MF; `learning_rate` is per pair.

    n_negatives: per taken pair; shared_negatives: drawn once for a whole batch instead, counted as n_negatives (0: each its own);
    alpha: for negatives by popularity; unobserved_weight: a0; fold_in_rate, fold_in_passes: the steps for a visitor not known.
    """

    loss: Literal["squared", "logistic", "bpr", "bpr_sigmoid", "warp", "all_pairs"] = "squared"
    embedding_dim: int = 100
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 0.005
    l2: float = 0.02
    init_sd: float = 0.1
    optimizer: Literal["sgd", "adam"] = "sgd"
    negatives: Literal["uniform", "popularity", "in_batch"] = "uniform"
    n_negatives: int = 4
    shared_negatives: int = 0
    alpha: float = 0.75
    unobserved_weight: float = 0.1
    fold_in_rate: float = 0.05
    fold_in_passes: int = 20

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "epochs", "batch_size", "n_negatives", "fold_in_passes"):
            settings.require(self, name, at_least=1)
        for name in ("learning_rate", "init_sd", "unobserved_weight", "fold_in_rate"):
            settings.require(self, name, above=0)
        for name in ("l2", "shared_negatives", "alpha"):
            settings.require(self, name, at_least=0)


class MF(ItemNeighbours, VectorModel, RatingModel, NeuralModel):
    """Biases and a dot product; rows without a training pair stay zero, so unknown users and items get mu and what is known."""

    Config = MFConfig
    config: MFConfig
    label = "Matrix factorization"
    summary = "user and item factors"
    mark = 1
    source = Source.HISTORY
    tuning = ranges(
        embedding_dim=Whole(8, 256, log=True), learning_rate=Real(5e-4, 0.2, log=True), l2=Real(1e-4, 0.3, log=True),
        init_sd=Real(0.01, 0.3, log=True),
    )  # fmt: skip
    mean: Tensor
    log_rate: Tensor  # [n_users + 1], log of how often a pair of the user came as a negative
    log_excess: Tensor  # [n_items + 1], log of how much more often an item is drawn than the mean item

    @property
    def needs(self) -> Needs:
        """Values, where it learns ratings."""
        return Needs(values=self.config.loss == "squared")

    def build(self, n_users: int, n_items: int) -> None:
        dim = self.config.embedding_dim
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("log_rate", torch.zeros(n_users + 1))
        self.register_buffer("log_excess", torch.zeros(n_items + 1))
        self.user_factors = nn.Embedding(n_users + 1, dim, sparse=True)
        self.item_factors = nn.Embedding(n_items + 1, dim, sparse=True)
        self.user_bias = nn.Embedding(n_users + 1, 1, sparse=True)
        self.item_bias = nn.Embedding(n_items + 1, 1, sparse=True)

    @torch.no_grad()
    def initialise(self, data: EventArrays, generator: torch.Generator) -> None:
        columns = framing_of(self.config).columns(data)
        if self.config.loss == "squared":
            self.mean.fill_(float(data.ratings[2].mean()))
        for table, seen in ((self.user_factors, columns["user"]), (self.item_factors, columns["item"])):
            table.weight.normal_(0, self.config.init_sd, generator=generator)
            table.weight[torch.from_numpy(np.bincount(seen, minlength=len(table.weight)) == 0)] = 0
        self.user_bias.weight.zero_()
        self.item_bias.weight.zero_()
        self._note_rates(data)

    def batches(self, data: EventArrays, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        return framing_of(self.config).batches(data, rng)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        total: Tensor = framing_of(self.config).loss(self, batch)
        return total

    def users(self, idx: Tensor) -> Parts:
        """Factors [..., D] and bias [...] of users."""
        return self.user_factors(idx), self.user_bias(idx).squeeze(-1)

    def items(self, idx: Tensor) -> Parts:
        """Factors [..., D] and bias [...] of items."""
        return self.item_factors(idx), self.item_bias(idx).squeeze(-1)

    @torch.no_grad()
    def rate(self, user_idx: Int, item_idx: Int) -> Float:
        (p, b_user), (q, b_item) = self.users(torch.from_numpy(user_idx)), self.items(torch.from_numpy(item_idx))
        return np.asarray((self.mean + b_user + b_item + (p * q).sum(1)).numpy())

    def probability(self, user_idx: Int, item_idx: Int) -> Float:
        """How likely each pair is among all pairs, float32 [B]. Raises ModelError for a loss that learns no probability."""
        if self.config.loss != "logistic":
            raise ModelError(f"`loss` = `{self.config.loss}` learns no probability: train with `logistic`")
        log_rate = self.log_rate[user_idx] + self.log_excess[item_idx]
        log_share = unsampled(torch.from_numpy(self.rate(user_idx, item_idx)), log_rate)
        return np.asarray(
            torch.exp(log_share).clamp(max=1).numpy()
        )  # negatives are all pairs, so odds to them are shares

    @torch.no_grad()
    def query_vectors(self, queries: Queries) -> Float:
        trained = torch.cat([self.user_factors.weight, self.user_bias.weight], 1).numpy()[: self.n_users]
        vectors = trained_or_folded(queries, trained, self._fold_in)
        ones = np.ones((len(vectors), 1), np.float32)
        return np.concatenate([vectors[:, :-1], ones, vectors[:, -1:] + self.mean.numpy()], axis=1)

    @torch.no_grad()
    def item_vectors(self) -> Float:
        ones = torch.ones(self.n_items, 1)
        return np.asarray(torch.cat([self.item_factors.weight[:-1], self.item_bias.weight[:-1], ones], 1).numpy())

    def evidence(self, queries: Queries) -> Array:
        return queries.known_user if self.config.loss == "squared" else someone_known(queries)

    @torch.no_grad()
    def similar(self, item_idx: int) -> tuple[Int, Float]:
        return alike(self.item_factors.weight[:-1].numpy(), item_idx)

    def _fold_in(self, histories: CSR) -> Float:
        items = np.ascontiguousarray(self.item_vectors()[:, :-1])
        return framing_of(self.config).fold_in(histories, items)

    def _note_rates(self, data: EventArrays) -> None:
        """Remember how often negatives came, to turn logits into probabilities."""
        if self.config.loss != "logistic":
            return
        counts = np.diff(data.interactions.indptr)
        counts = np.append(counts, counts.mean()).clip(min=1)
        self.log_rate.copy_(torch.from_numpy(np.log(counts * self.config.n_negatives / data.n_items)))
        if self.config.negatives == "popularity":
            excess = Sampled(self.config).sampler(data.interactions).log_excess
            self.log_excess[:-1] = torch.from_numpy(excess).to(self.log_excess.dtype)
