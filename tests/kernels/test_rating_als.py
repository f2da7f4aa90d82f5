from __future__ import annotations

import numpy as np

from rankine.kernels.rating_als import solve_ratings

DIM, N_COLUMNS = 6, 11


def test_each_row_solves_its_dense_normal_equations() -> None:
    rng = np.random.default_rng(4)
    lengths = np.array([0, 1, 4, 3, 9, 40, 0])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    columns = rng.integers(0, N_COLUMNS, offsets[-1]).astype(np.int32)
    values = rng.normal(0, 1, offsets[-1]).astype(np.float32)
    fixed = rng.normal(0, 0.5, (N_COLUMNS, DIM)).astype(np.float32)
    fixed_bias = rng.normal(0, 0.5, N_COLUMNS).astype(np.float32)
    vectors, biases = solve_ratings(offsets, columns, values, fixed, fixed_bias, 0.07, 2.5)
    assert vectors.dtype == biases.dtype == np.float32
    for row, n in enumerate(lengths):
        mine = slice(offsets[row], offsets[row + 1])
        seen = np.hstack([fixed[columns[mine]], np.ones((n, 1))]).astype(np.float64)
        penalty = np.diag([0.07 * max(n, 1)] * DIM + [2.5])
        gaps = values[mine] - fixed_bias[columns[mine]].astype(np.float64)
        expected = np.linalg.solve(seen.T @ seen + penalty, seen.T @ gaps)
        np.testing.assert_allclose(np.append(vectors[row], biases[row]), expected, rtol=1e-4, atol=1e-6)


def test_values_of_zero_give_zeros() -> None:
    offsets, columns = np.array([0, 3], np.int64), np.array([0, 1, 2], np.int32)
    fixed = np.eye(3, dtype=np.float32)
    vectors, biases = solve_ratings(offsets, columns, np.zeros(3, np.float32), fixed, np.zeros(3, np.float32), 0.1, 1.0)
    assert not vectors.any()
    assert not biases.any()


def test_more_factors_than_values_have_one_solution() -> None:
    offsets, columns = np.array([0, 2], np.int64), np.array([0, 0], np.int32)
    fixed = np.full((1, 50), 100.0, np.float32)
    vectors, biases = solve_ratings(
        offsets, columns, np.ones(2, np.float32), fixed, np.zeros(1, np.float32), 1e-4, 1e-4
    )
    np.testing.assert_allclose(fixed @ vectors[0] + biases, [1.0], rtol=1e-4)
