"""Samplers of negatives: which items stand for those that were not taken, and how often each is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine.arrays import Array, Int

REDRAWS = 16  # rounds of drawing again what was taken; who took nearly everything keeps the last draw


@dataclass(frozen=True)
class ItemSampler:
    """Draws of items with fixed probabilities [n_items], float64."""

    probabilities: Array

    @classmethod
    def by_popularity(cls, counts: Array, alpha: float) -> ItemSampler:
        """Proportional to counts^alpha; alpha 0 is uniform over all items, those never taken included."""
        weights = np.asarray(counts, np.float64) ** alpha
        total = weights.sum()
        return cls(weights / total if total else np.full(len(weights), 1 / len(weights)))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Int:
        """Items int32 of this shape, independent, with replacement."""
        n, p = len(self.probabilities), self.probabilities
        if p.min() == p.max():
            return np.asarray(rng.integers(0, n, shape, np.int32))
        borders = np.cumsum(p)
        drawn = np.searchsorted(borders, rng.random(shape) * borders[-1], side="right")
        return np.asarray(np.minimum(drawn, n - 1), np.int32)

    def draw_not_taken(self, users: Int, n: int, taken: TakenPairs, rng: np.random.Generator) -> Int:
        """`n` items per user int32 [B, n], what the user took drawn again."""
        drawn = self.draw((len(users), n), rng)
        for _ in range(REDRAWS):
            row, column = np.nonzero(taken.holds(users[:, None], drawn))
            if not len(row):
                break
            drawn[row, column] = self.draw((len(row),), rng)
        return drawn

    @property
    def log_excess(self) -> Array:
        """log(n_items Q(i)) [n_items]: how much more often than uniform an item is drawn."""
        return np.asarray(np.log(np.maximum(len(self.probabilities) * self.probabilities, 1e-12)))


class TakenPairs:
    """The pairs (user, item) of training, as a set that answers for whole arrays."""

    def __init__(self, users: Array, items: Array, n_items: int) -> None:
        self._n_items = n_items
        self._keys = np.unique(users.astype(np.int64) * n_items + items)

    def holds(self, users: Array, items: Array) -> Array:
        """Whether each pair was taken, bool of the broadcast shape."""
        keys = np.asarray(users, np.int64) * self._n_items + items
        if not len(self._keys):
            return np.zeros(keys.shape, bool)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.asarray(self._keys[at] == keys)
