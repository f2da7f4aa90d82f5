"""What the solvers of alternating least squares do with single rows of numbers; arrays as in `lanes`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rankine.arrays import Array, Float, Int, Offsets
from rankine.kernels.jit import inlined_summing_kernel, summing_kernel
from rankine.kernels.lanes import LINE, WIDTH, aligned, dot_rows, load, splat, store, store_starts, total


class Equations(NamedTuple):
    """What the equations of all rows of one side are made of; `dim` is D padded with zeros to a multiple of LINE.

    indptr, indices, data: the weights w by rows; table float32 [n_columns * dim], the vectors Y; gram float32 [dim * dim], a0 Y'Y;
    penalty float64 [n_rows], l; ahead: how many neighbours to fetch before they are needed.
    """

    indptr: Offsets
    indices: Int
    data: Float
    table: Float
    gram: Float
    penalty: Array
    dim: int
    ahead: int


class Neighbours(NamedTuple):
    """Scratch for the neighbours of a row: where their vectors begin in the table, int64; their weights; a number of each.

    Filled up to a multiple of LINE with neighbours of weight zero.
    """

    starts: Offsets
    weights: Float
    values: Float


@summing_kernel
def room_for(n: int) -> Neighbours:
    """Scratch for a row of n neighbours."""
    return Neighbours(np.empty(n + LINE, np.int64), aligned(n + LINE), aligned(n + LINE))


@summing_kernel
def find_neighbours(equations: Equations, row: int, near: Neighbours, place: int) -> int:
    """Write the neighbours of a row from `place` on; returns the place behind them."""
    first, n = equations.indptr[row], equations.indptr[row + 1] - equations.indptr[row]
    whole = n // WIDTH * WIDTH
    for e in range(0, whole, WIDTH):
        store_starts(near.starts, place + e, equations.indices, first + e, equations.dim)
        store(near.weights, place + e, load(equations.data, first + e))
    for e in range(whole, n):
        near.starts[place + e] = np.int64(equations.indices[first + e]) * equations.dim
        near.weights[place + e] = equations.data[first + e]
    stop: int = place + (n + LINE - 1) // LINE * LINE
    for e in range(place + n, stop):
        near.starts[e] = 0
        near.weights[e] = 0
    return stop


@inlined_summing_kernel
def dot_row(a: Float, a_at: int, b: Float, b_at: int, dim: int) -> float:
    """The product of two rows."""
    sums = splat(0.0)
    for d in range(0, dim, WIDTH):
        sums = load(a, a_at + d) * load(b, b_at + d) + sums
    product: float = total(sums)
    return product


@inlined_summing_kernel
def add_row(factor: float, a: Float, a_at: int, out: Float, out_at: int, dim: int) -> None:
    """out += factor * a."""
    factors = splat(factor)
    for d in range(0, dim, WIDTH):
        store(out, out_at + d, factors * load(a, a_at + d) + load(out, out_at + d))


@inlined_summing_kernel
def set_row(factor: float, a: Float, a_at: int, out: Float, out_at: int, dim: int) -> None:
    """out = factor * a."""
    factors = splat(factor)
    for d in range(0, dim, WIDTH):
        store(out, out_at + d, factors * load(a, a_at + d))


@inlined_summing_kernel
def add_scores(table: Float, near: Neighbours, n: int, vector: Float, dim: int) -> None:
    """Add y_e . vector to the values of the first n neighbours."""
    for e in range(0, n, WIDTH):
        store(near.values, e, load(near.values, e) + dot_rows(table, near.starts, e, vector, 0, dim))
