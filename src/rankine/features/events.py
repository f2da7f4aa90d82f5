"""Training events as arrays: what a model is fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Ragged
from rankine.errors import DataError
from rankine.features.rows import Rows
from rankine.kernels.sparse import to_csr


@dataclass(frozen=True)
class Sessions:
    """Training sessions: items oldest first, the time of the last event (Unix seconds) and the user, one per session."""

    items: Ragged
    end_time: Array
    user_idx: Int

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, kw_only=True)
class EventArrays:
    """Events that say something about an item, one row each, in time order; E rows.

    user_idx, item_idx int32 [E] (n_users stands for an anonymous visitor); weight float32 [E], what the event type is worth;
    value float32 [E] or None; timestamp float64 [E] or None; session_idx int32 [E] or None; context int32 [E] per column,
    whose last index (`context_sizes[c]`) stands for unknown. shown bool [E] or None: impressions, events of an item that was
    shown and taken (weight above zero) or left (weight zero); rows: the request side of each event in fields, for click models.
    """

    n_users: int
    n_items: int
    user_idx: Int
    item_idx: Int
    weight: Float
    value: Float | None = None
    timestamp: Array | None = None
    session_idx: Int | None = None
    context: Mapping[str, Int] = field(default_factory=dict)
    context_sizes: Mapping[str, int] = field(default_factory=dict)
    collapse_repeats: bool = False
    shown: Array | None = None
    rows: Rows | None = None

    def __len__(self) -> int:
        return len(self.item_idx)

    @cached_property
    def interactions(self) -> CSR:
        """Known users by items: summed weights of their events, entries not above zero left out; [n_users, n_items]."""
        known = (self.user_idx < self.n_users) & (self.weight != 0)
        rows = slice(None) if known.all() else known  # a slice copies nothing
        sums = to_csr(self.user_idx[rows], self.item_idx[rows], self.weight[rows], self.n_users, self.n_items)
        return positive(sums)

    @cached_property
    def ratings(self) -> tuple[Int, Int, Array]:
        """User, item and value (float64) of the events that carry a value, as views and clicks beside ratings do not."""
        if self.value is None:
            raise DataError("events have no `value`: map the rating column to `value`")
        rated = np.isfinite(self.value)
        return self.user_idx[rated], self.item_idx[rated], self.value[rated].astype(np.float64)

    @cached_property
    def sessions(self) -> Sessions:
        """The positive events by session. Raises DataError where events have no session."""
        if self.session_idx is None:
            raise DataError("events have no `session_id`: name the column, or set `gap_minutes` under [sessions]")
        keep = self.weight > 0
        if self.collapse_repeats:
            keep &= ~repeats_previous(self.session_idx, self.item_idx, keep)
        rows = np.flatnonzero(keep)
        rows = rows[np.argsort(self.session_idx[rows], kind="stable")]
        session = self.session_idx[rows]
        ends = np.flatnonzero(np.append(session[1:] != session[:-1], len(session) > 0))
        items = Ragged.from_lengths(self.item_idx[rows], np.diff(np.concatenate([[-1], ends])))
        time = self.timestamp if self.timestamp is not None else np.arange(len(self), dtype=np.float64)
        time = np.where(np.isnan(time), -np.inf, time)  # a session of unknown time counts as old
        return Sessions(items, time[rows[ends]], self.user_idx[rows[ends]])

    @cached_property
    def baskets(self) -> CSR:
        """Who took what, as 0/1: by user, and by session for anonymous events that have one; [n_baskets, n_items]."""
        basket = self.user_idx.astype(np.int64)
        anonymous = basket >= self.n_users
        if self.session_idx is not None:
            basket = np.where(anonymous, self.n_users + self.session_idx.astype(np.int64), basket)
            anonymous = np.zeros(len(self), bool)
        keep = (self.weight > 0) & ~anonymous
        there = np.bincount(basket[keep]) > 0
        row = (np.cumsum(there) - 1).astype(np.int32)[basket[keep]]  # baskets in order of their number, without a sort
        sums = to_csr(row, self.item_idx[keep], None, int(there.sum()), self.n_items)
        return CSR(sums.indptr, sums.indices, np.ones(sums.nnz, np.float32), self.n_items)


def positive(matrix: CSR) -> CSR:
    """The same matrix without the entries that are not above zero."""
    keep = matrix.data > 0
    if keep.all():
        return matrix
    row = np.repeat(np.arange(matrix.n_rows), np.diff(matrix.indptr))[keep]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=matrix.n_rows))]).astype(np.int64)
    return CSR(indptr, matrix.indices[keep], matrix.data[keep], matrix.n_columns)


def repeats_previous(group: Int, item: Int, considered: Array) -> Array:
    """Marks rows whose item equals that of the previous considered row of the same group, bool [E]."""
    rows = np.flatnonzero(considered)
    rows = rows[np.argsort(group[rows], kind="stable")]
    same = (group[rows][1:] == group[rows][:-1]) & (item[rows][1:] == item[rows][:-1])
    marks = np.zeros(len(group), bool)
    marks[rows[1:][same]] = True
    return marks
