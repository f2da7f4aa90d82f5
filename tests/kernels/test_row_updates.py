"""Gradients added up by row; the steps themselves are tested with the optimisers that make them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rankine.kernels.grouping import Groups
from rankine.kernels.row_updates import PARALLEL, RowSums

Numbers = np.ndarray[Any, Any]


def added(idx: Numbers, gradients: Numbers, n_rows: int) -> RowSums:
    return RowSums.of_groups(Groups.of(idx, n_rows), gradients.astype(np.float32))


@pytest.mark.parametrize("dim", [1, 5, 16, 37])
def test_gradients_of_equal_rows_are_added_up(dim: int) -> None:
    rng = np.random.default_rng(dim)
    idx, gradients = rng.integers(0, 9, 30), rng.normal(0, 1, (30, dim))
    sums = added(idx, gradients, 11)
    assert sums.rows.tolist() == sorted(set(idx.tolist()))
    expected = np.zeros((11, dim))
    np.add.at(expected, idx, gradients)
    np.testing.assert_allclose(sums.sums.reshape(-1, dim), expected[sums.rows], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_rows", [3, 1000])
def test_threads_share_the_work_and_the_sums_are_the_same(n_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    n = PARALLEL // 16 + 1
    idx, gradients = rng.integers(0, n_rows, n), rng.normal(0, 1, (n, 16)).astype(np.float32)
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr("numba.core.config.NUMBA_NUM_THREADS", threads)
        results.append(added(idx, gradients, n_rows).sums)
    assert all(np.array_equal(values, results[0]) for values in results[1:])


def test_a_row_that_fills_the_batch_is_added_up_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.config.NUMBA_NUM_THREADS", 4)
    sums = added(np.full(PARALLEL, 6), np.ones((PARALLEL, 1)), 7)
    assert (sums.rows.tolist(), sums.sums.tolist()) == ([6], [PARALLEL])


def test_a_penalty_is_added_once_per_row() -> None:
    sums = added(np.array([2, 0, 2]), np.ones((3, 2)), 4)
    sums.penalise(np.arange(8, dtype=np.float32), 0.5)
    assert sums.sums.tolist() == [1.0, 1.5, 4.0, 4.5]


def test_gradients_of_ascending_rows_are_taken_as_they_are_and_kept_apart() -> None:
    gradients = np.ones((2, 2), np.float32)
    sums = RowSums.of_ascending(np.array([1, 3]), gradients, 4)
    sums.penalise(np.ones(8, np.float32), 1.0)
    assert sums.sums.tolist() == [2.0] * 4
    assert gradients.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    with pytest.raises(ValueError, match=r"`idx` must lie in 0 \.\. 2; got 1 \.\. 3"):
        RowSums.of_ascending(np.array([1, 3]), gradients, 3)


def test_an_empty_batch_touches_nothing() -> None:
    assert added(np.empty(0, np.int64), np.empty((0, 3)), 4).sums.tolist() == []
