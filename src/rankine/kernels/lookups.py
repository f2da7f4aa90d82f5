"""Fields of a few rows, where calling is what costs: each function is one call and keeps nothing for a gradient.

idx int32 [B, L] names rows of a table, weight float32 [B, L] or None where all are 1. An index outside the table is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rankine.arrays import Array, Float, Int
from rankine.kernels.jit import kernel, summing_kernel

FEW = 4  # rows; for more, products of whole matrices are quicker
SOME = 256  # rows; for more, gathers of whole batches are
_NO_WEIGHT = np.empty((0, 0), np.float32)


def field_sums(table: Float, idx: Int, weight: Float | None, borders: Array) -> Float:
    """The weighted sum of rows of `table` [R, D] for each field [B, F, D]; slots borders[f]:borders[f + 1] are field f."""
    out = np.zeros((len(idx), len(borders) - 1, table.shape[1]), np.float32)
    _checked(_field_sums, table, idx, weight, borders, out)
    return out


def slot_sums(table: Float, idx: Int, weight: Float | None) -> Float:
    """The weighted sum of the numbers of `table` [R, 1] over all slots [B]."""
    out = np.zeros(len(idx), np.float32)
    _checked(_slot_sums, table, idx, weight, out)
    return out


def pair_sums(e: Float) -> Float:
    """The sum of the inner products of all pairs of fields [B] of e [B, F, D]: 1/2 sum_c ((sum_f e_fc)^2 - sum_f e_fc^2)."""
    out = np.empty(len(e), np.float32)
    _pair_sums(np.ascontiguousarray(e, np.float32), out)
    return out


def _checked(run: Any, table: Float, idx: Int, weight: Float | None, *arguments: Array) -> None:
    weight = _NO_WEIGHT if weight is None else np.ascontiguousarray(weight, np.float32)
    wrong = run(table, np.ascontiguousarray(idx, np.int32), weight, *arguments)
    if wrong >= 0:
        raise IndexError(f"`idx` must name rows 0 to {len(table) - 1} of the table; got {idx[wrong].tolist()}")


@kernel
def _field_sums(table: Array, idx: Array, weight: Array, borders: Array, out: Array) -> int:
    """The first row with an index outside the table, -1 where there is none."""
    for b in range(len(idx)):
        for f in range(len(borders) - 1):
            for slot in range(borders[f], borders[f + 1]):
                row = idx[b, slot]
                if row < 0 or row >= len(table):
                    return b
                times = weight[b, slot] if weight.size else np.float32(1)
                for c in range(table.shape[1]):
                    out[b, f, c] += times * table[row, c]
    return -1


@kernel
def _slot_sums(table: Array, idx: Array, weight: Array, out: Array) -> int:
    """The first row with an index outside the table, -1 where there is none."""
    for b in range(len(idx)):
        for slot in range(idx.shape[1]):
            row = idx[b, slot]
            if row < 0 or row >= len(table):
                return b
            out[b] += table[row, 0] * (weight[b, slot] if weight.size else np.float32(1))
    return -1


@summing_kernel
def _pair_sums(e: Array, out: Array) -> None:
    sums = np.empty(e.shape[2], np.float32)
    for b in range(len(e)):
        squares = np.float32(0)
        sums[:] = 0
        for f in range(e.shape[1]):
            for c in range(len(sums)):
                value = e[b, f, c]
                sums[c] += value
                squares += value * value
        total = np.float32(0)
        for c in range(len(sums)):
            total += sums[c] * sums[c]
        out[b] = np.float32(0.5) * (total - squares)
