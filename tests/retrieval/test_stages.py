"""Two stages against the ranking written out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from rankine.arrays import Array, Float, Int, Ragged
from rankine.errors import ConfigError
from rankine.features.queries import Queries
from rankine.models.base import Model, Source
from rankine.retrieval.stages import TwoStage, TwoStageConfig, above

N_ITEMS = 12


class Fixed(Model):
    """Scores that are given, by user."""

    label = "Fixed"
    summary = "a table"
    source = Source.HISTORY

    def __init__(self, table: Float, source: Source = Source.HISTORY) -> None:
        self.table, self.source, self.seen = np.asarray(table, np.float32), source, []
        self.config = None

    def score_all(self, queries: Queries) -> Float:
        return self.table[queries.user_idx]

    def score(self, queries: Queries, items: Int | None = None) -> Float:
        self.seen.append(None if items is None else items.tolist())
        return super().score(queries, items)

    def evidence(self, queries: Queries) -> Array:
        return queries.user_idx == 0

    def state(self) -> dict[str, Array]:
        return {"table": self.table}

    def load_state(self, state: Mapping[str, Array]) -> None:
        self.table = state["table"]


def queries(users: list[int], histories: list[list[int]] | None = None) -> Queries:
    n = len(users)
    history = Ragged.from_rows(histories or [[] for _ in users])
    return Queries(
        user_idx=np.array(users, np.int32),
        history=history,
        history_weight=np.ones(len(history.values), np.float32),
        session_len=np.zeros(n, np.int64),
        timestamp=np.full(n, np.nan),
        n_users=3,
        n_items=N_ITEMS,
    )


def drawn(seed: int, levels: int = 0) -> Float:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (3, N_ITEMS)) if levels else rng.normal(size=(3, N_ITEMS))
    return scores.astype(np.float32)


def two(n: int, first: Float, second: Float, *, hide_history: bool = False) -> TwoStage:
    return TwoStage(Fixed(first), Fixed(second), TwoStageConfig(candidates=n, hide_history=hide_history))


@pytest.mark.parametrize("n", [1, 4, N_ITEMS, 50])
def test_candidates_stand_in_the_order_of_the_second_the_rest_behind_them_in_that_of_the_first(n: int) -> None:
    first, second = drawn(1), drawn(2)
    scores = two(n, first, second).score(queries([0, 1, 2]))
    for user in range(3):
        found = sorted(range(N_ITEMS), key=lambda i: -first[user, i])
        expected = sorted(found[:n], key=lambda i: -second[user, i]) + found[n:]
        assert np.argsort(-scores[user]).tolist() == expected


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e7, 1e12])
def test_equal_scores_stay_equal_and_different_ones_different(scale: float) -> None:
    first, second = drawn(3) * np.float32(scale), drawn(4, levels=3)
    scores = two(6, first, second).score(queries([0]))[0]
    found = np.argsort(-first[0])[:6]
    for i in range(N_ITEMS):
        for j in range(N_ITEMS):
            if i in found and j in found:
                assert np.sign(scores[i] - scores[j]) == np.sign(second[0, i] - second[0, j])
            elif i not in found and j not in found:
                assert np.sign(scores[i] - scores[j]) == np.sign(first[0, i] - first[0, j])
            elif i in found:
                assert scores[i] > scores[j]


def test_steps_are_large_enough_to_be_told_apart() -> None:
    for top in (-1e9, -3.0, 0.0, 0.37, 4e9):
        lifted = above(np.array([top], np.float32), np.arange(500, dtype=np.float32))
        assert (np.diff(lifted) > 0).all()
        assert lifted[0] > np.float32(top)


def test_items_of_the_history_take_no_place_among_the_candidates() -> None:
    first, second = drawn(5), drawn(6)
    asked = queries([0], [[int(i) for i in np.argsort(-first[0])[:3]]])
    best = np.argsort(-first[0])
    assert set(two(4, first, second).candidates(asked)[0]) == set(best[:4])
    hiding = two(4, first, second, hide_history=True)
    assert set(hiding.candidates(asked)[0]) == set(best[3:7])
    top = np.argsort(-hiding.score(asked)[0])[:4]
    assert set(top) == set(best[3:7])


def test_one_request_asks_the_second_model_for_its_candidates_only() -> None:
    model = two(4, drawn(7), drawn(8))
    hidden = np.array([int(np.argmax(model.first.table[0]))], np.int32)  # type: ignore[attr-defined]
    items, scores = model.rank(queries([0]), 6, hidden)
    (asked,) = model.second.seen  # type: ignore[attr-defined]
    order = np.argsort(-drawn(7)[0])[1:]
    assert sorted(asked) == sorted(order[:4])
    assert items.tolist() == [*sorted(order[:4], key=lambda i: -drawn(8)[0, i]), *order[4:6]]
    assert scores[:4].tolist() == drawn(8)[0, items[:4]].tolist()
    assert scores[4:].tolist() == drawn(7)[0, items[4:]].tolist()


def test_a_request_for_more_than_there_is_gets_what_there_is() -> None:
    items, scores = two(4, drawn(1), drawn(2)).rank(queries([1]), 100, np.arange(3, dtype=np.int32))
    assert sorted(items.tolist()) == list(range(3, N_ITEMS))
    assert len(scores) == len(items)
    items, _ = two(4, drawn(1), drawn(2)).rank(queries([1]), 5, np.arange(N_ITEMS, dtype=np.int32))
    assert len(items) == 0


def test_the_state_is_that_of_both() -> None:
    model, other = two(3, drawn(1), drawn(2)), two(3, drawn(3), drawn(4))
    other.load_state(model.state())
    assert (other.score(queries([0, 1])) == model.score(queries([0, 1]))).all()


def test_it_knows_what_its_parts_know() -> None:
    model = TwoStage(Fixed(drawn(1), Source.POPULAR), Fixed(drawn(2), Source.CONTEXT))
    assert model.source is Source.CONTEXT
    assert model.label == "Fixed after Fixed"
    assert model.evidence(queries([0, 1])).tolist() == [True, False]
    with pytest.raises(ConfigError, match=r"`candidates` .*at least 1"):
        TwoStageConfig(candidates=0)
