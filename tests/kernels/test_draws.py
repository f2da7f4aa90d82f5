from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from rankine.kernels.draws import STEP, alias_table, below, mixed, weighted

STEP_INT, MASK = int(STEP), (1 << 64) - 1


def bits(n: int) -> list[np.uint64]:
    return [np.uint64(mixed(np.uint64((draw + 1) * STEP_INT & MASK))) for draw in range(n)]


def test_bits_are_those_of_the_published_generator() -> None:
    assert [int(b) for b in bits(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@pytest.mark.parametrize("n", [1, 3, 10])
def test_whole_numbers_below_a_bound_are_even(n: int) -> None:
    drawn = np.bincount([below(b, n) for b in bits(3000)], minlength=n)
    assert len(drawn) == n
    assert n == 1 or chisquare(drawn).pvalue > 1e-3


def test_a_table_draws_by_weight() -> None:
    weights = np.array([0.0, 1.0, 5.0, 20.0, 0.5])
    keep, other = alias_table(weights)
    chance = np.bincount(other, (1 - keep) / 5, minlength=5) + keep / 5
    np.testing.assert_allclose(chance, weights / weights.sum(), atol=1e-6)
    drawn = np.bincount([weighted(b, keep, other) for b in bits(5000)], minlength=5)
    assert drawn[0] == 0
    assert chisquare(drawn[1:], 5000 * weights[1:] / weights.sum()).pvalue > 1e-3


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1.0, 2.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="`weights` must be finite"):
        alias_table(np.array(weights))
