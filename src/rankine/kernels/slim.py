"""Sparse linear item weights by coordinate descent on the Gram matrix.

For each item j: min over w >= 0, w_j = 0 of 1/2 |x_j - X w|^2 + l1 sum(w) + l2 / 2 |w|^2. With G = X'X the update of one
coordinate is w_i <- max(0, (G_ij - sum_{k != i} G_ik w_k - l1) / (G_ii + l2)): only items that share a basket with j can enter,
because G and w are not negative.
Source: Ning & Karypis 2011 (SLIM), equation 3; Friedman et al. 2010 for covariance updates.
"""

from __future__ import annotations

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.jit import kernel, over_rows
from rankine.kernels.selection import append_row, joined_rows


def slim_weights(gram: CSR, *, l1: float, l2: float, max_sweeps: int = 50, tolerance: float = 1e-4) -> CSR:
    """Row j: the weights with which other items speak for item j, float32 [n_items, n_items], zeros left out.

    `gram` is the symmetric X'X with its diagonal. A sweep that moves no weight by more than `tolerance` ends the descent.
    """
    n_items = gram.n_rows
    lengths = np.zeros(n_items, np.int64)
    parts = over_rows(
        _descend, n_items, gram.indptr, gram.indices, gram.data, float(l1), float(l2), max_sweeps, tolerance, lengths,
        work=gram.indptr + np.arange(n_items + 1),
    )  # fmt: skip
    return joined_rows(parts, lengths, n_items)


@kernel
def _descend(
    start: int, stop: int, ptr: Offsets, columns: Int, values: Float, l1: float, l2: float, max_sweeps: int,
    tolerance: float, lengths: Offsets,
) -> tuple[Int, Float]:  # fmt: skip
    n_items = len(ptr) - 1
    diagonal = _diagonal(ptr, columns, values)
    residual, weights = np.zeros(n_items), np.zeros(n_items)
    kept, scores = np.empty(n_items, np.int32), np.empty(n_items)
    out_ids, out_scores, filled = np.empty(1024, np.int32), np.empty(1024, np.float32), 0
    for target in range(start, stop):
        near = columns[ptr[target] : ptr[target + 1]]
        for e in range(ptr[target], ptr[target + 1]):
            residual[columns[e]] = values[e]
        active = near
        for sweep in range(max_sweeps):
            moved = _sweep(target, active, ptr, columns, values, diagonal, residual, weights, l1, l2)
            if moved < tolerance:
                if len(active) == len(near):
                    break
                active = near  # settled among the items in use: look once more at all
            else:
                active = _in_use(near, weights) if sweep else near
        size = 0
        for item in near:
            if weights[item] > 0.0:
                kept[size], scores[size] = item, weights[item]
                size += 1
            weights[item] = 0.0
        residual[:] = 0.0
        lengths[target] = size
        out_ids, out_scores, filled = append_row(scores, kept, size, out_ids, out_scores, filled)
    return out_ids[:filled], out_scores[:filled]


@kernel
def _sweep(
    target: int, active: Int, ptr: Offsets, columns: Int, values: Float, diagonal: Array, residual: Array, weights: Array,
    l1: float, l2: float,
) -> float:  # fmt: skip
    """One pass over the coordinates; `residual` is G_j - G w. Returns the largest move."""
    largest = 0.0
    for item in active:
        if item == target:
            continue
        old = weights[item]
        new = max(0.0, (residual[item] + diagonal[item] * old - l1) / (diagonal[item] + l2))
        move = new - old
        if move != 0.0:
            weights[item] = new
            largest = max(largest, abs(move))
            for e in range(ptr[item], ptr[item + 1]):
                residual[columns[e]] -= move * values[e]
    return largest


@kernel
def _in_use(near: Int, weights: Array) -> Int:
    used, size = np.empty(len(near), np.int32), 0
    for item in near:
        if weights[item] > 0.0:
            used[size] = item
            size += 1
    return used[:size]


@kernel
def _diagonal(ptr: Offsets, columns: Int, values: Float) -> Array:
    diagonal = np.zeros(len(ptr) - 1)
    for item in range(len(ptr) - 1):
        for e in range(ptr[item], ptr[item + 1]):
            if columns[e] == item:
                diagonal[item] = values[e]
    return diagonal
