"""Dense item-item matrices: the Gram matrix of a sparse one, and sums of its rows."""

from __future__ import annotations

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets, Ragged
from rankine.kernels.jit import flat, kernel, over_rows
from rankine.kernels.sparse import pair_work, transpose

TILE = 256  # columns handled at a time: a tile of two rows stays in the first cache


def gram(baskets: CSR) -> Float:
    """X'X of a sparse matrix X [n_baskets, n_items], dense float32 [n_items, n_items]; sums in float64."""
    items = transpose(baskets)
    out = np.zeros((baskets.n_columns, baskets.n_columns), np.float32)
    over_rows(
        _gram, items.n_rows, items.indptr, items.indices, items.data, baskets.indptr, baskets.indices, baskets.data, out,
        work=pair_work(items, baskets),
    )  # fmt: skip
    return out


def sum_dense_rows(matrix: Float, queries: Ragged, weights: Array | None = None) -> Float:
    """For each query the weighted sum of the rows of `matrix` [N, M] that it names, float32 [B, M].

    A row outside the matrix (an unknown item) adds nothing; `weights` [len(queries.values)] is 1 when None.
    """
    values, offsets = flat(queries)
    factors = np.ones(len(queries.values)) if weights is None else weights
    factors = np.ascontiguousarray(factors[queries.offsets[0] : queries.offsets[-1]], np.float32)
    out = np.zeros((len(queries), matrix.shape[1]), np.float32)
    over_rows(_sum_rows, len(queries), matrix, values, offsets, factors, out, work=offsets)
    return out


def mirror(matrix: Float) -> None:
    """Copy the lower triangle of a square matrix onto its upper one, in place."""
    over_rows(_mirror, (len(matrix) + TILE - 1) // TILE, matrix)


@kernel
def _gram(
    start: int, stop: int, item_ptr: Offsets, item_baskets: Int, item_values: Float, basket_ptr: Offsets,
    basket_items: Int, basket_values: Float, out: Float,
) -> None:  # fmt: skip
    sums = np.zeros(len(out))
    for item in range(start, stop):
        for place in range(item_ptr[item], item_ptr[item + 1]):
            basket, value = item_baskets[place], item_values[place]
            for e in range(basket_ptr[basket], basket_ptr[basket + 1]):
                sums[basket_items[e]] += value * basket_values[e]
        for other in range(len(out)):
            out[item, other] = sums[other]
            sums[other] = 0.0


@kernel
def _sum_rows(start: int, stop: int, matrix: Float, items: Int, offsets: Offsets, factors: Float, out: Float) -> None:
    n_rows, n_columns = matrix.shape
    for b in range(start, stop):
        for place in range(offsets[b], offsets[b + 1]):
            item, factor = items[place], factors[place]
            if 0 <= item < n_rows:
                for j in range(n_columns):
                    out[b, j] += factor * matrix[item, j]


@kernel
def _mirror(start: int, stop: int, matrix: Float) -> None:
    n = len(matrix)
    for tile in range(start, stop):
        for first in range(0, (tile + 1) * TILE, TILE):
            for i in range(tile * TILE, min(n, (tile + 1) * TILE)):
                for j in range(first, min(i, first + TILE)):
                    matrix[j, i] = matrix[i, j]
