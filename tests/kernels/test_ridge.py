from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rankine.arrays import CSR
from rankine.kernels import ridge
from rankine.kernels.sparse import to_csr

Matrix = np.ndarray[Any, Any]


def taken(n_baskets: int, n_items: int) -> tuple[CSR, Matrix]:
    """Random baskets, sparse and dense; nobody took item 3."""
    X = (np.random.default_rng(6).random((n_baskets, n_items)) < 0.1).astype(np.float64)
    X[:, 3] = 0
    rows, columns = np.nonzero(X)
    return to_csr(rows.astype(np.int32), columns.astype(np.int32), None, n_baskets, n_items), X


def closed_form(X: Matrix, l2: float) -> Matrix:
    P = np.linalg.inv(X.T @ X + l2 * np.eye(X.shape[1]))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    return B


def dense(matrix: CSR) -> Matrix:
    out = np.zeros((matrix.n_rows, matrix.n_columns))
    for row in range(matrix.n_rows):
        out[row, matrix.row(row)[0]] = matrix.row(row)[1]
    return out


@pytest.fixture
def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that do not divide the sizes below, so that every border occurs."""
    for name, size in (("PIVOTS", 40), ("TILE", 64), ("SLAB", 130 * 40)):
        monkeypatch.setattr(ridge, name, size)


@pytest.mark.usefixtures("in_small_parts")
@pytest.mark.parametrize("shape", [(200, 90), (50, 130)], ids=["more baskets", "more items"])
def test_both_sides_give_the_closed_form(shape: tuple[int, int]) -> None:
    baskets, X = taken(*shape)
    weights = ridge.ridge_weights(baskets, 5.0)
    assert isinstance(weights, np.ndarray)
    np.testing.assert_allclose(weights, closed_form(X, 5.0), atol=1e-6)


@pytest.mark.usefixtures("in_small_parts")
@pytest.mark.parametrize("shape", [(200, 90), (110, 130)], ids=["more baskets", "more items"])
def test_the_largest_of_each_column_are_kept_as_they_are(shape: tuple[int, int]) -> None:
    baskets, X = taken(*shape)
    expected = closed_form(X, 5.0)
    for column in expected.T:
        column[np.argsort(-np.abs(column), kind="stable")[7:]] = 0
    kept = ridge.ridge_weights(baskets, 5.0, keep=7)
    assert isinstance(kept, CSR)
    np.testing.assert_allclose(dense(kept), expected, atol=1e-6)


@pytest.mark.usefixtures("in_small_parts")
def test_an_inverse_in_place_reads_the_lower_triangle_only() -> None:
    X = np.random.default_rng(7).random((150, 101))
    symmetric = X.T @ X + np.eye(101)
    matrix = np.tril(symmetric).astype(np.float32) + np.triu(np.full((101, 101), 9.0, np.float32), 1)
    ridge.invert(matrix)
    np.testing.assert_allclose(matrix, np.linalg.inv(symmetric), atol=2e-5)
    np.testing.assert_array_equal(matrix, matrix.T)


def test_a_pivot_below_zero_is_an_error() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        ridge.invert(np.full((3, 3), -5.0, np.float32))


def test_the_memory_of_each_way_is_counted() -> None:
    n, m = 40_000, 30_000
    assert 6.4e9 < ridge.ridge_bytes(n, m) < 6.9e9  # dense: items by items, in place
    assert 3.6e9 + 1000 * n * 8 < ridge.ridge_bytes(n, m, 1000) < 5.1e9  # sparse: baskets by baskets
    assert 6.8e9 < ridge.ridge_bytes(n, 10_000) < 7.0e9  # dense, few baskets: both


@pytest.mark.parametrize("keep", [0, 2])
def test_without_a_basket_no_item_speaks_for_another(keep: int) -> None:
    weights = ridge.ridge_weights(to_csr(np.empty(0, np.int32), np.empty(0, np.int32), None, 0, 4), 1.0, keep=keep)
    assert not (weights.nnz if isinstance(weights, CSR) else weights.any())
