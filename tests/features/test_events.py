from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rankine.arrays import CSR
from rankine.errors import DataError
from rankine.features.events import EventArrays, positive, repeats_previous

N_USERS, N_ITEMS = 5, 7


def random_events(seed: int, n: int = 120, *, collapse: bool = False) -> EventArrays:
    rng = np.random.default_rng(seed)
    return EventArrays(
        n_users=N_USERS,
        n_items=N_ITEMS,
        user_idx=rng.integers(0, N_USERS + 1, n).astype(np.int32),
        item_idx=rng.integers(0, N_ITEMS, n).astype(np.int32),
        weight=rng.choice([1.0, 3.0, -3.0], n).astype(np.float32),
        value=np.where(rng.random(n) < 0.3, np.nan, rng.random(n)).astype(np.float32),
        timestamp=np.cumsum(rng.random(n)),
        session_idx=rng.integers(0, 20, n).astype(np.int32),
        collapse_repeats=collapse,
    )


def dense(matrix: CSR) -> np.ndarray[Any, Any]:
    out = np.zeros((matrix.n_rows, matrix.n_columns))
    for row in range(matrix.n_rows):
        columns, values = matrix.row(row)
        assert (np.diff(columns) > 0).all()
        out[row, columns] = values
    return out


def test_interactions_are_sums_of_weights_above_zero() -> None:
    data = random_events(1)
    expected = np.zeros((N_USERS + 1, N_ITEMS))
    np.add.at(expected, (data.user_idx, data.item_idx), data.weight)
    matrix = data.interactions
    np.testing.assert_array_equal(dense(matrix), np.maximum(expected[:-1], 0))
    assert (matrix.data > 0).all()
    assert (np.minimum(expected, 0) < 0).any()  # some were left out


@pytest.mark.parametrize("collapse", [False, True])
def test_sessions_hold_their_positive_items_in_order(collapse: bool) -> None:
    data = random_events(2, collapse=collapse)
    assert data.session_idx is not None
    assert data.timestamp is not None
    items: dict[int, list[int]] = defaultdict(list)
    last: dict[int, tuple[float, int]] = {}
    for s, i, w, t, u in zip(data.session_idx, data.item_idx, data.weight, data.timestamp, data.user_idx, strict=True):
        if w > 0 and not (collapse and items[int(s)][-1:] == [int(i)]):
            items[int(s)].append(int(i))
            last[int(s)] = (float(t), int(u))
    sessions = data.sessions
    found = {
        (*row.tolist(), t, u) for row, t, u in zip(sessions.items, sessions.end_time, sessions.user_idx, strict=True)
    }
    assert found == {(*row, *last[s]) for s, row in items.items()}
    assert len(sessions) == len(items)


def test_sessions_without_times_end_in_the_order_of_the_log_and_unknown_times_are_old() -> None:
    data = random_events(3)
    assert data.timestamp is not None
    untimed, timed = replace(data, timestamp=None).sessions, data.sessions
    assert np.argsort(untimed.end_time).tolist() == np.argsort(timed.end_time).tolist()
    broken = replace(data, timestamp=np.where(np.arange(len(data)) < 60, np.nan, data.timestamp)).sessions
    assert not np.isnan(broken.end_time).any()
    assert np.isneginf(broken.end_time).any()


def test_sessions_need_a_session_id() -> None:
    with pytest.raises(DataError, match="events have no `session_id`: name the column, or set `gap_minutes`"):
        replace(random_events(4), session_idx=None).sessions  # noqa: B018


@pytest.mark.parametrize("sessions", [True, False])
def test_baskets_are_of_users_and_of_sessions_without_one(sessions: bool) -> None:
    data = random_events(5)
    data = data if sessions else replace(data, session_idx=None)
    held: dict[Any, set[int]] = defaultdict(set)
    for row in range(len(data)):
        user, named = int(data.user_idx[row]), data.user_idx[row] < N_USERS
        if data.weight[row] > 0 and (named or sessions):
            assert data.session_idx is not None or named
            key = user if named or data.session_idx is None else ("s", int(data.session_idx[row]))
            held[key].add(int(data.item_idx[row]))
    matrix = dense(data.baskets)
    assert sorted(tuple(np.flatnonzero(row)) for row in matrix) == sorted(tuple(sorted(s)) for s in held.values())
    assert set(np.unique(matrix)) == {0, 1}


def test_ratings_are_the_events_with_a_value() -> None:
    data = random_events(6)
    assert data.value is not None
    user, item, value = data.ratings
    rated = ~np.isnan(data.value)
    assert 0 < rated.sum() < len(data)
    assert (user.tolist(), item.tolist()) == (data.user_idx[rated].tolist(), data.item_idx[rated].tolist())
    np.testing.assert_array_equal(value, data.value[rated].astype(np.float64))
    with pytest.raises(DataError, match="events have no `value`"):
        replace(data, value=None).ratings  # noqa: B018


def test_positive_keeps_rows_without_an_entry() -> None:
    matrix = CSR(np.array([0, 2, 2, 3]), np.array([0, 4, 1], np.int32), np.array([-1.0, 2.0, 0.0], np.float32), 5)
    left = positive(matrix)
    assert left.indptr.tolist() == [0, 1, 1, 1]
    assert left.indices.tolist() == [4]


def test_a_repeat_is_that_of_the_event_considered_before() -> None:
    group = np.array([0, 0, 1, 0, 0, 1], np.int32)
    item = np.array([5, 5, 5, 6, 5, 5], np.int32)
    everything = np.ones(6, bool)
    assert repeats_previous(group, item, everything).tolist() == [False, True, False, False, False, True]
    assert repeats_previous(group, item, item == 5).tolist() == [False, True, False, False, True, True]
    assert repeats_previous(group[:0], item[:0], everything[:0]).tolist() == []
