"""Rows added to the rows of a table, one after another in the order they come."""

from __future__ import annotations

import numpy as np

from rankine.arrays import Array, Float, Int
from rankine.kernels.jit import check_indices, kernel


def rows_added(idx: Int, rows: Float, n_rows: int) -> Float:
    """A table float32 [n_rows, D] of zeros, `rows` [n, D] added at `idx` int [n]. Raises ValueError unless those are 0 .. n_rows - 1."""
    check_indices("idx", idx, n_rows)
    table = np.zeros((n_rows, rows.shape[1]), np.float32)
    _add_rows(np.asarray(idx, np.int32), np.ascontiguousarray(rows), table)
    return table


@kernel
def _add_rows(idx: Array, rows: Array, table: Array) -> None:
    for e in range(len(idx)):
        to, of = table[idx[e]], rows[e]
        for d in range(table.shape[1]):
            to[d] += of[d]
