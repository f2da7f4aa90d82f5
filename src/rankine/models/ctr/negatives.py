"""Negatives of click models: items that stand for those not taken where no impressions were logged, redrawn every epoch.

A model told the taken item of an event (label 1) from n negatives drawn with probability Q learns odds(i) = P(i) / (n Q(i)),
where P(i) is how likely the request takes item i rather than another: n Q(i) times the odds is the probability again.
Items are drawn evenly, by popularity (events + 1), or nine in ten evenly from the items taken in the same value of a context
column; what the visitor took is drawn again. So P is that of an item not taken before, and Q what is left divided by its sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rankine.arrays import Array, Float, Int
from rankine.nn.samplers import REDRAWS, ItemSampler, TakenPairs

Kind = Literal["uniform", "popularity", "same_context"]
WITHIN = 0.9  # share of the negatives that come from the same context, so that no item is left without any
BLOCK = 4096  # users whose items are looked up at a time


@dataclass(frozen=True)
class Negatives:
    """How negatives are drawn: `n` per event; from all items by `anywhere`, and from the pairs (context, item) of `within`.

    within int64, ascending: context * n_items + item of what was taken in each value of a context column; empty where the
    context plays no part. taken int64, ascending: user * n_items + item of what known users took.
    """

    n: int
    anywhere: ItemSampler
    within: Array
    taken: Array

    @classmethod
    def of(
        cls, kind: Kind, n: int, users: Int, items: Int, context: Int | None, *, n_users: int, n_items: int
    ) -> Negatives:
        """For events of `users` [P] who took `items` [P], in `context` [P] where the kind is `same_context`."""
        anywhere = ItemSampler.by_popularity(
            np.bincount(items, minlength=n_items) + 1, 1.0 if kind == "popularity" else 0.0
        )
        within = np.empty(0, np.int64) if context is None else np.unique(context.astype(np.int64) * n_items + items)
        known = users < n_users
        return cls(n, anywhere, within, np.unique(users[known].astype(np.int64) * n_items + items[known]))

    @property
    def n_items(self) -> int:
        """Items that may be drawn."""
        return len(self.anywhere.probabilities)

    def draw(self, visitors: Int, context: Int | None, taken: TakenPairs, rng: np.random.Generator) -> Int:
        """Items int32 [P, n] for events of these visitors in this context; who took nearly everything keeps the last draw."""
        drawn = self._draw(np.repeat(context, self.n) if context is not None else None, len(visitors) * self.n, rng)
        drawn = drawn.reshape(len(visitors), self.n)
        for _ in range(REDRAWS):
            row, column = np.nonzero(taken.holds(visitors[:, None], drawn))
            if not len(row):
                break
            drawn[row, column] = self._draw(None if context is None else context[row], len(row), rng)
        return drawn

    def _draw(self, context: Int | None, n: int, rng: np.random.Generator) -> Int:
        drawn = self.anywhere.draw((n,), rng)
        if context is None:
            return drawn
        first, size = self._range(context)
        inside = (rng.random(n) < WITHIN) & (size > 0)
        place = first + (rng.random(n) * size).astype(np.int64)
        drawn[inside] = self.within[place[inside]] % self.n_items
        return drawn

    def log_rate(self, items: Int, users: Int, context: Int | None = None) -> Float:
        """log(n Q(item)) of each item for the user and in the context beside it, float32 [B]; an item not known as if drawn evenly."""
        context = context if len(self.within) else None
        return np.asarray(np.log(self.n * self._rate(items, context) / self._left(users, context)), np.float32)

    def _rate(self, items: Array, context: Array | None) -> Array:
        """How likely each item is drawn in the context beside it, whoever asks."""
        known = items < self.n_items
        rate = np.where(known, self.anywhere.probabilities[np.where(known, items, 0)], 1 / self.n_items)
        if context is None:
            return rate
        key = context.astype(np.int64) * self.n_items + items
        at = np.minimum(np.searchsorted(self.within, key), len(self.within) - 1)
        _, size = self._range(context)
        inside = np.where(self.within[at] == key, 1 / np.maximum(size, 1), 0)
        return np.where(known & (size > 0), WITHIN * inside + (1 - WITHIN) * rate, rate)

    def _left(self, users: Array, context: Array | None) -> Array:
        """How likely a draw in the context is one of the items that the user beside it did not take; 1 for users not known."""
        width = 1 if context is None else int(context.max(initial=0)) + 1
        pairs, back = np.unique(
            users.astype(np.int64) * width + (0 if context is None else context), return_inverse=True
        )
        user, place = np.divmod(pairs, width)
        parts = (slice(start, start + BLOCK) for start in range(0, len(pairs), BLOCK))
        drawn = [self._drawn(user[part], None if context is None else place[part]) for part in parts]
        least = self.anywhere.probabilities.min() * (1 if context is None else 1 - WITHIN)
        return np.asarray(np.maximum(1 - np.concatenate([*drawn, np.empty(0)]), least)[back])

    def _drawn(self, users: Array, context: Array | None) -> Array:
        """How likely a draw in the context is one of the items that the user beside it took."""
        first, n_taken = _stretch(self.taken, users, self.n_items)
        pair = np.repeat(np.arange(len(users)), n_taken)
        nth = np.arange(len(pair)) - np.repeat(np.cumsum(n_taken) - n_taken, n_taken)
        items = self.taken[first[pair] + nth] % self.n_items
        return np.bincount(pair, self._rate(items, None if context is None else context[pair]), len(users))

    def _range(self, context: Array) -> tuple[Array, Array]:
        """Where the items of each context begin in `within`, and how many there are."""
        return _stretch(self.within, context, self.n_items)

    @property
    def even(self) -> bool:
        """Whether every item is drawn as often as another, so that the logit ranks as the probability does."""
        p = self.anywhere.probabilities
        return not len(self.within) and bool(p.min() == p.max())

    def state(self) -> dict[str, Array]:
        """As arrays, for a saved model; `of_state` reads them."""
        return {
            "negatives.n": np.array([self.n]),
            "negatives.anywhere": self.anywhere.probabilities,
            "negatives.within": self.within,
            "negatives.taken": self.taken,
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Array]) -> Negatives | None:
        """What `state` wrote; None where a model was fitted to impressions."""
        if "negatives.n" not in state:
            return None
        n, anywhere, within, taken = (state[f"negatives.{name}"] for name in ("n", "anywhere", "within", "taken"))
        return cls(int(n[0]), ItemSampler(anywhere), within, taken)


def _stretch(keys: Array, owner: Array, n_items: int) -> tuple[Array, Array]:
    """Where the items of each owner begin in ascending keys `owner * n_items + item`, and how many there are."""
    start = owner.astype(np.int64) * n_items
    first, end = np.searchsorted(keys, start), np.searchsorted(keys, start + n_items)
    return first, end - first
