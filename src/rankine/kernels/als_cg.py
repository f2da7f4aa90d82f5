"""Conjugate gradient for the rows of one side: A x = b with A = G + l I + Y'WY and b = Y'w, A never formed.

Four rows advance together, so that one reading of G = a0 Y'Y serves all four. The rows of Y are read in place: after the
first pass over its neighbours those of a usual row are in the nearest cache, and a copy of them would cost a pass.
"""

from __future__ import annotations

import numpy as np

from rankine.arrays import Float, Offsets
from rankine.kernels.als_rows import Equations, Neighbours, dot_row, find_neighbours, room_for, set_row
from rankine.kernels.jit import inlined_summing_kernel, summing_kernel
from rankine.kernels.lanes import (
    LINE,
    ROWS,
    WIDTH,
    add_4_rows,
    add_8_rows,
    add_product,
    add_rows,
    aligned,
    dot_4_rows,
    dot_8_rows,
    dot_rows,
    fence,
    load,
    prefetch,
    splat,
    store,
    total,
)

NEAR = 4096  # numbers of neighbours' vectors that are read twice in a row: a third of the nearest cache


@summing_kernel
def cg_rows(start: int, stop: int, equations: Equations, n_steps: int, out: Float) -> int:
    """Make `n_steps` steps from the rows start .. stop of `out`; returns a row whose numbers overflow, -1 where none does."""
    failed = -1
    dim, borders = equations.dim, np.zeros(ROWS + 1, np.int64)
    x, residual, direction, product = aligned(ROWS * dim), aligned(ROWS * dim), aligned(ROWS * dim), aligned(ROWS * dim)
    size, least = np.zeros(ROWS, np.float32), np.zeros(ROWS, np.float32)
    near = room_for(0)
    for first in range(start, stop, ROWS):
        n_rows = min(ROWS, stop - first)
        needed = equations.indptr[first + n_rows] - equations.indptr[first] + ROWS * LINE
        if needed > len(near.starts):
            near = room_for(2 * needed)
        _read(equations, near, borders, first, n_rows, out, x)
        _multiply(equations, near, borders, first, n_rows, 1.0, x, product)
        for i in range(n_rows):
            size[i] = _turn_back(product, residual, direction, i * dim, dim)
            least[i] = max(np.float32(1e-14) * size[i], np.float32(1e-30))
        for _ in range(n_steps):
            _multiply(equations, near, borders, first, n_rows, 0.0, direction, product)
            for i in range(n_rows):
                curvature = dot_row(direction, i * dim, product, i * dim, dim)
                if size[i] > least[i] and curvature > 0:
                    new = _advance(size[i] / curvature, direction, product, x, residual, i * dim, dim)
                    _turn(new / size[i], residual, direction, i * dim, dim)
                    size[i] = new
        for i in range(n_rows):
            if not np.isfinite(size[i]):
                failed = first + i
            for d in range(out.shape[1]):
                out[first + i, d] = x[i * dim + d]
    return failed


@inlined_summing_kernel
def _read(
    equations: Equations, near: Neighbours, borders: Offsets, first: int, n_rows: int, out: Float, x: Float
) -> None:
    """Take the rows' neighbours, and their vectors: zeros for a row without neighbours."""
    x[:] = 0
    for i in range(n_rows):
        n = equations.indptr[first + i + 1] - equations.indptr[first + i]
        borders[i + 1] = find_neighbours(equations, first + i, near, borders[i])
        if n:
            for d in range(out.shape[1]):
                x[i * equations.dim + d] = out[first + i, d]


@summing_kernel
def _multiply(
    equations: Equations, near: Neighbours, borders: Offsets, first: int, n_rows: int, goal: float, x: Float, out: Float
) -> None:
    """out = A x - goal * b for each row of the group."""
    dim = equations.dim
    for i in range(n_rows):
        set_row(equations.penalty[first + i], x, i * dim, out, i * dim, dim)
    add_product(x, 0, dim, 1, dim, equations.gram, 0, out, 0, dim, dim)
    for i in range(n_rows):
        n = equations.indptr[first + i + 1] - equations.indptr[first + i]
        _add_observed(equations, near, borders[i], borders[i] + n, goal, x, out, i * dim)


@inlined_summing_kernel
def _add_observed(
    equations: Equations, near: Neighbours, start: int, stop: int, goal: float, x: Float, out: Float, at: int
) -> None:
    """out += sum_e w_e (x . y_e - goal) y_e over the neighbours of a row.

    The errors of a batch come first and are waited for once, then its vectors are added while they are in the nearest cache.
    """
    table, starts, weights, errors = equations.table, near.starts, near.weights, near.values
    dim, target, batch = equations.dim, splat(-goal), max(NEAR // equations.dim // LINE, 1) * LINE
    ahead = equations.ahead if goal != 0 else 0  # only the first pass meets vectors that are far away
    for first in range(start, stop, batch):
        last = min(first + batch, stop)
        for e in range(first, last, WIDTH):
            if ahead:
                _fetch(equations, near, e + ahead, min(e + ahead + WIDTH, stop))
            if last - e > 8:
                scores = dot_rows(table, starts, e, x, at, dim)
            elif last - e > 4:
                scores = dot_8_rows(table, starts, e, x, at, dim)
            else:
                scores = dot_4_rows(table, starts, e, x, at, dim)
            store(errors, e - first, load(weights, e) * (scores + target))
        fence()
        for e in range(first, last, WIDTH):
            if last - e > 8:
                add_rows(table, starts, e, errors, e - first, out, at, dim)
            elif last - e > 4:
                add_8_rows(table, starts, e, errors, e - first, out, at, dim)
            else:
                add_4_rows(table, starts, e, errors, e - first, out, at, dim)
        fence()


@inlined_summing_kernel
def _fetch(equations: Equations, near: Neighbours, start: int, stop: int) -> None:
    for e in range(start, stop):
        for d in range(0, equations.dim, LINE):
            prefetch(equations.table, near.starts[e] + d)


@inlined_summing_kernel
def _turn_back(product: Float, residual: Float, direction: Float, at: int, dim: int) -> float:
    """residual = direction = -product; returns its squared length."""
    sums, minus = splat(0.0), splat(-1.0)
    for d in range(at, at + dim, WIDTH):
        value = minus * load(product, d)
        store(residual, d, value)
        store(direction, d, value)
        sums = value * value + sums
    size: float = total(sums)
    return size


@inlined_summing_kernel
def _advance(step: float, direction: Float, product: Float, x: Float, residual: Float, at: int, dim: int) -> float:
    """x += step * direction, residual -= step * product; returns the squared length of the residual."""
    forward, back, sums = splat(step), splat(-step), splat(0.0)
    for d in range(at, at + dim, WIDTH):
        store(x, d, forward * load(direction, d) + load(x, d))
        value = back * load(product, d) + load(residual, d)
        store(residual, d, value)
        sums = value * value + sums
    size: float = total(sums)
    return size


@inlined_summing_kernel
def _turn(share: float, residual: Float, direction: Float, at: int, dim: int) -> None:
    """direction = residual + share * direction."""
    shares = splat(share)
    for d in range(at, at + dim, WIDTH):
        store(direction, d, shares * load(direction, d) + load(residual, d))
