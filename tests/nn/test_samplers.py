from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from rankine.nn.samplers import ItemSampler, TakenPairs

COUNTS = np.array([0, 1, 5, 20, 50, 3])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_draws_follow_popularity_to_the_power(alpha: float) -> None:
    sampler = ItemSampler.by_popularity(COUNTS, alpha)
    expected = COUNTS**alpha / (COUNTS**alpha).sum()
    np.testing.assert_allclose(sampler.probabilities, expected)
    drawn = np.bincount(sampler.draw((40, 500), np.random.default_rng(3)).ravel(), minlength=6)
    assert drawn[expected == 0].sum() == 0
    some = expected > 0
    assert chisquare(drawn[some], 20_000 * expected[some]).pvalue > 1e-3


def test_draws_are_int32_of_the_shape_and_repeat_with_the_seed() -> None:
    sampler = ItemSampler.by_popularity(COUNTS, 0.75)
    first, again = (sampler.draw((3, 4), np.random.default_rng(5)) for _ in range(2))
    assert first.dtype == np.int32
    assert first.shape == (3, 4)
    np.testing.assert_array_equal(first, again)


def test_nothing_taken_is_drawn_and_the_rest_evenly() -> None:
    users, items = np.array([0, 0, 1], np.int32), np.array([1, 3, 0], np.int32)
    taken = TakenPairs(users, items, 6)
    drawn = ItemSampler.by_popularity(COUNTS, 0.0).draw_not_taken(
        np.array([0, 1], np.int32), 6000, taken, np.random.default_rng(2)
    )
    for row, held in enumerate(([1, 3], [0])):
        counts = np.bincount(drawn[row], minlength=6)
        assert counts[held].sum() == 0
        assert chisquare(np.delete(counts, held)).pvalue > 1e-3


def test_who_took_everything_does_not_hang_the_draw() -> None:
    taken = TakenPairs(np.zeros(6, np.int32), np.arange(6), 6)
    drawn = ItemSampler.by_popularity(COUNTS, 0.0).draw_not_taken(
        np.array([0], np.int32), 3, taken, np.random.default_rng(2)
    )
    assert drawn.shape == (1, 3)


def test_taken_pairs_answer_for_arrays() -> None:
    taken = TakenPairs(np.array([2, 0]), np.array([5, 1]), 6)
    found = taken.holds(np.array([[0], [2]]), np.array([[1, 5, 0], [1, 5, 0]]))
    np.testing.assert_array_equal(found, [[True, False, False], [False, True, False]])


def test_log_excess_compares_with_an_even_draw() -> None:
    np.testing.assert_allclose(ItemSampler.by_popularity(COUNTS, 0.0).log_excess, 0)
    found = ItemSampler.by_popularity(COUNTS, 1.0).log_excess
    assert found[4] == pytest.approx(np.log(6 * 50 / 79))
    assert np.isfinite(found).all()
