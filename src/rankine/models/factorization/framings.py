"""Four ways to learn one table of user and item factors: as ratings, as sampled pairs, as pairs to rank, as all pairs at once.

A framing says which batches are drawn and what a batch costs. Losses are summed over the batch, so that one step of plain SGD
moves each row as one step per pair would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from rankine.arrays import CSR, Array
from rankine.features.events import EventArrays
from rankine.features.rows import row_batches
from rankine.nn import losses
from rankine.nn.samplers import TakenPairs

Batch = Mapping[str, Tensor]
Parts = tuple[Tensor, Tensor]  # factors [..., D] and bias [...]


class Factors(Protocol):
    """What a framing may ask of the model it trains."""

    n_users: int
    n_items: int
    mean: float

    def users(self, idx: Tensor) -> Parts:
        """Factors and bias of these users."""

    def items(self, idx: Tensor) -> Parts:
        """Factors and bias of these items."""


@dataclass(frozen=True)
class Ratings:
    """1/2 (r - mu - b_u - b_i - p_u . q_i)^2 per rating; who is not known has no vector."""

    config: Any

    def columns(self, data: EventArrays) -> dict[str, Array]:
        """The ratings of known users."""
        user, item, value = data.ratings
        known = user < data.n_users
        return {"user": user[known], "item": item[known], "value": value[known].astype(np.float32)}

    def batches(self, data: EventArrays, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        """Shuffled ratings."""
        return row_batches(self.columns(data), self.config.batch_size, rng)

    def loss(self, model: Factors, batch: Batch) -> Any:
        """Sum over the batch of squared errors and penalties."""
        (p, b_user), (q, b_item) = model.users(batch["user"]), model.items(batch["item"])
        predicted = model.mean + b_user + b_item + (p * q).sum(1)
        penalty = sizes(p, b_user, q, b_item)
        return losses.squared(predicted, batch["value"]).sum() + 0.5 * self.config.l2 * penalty


@dataclass(frozen=True)
class Sampled:
    """Every taken pair against negatives: `logistic`, `bpr`, `bpr_sigmoid` or `warp`."""

    config: Any

    def columns(self, data: EventArrays) -> dict[str, Array]:
        """The taken pairs of known users."""
        return pair_columns(data.interactions)

    def batches(self, data: EventArrays, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        """Shuffled pairs, each batch with negatives: [B, S], of each row or [1, S] of all; none where the batch has its own."""
        columns = self.columns(data)
        sampler = self.config.sampler(columns["item"], data.n_items)
        excess = sampler.log_excess.astype(np.float32)
        rejects = self.config.loss != "logistic" and not self.config.shared_negatives
        taken = TakenPairs(columns["user"], columns["item"], data.n_items) if rejects and len(columns["user"]) else None
        for batch in row_batches(columns, self.config.batch_size, rng):
            if self.config.negatives == "in_batch":
                yield {**batch, "log_excess": excess[batch["item"]]}
            elif self.config.shared_negatives:
                yield {**batch, "negative": sampler.draw((1, self.config.shared_negatives), rng)}
            elif taken is not None:
                drawn = sampler.draw_not_taken(batch["user"], self.config.n_negatives, taken, rng)
                yield {**batch, "negative": drawn}
            else:
                yield {**batch, "negative": sampler.draw((len(batch["user"]), self.config.n_negatives), rng)}

    def loss(self, model: Factors, batch: Batch) -> Any:
        """Sum over the batch of losses and penalties; negatives shared by a batch count as `n_negatives` per pair."""
        (p, b_user), (q, b_item) = model.users(batch["user"]), model.items(batch["item"])
        base = model.mean + b_user
        positive, in_batch = base + b_item + (p * q).sum(1), "negative" not in batch
        r, b_negative = (q, b_item) if in_batch else model.items(batch["negative"])
        if r.dim() == 3 and len(r) == len(p) and not self.config.shared_negatives:
            negative = base.unsqueeze(1) + b_negative + (r @ p.unsqueeze(2)).squeeze(2)
        else:
            r, b_negative = r.reshape(-1, p.shape[1]), b_negative.reshape(-1)
            negative = base.unsqueeze(1) + b_negative + p @ r.T
        if in_batch:
            positive, negative = positive - batch["log_excess"], negative - batch["log_excess"]
        weight = self.config.n_negatives / negative.shape[1]
        per_user = 1 + self.config.n_negatives if self.config.loss == "logistic" else 1
        penalty = per_user * sizes(p, b_user) + sizes(q, b_item)
        if not in_batch:
            penalty = penalty + weight * (len(p) * negative.shape[1] / b_negative.numel()) * sizes(r, b_negative)
        return self._framed(model, positive, negative, weight).sum() + 0.5 * self.config.l2 * penalty

    def _framed(self, model: Factors, positive: Tensor, negative: Tensor, weight: float) -> Tensor:
        if self.config.loss == "logistic":
            return losses.logistic(positive, negative, weight)
        if self.config.loss == "warp":
            return losses.warp(positive, negative, model.n_items)
        return (losses.bpr if self.config.loss == "bpr" else losses.bpr_sigmoid)(positive, negative)


@dataclass(frozen=True)
class AllPairs:
    """Weighted regression on every pair, without biases: the objective of implicit ALS with binary weights and nu = 1."""

    config: Any

    def columns(self, data: EventArrays) -> dict[str, Array]:
        """The taken pairs of known users, with one over the number of the user's and the item's pairs."""
        columns = pair_columns(data.interactions)
        for side in ("user", "item"):
            counts = np.bincount(columns[side], minlength=1)
            columns[f"{side}_share"] = (1 / counts[columns[side]]).astype(np.float32)
        return columns

    def batches(self, data: EventArrays, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        """Shuffled pairs with their shares."""
        return row_batches(self.columns(data), self.config.batch_size, rng)

    def loss(self, model: Factors, batch: Batch) -> Any:
        """Summed over all batches of an epoch: the loss on all pairs and its penalty."""
        p, q = model.users(batch["user"])[0], model.items(batch["item"])[0]
        every = model.items(torch.arange(model.n_items))[0]
        a0, l2 = self.config.unobserved_weight, self.config.l2
        error = losses.all_pairs((p * q).sum(1), p, batch["user_share"], every.T @ every, a0)
        user_l2 = l2 * (1 + a0 * model.n_items * batch["user_share"])
        item_l2 = l2 * (1 + a0 * model.n_users * batch["item_share"])
        return (error + user_l2 * p.square().sum(1) + item_l2 * q.square().sum(1)).sum()


Framing = Ratings | Sampled | AllPairs


def framing_of(config: Any) -> Framing:
    """The framing that `config.loss` asks for."""
    framings: dict[str, type[Framing]] = {"squared": Ratings, "all_pairs": AllPairs}
    return framings.get(config.loss, Sampled)(config)


def pair_columns(taken: CSR) -> dict[str, Array]:
    """User and item of every entry, int32."""
    return {"user": np.repeat(np.arange(taken.n_rows, dtype=np.int32), np.diff(taken.indptr)), "item": taken.indices}


def sizes(*parts: Tensor) -> Tensor:
    """Sum of the squares of all numbers."""
    return torch.stack([part.square().sum() for part in parts]).sum()
