from __future__ import annotations

import polars as pl
import pytest

from rankine.serving.history import Histories, Past, StoredVisitors
from rankine.serving.live import LiveState
from rankine.serving.store import Entry, Visitor

NOW = 10_000.0
GAP = 1800.0
FRAME = pl.DataFrame(
    {"user_id": ["old", "empty", "moody"], "items": [["a", "b", "c"], [], ["a", "b"]],
     "weights": [[1.0, 3.0, 5.0], [], [-3.0, 1.0]], "last_time": [5.0, 0.0, 1.0], "hidden": [[], ["z"], []]},
    schema={"user_id": pl.String, "items": pl.List(pl.String), "weights": pl.List(pl.Float32),
            "last_time": pl.Float64, "hidden": pl.List(pl.String)},
)  # fmt: skip


def histories(max_history: int = 100, **traces: list[tuple[float, int, str]]) -> Histories:
    """Histories over FRAME and live events (time, seq, item) by `user_NAME` or `session_NAME`."""

    def load(visitor: Visitor, limit: int) -> tuple[list[Entry], list[str]]:
        found = traces.get(visitor.column.removesuffix("_id") + "_" + visitor.name, [])
        return [Entry(time, seq, item, 2.0) for time, seq, item in found], ["hidden-live"] if found else []

    return Histories(StoredVisitors(FRAME), LiveState(load, 10, max_history), GAP, max_history)


def ask(
    found: Histories, user: str | None, session: str | None = None, *given: str, until: float | None = None
) -> Past:
    return found.of(user, session, given, NOW, until)


def test_stored_items_come_before_live_ones_and_the_latest_visit_is_the_session() -> None:
    live = [(NOW - 9000, 1, "d"), (NOW - 1500, 2, "e"), (NOW - 60, 3, "f")]
    past = ask(histories(user_old=live), "old")
    assert past.items == ["a", "b", "c", "d", "e", "f"]
    assert past.weights == [1, 3, 5, 2, 2, 2]
    assert past.session_len == 2
    assert past.user_known


def test_after_the_idle_gap_there_is_no_session() -> None:
    past = ask(histories(user_old=[(NOW - GAP - 1, 1, "d")]), "old")
    assert (past.items, past.session_len) == (["a", "b", "c", "d"], 0)


def test_an_event_from_a_clock_that_is_ahead_is_of_the_session() -> None:
    assert ask(histories(user_old=[(NOW + 100, 1, "d")]), "old").session_len == 1


def test_a_session_id_names_the_session_whatever_the_gap() -> None:
    live = [(10.0, 1, "d"), (20.0, 2, "e"), (NOW, 3, "f")]
    past = ask(histories(user_new=live, session_s=live[:2]), "new", "s")
    assert (past.items, past.session_len) == (["f", "d", "e"], 2)


def test_a_visitor_who_signs_in_brings_the_session_along() -> None:
    past = ask(histories(session_s=[(NOW, 1, "d")]), "old", "s")
    assert (past.items, past.session_len) == (["a", "b", "c", "d"], 1)


def test_given_items_are_the_end_of_the_session() -> None:
    past = ask(histories(user_old=[(NOW, 1, "d")]), "old", None, "x", "y")
    assert (past.items[-3:], past.weights[-3:], past.session_len) == (["d", "x", "y"], [2, 1, 1], 3)


def test_a_history_alone_is_all_session() -> None:
    past = ask(histories(), None, None, "x", "y")
    assert past == Past(["x", "y"], [1, 1], 2, [], False)


def test_events_after_the_moment_asked_about_are_left_out() -> None:
    past = ask(histories(user_new=[(10.0, 1, "d"), (20.0, 2, "e")]), "new", until=15.0)
    assert past.items == ["d"]


def test_a_history_keeps_its_latest_items() -> None:
    past = ask(histories(max_history=3, user_old=[(NOW, 1, "d")]), "old", None, "x")
    assert (past.items, past.weights, past.session_len) == (["c", "d", "x"], [5, 2, 1], 2)


def test_stored_events_against_an_item_are_no_history() -> None:
    assert ask(histories(), "moody").items == ["b"]


@pytest.mark.parametrize(
    ("user", "known", "hidden"), [("empty", True, ["z"]), ("nobody", False, []), (None, False, [])]
)
def test_who_has_done_nothing_has_an_empty_history(user: str | None, known: bool, hidden: list[str]) -> None:
    assert ask(histories(), user) == Past([], [], 0, hidden, known)


def test_hidden_items_of_run_user_and_session_add_up() -> None:
    found = histories(user_empty=[(NOW, 1, "d")], session_s=[(NOW, 2, "e")])
    assert ask(found, "empty", "s").hidden == ["z", "hidden-live", "hidden-live"]
