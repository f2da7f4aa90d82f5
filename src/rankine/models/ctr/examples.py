"""The examples of click models: impressions that were taken or left, or events with sampled negatives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rankine.arrays import Array, Float, Int
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.models.ctr.config import CTRConfig
from rankine.models.ctr.negatives import Negatives
from rankine.nn.samplers import TakenPairs


@dataclass(frozen=True)
class Impressions:
    """Labelled rows: events int64 [P] whose request it was, the items shown, and 1 where they were taken."""

    events: Array
    items: Int
    labels: Float

    negatives = None

    @property
    def log_odds(self) -> float:
        """Of a label to be 1."""
        share = float(self.labels.mean())
        return math.log(share / (1 - share))

    def epoch(self, rng: np.random.Generator) -> dict[str, Array]:
        """The columns of one epoch: event, item, label."""
        return {"event": self.events, "item": self.items, "label": self.labels}


@dataclass(frozen=True)
class Sampled:
    """Events int64 [P] of taken items, each beside negatives that are drawn anew in every epoch."""

    events: Array
    items: Int
    visitors: Array
    context: Int | None
    taken: TakenPairs
    negatives: Negatives

    @property
    def log_odds(self) -> float:
        """Of a label to be 1."""
        return -math.log(self.negatives.n)

    def epoch(self, rng: np.random.Generator) -> dict[str, Array]:
        """The columns of one epoch: event, item, label."""
        drawn = self.negatives.draw(self.visitors, self.context, self.taken, rng)
        return {
            "event": np.concatenate([self.events, np.repeat(self.events, self.negatives.n)]),
            "item": np.concatenate([self.items, drawn.ravel()]),
            "label": np.concatenate([np.ones(len(self.events), np.float32), np.zeros(drawn.size, np.float32)]),
        }


def examples_of(data: EventArrays, config: CTRConfig, label: str) -> Impressions | Sampled:
    """What to train on. Raises ModelError where there is nothing to tell apart; `label` names the model."""
    if data.shown is not None and data.shown.any():
        return _impressions(data, np.flatnonzero(data.shown), label)
    return _sampled(data, config, label)


def _impressions(data: EventArrays, shown: Array, label: str) -> Impressions:
    labels = (data.weight[shown] > 0).astype(np.float32)
    if labels.min() == labels.max():
        raise ModelError(
            f"{label} needs impressions that were taken and others that were left; all {len(shown):,} were "
            f"{'taken' if labels[0] else 'left'}: check the `value` of the impressions"
        )
    return Impressions(shown, data.item_idx[shown], labels)


def _sampled(data: EventArrays, config: CTRConfig, label: str) -> Sampled:
    positive = np.flatnonzero(data.weight > 0)
    if not len(positive):
        raise ModelError(f"{label} got nothing to train on: no event has a weight above zero and none is an impression")
    items, users, visitors = data.item_idx[positive], data.user_idx[positive], visitors_of(data)[positive]
    column = config.negatives_context if config.negatives == "same_context" else None
    context = None if column is None else data.context[column][positive]
    negatives = Negatives.of(
        config.negatives, config.n_negatives, users, items, context, n_users=data.n_users, n_items=data.n_items
    )
    named = visitors >= 0
    taken = TakenPairs(visitors[named], items[named], data.n_items)
    return Sampled(positive, items, visitors, context, taken, negatives)


def visitors_of(data: EventArrays) -> Array:
    """A number for each visitor, int64 [E]: the user, or the session of one without a name; -1 where there is neither."""
    nobody = np.full(len(data), -1) if data.session_idx is None else data.n_users + data.session_idx.astype(np.int64)
    return np.where(data.user_idx < data.n_users, data.user_idx.astype(np.int64), nobody)
