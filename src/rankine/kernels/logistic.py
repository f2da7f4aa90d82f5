"""Logistic factorization of taken pairs against sampled negatives, one side at a time.

One AdaGrad step per row, x += r g / sqrt(sum of g^2), on the gradient g of
sum over taken w log sigmoid(s) + sum over negatives log sigmoid(-s) - l2 / 2 |x|^2.
Source: Johnson 2014, "Logistic matrix factorization for implicit feedback data".
"""

from __future__ import annotations

import math

import numpy as np

from rankine.arrays import CSR, Float, Int, Offsets
from rankine.kernels.draws import STEP, below, mixed
from rankine.kernels.jit import over_rows, summing_kernel
from rankine.kernels.lanes import LINE, WIDTH, add_8_rows, aligned, dot_8_rows, load, store
from rankine.kernels.sigmoid import sigmoid

ONE, TINY = np.float32(1), np.float32(1e-6)
VANISHING = 1e-200  # a product of probabilities is turned into a logarithm before it vanishes
BLOCK = 64  # pairs that are worked on together


def padded_rows(rows: Float) -> Float:
    """The rows [n, D] with zeros added up to whole cache lines [n, P], aligned: what `ascend_rows` holds fixed."""
    n, dim = rows.shape
    width = -(-dim // LINE) * LINE
    out = aligned(n * width).reshape(n, width)
    out[:, :dim], out[:, dim:] = rows, 0
    return out


def ascend_rows(
    csr: CSR, fixed: Float, out: Float, squares: Float, *,
    learning_rate: float, l2: float, n_negatives: int, held: int, seed: int = 0,
    same_draws: bool = False,
) -> float:  # fmt: skip
    """Move each row of `out` [n_rows, D] by one step, `fixed` [n_columns, P] of `padded_rows`; returns the loss per entry before it.

    `csr` holds the weights of the taken pairs; a row of n entries draws min(n * n_negatives, n_columns) columns evenly, taken
    ones too. `squares` [n_rows, D] sums the squared gradients. Column `held` of `out` stays as it is. Empty rows do not move.
    Each row has draws of its own (with `same_draws` all rows have those of one), so that the result does not depend on the
    number of threads. Raises ValueError where `fixed` is not padded.
    """
    if fixed.shape[1] % LINE or len(fixed) != csr.n_columns or fixed.shape[1] < out.shape[1]:
        raise ValueError(
            f"`fixed` must be [{csr.n_columns}, a multiple of {LINE}]; got {list(fixed.shape)}: use `padded_rows`"
        )
    parts = over_rows(
        _ascend, csr.n_rows, csr.indptr, csr.indices, csr.data, csr.n_columns, fixed.reshape(-1), fixed.shape[1], out, squares,
        np.float32(learning_rate), np.float32(l2), n_negatives, held, np.uint64(seed), same_draws, work=csr.indptr,
    )  # fmt: skip
    return float(sum(parts)) / max(csr.nnz, 1)


@summing_kernel
def _ascend(
    start: int, stop: int, indptr: Offsets, indices: Int, data: Float, n_columns: int, fixed: Float, width: int, out: Float,
    squares: Float, rate: np.float32, l2: np.float32, n_negatives: int, held: int, seed: np.uint64,
    same_draws: bool,
) -> float:  # fmt: skip
    dim = out.shape[1]
    x, gradient, loss = aligned(width), aligned(width), 0.0
    starts, weights, s = np.empty(BLOCK + LINE, np.int64), aligned(BLOCK + LINE), aligned(BLOCK + LINE)
    x[:], s[:] = 0, 0
    for row in range(start, stop):
        first, size = indptr[row], indptr[row + 1] - indptr[row]
        if size == 0:
            continue
        x[:dim] = out[row]
        for d in range(width):
            gradient[d] = -l2 * x[d]
        counter = mixed(seed if same_draws else seed + np.uint64(row))
        n = size + min(size * n_negatives, n_columns)
        for begin in range(0, n, BLOCK):
            end = min(BLOCK, n - begin)
            for j in range(end):
                if begin + j < size:
                    starts[j], weights[j] = np.int64(indices[first + begin + j]) * width, data[first + begin + j]
                else:
                    counter += STEP
                    starts[j], weights[j] = below(mixed(counter), n_columns) * width, -ONE
            for j in range(end, end + 8):  # the last eight are made whole by pairs that count for nothing
                starts[j], weights[j] = 0, 0
            loss += _add(fixed, starts, weights, end, x, s, gradient, width)
        for d in range(dim):
            if d != held:
                squares[row, d] += gradient[d] * gradient[d]
                out[row, d] += rate * gradient[d] / np.sqrt(squares[row, d] + TINY)
    return loss


@summing_kernel
def _add(
    fixed: Float, starts: Offsets, weights: Float, n: int, x: Float, s: Float, gradient: Float, width: int
) -> float:
    """Add the gradients of n pairs, those of negative weight not taken; returns their loss."""
    for j in range(0, n, 8):
        store(s, j, dot_8_rows(fixed, starts, j, x, 0, width))
    for j in range(n):
        s[j] = s[j] if weights[j] > 0 else -s[j]
    for j in range(0, n, WIDTH):
        store(s, j, sigmoid(load(s, j)))
    chance, loss = 1.0, 0.0
    for j in range(n):
        if weights[j] > 0:
            loss -= weights[j] * math.log(s[j])
        else:
            chance *= s[j]
            if chance < VANISHING:
                loss -= math.log(chance)
                chance = 1.0
        s[j] = weights[j] * (ONE - s[j])
    for j in range(n, n + 8):
        s[j] = 0
    for j in range(0, n, 8):
        add_8_rows(fixed, starts, j, s, j, gradient, 0, width)
    return loss - math.log(chance)
