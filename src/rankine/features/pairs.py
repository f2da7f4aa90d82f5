"""Pairs: what is read off a request and an item together: how old the item was, and how often it was met before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rankine.arrays import Array, Int
from rankine.features.history import Past, count_bucket
from rankine.features.slots import Slots

DAY_S = 86_400.0
MAX_DAYS = 10_000  # what is older is as old
N_AGE_BUCKETS = 2 + int(count_bucket(np.array([MAX_DAYS]))[0])


@dataclass(frozen=True)
class ItemAge:
    """Days from the start of an item to the request: row 0 before it, then buckets, the last for a time not known.

    start: Unix seconds of each item, NaN where not known [n_items + 1].
    """

    first_row: int
    start: Array

    def of(self, time: Array, item_idx: Int) -> Array:
        """The table row of each pair of a moment (Unix seconds, NaN where not known) and an item; int64 [B]."""
        days = np.floor((time - self.start[item_idx]) / DAY_S)
        known = np.isfinite(days)
        days = np.where(known, days, 0)
        bucket = np.where(days < 0, 0, 1 + count_bucket(np.clip(days, 0, MAX_DAYS)))
        return self.first_row + np.where(known, bucket, N_AGE_BUCKETS)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """What B requests bring to it: their time (Unix seconds, NaN where not known) [B] and their past, a slot per field."""

    time: Array
    past: Past | None = None
    item_age: ItemAge | None = None
    met_row: int | None = None  # first table row of how often the item was met before

    def take(self, rows: Array | slice) -> Pairs:
        """The requests at these indices."""
        return replace(self, time=self.time[rows], past=None if self.past is None else self.past.take(rows))

    def of(self, requests: Array | slice, item_idx: Int) -> Slots:
        """The slots of the pair fields for request `requests[r]` beside item `item_idx[r]`."""
        columns: Sequence[Array] = [
            *([] if self.item_age is None else [self.item_age.of(self.time[requests], item_idx)]),
            *([] if self.met_row is None or self.past is None else [
                self.met_row + count_bucket(self.past.take(requests).times_met(item_idx))
            ]),
        ]  # fmt: skip
        return Slots(np.stack(columns, axis=1).astype(np.int32))
