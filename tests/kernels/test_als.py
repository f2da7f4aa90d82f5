import numpy as np
import pytest

from rankine.arrays import CSR
from rankine.errors import ModelError
from rankine.kernels.als import fold_in, gram_matrix, objective, solve_rows
from rankine.kernels.sparse import to_csr, transpose

N_USERS, N_ITEMS, DIM, ALPHA0 = 40, 30, 11, 0.3


def problem(seed: int = 0, weighted: bool = True) -> tuple[CSR, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Weights, both sides' vectors and both sides' penalties; user 7 and item 3 have nothing."""
    rng = np.random.default_rng(seed)
    seen = rng.random((N_USERS, N_ITEMS)) < 0.4
    seen[7], seen[:, 3] = False, False
    users, items = np.nonzero(seen)
    weights = rng.uniform(0.5, 3, len(users)) if weighted else np.ones(len(users))
    csr = to_csr(users, items, weights.astype(np.float32), N_USERS, N_ITEMS)
    x, y = (rng.normal(0, 0.3, (n, DIM)).astype(np.float32) for n in (N_USERS, N_ITEMS))
    return csr, x, y, rng.uniform(0.5, 2, N_USERS), rng.uniform(0.5, 2, N_ITEMS)


def dense_weights(csr: CSR) -> np.ndarray:
    out = np.zeros((csr.n_rows, csr.n_columns))
    for row in range(csr.n_rows):
        out[row, csr.row(row)[0]] = csr.row(row)[1]
    return out


def slow_solution(csr: CSR, y: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    w, y = dense_weights(csr), y.astype(np.float64)
    rows = [np.linalg.solve(ALPHA0 * y.T @ y + (w[u] * y.T) @ y + penalty[u] * np.eye(DIM), w[u] @ y)
            for u in range(csr.n_rows)]  # fmt: skip
    return np.array(rows)


def test_cholesky_is_the_closed_form() -> None:
    csr, x, y, penalty, _ = problem()
    solve_rows(csr, y, x, alpha0=ALPHA0, regularization=penalty, solver="cholesky")
    np.testing.assert_allclose(x, slow_solution(csr, y, penalty), rtol=1e-5, atol=1e-6)
    assert not x[7].any()


def test_many_steps_of_conjugate_gradient_are_the_closed_form() -> None:
    csr, x, y, penalty, _ = problem(1)
    solve_rows(csr, y, x, alpha0=ALPHA0, regularization=penalty, solver="cg", cg_steps=100)
    np.testing.assert_allclose(x, slow_solution(csr, y, penalty), rtol=1e-4, atol=1e-5)
    assert not x[7].any()


def test_few_steps_start_from_where_the_row_was() -> None:
    csr, _, y, penalty, _ = problem(2)
    exact = slow_solution(csr, y, penalty).astype(np.float32)
    warm, cold = exact + np.float32(1e-3), np.zeros_like(exact)
    for x in (warm, cold):
        solve_rows(csr, y, x, alpha0=ALPHA0, regularization=penalty, cg_steps=1)
    assert np.abs(warm - exact).mean() < 1e-3
    assert np.abs(cold - exact).mean() > 1e-2


def test_a_solution_stays_a_solution() -> None:
    csr, _, y, penalty, _ = problem(3)
    exact = slow_solution(csr, y, penalty)
    x = exact.astype(np.float32)
    solve_rows(csr, y, x, alpha0=ALPHA0, regularization=penalty, cg_steps=50)
    np.testing.assert_allclose(x, exact, atol=1e-6)


def test_confidences_of_hu_koren_volinsky_give_the_same_vectors_times_one_plus_alpha0() -> None:
    csr, x, y, penalty, _ = problem(4, weighted=False)
    solve_rows(csr, y, x, alpha0=ALPHA0, regularization=penalty, solver="cholesky")
    y = y.astype(np.float64)
    for u in range(N_USERS):
        c = 1 + (1 / ALPHA0) * dense_weights(csr)[u]
        preference = dense_weights(csr)[u] > 0
        hu = np.linalg.solve(y.T @ np.diag(c) @ y + penalty[u] / ALPHA0 * np.eye(DIM), y.T @ (c * preference))
        np.testing.assert_allclose((1 + ALPHA0) * x[u], hu, rtol=1e-4, atol=1e-5)


def test_the_objective_is_the_sum_over_all_cells() -> None:
    csr, x, y, x_penalty, y_penalty = problem(5)
    scores = x.astype(np.float64) @ y.T.astype(np.float64)
    expected = (dense_weights(csr) * (scores - 1) ** 2).sum() + ALPHA0 * (scores**2).sum()
    expected += (x_penalty * (x**2).sum(1)).sum() + (y_penalty * (y**2).sum(1)).sum()
    found = objective(csr, x, y, alpha0=ALPHA0, x_regularization=x_penalty, y_regularization=y_penalty)
    assert found == pytest.approx(expected, rel=1e-5)


def test_every_exact_half_sweep_lowers_the_objective() -> None:
    csr, x, y, x_penalty, y_penalty = problem(6)
    by_item, losses = transpose(csr), []
    for _ in range(6):
        for side, fixed, out, penalty in ((csr, y, x, x_penalty), (by_item, x, y, y_penalty)):
            solve_rows(side, fixed, out, alpha0=ALPHA0, regularization=penalty, solver="cholesky")
            loss = objective(csr, x, y, alpha0=ALPHA0, x_regularization=x_penalty, y_regularization=y_penalty)
            losses.append(loss)
    assert (np.diff(losses) <= 1e-6 * losses[0]).all()
    assert losses[-1] < 0.98 * losses[0]


def test_the_same_row_folded_in_gets_the_vector_of_training() -> None:
    csr, x, y, penalty, _ = problem(7)
    solve_rows(csr, y, x, alpha0=ALPHA0, regularization=penalty, solver="cholesky")
    np.testing.assert_array_equal(fold_in(csr, y, alpha0=ALPHA0, regularization=penalty), x)


def test_the_gram_matrix_of_many_rows_is_not_worn_by_float32() -> None:
    vectors = np.random.default_rng(0).random((50_000, 3), np.float32)
    np.testing.assert_allclose(gram_matrix(vectors), vectors.astype(np.float64).T @ vectors, rtol=1e-6)


@pytest.mark.parametrize("dim", [1, 8, 17])
def test_any_dimension_can_be_solved(dim: int) -> None:
    y = np.random.default_rng(dim).normal(size=(5, dim)).astype(np.float32)
    csr = to_csr(np.repeat(0, 5), np.arange(5), None, 1, 5)
    y64 = y.astype(np.float64)
    expected = np.linalg.solve(1.1 * y64.T @ y64 + 0.5 * np.eye(dim), y64.sum(0))
    np.testing.assert_allclose(fold_in(csr, y, alpha0=0.1, regularization=0.5)[0], expected, rtol=1e-4, atol=1e-5)


def test_equations_without_a_single_solution_are_an_error_that_names_the_row() -> None:
    csr = to_csr(np.array([2]), np.array([0]), None, 3, 1)
    with pytest.raises(ModelError, match="row 2 have no single solution"):
        fold_in(csr, np.ones((1, 4), np.float32), alpha0=0.0, regularization=0.0)


def test_vectors_that_are_not_a_number_are_an_error_of_the_exact_solver() -> None:
    csr = to_csr(np.array([0]), np.array([0]), None, 1, 1)
    with pytest.raises(ModelError, match="row 0"):
        fold_in(csr, np.full((1, 4), np.nan, np.float32), alpha0=0.1, regularization=1.0)


def test_wrong_shapes_are_errors() -> None:
    csr, x, y, penalty, _ = problem()
    with pytest.raises(ValueError, match="`fixed` must be"):
        solve_rows(csr, x, x, alpha0=ALPHA0, regularization=penalty)
    with pytest.raises(ValueError, match="`out` must be"):
        solve_rows(csr, y, x[:-1], alpha0=ALPHA0, regularization=penalty)
    with pytest.raises(ValueError, match="`out` must be"):
        solve_rows(csr, y, x.astype(np.float64), alpha0=ALPHA0, regularization=penalty)


def test_only_a_row_that_equals_the_one_before_in_all_three_takes_its_vector() -> None:
    rows = [0, 0, 1, 1, 2, 2, 3, 3, 4]
    items = [2, 5, 2, 5, 2, 5, 2, 6, 2]
    weights = np.array([1, 2, 1, 2, 1, 3, 1, 3, 1], np.float32)
    csr = to_csr(np.array(rows), np.array(items), weights, 5, 8)
    y = np.random.default_rng(4).normal(size=(8, DIM)).astype(np.float32)
    penalty = np.array([0.5, 0.5, 0.5, 0.5, 0.9])
    folded = fold_in(csr, y, alpha0=ALPHA0, regularization=penalty)
    np.testing.assert_allclose(folded, slow_solution(csr, y, penalty), rtol=1e-5, atol=1e-6)
    other = penalty + np.array([0, 0.3, 0, 0, 0])
    np.testing.assert_allclose(
        fold_in(csr, y, alpha0=ALPHA0, regularization=other), slow_solution(csr, y, other), rtol=1e-5, atol=1e-6
    )
    assert np.array_equal(folded[0], folded[1])
    assert not np.array_equal(folded[1], folded[2])
