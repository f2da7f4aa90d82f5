from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rankine.arrays import CSR
from rankine.kernels.slim import slim_weights
from rankine.kernels.sparse import to_csr

Matrix = np.ndarray[Any, Any]


def sparse(X: Matrix) -> CSR:
    rows, columns = np.nonzero(X)
    return to_csr(rows.astype(np.int32), columns.astype(np.int32), None, *X.shape)


def dense(matrix: CSR) -> Matrix:
    out = np.zeros((matrix.n_rows, matrix.n_columns))
    for row in range(matrix.n_rows):
        out[row, matrix.row(row)[0]] = matrix.row(row)[1]
    return out


def elastic_net(X: Matrix, l1: float, l2: float) -> Matrix:
    """Row j the weights for item j: every coordinate in turn, on the Gram matrix in float64, until nothing moves."""
    G, W = X.T @ X, np.zeros((X.shape[1], X.shape[1]))
    for j, w in enumerate(W):
        for _ in range(3000):
            before = w.copy()
            for i in range(len(w)):
                if i != j and G[i, i]:
                    w[i] = max(0.0, (G[i, j] - G[i] @ w + G[i, i] * w[i] - l1) / (G[i, i] + l2))
            if np.abs(w - before).max() < 1e-10:
                break
    return W


def test_two_items_by_hand() -> None:
    # item 0 is taken 4 times, item 1 three times, both twice: w of item 1 for item 0 = (2 - l1) / (3 + l2)
    X = np.array([[1, 1], [1, 1], [1, 0], [1, 0], [0, 1]])
    weights = slim_weights(sparse(X), l1=0.5, l2=1.0)
    np.testing.assert_allclose([weights.row(0)[1], weights.row(1)[1]], [[1.5 / 4], [1.5 / 5]])
    assert slim_weights(sparse(X), l1=2.0, l2=1.0).nnz == 0


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 1.0), (0.6, 2.0), (2.5, 0.5)])
def test_weights_are_those_of_a_slow_elastic_net(l1: float, l2: float) -> None:
    X = (np.random.default_rng(4).random((60, 12)) < 0.3).astype(np.float64)
    X[:, 5] = 0  # an item nobody took
    weights = dense(slim_weights(sparse(X), l1=l1, l2=l2, max_sweeps=3000, tolerance=1e-9))
    np.testing.assert_allclose(weights, elastic_net(X, l1, l2), atol=1e-7)


def test_optimality_holds_for_items_with_many_takers() -> None:
    rng = np.random.default_rng(5)
    X = (rng.random((3000, 25)) < rng.random(25) * 0.6).astype(np.float64)
    W = dense(slim_weights(sparse(X), l1=5.0, l2=20.0, max_sweeps=500, tolerance=1e-8)).T
    gradient = X.T @ (X @ W - X) + 20.0 * W + 5.0
    np.fill_diagonal(gradient, 0)
    assert (
        np.abs(gradient[W > 0]).max() < 1e-4
    )  # weights are stored as float32: 1e-8 of each, times thousands of takers
    assert gradient[W == 0].min() > -1e-4


def test_no_item_and_no_basket_give_no_weight() -> None:
    assert slim_weights(to_csr(np.empty(0, np.int32), np.empty(0, np.int32), None, 0, 3), l1=1.0, l2=1.0).nnz == 0
