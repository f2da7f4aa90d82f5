"""Every item regressed on all others, exactly, from the inverse of the smaller of two matrices: items by items, or baskets by baskets.

With P = (X'X + l2 I)^-1 the weights are B_ij = -P_ij / P_jj. Where there are fewer baskets than items the same B comes out of
Q = X' (XX' + l2 I)^-1 X as B_ij = Q_ij / (1 - Q_jj), because P = (I - Q) / l2. Either way B_ij = M_ij / (c - M_jj): c = 0 for P, 1 for Q.
Source: Steck 2019, equation 8; the identity of Woodbury.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.gram import gram, mirror
from rankine.kernels.jit import kernel, over_rows
from rankine.kernels.lanes import LINE, WIDTH, aligned, load, splat, store
from rankine.kernels.selection import append_row, joined_rows, keep_best
from rankine.kernels.sparse import transpose

PIVOTS = 1024  # rows that are eliminated at a time
TILE = 2048  # rows and columns of one matrix product
SLAB = 1 << 24  # numbers of Q that are held at a time


def ridge_weights(baskets: CSR, l2: float, *, keep: int = 0) -> Float | CSR:
    """B [n_items, n_items] float32, row = item taken, column = item scored, its diagonal zero; baskets hold 0/1.

    Dense, or with `keep` sparse: in each column the `keep` entries of largest magnitude.
    Raises LinAlgError where the system is singular in float32.
    """
    by_basket = _by_basket(baskets.n_columns, baskets.n_rows, keep)
    inverse = gram(transpose(baskets) if by_basket else baskets)
    inverse[np.diag_indices(len(inverse))] += l2
    invert(inverse)
    if keep:
        return _largest(_between_items(inverse, baskets) if by_basket else [(0, inverse)], float(by_basket), keep)
    if not by_basket:
        return _divided(inverse, 0.0)
    weights = np.empty((baskets.n_columns, baskets.n_columns), np.float32)
    for first, slab in _between_items(inverse, baskets):
        weights[first : first + len(slab)] = slab
    return _divided(weights, 1.0)


def ridge_bytes(n_items: int, n_baskets: int, keep: int = 0) -> int:
    """The memory that `ridge_weights` takes, what it returns included."""
    by_basket = _by_basket(n_items, n_baskets, keep)
    size = n_baskets if by_basket else n_items
    dense = n_items * n_items if by_basket and not keep else 0
    kept = 2 * 3 * n_items * min(keep, n_items)  # as parts, joined and transposed
    return 4 * (size * size + 2 * size * min(size, PIVOTS) + TILE * TILE + dense + kept + (SLAB if by_basket else 0))


def invert(matrix: Float) -> None:
    """Replace a symmetric positive definite matrix [N, N] by its inverse, in place; reads the lower triangle.

    Blocks of rows are swept one after another (Gauss and Jordan): N^3 operations in matrix products, two panels of scratch.
    Raises LinAlgError where a pivot is not above zero.
    """
    n = len(matrix)
    panel, scaled = np.empty((2, n * min(n, PIVOTS)), np.float32)
    products = np.empty(min(n, TILE) ** 2, np.float32)
    for first in range(0, n, PIVOTS):
        last = min(n, first + PIVOTS)
        shape = n, last - first
        _sweep(
            matrix, first, last, panel[: n * shape[1]].reshape(shape), scaled[: n * shape[1]].reshape(shape), products
        )
    np.negative(matrix, out=matrix)
    mirror(matrix)


def _sweep(matrix: Float, first: int, last: int, panel: Float, scaled: Float, products: Float) -> None:
    """Exchange the pivots first .. last: D = A_kk^-1, A_ij -= A_ik D A_kj, A_ik <- A_ik D, A_kk <- -D; all swept, A is -A^-1."""
    n, pivots = len(matrix), slice(first, last)
    own = cho_solve(cho_factor(matrix[pivots, pivots].astype(np.float64), lower=True), np.eye(last - first))
    panel[:first], panel[pivots], panel[last:] = matrix[pivots, :first].T, 0, matrix[last:, pivots]
    np.matmul(panel, own.astype(np.float32), out=scaled)
    for top in range(0, n, TILE):
        bottom = min(n, top + TILE)
        for left in range(0, bottom, TILE):
            right = min(bottom, left + TILE)
            product = products[: (bottom - top) * (right - left)].reshape(bottom - top, right - left)
            np.matmul(scaled[top:bottom], panel[left:right].T, out=product)
            matrix[top:bottom, left:right] -= product
    matrix[pivots, :first], matrix[pivots, pivots], matrix[last:, pivots] = scaled[:first].T, -own, scaled[last:]


def _by_basket(n_items: int, n_baskets: int, keep: int) -> bool:
    """Whether to invert baskets by baskets; a dense result is a second matrix then, so it must save much."""
    return n_baskets < n_items if keep else 2 * n_baskets < n_items


def _divided(matrix: Float, c: float) -> Float:
    matrix /= c - np.diag(matrix)
    matrix[np.diag_indices(len(matrix))] = 0
    return matrix


def _between_items(inverse: Float, baskets: CSR) -> Iterator[tuple[int, Float]]:
    """Consecutive rows of X' inverse X, each part with the index of its first; the next overwrites it."""
    items = transpose(baskets)
    size = min(items.n_rows, max(LINE, SLAB // max(items.n_rows, 1) // LINE * LINE))
    slab = np.empty((size, items.n_rows), np.float32)
    for first in range(0, items.n_rows, size):
        part = slab[: items.n_rows - first]
        over_rows(_item_rows, -(-len(part) // LINE), first, inverse, items.indptr, items.indices.view(np.uint32), part)
        yield first, part


def _largest(slabs: Iterator[tuple[int, Float]] | list[tuple[int, Float]], c: float, keep: int) -> CSR:
    parts, lengths, n_items = [], [np.empty(0, np.int64)], 0
    for first, slab in slabs:
        n_items = slab.shape[1]
        lengths.append(np.zeros(len(slab), np.int64))
        parts += over_rows(_largest_rows, len(slab), first, slab, np.float32(c), keep, lengths[-1])
    return transpose(joined_rows(parts, np.concatenate(lengths), n_items))


@kernel
def _item_rows(start: int, stop: int, first: int, inverse: Float, item_ptr: Offsets, takers: Array, out: Float) -> None:
    """Rows of X' inverse X for LINE items at a time: their sums of rows of `inverse` side by side, then summed by taker."""
    n_items, n_baskets = len(item_ptr) - 1, len(inverse)
    table, sums, line = aligned(n_baskets * LINE), np.empty(n_baskets, np.float32), aligned(LINE)
    for block in range(start, stop):
        begin = block * LINE
        n = min(LINE, len(out) - begin)
        for k in range(n):
            sums[:] = 0.0
            for e in range(item_ptr[first + begin + k], item_ptr[first + begin + k + 1]):
                for basket in range(n_baskets):
                    sums[basket] += inverse[takers[e], basket]
            for basket in range(n_baskets):
                table[basket * LINE + k] = sums[basket]
        for item in range(n_items):
            for part in range(0, LINE, WIDTH):
                total = splat(np.float32(0))
                for e in range(item_ptr[item], item_ptr[item + 1]):
                    total = total + load(table, np.int64(takers[e]) * LINE + part)
                store(line, part, total)
            for k in range(n):
                out[begin + k, item] = line[k]


@kernel
def _largest_rows(
    start: int, stop: int, first: int, rows: Float, c: np.float32, keep: int, lengths: Offsets
) -> tuple[Int, Float]:
    n_items = rows.shape[1]
    sizes, ids = np.empty(n_items, np.float32), np.empty(n_items, np.int32)
    out_ids, out_scores, filled = np.empty(1024, np.int32), np.empty(1024, np.float32), 0
    for row in range(start, stop):
        size, divisor = 0, c - rows[row, first + row]
        for item in range(n_items):
            if item != first + row and rows[row, item] != 0.0:
                sizes[size], ids[size] = abs(rows[row, item]), item
                size += 1
        size = keep_best(sizes, ids, size, keep)
        for place in range(size):
            sizes[place] = rows[row, ids[place]] / divisor
        lengths[row] = size
        out_ids, out_scores, filled = append_row(sizes, ids, size, out_ids, out_scores, filled)
    return out_ids[:filled], out_scores[:filled]
