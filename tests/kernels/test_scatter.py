from __future__ import annotations

import numpy as np
import pytest

from rankine.kernels.scatter import rows_added


@pytest.mark.parametrize("n", [0, 1, 300])
@pytest.mark.parametrize("dim", [1, 7])
def test_rows_are_added_where_they_belong(n: int, dim: int) -> None:
    rng = np.random.default_rng(n)
    idx, rows = rng.integers(0, 20, n), rng.normal(size=(n, dim)).astype(np.float32)
    expected = np.zeros((20, dim))
    for at, row in zip(idx, rows, strict=True):
        expected[at] += row
    found = rows_added(idx.astype(np.int32), rows, 20)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("row", [-1, 5])
def test_a_row_that_is_not_there_is_refused(row: int) -> None:
    with pytest.raises(ValueError, match=r"`idx` must lie in 0 \.\. 4"):
        rows_added(np.array([0, row]), np.ones((2, 3), np.float32), 5)
