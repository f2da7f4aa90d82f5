"""Stochastic gradient descent of biased matrix factorization on ratings, one rating at a time.

With e = r - mu - b_u - b_i - p_u . q_i, g = learning rate: x <- x + g (e dx - l2 x) for every parameter x, dx its derivative.
Source: Koren, Bell, Volinsky 2009, equation 5.
"""

from __future__ import annotations

import numpy as np

from rankine.arrays import Float
from rankine.kernels.als_rows import dot_row
from rankine.kernels.draws import mixed
from rankine.kernels.jit import summing_kernel
from rankine.kernels.lanes import LINE, WIDTH, load, splat, store
from rankine.kernels.pairs import WINDOW, Grid, Table, shuffle, sweep

ONE = np.float32(1)


def sgd_epoch(
    grid: Grid, users: Table, items: Table, *, mean: float, learning_rate: float, l2: float, rng: np.random.Generator
) -> float:
    """One pass over all ratings in a new order, in place; returns the sum of their squared errors before each step.

    Equal arguments give equal results whatever the number of threads.
    """
    return sweep(
        _cells, grid, rng, users.flat, users.stride, items.flat, items.stride,
        np.float32(mean), np.float32(learning_rate), np.float32(l2),
    )  # fmt: skip


@summing_kernel
def _cells(
    start: int, stop: int, diagonal: int, grid: Grid, seed: np.uint64, p: Float, p_stride: int, q: Float, q_stride: int,
    mean: np.float32, rate: np.float32, l2: np.float32,
) -> float:  # fmt: skip
    dim, squares, stay = q_stride - LINE, 0.0, ONE - rate * l2
    users, items, values, keep = grid.user, grid.item, grid.value, splat(stay)
    for cell in range(diagonal * grid.n_parts + start, diagonal * grid.n_parts + stop):
        for begin in range(grid.offsets[cell], grid.offsets[cell + 1], WINDOW):
            end = min(begin + WINDOW, grid.offsets[cell + 1])
            shuffle(begin, end, mixed(seed + np.uint64(begin)), users, items, values)
            for e in range(begin, end):
                u, i = int(users[e]) * p_stride, int(items[e]) * q_stride
                error = values[e] - (mean + p[u + dim] + q[i + dim] + dot_row(p, u, q, i, dim))
                squares += error * error
                step = rate * error
                p[u + dim] = stay * p[u + dim] + step
                q[i + dim] = stay * q[i + dim] + step
                factor = splat(step)
                for d in range(0, dim, WIDTH):
                    x, y = load(p, u + d), load(q, i + d)
                    store(p, u + d, keep * x + factor * y)
                    store(q, i + d, keep * y + factor * x)
    return squares
