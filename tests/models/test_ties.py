from __future__ import annotations

import numpy as np

from rankine.models.ties import STEP, break_ties, popularity_order


def test_the_order_is_that_of_positive_weight() -> None:
    items, weight = np.array([2, 0, 0, 1, 3, 3]), np.array([5.0, 1, 1, 2, -4, 1])
    order = popularity_order(items, weight, 5)  # weights 2, 2, 5, 1, 0
    assert order.dtype == np.float32
    assert np.argsort(order, kind="stable").tolist() == [4, 3, 0, 1, 2]
    assert order[0] == order[1]
    assert ((order >= 0) & (order <= 1)).all()
    assert popularity_order(items[:0], weight[:0], 0).tolist() == []


def test_equal_scores_are_told_apart_and_the_others_keep_their_places() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 20, (30, 50)).astype(np.float32)
    order = (rng.permutation(50) / 50).astype(np.float32)
    broken = break_ties(scores, order)
    assert broken.dtype == np.float32
    for before, after in zip(scores, broken, strict=True):
        expected = np.lexsort((order, before))
        found = np.lexsort((np.where(before == 0, order, 0), after))  # zeros stay ties
        assert np.array_equal(before[found], before[expected])
        assert np.array_equal(found[before[found] > 0], expected[before[expected] > 0])
    assert not broken[scores == 0].any()
    assert (np.abs(broken - scores) <= 1.01 * STEP * scores).all()
