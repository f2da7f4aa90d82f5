"""A batch in the order of the table rows it names: what every sum over equal rows needs, and tables that share a batch share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rankine.arrays import Array, Int, Offsets
from rankine.kernels.jit import check_indices, kernel

COUNTED = 2  # tables of up to so many rows per entry are counted row by row, which is sooner done than sorting


@dataclass(frozen=True)
class Groups:
    """The rows that a batch of N entries names, and the entries of each in the order of the batch.

    idx int [N]: the batch; rows int64 [n], ascending, without repeats; the entries of rows[k] are
    entries[borders[k] : borders[k + 1]], int32; borders int64 [n + 1].
    """

    idx: Array
    rows: Offsets
    borders: Offsets
    entries: Int

    @classmethod
    def of(cls, idx: Array, n_rows: int) -> Groups:
        """The groups of `idx` int32 or int64 [N]. Raises ValueError for rows out of 0 .. n_rows - 1."""
        idx = np.ascontiguousarray(idx)
        rows, borders = np.empty(len(idx), np.int64), np.empty(len(idx) + 1, np.int64)
        entries = np.empty(len(idx), np.int32)
        if n_rows <= COUNTED * len(idx):
            check_indices("idx", idx, n_rows)
            n = _count(idx, np.zeros(n_rows, np.int32), rows, borders, entries)
        else:
            bits = len(idx).bit_length()
            keys = _packed(idx, bits)
            keys.sort()
            n = _cut(keys, bits, rows, borders, entries)
            check_rows(rows[:n], n_rows)
        return cls(idx, rows[:n], borders[: n + 1], entries)

    @classmethod
    def again(cls, idx: Array, n_rows: int, last: Groups | None) -> Groups:
        """The groups of `idx`: those of the `last` batch where it was the same."""
        if last is None or not np.array_equal(idx, last.idx):
            return cls.of(idx, n_rows)
        check_rows(last.rows, n_rows)
        return last


def check_rows(rows: Offsets, n_rows: int) -> None:
    """Raise ValueError unless ascending rows lie in 0 .. n_rows - 1."""
    if len(rows) and not 0 <= rows[0] <= rows[-1] < n_rows:
        raise ValueError(f"`idx` must lie in 0 .. {n_rows - 1}; got {rows[0]} .. {rows[-1]}")


@kernel
def _count(idx: Array, places: Any, rows: Offsets, borders: Offsets, entries: Any) -> int:
    """Writes what `Groups` holds, by a count of each row of the table in `places`, zeros; returns how many rows there are."""
    for e in range(len(idx)):
        places[idx[e]] += 1
    n, start = 0, np.int32(0)
    for row in range(len(places)):
        count = places[row]
        if count:
            rows[n] = row
            borders[n] = start
            n += 1
        places[row] = start
        start += count
    borders[n] = start
    for e in range(len(idx)):
        to = places[idx[e]]
        places[idx[e]] = to + 1
        entries[to] = e
    return n


@kernel
def _packed(idx: Array, bits: int) -> Offsets:
    """Each row with its place in the batch, so that sorting keeps the order of equal ones."""
    keys = np.empty(len(idx), np.int64)
    for e in range(len(idx)):
        keys[e] = np.int64(idx[e]) << bits | e
    return keys


@kernel
def _cut(keys: Offsets, bits: int, rows: Offsets, borders: Offsets, entries: Any) -> int:
    """Writes the rows of sorted keys, where the entries of each start, and the entries; returns how many rows there are."""
    n, last, mask = 0, np.int64(0), (1 << bits) - 1
    for k in range(len(keys)):
        row = keys[k] >> bits
        entries[k] = keys[k] & mask
        if row != last or n == 0:
            last = row
            rows[n] = row
            borders[n] = k
            n += 1
    borders[n] = len(keys)
    return n
