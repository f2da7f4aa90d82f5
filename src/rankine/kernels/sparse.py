"""Sparse matrices by rows: built from triples, transposed, and summed into dense scores."""

from __future__ import annotations

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets, Ragged
from rankine.kernels.jit import check_indices, flat, kernel, over_rows

SORTED = 16  # fewer triples than one in so many columns: sorting them costs less than counting columns


def to_csr(rows: Array, columns: Array, values: Array | None, n_rows: int, n_columns: int) -> CSR:
    """The matrix of the triples; values of the same cell are added, and count 1 each when `values` is None.

    Two counting sorts, by column and then by row: linear time, 16 bytes of scratch per triple; a few triples are sorted.
    Raises ValueError for a row or column outside the matrix.
    """
    if not len(rows) == len(columns) == (len(rows) if values is None else len(values)):
        raise ValueError(
            f"`rows`, `columns` and `values` must be equally long; got {len(rows)} and {len(columns)} indices"
        )
    check_indices("rows", rows, n_rows)
    check_indices("columns", columns, n_columns)
    data = np.ones(len(rows), np.float32) if values is None else np.ascontiguousarray(values, np.float32)
    rows, columns = np.ascontiguousarray(rows, np.int32), np.ascontiguousarray(columns, np.int32)
    if len(rows) < n_columns // SORTED:
        order = np.argsort(rows * np.int64(n_columns) + columns, kind="stable")
        indptr, indices, data = _starts(rows, n_rows), columns[order], data[order]
    else:
        indptr, indices, data = _transposed(*_grouped(columns, rows, data, n_columns), n_rows)
    nnz = _merge_duplicates(indptr, indices, data)
    return CSR(indptr, _trimmed(indices, nnz), _trimmed(data, nnz), n_columns)


def transpose(csr: CSR) -> CSR:
    """The matrix with rows and columns exchanged."""
    return CSR(*_transposed(csr.indptr, csr.indices, csr.data, csr.n_columns), csr.n_rows)


def pair_work(items: CSR, baskets: CSR) -> Offsets:
    """Cumulative number of pairs that a pass over the rows of `items` (columns are baskets) meets, int64 [n_rows + 1]."""
    pairs = np.concatenate([[0], np.cumsum(np.diff(baskets.indptr)[items.indices])])
    return np.asarray(pairs[items.indptr] + np.arange(items.n_rows + 1))


def sum_rows(csr: CSR, queries: Ragged, weights: Array | None = None) -> Float:
    """For each query the weighted sum of the rows of `csr` it names, dense float32 [B, n_columns].

    A row that is named twice counts twice; one that `csr` does not have (an unknown item) adds nothing.
    `weights` [len(queries.values)] is 1 when None.
    """
    values, offsets = flat(queries)
    factors = np.ones(len(queries.values)) if weights is None else weights
    factors = np.ascontiguousarray(factors[queries.offsets[0] : queries.offsets[-1]], np.float32)
    out = np.zeros((len(queries), csr.n_columns), np.float32)
    over_rows(_sum_rows, len(queries), csr.indptr, csr.indices, csr.data, values, offsets, factors, out)
    return out


def _trimmed(array: Array, size: int) -> Array:
    return array if size == len(array) else array[:size].copy()


@kernel
def _starts(keys: Int, n_keys: int) -> Offsets:
    """Offsets [n_keys + 1] of the groups of equal keys."""
    starts = np.zeros(n_keys + 1, np.int64)
    for key in keys:
        starts[key + 1] += 1
    for key in range(n_keys):
        starts[key + 1] += starts[key]
    return starts


@kernel
def _grouped(keys: Int, others: Int, data: Float, n_keys: int) -> tuple[Offsets, Int, Float]:
    """Offsets of the groups of equal keys, and both arrays in that order; equal keys keep their order."""
    starts = _starts(keys, n_keys)
    place = starts[:-1].copy()
    out, out_data = np.empty_like(others), np.empty_like(data)
    for e in range(len(keys)):
        slot = place[keys[e]]
        place[keys[e]] += 1
        out[slot] = others[e]
        out_data[slot] = data[e]
    return starts, out, out_data


@kernel
def _transposed(indptr: Offsets, indices: Int, data: Float, n_columns: int) -> tuple[Offsets, Int, Float]:
    starts = _starts(indices, n_columns)
    place = starts[:-1].copy()
    out, out_data = np.empty(len(indices), np.int32), np.empty(len(indices), np.float32)
    for row in range(len(indptr) - 1):
        for e in range(indptr[row], indptr[row + 1]):
            slot = place[indices[e]]
            place[indices[e]] += 1
            out[slot] = row
            out_data[slot] = data[e]
    return starts, out, out_data


@kernel
def _merge_duplicates(indptr: Offsets, indices: Int, data: Float) -> int:
    """Add up neighbours of equal column, in place; returns the number of entries left."""
    filled = 0
    start = 0
    for row in range(len(indptr) - 1):
        stop = indptr[row + 1]
        e = start
        while e < stop:
            column, total = indices[e], np.float64(data[e])
            e += 1
            while e < stop and indices[e] == column:
                total += data[e]
                e += 1
            indices[filled] = column
            data[filled] = total
            filled += 1
        start = stop
        indptr[row + 1] = filled
    return filled


@kernel
def _sum_rows(
    start: int, stop: int, indptr: Offsets, indices: Int, data: Float,
    queries: Int, offsets: Offsets, weights: Float, out: Float,
) -> None:  # fmt: skip
    n_rows = len(indptr) - 1
    for b in range(start, stop):
        for q in range(offsets[b], offsets[b + 1]):
            if 0 <= queries[q] < n_rows:
                for e in range(indptr[queries[q]], indptr[queries[q] + 1]):
                    out[b, indices[e]] += weights[q] * data[e]
