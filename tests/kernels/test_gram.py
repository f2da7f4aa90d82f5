from __future__ import annotations

import numpy as np

from rankine.arrays import Ragged
from rankine.kernels.gram import gram, mirror, sum_dense_rows
from rankine.kernels.sparse import to_csr


def test_the_gram_matrix_equals_the_product() -> None:
    rng = np.random.default_rng(1)
    X = rng.random((40, 17)) * (rng.random((40, 17)) < 0.2)
    rows, columns = np.nonzero(X)
    baskets = to_csr(rows.astype(np.int32), columns.astype(np.int32), X[rows, columns], 40, 17)
    np.testing.assert_allclose(gram(baskets), X.T @ X, rtol=1e-5, atol=1e-7)


def test_rows_are_summed_with_their_weights_and_unknown_ones_left_out() -> None:
    matrix = np.random.default_rng(2).random((6, 4)).astype(np.float32)
    queries = Ragged.from_rows([[1, 6, 1], [], [5]])
    weights = np.array([2, 9, 1, 0.5], np.float32)
    expected = [3 * matrix[1], np.zeros(4), 0.5 * matrix[5]]
    np.testing.assert_allclose(sum_dense_rows(matrix, queries, weights), expected, rtol=1e-6)


def test_the_lower_triangle_is_mirrored_across_tiles() -> None:
    matrix = np.random.default_rng(3).random((600, 600)).astype(np.float32)
    expected = np.tril(matrix) + np.tril(matrix, -1).T
    mirror(matrix)
    np.testing.assert_array_equal(matrix, expected)
