from __future__ import annotations

import dataclasses

import numpy as np

from rankine.arrays import Ragged
from rankine.features.queries import Queries

HISTORIES = [[1, 2, 3], [], [4], [5, 6]]


def batch() -> Queries:
    return Queries(
        user_idx=np.array([0, 3, 1, 3], np.int32),
        history=Ragged.from_rows(HISTORIES),
        history_weight=np.array([1, 2, 3, 4, 5, 6], np.float32),
        session_len=np.array([2, 0, 0, 1]),
        timestamp=np.array([1.0, np.nan, 3.0, 4.0]),
        n_users=3,
        n_items=7,
        context={"device": np.array([0, 1, 2, 0], np.int32)},
    )


def test_the_session_is_the_end_of_the_history() -> None:
    assert [row.tolist() for row in batch().session] == [[2, 3], [], [], [6]]
    assert batch().last_item.tolist() == [3, 7, 7, 6]
    assert batch().known_user.tolist() == [True, False, True, False]


def test_each_item_of_a_history_once() -> None:
    repeated = batch().history.with_values(np.array([5, 1, 5, 4, 6, 6], np.int32))
    queries = dataclasses.replace(batch(), history=repeated)
    assert [row.tolist() for row in queries.distinct_history] == [[1, 5], [], [4], [6]]
    assert queries.distinct_history.values.dtype == np.int32


def test_taken_requests_keep_all_that_belongs_to_them() -> None:
    part = batch().take(np.array([3, 0]))
    assert part.user_idx.tolist() == [3, 0]
    assert [row.tolist() for row in part.history] == [[5, 6], [1, 2, 3]]
    assert part.history_weight.tolist() == [5, 6, 1, 2, 3]
    assert part.session_len.tolist() == [1, 2]
    assert part.timestamp.tolist() == [4.0, 1.0]
    assert part.context["device"].tolist() == [0, 0]
    assert (part.n_users, part.n_items, len(part)) == (3, 7, 2)
    assert len(batch().take(slice(0, 0))) == 0


def test_blocks_cover_every_request_once_in_order() -> None:
    for size in (1, 3, 4, 9):
        blocks = list(batch().blocks(size))
        assert [len(part) for _, part in blocks] == [min(size, 4 - start) for start in range(0, 4, size)]
        assert [row for rows, _ in blocks for row in range(4)[rows]] == [0, 1, 2, 3]
        assert [h.tolist() for _, part in blocks for h in part.history] == HISTORIES
    assert list(batch().take(slice(0, 0)).blocks(5)) == []
