from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rankine.kernels.grouping import Groups


@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("n_rows", [30, 30_000])
@pytest.mark.parametrize("n", [0, 1, 200])
def test_each_row_has_its_entries_in_the_order_of_the_batch(kind: type, n: int, n_rows: int) -> None:
    idx: np.ndarray[Any, Any] = np.random.default_rng(n).integers(0, 30, n).astype(kind)
    groups = Groups.of(idx, n_rows)
    assert groups.rows.tolist() == sorted(set(idx.tolist()))
    found = np.split(groups.entries, groups.borders[1:-1])
    for row, entries in zip(groups.rows, found, strict=False):
        assert entries.tolist() == np.flatnonzero(idx == row).tolist()


def test_an_equal_batch_has_the_groups_of_the_last_one() -> None:
    last = Groups.of(np.array([3, 1, 3]), 4)
    assert Groups.again(np.array([3, 1, 3]), 5, last) is last
    assert Groups.again(np.array([3, 3, 1]), 5, last).entries.tolist() == [2, 0, 1]
    assert Groups.again(np.array([0]), 5, None).rows.tolist() == [0]
    with pytest.raises(ValueError, match=r"`idx` must lie in 0 \.\. 2; got 1 \.\. 3"):
        Groups.again(np.array([3, 1, 3]), 3, last)


@pytest.mark.parametrize("n_rows", [4, 9])
@pytest.mark.parametrize("idx", [[0, 9], [-1, 2]])
def test_rows_out_of_the_table_are_refused(idx: list[int], n_rows: int) -> None:
    with pytest.raises(ValueError, match=r"`idx` must lie in 0 \.\. [38]; got"):
        Groups.of(np.array(idx), n_rows)
