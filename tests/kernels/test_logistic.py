from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rankine.arrays import CSR
from rankine.kernels.draws import STEP, below, mixed
from rankine.kernels.logistic import ascend_rows, padded_rows
from rankine.kernels.sparse import to_csr

Matrix = np.ndarray[Any, Any]
MASK = (1 << 64) - 1


def taken() -> CSR:
    rng = np.random.default_rng(5)
    users, items = np.nonzero(rng.random((9, 12)) < 0.25)
    csr = to_csr(users, items, rng.uniform(1, 3, len(users)), 10, 12)  # user 9 took nothing
    assert np.diff(csr.indptr)[:9].min() >= 1
    return csr


def draws(counter: int, n: int, n_columns: int) -> list[int]:
    counters = [np.uint64((counter + (d + 1) * int(STEP)) & MASK) for d in range(n)]
    return [below(np.uint64(mixed(c)), n_columns) for c in counters]


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


@pytest.mark.parametrize("n_negatives", [1, 30])
def test_a_step_of_every_row_is_adagrad_on_its_own_gradient(n_negatives: int) -> None:
    csr, rng = taken(), np.random.default_rng(6)
    fixed, out = (rng.normal(0, 0.4, (n, 4)).astype(np.float32) for n in (12, 10))
    squares = rng.random((10, 4)).astype(np.float32)
    expected, total = out.astype(float), 0.0
    for row in range(9):
        columns, weights = csr.row(row)
        x, gradient = out[row].astype(float), -0.2 * out[row].astype(float)
        for column, weight in zip(columns, weights, strict=True):
            gradient += weight * (1 - sigmoid(x @ fixed[column])) * fixed[column]
            total -= weight * np.log(sigmoid(x @ fixed[column]))
        for column in draws(int(mixed(np.uint64(8 + row))), min(len(columns) * n_negatives, 12), 12):
            gradient -= sigmoid(x @ fixed[column]) * fixed[column]
            total -= np.log(1 - sigmoid(x @ fixed[column]))
        moved = 0.3 * gradient / np.sqrt(squares[row] + gradient**2)
        moved[2] = 0  # held
        expected[row] += moved
    loss = ascend_rows(
        csr, padded_rows(fixed), out, squares, learning_rate=0.3, l2=0.2, n_negatives=n_negatives, held=2, seed=8
    )
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-6)
    assert loss * csr.nnz == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("size", [1e2, 1e4])
def test_no_score_is_too_large(size: float) -> None:
    csr = taken()
    fixed, out = np.full((12, 2), size, np.float32), np.full((10, 2), -size, np.float32)
    loss = ascend_rows(
        csr, padded_rows(fixed), out, np.zeros_like(out), learning_rate=0.1, l2=0.1, n_negatives=2, held=-1
    )
    assert np.isfinite(loss)
    assert np.isfinite(out).all()


def test_rows_that_are_not_padded_are_an_error() -> None:
    csr, rows = taken(), np.zeros((12, 5), np.float32)
    assert padded_rows(rows + 2).sum() == 120
    with pytest.raises(ValueError, match=r"`fixed` must be \[12, a multiple of 16\]; got \[12, 5\]"):
        ascend_rows(csr, rows, rows[:10], rows[:10], learning_rate=0.1, l2=0.1, n_negatives=2, held=-1)
