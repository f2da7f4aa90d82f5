"""A batch of requests in columns: who asks, what they did before, and the context of now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from rankine.arrays import Array, Float, Int, Ragged
from rankine.features.history import MAX_HISTORY as MAX_HISTORY
from rankine.features.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Queries:
    """B requests.

    user_idx int32 [B], `n_users` for a visitor without a known id; history: item_idx of earlier events, oldest first, known items only;
    history_weight float32, aligned with history.values; session_len int64 [B]: how many of the last history items belong to the
    session of this request; timestamp float64 [B], Unix seconds (NaN where not known); context int32 [B] per column;
    rows: the same requests in fields, for click models, None where no features were fitted.
    """

    user_idx: Int
    history: Ragged
    history_weight: Float
    session_len: Array
    timestamp: Array
    n_users: int
    n_items: int
    context: Mapping[str, Int] = field(default_factory=dict)
    rows: Rows | None = None

    def __len__(self) -> int:
        return len(self.user_idx)

    @property
    def session(self) -> Ragged:
        """Items of the present session, oldest first."""
        return self.history.tail(self.session_len)

    @cached_property
    def distinct_history(self) -> Ragged:
        """Each item of the history once, items ascending within a row."""
        pairs = np.unique(self.history.row_of_value() * self.n_items + self.history.values)
        lengths = np.bincount(pairs // max(self.n_items, 1), minlength=len(self))
        return Ragged.from_lengths((pairs % max(self.n_items, 1)).astype(np.int32), lengths)

    @property
    def last_item(self) -> Int:
        """The most recent item of the present session, int32 [B]; `n_items` where the session is empty."""
        items = np.full(len(self), self.n_items, np.int32)
        some = self.session_len > 0
        items[some] = self.history.values[self.history.offsets[1:][some] - 1]
        return items

    @property
    def known_user(self) -> Array:
        """Whether the user was seen in training, bool [B]."""
        return np.asarray(self.user_idx < self.n_users)

    def take(self, rows: Array | slice) -> Queries:
        """The requests at these indices."""
        history = self.history.take(rows)
        return Queries(
            user_idx=self.user_idx[rows],
            history=history,
            history_weight=self.history.with_values(self.history_weight).take(rows).values,
            session_len=self.session_len[rows],
            timestamp=self.timestamp[rows],
            n_users=self.n_users,
            n_items=self.n_items,
            context={name: column[rows] for name, column in self.context.items()},
            rows=None if self.rows is None else self.rows.take(rows),
        )

    def blocks(self, size: int) -> Iterator[tuple[slice, Queries]]:
        """Consecutive parts of at most `size` requests, each with its place."""
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            yield rows, self.take(rows)
