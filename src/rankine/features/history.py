"""Past: what each of many requests comes after, as stretches of one line of events that they share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rankine.arrays import Array, Int, Ragged
from rankine.features.numbers import LOG_EDGES

MAX_HISTORY = 500  # most recent events of a visitor that a request carries


@dataclass(frozen=True)
class Line:
    """The items of events that may be looked back on, int32, those of a visitor together, oldest first."""

    items: Int

    @cached_property
    def places(self) -> Array:
        """Each event as item * length + place, ascending: the places of an item are one stretch; int64."""
        return np.sort(self.items.astype(np.int64) * len(self.items) + np.arange(len(self.items)))


@dataclass(frozen=True)
class Past:
    """B stretches of a line, `start` up to, not including, `end`; int64 [B]. At most MAX_HISTORY events long, the last ones."""

    line: Line
    start: Array
    end: Array

    @classmethod
    def of_rows(cls, history: Ragged) -> Past:
        """The rows of a history, oldest first."""
        end = history.offsets[1:]
        return cls(Line(history.values), np.maximum(history.offsets[:-1], end - MAX_HISTORY), end)

    @classmethod
    def nothing(cls, n: int) -> Past:
        """No event before any of n requests."""
        return cls.of_rows(Ragged.empty(n))

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: Array | slice) -> Past:
        """Those of the requests at these indices."""
        return replace(self, start=self.start[rows], end=self.end[rows])

    @property
    def lengths(self) -> Array:
        """How many events came before each request, int64 [B]."""
        return self.end - self.start

    def last(self, n: int, empty: int) -> Int:
        """The last n items, the latest first, `empty` where there are fewer; int32 [B, n]."""
        if not len(self.line.items):
            return np.full((len(self), n), empty, np.int32)
        place = self.end[:, None] - 1 - np.arange(n)
        there = place >= self.start[:, None]
        return np.where(there, self.line.items[np.maximum(place, 0)], np.int32(empty))

    def times_met(self, item_idx: Int) -> Array:
        """How many of the events before request r are of item `item_idx[r]`; int64 [B]."""
        first = item_idx.astype(np.int64) * len(self.line.items)
        low, high = (np.searchsorted(self.line.places, first + edge) for edge in (self.start, self.end))
        return high - low


def strictly_before(visitor: Array, time: Array | None, item_idx: Int, counts: Array) -> Past:
    """The past of each event of a log: events that count, of the same visitor, at an earlier time.

    visitor [E] numbers, below 0 for one who has no past; time Unix seconds [E], None where the order of rows is that of time:
    an event of the same time, or one whose time is not known, is never seen; counts bool [E].
    """
    time = np.arange(len(visitor), dtype=np.float64) if time is None else time
    order = np.lexsort((time, visitor))
    who, when = visitor[order], time[order]
    seen = counts[order] & (who >= 0) & np.isfinite(when)
    before = np.concatenate([[0], np.cumsum(seen)])
    opens = np.ones(len(order), bool)  # the first row of a visitor
    opens[1:] = who[1:] != who[:-1]
    moves = opens.copy()  # the first row of a visitor's moment; a time not known is after all that are
    moves[1:] |= when[1:] != when[:-1]
    rows = np.arange(len(order))
    start = before[np.maximum.accumulate(np.where(opens, rows, 0))]
    end = before[np.maximum.accumulate(np.where(moves, rows, 0))]
    end = np.where((who >= 0) & np.isfinite(when), end, start)
    back = np.empty(len(order), np.int64)
    back[order] = rows
    start, end = start[back], end[back]
    return Past(Line(item_idx[order][seen]), np.maximum(start, end - MAX_HISTORY), end)


def count_bucket(counts: Array) -> Array:
    """0, 1, 2 as they are, 2 + floor(log(n)^2) above: 3 and 4 share a bucket, and so on in ever wider ones."""
    return np.where(counts > 2, 2 + np.searchsorted(LOG_EDGES, counts, side="right"), counts).astype(np.int64)


N_COUNT_BUCKETS = int(count_bucket(np.array([MAX_HISTORY]))[0]) + 1
