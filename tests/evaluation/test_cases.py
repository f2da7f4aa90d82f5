from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.errors import DataError
from rankine.evaluation.cases import MAX_HISTORY, Cases, candidates, next_item, ratings, user_items
from rankine.evaluation.evaluate import evaluate_ranking
from rankine.features.encode import Encoder

WEIGHT = {"view": 1.0, "cart": 3.0, "return": -3.0, "search": 0.0, "block": 0.0}
Row = tuple[str | None, str | None, str | None, float, str]


def frame_of(rows: Sequence[Row], first_row: int = 0) -> pl.DataFrame:
    """user, session, item, time, type per row."""
    names = {
        "user_id": pl.String,
        "session_id": pl.String,
        "item_id": pl.String,
        "timestamp": pl.Float64,
        "event_type": pl.String,
    }
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.int_range(first_row, first_row + pl.len(), dtype=pl.Int64).alias("row")
    )


def split(rows: Sequence[Row], n_before: int, **encoding: Any) -> tuple[Encoder, pl.DataFrame, pl.DataFrame]:
    """An encoder of the first rows, these, and the rest."""
    before = frame_of(rows[:n_before])
    return Encoder.fit(Dataset.from_frames(before.drop("row")), **encoding), before, frame_of(rows[n_before:], n_before)


def told(cases: Cases, encoder: Encoder) -> list[tuple[list[str], list[str], list[str]]]:
    """Per case what was done before the session, in the session, and the targets, by outside id ("?": not known)."""
    out = []
    for b in range(len(cases)):
        history = encoder.items.names(cases.queries.history[b])
        own = len(history) - int(cases.queries.session_len[b])
        names = [encoder.items.name(i) if i < len(encoder.items) else "?" for i in cases.targets[b].tolist()]
        out.append((history[:own], history[own:], names))
    return out


EARLIER: list[Row] = [
    ("u", "s1", "a", 1.0, "view"),
    ("u", "s1", "b", 2.0, "view"),
    ("v", "s2", "c", 3.0, "view"),
    (None, "s3", "d", 4.0, "view"),
]


def test_every_event_but_the_first_of_a_test_session_is_asked_for() -> None:
    later: list[Row] = [("u", "s4", "c", 10.0, "view"), ("u", "s4", "d", 11.0, "view"), ("u", "s4", "a", 12.0, "cart")]
    encoder, before, test = split([*EARLIER, *later], 4)
    cases = next_item(encoder, before, test)
    assert told(cases, encoder) == [(["a", "b"], ["c"], ["d"]), (["a", "b"], ["c", "d"], ["a"])]
    assert cases.unit == "session"
    assert cases.unit_names.to_list() == ["s4"]
    assert cases.unit_idx.tolist() == [0, 0]
    assert cases.queries.timestamp.tolist() == [11.0, 12.0]
    assert [encoder.users.name(u) for u in cases.queries.user_idx] == ["u", "u"]
    with_first = next_item(encoder, before, test, first=True)
    assert told(with_first, encoder)[0] == (["a", "b"], [], ["c"])
    assert len(with_first) == 3


def test_an_anonymous_session_has_no_past_but_itself() -> None:
    later: list[Row] = [
        (None, "s5", "a", 10.0, "view"),
        (None, "s6", "c", 10.5, "view"),
        (None, "s5", "b", 11.0, "view"),
    ]
    encoder, before, test = split([*EARLIER, *later], 4)
    cases = next_item(encoder, before, test)
    assert told(cases, encoder) == [([], ["a"], ["b"])]
    assert cases.queries.user_idx.tolist() == [len(encoder.users)]


def test_events_with_neither_user_nor_session_are_nobodys_history() -> None:
    rows: list[Row] = [
        *EARLIER,
        (None, None, "a", 5.0, "view"),
        (None, None, "b", 10.0, "view"),
        (None, None, "c", 11.0, "view"),
    ]
    encoder, before, test = split(rows, 5)
    with pytest.raises(DataError, match="no test session has two events"):
        next_item(encoder, before, test)
    assert told(next_item(encoder, before, test, first=True), encoder) == [([], [], ["b"]), ([], [], ["c"])]


def test_sessions_of_one_name_of_two_users_are_two() -> None:
    later: list[Row] = [("u", "1", "a", 10.0, "view"), ("u", "1", "b", 11.0, "view"), ("uu", "1", "d", 12.0, "view")]
    encoder, before, test = split([*EARLIER, *later], 4)
    assert told(next_item(encoder, before, test), encoder) == [(["a", "b"], ["a"], ["b"])]


def test_a_session_open_at_the_cut_keeps_its_beginning() -> None:
    encoder, before, test = split([*EARLIER, ("u", "s1", "d", 9.0, "view")], 4)
    assert told(next_item(encoder, before, test), encoder) == [([], ["a", "b"], ["d"])]


def test_overlapping_sessions_of_a_user_never_show_what_came_later() -> None:
    later: list[Row] = [
        ("u", "s7", "a", 10.0, "view"),
        ("u", "s8", "b", 11.0, "view"),
        ("u", "s7", "c", 12.0, "view"),
        ("u", "s8", "d", 13.0, "view"),
        ("u", "s7", "b", 14.0, "view"),
    ]
    encoder, before, test = split([*EARLIER, *later], 4)
    found = told(next_item(encoder, before, test), encoder)
    assert (["a", "b"], ["a"], ["c"]) in found
    assert (["a", "b", "a", "c"], ["b"], ["d"]) in found  # not the b of s7, which comes a second later
    assert (["a", "b"], ["a", "c"], ["b"]) in found  # a session that began later is not part of the past of this one


def test_a_view_a_cart_and_a_purchase_of_one_item_are_one_answer_where_repeats_collapse() -> None:
    later: list[Row] = [
        ("u", "s4", "b", 10.0, "view"),
        ("u", "s4", "c", 11.0, "view"),
        ("u", "s4", "c", 12.0, "cart"),
        ("u", "s4", "a", 13.0, "view"),
        ("u", "s4", "c", 14.0, "view"),
    ]
    rows = [*EARLIER, *later]
    encoder, before, test = split(rows, 4)
    assert [t for _, _, (t,) in told(next_item(encoder, before, test), encoder)] == ["c", "c", "a", "c"]
    encoder, before, test = split(rows, 4, collapse_repeats=True)
    found = told(next_item(encoder, before, test), encoder)
    assert [t for _, _, (t,) in found] == ["c", "a", "c"]
    assert found[-1] == (["a", "b"], ["b", "c", "a"], ["c"])  # the b before the session is another visit


def test_two_items_that_are_not_known_are_no_repeat() -> None:
    later: list[Row] = [
        ("u", "s4", "a", 10.0, "view"),
        ("u", "s4", "new", 11.0, "view"),
        ("u", "s4", "newer", 12.0, "view"),
    ]
    encoder, before, test = split([*EARLIER, *later], 4, collapse_repeats=True)
    cases = next_item(encoder, before, test)
    assert told(cases, encoder) == [(["a", "b"], ["a"], ["?"]), (["a", "b"], ["a"], ["?"])]
    assert cases.counts["unknown_targets"] == 2


def test_unknown_targets_are_misses_or_left_out_before_anything_is_counted() -> None:
    later: list[Row] = [
        ("u", "s4", "new", 10.0, "view"),
        ("u", "s4", "c", 11.0, "view"),
        ("u", "s4", "newer", 12.0, "view"),
    ]
    encoder, before, test = split([*EARLIER, *later], 4)
    missed = next_item(encoder, before, test)
    assert told(missed, encoder) == [(["a", "b"], [], ["c"]), (["a", "b"], ["c"], ["?"])]
    assert missed.counts == {"unknown_targets": 1, "dropped_unknown_events": 0}
    with pytest.raises(DataError, match="no test session has two events"):
        next_item(encoder, before, test, drop_unknown=True)
    longer = frame_of([*later, ("u", "s4", "d", 13.0, "view")], 4)
    dropped = next_item(encoder, before, longer, drop_unknown=True)
    assert told(dropped, encoder) == [(["a", "b"], ["c"], ["d"])]
    assert dropped.counts == {"unknown_targets": 0, "dropped_unknown_events": 2}


@pytest.mark.parametrize("k", [1, 4, 20])
def test_an_unknown_target_is_a_miss_however_short_the_catalogue(k: int) -> None:
    encoder, before, test = split([*EARLIER, ("u", "s1", "new", 9.0, "view")], 4)
    scores = np.ones((1, len(encoder.items)), np.float32)
    for cases in (next_item(encoder, before, test), user_items(encoder, before, test)):
        names = [f"{name}@{k}" for name in ("recall", "hr", "mrr", "ndcg", "map", "precision")]
        found = evaluate_ranking(lambda queries: scores, cases, names, np.ones(4))
        assert [found.mean(name) for name in names] == [0.0] * 6


def test_what_says_nothing_for_an_item_is_neither_asked_nor_history() -> None:
    later: list[Row] = [
        ("u", "s4", "a", 10.0, "block"),
        ("u", "s4", None, 11.0, "search"),
        ("u", "s4", "c", 12.0, "view"),
        ("u", "s4", "c", 13.0, "return"),
        ("u", "s4", "d", 14.0, "view"),
    ]
    encoder, before, test = split([*EARLIER, *later], 4)
    assert told(next_item(encoder, before, test), encoder) == [(["a", "b"], ["c"], ["d"])]


def test_a_query_carries_the_latest_events_only() -> None:
    many: list[Row] = [("u", "s1", "ab"[i % 2], float(i), "view") for i in range(MAX_HISTORY + 50)]
    encoder, before, test = split([*many, ("u", "s9", "a", 1e4, "view"), ("u", "s9", "b", 1e4 + 1, "view")], len(many))
    (earlier, session, _) = told(next_item(encoder, before, test), encoder)[0]
    assert len(earlier) + len(session) == MAX_HISTORY
    assert session == ["a"]
    assert earlier == ["ab"[i % 2] for i in range(51, MAX_HISTORY + 50)]


def test_users_are_asked_once_for_all_their_new_items() -> None:
    later: list[Row] = [
        ("u", "s4", "c", 10.0, "view"),
        ("u", "s4", "a", 11.0, "view"),
        ("u", "s5", "c", 12.0, "cart"),
        ("u", "s5", "new", 13.0, "view"),
        ("u", "s5", "newer", 13.0, "view"),
        ("v", "s6", "c", 14.0, "view"),
        ("w", "s8", "b", 14.5, "view"),
        (None, "s7", "d", 15.0, "view"),
    ]
    encoder, before, test = split([*EARLIER, *later], 4)
    cases = user_items(encoder, before, test)
    assert cases.unit_names.gather(cases.unit_idx).to_list() == ["u", "w"]
    assert told(cases, encoder) == [(["a", "b"], [], ["c", "?", "?"]), ([], [], ["b"])]
    assert cases.exclude is not None
    assert encoder.items.names(cases.exclude[0]) == ["a", "b"]
    assert cases.counts == {"unknown_targets": 2, "users_without_new_items": 1, "dropped_unknown_events": 0}
    assert cases.target_rows is not None
    assert cases.target_rows[0].tolist() == [4, 7, 8]  # the first event of each
    seen_too = user_items(encoder, before, test, exclude_seen=False)
    assert told(seen_too, encoder) == [(["a", "b"], [], ["a", "c", "?", "?"]), (["c"], [], ["c"]), ([], [], ["b"])]
    assert seen_too.exclude is None
    known = user_items(encoder, before, test, drop_unknown=True)
    assert told(known, encoder)[0] == (["a", "b"], [], ["c"])
    assert known.counts["dropped_unknown_events"] == 2


def test_nothing_new_for_anybody_is_an_error() -> None:
    encoder, before, test = split([*EARLIER, ("u", "s4", "a", 10.0, "view")], 4)
    with pytest.raises(
        DataError, match="each of 1 test users met only items of their past again: set `exclude_seen` to false"
    ):
        user_items(encoder, before, test)
    with pytest.raises(DataError, match="no user has a test event"):
        user_items(encoder, before, frame_of([("u", "s4", "a", 10.0, "return")], 4))


def test_candidate_lists_hold_the_target_once_and_every_negative() -> None:
    later: list[Row] = [("u", "s4", "c", 10.0, "view"), ("v", "s5", "a", 11.0, "view")]
    encoder, before, test = split([*EARLIER, *later], 4)
    cases = user_items(encoder, before, test)
    lists = pl.DataFrame({"user_id": ["v", "u", "other"], "negatives": [["b"], ["d", "c", "new", "a", "c"], []]})
    short = candidates(cases, encoder, lists)
    assert short.candidates is not None
    assert short.exclude is None
    names = [*encoder.items.ids.to_list(), "new"]  # a negative that is not known stays, below everything
    assert [[names[item] for item in row] for row in short.candidates] == [["c", "d", "new", "a"], ["a", "b"]]
    scores = np.array([[5, 0, 3, 4], [0, 0, 9, 9]], np.float32)  # a b c d
    found = evaluate_ranking(lambda queries: scores, short, ["mrr@10", "mrr@10 optimistic"], np.ones(4))
    assert found.values["mrr@10"].tolist() == [1 / 3, 1 / 2]
    assert found.values["mrr@10 optimistic"].tolist() == [1 / 3, 1]
    with pytest.raises(DataError, match="no candidate list for user 'u'"):
        candidates(cases, encoder, lists.head(1))
    two = user_items(encoder, before, frame_of([*later, ("v", "s5", "b", 12.0, "view")], 4))
    with pytest.raises(DataError, match="one target per user"):
        candidates(two, encoder, lists)


def test_a_candidate_list_shorter_than_k_does_not_find_an_unknown_target() -> None:
    encoder, before, test = split([*EARLIER, ("u", "s4", "new", 10.0, "view")], 4)
    cases = candidates(
        user_items(encoder, before, test), encoder, pl.DataFrame({"user_id": ["u"], "negatives": [["c"]]})
    )
    scores = np.zeros((1, 4), np.float32)
    assert evaluate_ranking(lambda queries: scores, cases, ["hr@10"], np.ones(4)).mean("hr@10") == 0


def test_ratings_ask_for_the_value_of_every_event() -> None:
    encoder, _, test = split([*EARLIER, ("u", "s4", "c", 10.0, "view"), ("w", "s4", "new", 11.0, "view")], 4)
    rows = pl.concat([test, test, test]).with_columns(value=pl.Series([4.0, 1.0, None, np.nan, 2.0, 3.0]))
    cases = ratings(encoder, rows)
    assert cases.values is not None
    assert cases.values.tolist() == [4.0, 1.0, 2.0, 3.0]
    assert cases.queries.user_idx.tolist() == [0, 2, 0, 2]
    assert cases.targets.values.tolist() == [2, 4, 2, 4]
    assert cases.unit_names.gather(cases.unit_idx).to_list() == ["u", "w", "u", "w"]
    assert cases.counts == {"unknown_targets": 2}
    with pytest.raises(DataError, match="ratings cases need a `value` per event"):
        ratings(encoder, test)
    with pytest.raises(DataError, match="no test event has a `value`"):
        ratings(encoder, test.with_columns(value=pl.lit(None, pl.Float64)))


def test_a_log_without_times_keeps_the_order_of_its_rows() -> None:
    later: list[Row] = [("u", "s4", "c", 0.0, "view"), ("u", "s4", "d", 0.0, "view")]
    encoder, before, test = split([*EARLIER, *later], 4)
    cases = next_item(encoder, before.drop("timestamp"), test.drop("timestamp"))
    assert told(cases, encoder) == [(["a", "b"], ["c"], ["d"])]
    assert np.isnan(cases.queries.timestamp).all()
    assert cases.history_times is None
    assert cases.target_times is None
    by_user = user_items(encoder, before.drop("timestamp"), test.drop("timestamp"))
    assert told(by_user, encoder) == [(["a", "b"], [], ["c", "d"])]
    part = by_user.take(np.array([0]))
    assert part.target_times is None


def test_sessions_are_needed_for_the_next_item() -> None:
    encoder, before, test = split([*EARLIER, ("u", "s4", "c", 10.0, "view")], 4)
    with pytest.raises(DataError, match="next_item cases need sessions"):
        next_item(encoder, before, test.drop("session_id"))


def test_context_of_the_request_is_that_of_the_event_asked_for() -> None:
    rows = frame_of([*EARLIER, ("u", "s4", "c", 10.0, "view"), ("u", "s4", "d", 3600.0 * 30, "view")])
    rows = rows.with_columns(device=pl.Series(["phone", "laptop", None, "phone", "phone", "watch"]))
    before, test = rows.head(4), rows.tail(2)
    encoder = Encoder.fit(Dataset.from_frames(before.drop("row")))
    cases = next_item(encoder, before, test, first=True)
    assert (
        [encoder.context["device"].row(d) for d in ("phone", "watch")]
        == cases.queries.context["device"].tolist()
        == [0, 2]
    )
    assert [encoder.context["hour"].name(h) for h in cases.queries.context["hour"]] == ["0", "6"]


class Event(NamedTuple):
    row: int
    user: str | None
    session: str
    item: str
    time: float
    weight: float
    test: bool

    @property
    def visitor(self) -> tuple[str, str]:
        return ("user", self.user) if self.user is not None else ("session", self.session)


def random_rows(seed: int) -> tuple[list[Row], int]:
    """Overlapping sessions of named and unnamed visitors; half of the log is earlier, where fewer items exist."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 70))
    owner = [None if rng.random() < 0.3 else f"u{rng.integers(0, 4)}" for _ in range(12)]
    rows: list[Row] = []
    for place in range(n):
        s = int(rng.integers(0, 12)) if rng.random() < 0.5 or not rows else int(str(rows[-1][1])[1:])
        item = f"i{rng.integers(0, 5 if place < n // 2 else 7)}"
        kind = str(rng.choice(list(WEIGHT), p=[0.6, 0.15, 0.1, 0.1, 0.05]))
        rows.append((owner[s], f"s{s}", None if kind == "search" else item, float(place // 2), kind))
    cut = n // 2
    while cut < n and rows[cut][3] == rows[cut - 1][3]:
        cut += 1
    return rows, cut


def events_of(rows: list[Row], cut: int) -> list[Event]:
    return [
        Event(n, user, str(session), item, time, WEIGHT[kind], n >= cut)
        for n, (user, session, item, time, kind) in enumerate(rows)
        if item is not None
    ]


def slow_next_item(
    events: list[Event], known: set[str], collapse: bool, drop: bool, first: bool
) -> dict[int, tuple[Any, ...]]:
    """Target row -> (rows before the session, rows in the session); every event looks through the whole log."""
    found = {}
    start = {s: min(e.time for e in events if e.session == s) for s in {e.session for e in events}}
    considered = [e for e in events if e.weight > 0 and (e.item in known or not drop)]

    def without_repeats(visit: list[Event]) -> list[Event]:
        return [e for n, e in enumerate(visit) if not collapse or n == 0 or visit[n - 1].item != e.item]

    for target in considered:
        if not target.test:
            continue
        visit = [e for e in considered if e.session == target.session and e.row <= target.row]
        if target not in without_repeats(visit) or (len(visit) == 1 and not first):
            continue
        own = [
            e for e in events if e.session == target.session and e.row < target.row and e.weight > 0 and e.item in known
        ]
        past = [
            e
            for e in sorted(events, key=lambda e: (start[e.session], e.session, e.time, e.row))
            if e.visitor == target.visitor
            and (start[e.session], e.session) < (start[target.session], target.session)
            and e.time <= target.time
            and e.weight > 0
            and e.item in known
        ]
        found[target.row] = ([e.row for e in past], [e.row for e in without_repeats(own)])
    return found


@pytest.mark.parametrize("collapse", [False, True])
@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_next_item_is_what_a_walk_through_the_log_finds(collapse: bool, drop: bool, first: bool) -> None:
    n_cases = 0
    for seed in range(40):
        rows, cut = random_rows(seed)
        encoder, before, test = split(rows, cut, collapse_repeats=collapse)
        events = events_of(rows, cut)
        expected = slow_next_item(events, set(encoder.items.ids.to_list()), collapse, drop, first)
        if not expected:
            continue
        cases = next_item(encoder, before, test, drop_unknown=drop, first=first)
        assert cases.history_rows is not None
        assert cases.target_rows is not None
        assert cases.history_times is not None
        found = {}
        for b in range(len(cases)):
            history, n_session = cases.history_rows[b].tolist(), int(cases.queries.session_len[b])
            own = len(history) - n_session
            found[int(cases.target_rows[b][0])] = (history[:own], history[own:])
        assert found == expected
        by_row = {e.row: e for e in events}
        for b, target in enumerate(cases.target_rows.values.tolist()):
            names = [by_row[r].item for r in cases.history_rows[b].tolist()]
            assert encoder.items.names(cases.queries.history[b]) == names
            assert encoder.items.row(by_row[target].item) == cases.targets[b][0]
            assert cases.unit_names[int(cases.unit_idx[b])] == by_row[target].session
            assert encoder.users.row(by_row[target].user) == cases.queries.user_idx[b]
        assert (cases.history_times <= cases.queries.timestamp[cases.queries.history.row_of_value()]).all()
        n_cases += len(cases)
    assert n_cases > 150


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("drop", [False, True])
def test_user_items_are_what_a_walk_through_the_log_finds(exclude_seen: bool, drop: bool) -> None:
    n_cases = 0
    for seed in range(40):
        rows, cut = random_rows(seed)
        encoder, before, test = split(rows, cut)
        known, events = set(encoder.items.ids.to_list()), events_of(rows, cut)
        expected = {}
        for user in {e.user for e in events if e.user is not None}:
            own = [e for e in events if e.user == user and e.weight > 0]
            past = [e.row for e in own if not e.test and e.item in known]
            seen = {e.item for e in own if not e.test} if exclude_seen else set()
            wanted = {e.item for e in own if e.test and (e.item in known or not drop)} - seen
            if wanted:
                expected[user] = (past, {i if i in known else f"? {i}" for i in wanted})
        if not expected:
            continue
        cases = user_items(encoder, before, test, drop_unknown=drop, exclude_seen=exclude_seen)
        by_row = {e.row: e for e in events}
        assert cases.history_rows is not None
        assert cases.target_rows is not None
        found = {}
        for b in range(len(cases)):
            items = [by_row[r].item for r in cases.target_rows[b].tolist()]
            assert [encoder.items.row(i) for i in items] == cases.targets[b].tolist()
            targets = {i if i in known else f"? {i}" for i in items}
            assert len(targets) == len(items)
            found[cases.unit_names[int(cases.unit_idx[b])]] = (cases.history_rows[b].tolist(), targets)
            if cases.exclude is not None:
                assert set(cases.exclude[b].tolist()) == set(cases.queries.history[b].tolist())
                assert not set(cases.exclude[b].tolist()) & set(cases.targets[b].tolist())
        assert {user: (sorted(past), targets) for user, (past, targets) in found.items()} == expected
        n_cases += len(cases)
    assert n_cases > 60
