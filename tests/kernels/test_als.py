from typing import Any

import numba.core.config
import numpy as np
import pytest

from rankine.arrays import CSR
from rankine.errors import ModelError
from rankine.kernels.als import FixedSide, aligned_rows, fold_in, gram_matrix, objective, solve_rows
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


@pytest.mark.parametrize(("n", "dim"), [(0, 3), (1, 16), (511, 5), (513, 33), (50_000, 3)])
def test_the_gram_matrix_is_not_worn_by_float32(n: int, dim: int) -> None:
    vectors = np.random.default_rng(0).random((n, dim), np.float32)
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


@pytest.mark.parametrize("dim", [3, 16, 40])
@pytest.mark.parametrize("block", [1, 16, 17, 64])
def test_blocks_of_coordinates_reach_the_closed_form(dim: int, block: int) -> None:
    """At once where one block holds them all; else pass by pass, each lowering the objective."""
    csr, _, _, penalty, item_penalty = problem(8)
    rng = np.random.default_rng(dim)
    x, y = (rng.normal(0, 0.3, (n, dim)).astype(np.float32) for n in (N_USERS, N_ITEMS))
    expected, losses = fold_in(csr, y, alpha0=ALPHA0, regularization=penalty), []
    x[7] = 0
    for _ in range(1 if block >= dim else 40):
        solve_rows(csr, y, x, alpha0=ALPHA0, regularization=penalty, solver="ials++", block=block)
        losses.append(objective(csr, x, y, alpha0=ALPHA0, x_regularization=penalty, y_regularization=item_penalty))
    assert (np.diff(losses) <= 1e-6 * losses[0]).all()
    np.testing.assert_allclose(x, expected, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("solver", ["cholesky", "cg", "ials++"])
def test_the_number_of_threads_changes_nothing_but_the_last_digits(
    solver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, found = np.random.default_rng(9), []
    csr = to_csr(rng.integers(0, 300, 4000), rng.integers(0, 700, 4000), None, 300, 700)
    start, y = (rng.normal(0, 0.3, (n, 21)).astype(np.float32) for n in (300, 700))
    for n_threads in (1, 2, 5):
        monkeypatch.setattr(numba.core.config, "NUMBA_NUM_THREADS", n_threads)
        found.append(start.copy())
        solve_rows(csr, y, found[-1], alpha0=0.1, regularization=0.5, solver=solver, block=16)
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("solver", ["cholesky", "cg", "ials++"])
@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_weights_that_weigh_nothing_sensible_are_an_error_that_names_the_row(solver: Any, weight: float) -> None:
    csr, x, y, penalty, _ = problem()
    csr.data[csr.indptr[3]] = weight
    with pytest.raises(ModelError, match=f"weights must be finite and not negative; row 3 has {weight}"):
        solve_rows(csr, y, x, alpha0=ALPHA0, regularization=penalty, solver=solver)


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_a_penalty_that_is_none_is_an_error_that_names_the_row(value: float) -> None:
    csr, x, y, penalty, _ = problem()
    penalty[5] = value
    with pytest.raises(ModelError, match="`regularization` must be finite and not negative; that of row 5"):
        solve_rows(csr, y, x, alpha0=ALPHA0, regularization=penalty)


@pytest.mark.parametrize("solver", ["cholesky", "cg", "ials++"])
def test_a_matrix_without_entries_has_zeros_for_vectors(solver: Any) -> None:
    nothing = to_csr(np.empty(0, int), np.empty(0, int), None, 3, 5)
    x = np.ones((3, 4), np.float32)
    solve_rows(nothing, np.ones((5, 4), np.float32), x, alpha0=0.1, regularization=1.0, solver=solver)
    assert not x.any()
    solve_rows(transpose(nothing), x, np.empty((5, 4), np.float32), alpha0=0.1, regularization=1.0, solver=solver)


@pytest.mark.parametrize("solver", ["cholesky", "ials++"])
def test_a_singular_system_is_an_error_and_few_steps_towards_it_stay_finite(solver: Any) -> None:
    """Two neighbours for eight coordinates, and next to no penalty."""
    csr = to_csr(np.array([0, 1, 1]), np.array([0, 0, 1]), None, 2, 2)
    y = np.random.default_rng(2).normal(size=(2, 8)).astype(np.float32)
    tiny: dict[str, Any] = {"alpha0": 1e-30, "regularization": 1e-30}
    with pytest.raises(ModelError, match="row 0 have no single solution: raise `l2` or `unobserved_weight`"):
        solve_rows(csr, y, np.zeros((2, 8), np.float32), **tiny, solver=solver)
    x = np.zeros((2, 8), np.float32)
    solve_rows(csr, y, x, **tiny, cg_steps=20)
    assert np.isfinite(x).all()
    np.testing.assert_allclose(y[0] @ x[0], 1, rtol=1e-5)


def test_a_fixed_side_is_kept_for_many_calls_and_holds_no_copy_of_aligned_vectors() -> None:
    csr, _, y, penalty, _ = problem(10)
    table = aligned_rows(N_ITEMS, 32)
    table[:, :DIM] = y
    side = FixedSide.of(table, ALPHA0)
    assert side.table is table
    once, again = (fold_in(csr, side, alpha0=ALPHA0, regularization=penalty) for _ in range(2))
    assert np.array_equal(once, again)
    np.testing.assert_allclose(once[:, :DIM], fold_in(csr, y, alpha0=ALPHA0, regularization=penalty), rtol=1e-5)
    with pytest.raises(ValueError, match="`alpha0` must be that of the fixed side"):
        fold_in(csr, side, alpha0=0.5, regularization=penalty)


def test_weights_of_another_type_are_read_as_what_they_are() -> None:
    rng = np.random.default_rng(5)
    indptr, indices = np.array([0, 3, 5]), np.array([0, 2, 3, 1, 2])
    data, fixed = rng.random(5), rng.normal(size=(4, 3)).astype(np.float32)
    found = []
    for kinds in ((np.int32, np.float32), (np.int64, np.float64)):
        out = np.zeros((2, 3), np.float32)
        csr = CSR(indptr, indices.astype(kinds[0]), data.astype(kinds[1]), 4)
        solve_rows(csr, fixed, out, alpha0=0.1, regularization=0.1, solver="cg", cg_steps=20)
        found.append(out)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_numbers_beyond_float32_are_an_error() -> None:
    csr = CSR(np.array([0, 2]), np.array([0, 1], np.int32), np.full(2, 3e38, np.float32), 2)
    with pytest.raises(ModelError, match="beyond float32"):
        solve_rows(csr, np.ones((2, 3), np.float32), np.zeros((1, 3), np.float32), alpha0=0.1, regularization=0.1)
