from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankine.arrays import Float
from rankine.kernels.topk_lists import cut, nth_best, put_best_first


def room_for(scores: Float, start: int) -> tuple[Float, np.ndarray]:
    """A list with its first score at `start`, numbered in order, and room behind it."""
    values, ids = np.full(start + len(scores) + 64, 99, np.float32), np.full(start + len(scores) + 64, -5, np.int32)
    values[start : start + len(scores)], ids[start : start + len(scores)] = scores, np.arange(len(scores))
    return values, ids


draws = {
    "seed": st.integers(0, 10_000),
    "size": st.integers(1, 200),
    "n": st.integers(1, 200),
    "n_values": st.sampled_from([1, 2, 9, 100_000]),
    "start": st.sampled_from([0, 3, 64]),
}


@given(**draws)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_best_stay_in_their_order_and_of_equals_the_first(
    seed: int, size: int, n: int, n_values: int, start: int
) -> None:
    scores = np.random.default_rng(seed).integers(-n_values, n_values, size).astype(np.float32)
    expected = np.sort(np.lexsort((np.arange(size), -scores))[:n])
    values, ids = room_for(scores, start)
    kept, limit = cut(values, ids, start, size, n)
    assert ids[start : start + kept].tolist() == expected.tolist()
    assert values[start : start + kept].tolist() == scores[expected].tolist()
    assert limit <= scores[expected].min()
    assert size <= n or np.count_nonzero(scores > limit) <= n
    out_scores, out_ids = np.full(n, -np.inf, np.float32), np.full(n, -1, np.int32)
    put_best_first(values, ids, start, kept, out_scores, out_ids)
    assert out_ids[:kept].tolist() == np.lexsort((np.arange(size), -scores))[:n].tolist()
    assert (out_ids[kept:] == -1).all()


@pytest.mark.parametrize("values", [[-0.0, 0.0] * 32, [1e-45, -1e-45, 0, 3e38] * 16, [7.0] * 64])
@pytest.mark.parametrize("n", [1, 20, 63])
def test_the_limit_parts_the_n_best_from_the_rest(values: list[float], n: int) -> None:
    scores = np.array(values, np.float32)
    limit = nth_best(scores, 0, 64, n)
    assert np.count_nonzero(scores > limit) <= n <= np.count_nonzero(scores >= limit)
