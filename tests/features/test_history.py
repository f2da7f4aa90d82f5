from __future__ import annotations

import numpy as np
import pytest

from rankine.arrays import Ragged
from rankine.features.history import MAX_HISTORY, N_COUNT_BUCKETS, Past, count_bucket, strictly_before


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("timed", [True, False])
def test_the_past_is_what_a_loop_finds(seed: int, timed: bool) -> None:
    rng = np.random.default_rng(seed)
    n = 120
    visitor, item = rng.integers(-1, 6, n), rng.integers(0, 5, n).astype(np.int32)
    time = rng.integers(0, 30, n).astype(np.float64)
    time[rng.random(n) < 0.1] = np.nan
    counts = rng.random(n) < 0.7
    past = strictly_before(visitor, time if timed else None, item, counts)
    clock = time if timed else np.arange(n)
    last, asked = past.last(3, -1), rng.integers(0, 6, n).astype(np.int32)
    met = past.times_met(asked)
    for row in range(n):
        mine = [
            e
            for e in np.argsort(clock, kind="stable")
            if visitor[e] == visitor[row] >= 0 and counts[e] and clock[e] < clock[row]
        ]
        assert past.lengths[row] == len(mine)
        items = item[mine].tolist()
        assert last[row].tolist() == [*items[::-1][:3], -1, -1, -1][:3]
        assert met[row] == items.count(asked[row])


def test_a_long_past_is_cut_to_its_latest_events() -> None:
    n = MAX_HISTORY + 20
    items = np.r_[np.zeros(20), np.ones(MAX_HISTORY - 1), 0].astype(np.int32)
    log = strictly_before(np.zeros(n, int), None, items, np.ones(n, bool)).take(slice(-1, None))
    rows = Past.of_rows(Ragged.from_rows([items[:-1]]))
    for past in (log, rows):
        assert past.lengths.tolist() == [MAX_HISTORY]
        assert past.times_met(np.zeros(1, np.int32)).tolist() == [1]
        assert past.times_met(np.ones(1, np.int32)).tolist() == [MAX_HISTORY - 1]


def test_nothing_came_before_nobody() -> None:
    past = Past.nothing(3)
    assert past.lengths.tolist() == [0, 0, 0]
    assert past.last(2, 9).tolist() == [[9, 9]] * 3
    assert past.times_met(np.zeros(3, np.int32)).tolist() == [0, 0, 0]


def test_count_buckets_grow_and_never_fall() -> None:
    buckets = count_bucket(np.arange(MAX_HISTORY + 1))
    assert buckets[:9].tolist() == [0, 1, 2, 3, 3, 4, 5, 5, 6]
    assert (np.diff(buckets) >= 0).all()
    assert buckets[-1] == N_COUNT_BUCKETS - 1
