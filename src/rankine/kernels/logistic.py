"""Logistic factorization of taken pairs against sampled negatives.

`ascend_rows`: one AdaGrad step per row, x += r g / sqrt(sum of g^2), on the gradient g of
sum over taken w log sigmoid(s) + sum over negatives log sigmoid(-s) - l2 / 2 |x|^2.
`fold_in`: plain stochastic steps on one vector and its bias, x += r ((label - sigmoid(s)) y - l2 x), for each taken item and its negatives.
Source: Johnson 2014, "Logistic matrix factorization for implicit feedback data"; Rendle et al. 2020, "Neural collaborative
filtering vs. matrix factorization revisited" (the stochastic form).
"""

from __future__ import annotations

import math

import numpy as np

from rankine.arrays import CSR, Float, Int, Offsets
from rankine.kernels.draws import STEP, below, mixed
from rankine.kernels.jit import kernel, over_rows, summing_kernel

ONE = np.float32(1)
TINY = np.float32(1e-6)


def ascend_rows(
    csr: CSR, fixed: Float, out: Float, squares: Float, *,
    learning_rate: float, l2: float, n_negatives: int, held: int, seed: int = 0,
    same_draws: bool = False,
) -> float:  # fmt: skip
    """Move each row of `out` [n_rows, D] by one step, `fixed` [n_columns, D] held; returns the loss per entry before it.

    `csr` holds the weights of the taken pairs; a row of n entries draws min(n * n_negatives, n_columns) columns evenly, taken
    ones too. `squares` [n_rows, D] sums the squared gradients. Column `held` of `out` stays as it is. Empty rows do not move.
    Each row has draws of its own (with `same_draws` all rows have those of one), so that the result does not depend on the
    number of threads.
    """
    parts = over_rows(
        _ascend, csr.n_rows, csr.indptr, csr.indices, csr.data, csr.n_columns, fixed, out, squares, np.float32(learning_rate),
        np.float32(l2), n_negatives, held, np.uint64(seed), same_draws, work=csr.indptr,
    )  # fmt: skip
    return float(sum(parts)) / max(csr.nnz, 1)


def logistic_fold_in(
    histories: CSR, items: Float, dim: int, *, learning_rate: float, l2: float, n_negatives: int, n_passes: int
) -> Float:
    """Vector and bias float32 [n_rows, dim + 1] of users that training has not seen; items [n_items, dim + 1] have a bias too.

    A row depends on its own history only: every row starts from zero and the same draws, evenly over all items.
    """
    out = np.zeros((histories.n_rows, dim + 1), np.float32)
    over_rows(_fold_in, histories.n_rows, histories.indptr, histories.indices, histories.n_columns, items, dim,
              np.float32(learning_rate), np.float32(l2), n_negatives, n_passes, out, work=histories.indptr)  # fmt: skip
    return out


@kernel
def _sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow."""
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    growth = math.exp(x)
    return growth / (1.0 + growth)


@summing_kernel
def _add(fixed: Float, column: int, row: int, out: Float, taken: bool, weight: float, gradient: Float) -> float:
    """Add the gradient of one pair; returns its loss."""
    s = 0.0
    for d in range(len(gradient)):
        s += out[row, d] * fixed[column, d]
    error = weight * (1.0 - _sigmoid(s)) if taken else -weight * _sigmoid(s)
    step = np.float32(error)
    for d in range(len(gradient)):
        gradient[d] += step * fixed[column, d]
    signed = -s if taken else s
    return weight * (max(signed, 0.0) + math.log1p(math.exp(-abs(signed))))


@summing_kernel
def _ascend(
    start: int, stop: int, indptr: Offsets, indices: Int, data: Float, n_columns: int, fixed: Float, out: Float,
    squares: Float, rate: np.float32, l2: np.float32, n_negatives: int, held: int, seed: np.uint64,
    same_draws: bool,
) -> float:  # fmt: skip
    dim = out.shape[1]
    gradient = np.empty(dim, np.float32)
    loss = 0.0
    for row in range(start, stop):
        size = indptr[row + 1] - indptr[row]
        if size == 0:
            continue
        for d in range(dim):
            gradient[d] = -l2 * out[row, d]
        for e in range(indptr[row], indptr[row + 1]):
            loss += _add(fixed, indices[e], row, out, True, data[e], gradient)
        counter = mixed(seed if same_draws else seed + np.uint64(row))
        for _ in range(min(size * n_negatives, n_columns)):
            counter += STEP
            loss += _add(fixed, below(mixed(counter), n_columns), row, out, False, 1.0, gradient)
        for d in range(dim):
            if d != held:
                squares[row, d] += gradient[d] * gradient[d]
                out[row, d] += rate * gradient[d] / np.sqrt(squares[row, d] + TINY)
    return loss


@summing_kernel
def _fold_in(
    start: int, stop: int, indptr: Offsets, indices: Int, n_items: int, items: Float, dim: int, rate: np.float32,
    l2: np.float32, n_negatives: int, n_passes: int, out: Float,
) -> None:  # fmt: skip
    stay = ONE - rate * l2
    for row in range(start, stop):
        counter = np.uint64(0)
        for _ in range(n_passes):
            for e in range(indptr[row], indptr[row + 1]):
                for draw in range(n_negatives + 1):
                    counter += STEP
                    item = indices[e] if draw == 0 else below(mixed(counter), n_items)
                    s = out[row, dim] + items[item, dim]
                    for d in range(dim):
                        s += out[row, d] * items[item, d]
                    step = rate * np.float32((1.0 if draw == 0 else 0.0) - _sigmoid(s))
                    for d in range(dim):
                        out[row, d] = stay * out[row, d] + step * items[item, d]
                    out[row, dim] = stay * out[row, dim] + step
