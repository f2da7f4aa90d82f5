from __future__ import annotations

import numpy as np
import pytest

from rankine.kernels.resampling import TILE, weighted_sums


@pytest.mark.parametrize(
    ("n_rows", "n_units", "n_draws"), [(1, 1, 1), (3, 7, 5), (20, 2 * TILE + 3, 34), (2, 0, 4), (0, 3, 2)]
)
def test_sums_are_the_product(n_rows: int, n_units: int, n_draws: int) -> None:
    rng = np.random.default_rng(1)
    amounts, weights = rng.normal(0, 1, (n_rows, n_units)), rng.poisson(1.0, (n_units, n_draws))
    found = weighted_sums(amounts, weights)
    assert found.shape == (n_rows, n_draws)
    np.testing.assert_allclose(found, amounts @ weights, atol=1e-10)


def test_shapes_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ValueError, match=r"do not fit: \(2, 3\) and \(4, 1\)"):
        weighted_sums(np.ones((2, 3)), np.ones((4, 1)))
