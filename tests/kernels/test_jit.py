from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import pytest

from rankine.arrays import Ragged
from rankine.kernels.jit import check_indices, flat, kernel, over_rows
from rankine.kernels.ranks import top_k


@pytest.mark.parametrize("n_rows", [0, 1, 5, 1000])
def test_chunks_cover_every_row_once_and_in_order(n_rows: int) -> None:
    parts = over_rows(lambda start, stop: list(range(start, stop)), n_rows)
    assert [row for part in parts for row in part] == list(range(n_rows))


@pytest.mark.parametrize("costs", [np.zeros(50), np.r_[np.zeros(20), 1e6, np.ones(29)], np.r_[np.zeros(49), 5]])
def test_chunks_of_uneven_work_cover_every_row_once(costs: np.ndarray) -> None:
    work = np.concatenate([[0], np.cumsum(costs)]).astype(np.int64)
    parts = over_rows(lambda start, stop: list(range(start, stop)), 50, work=work)
    assert [row for part in parts for row in part] == list(range(50))


def test_an_error_in_a_chunk_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        over_rows(lambda start, stop: 1 // 0, 100)


def test_kernels_may_run_from_several_threads_at_once() -> None:
    scores = np.random.default_rng(0).random((64, 500), np.float32)
    alone = top_k(scores, 5)[0]
    with ThreadPoolExecutor(4) as pool:
        for items, _ in pool.map(lambda _: top_k(scores, 5), range(20)):
            np.testing.assert_array_equal(items, alone)


def test_flat_rows_start_at_zero() -> None:
    values, offsets = flat(Ragged(np.array([9, 1, 2, 3, 9]), np.array([1, 2, 4])))
    assert values.tolist() == [1, 2, 3]
    assert offsets.tolist() == [0, 1, 3]


def test_an_index_outside_is_an_error_that_names_the_range() -> None:
    with pytest.raises(ValueError, match=r"`rows` must lie in 0 \.\. 4; got 0 \.\. 5"):
        check_indices("rows", np.array([0, 5]), 5)


def test_kernels_compile_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit

    def njit(*, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", njit)
    assert kernel(lambda x: x + 1)(1) == 2
