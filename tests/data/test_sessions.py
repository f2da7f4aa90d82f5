from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.data.schema import Kind
from rankine.data.sessions import collapse_repeats, filter_support, with_sessions
from rankine.errors import ConfigError, DataError


def visits(n: int = 300, seed: int = 3) -> Dataset:
    """Events of ten users and some without one, minutes to hours apart."""
    rng = np.random.default_rng(seed)
    names = [None if u == 0 else f"u{u}" for u in rng.integers(0, 11, n).tolist()]
    frame = pl.DataFrame(
        {
            "user_id": pl.Series(names, dtype=pl.String),
            "item_id": rng.integers(0, 20, n),
            "timestamp": np.cumsum(rng.choice([30.0, 120.0, 900.0], n)),
        }
    )
    return Dataset.from_frames(frame)


def slow_sessions(dataset: Dataset, gap_s: float) -> list[int]:
    """A number per event, found by walking the log."""
    last: dict[str, float] = {}
    current: dict[str, int] = {}
    out = []
    for number, (user, time) in enumerate(dataset.events.select("user_id", "timestamp").iter_rows()):
        if user is None:
            out.append(number)
            continue
        if user not in last or time - last[user] > gap_s:
            current[user] = number
        last[user] = time
        out.append(current[user])
    return out


@pytest.mark.parametrize("gap_minutes", [5.0, 30.0, 60.0])
def test_a_pause_longer_than_the_gap_starts_a_session(gap_minutes: float) -> None:
    dataset = visits()
    names = with_sessions(dataset, gap_minutes).events["session_id"].to_list()
    expected = slow_sessions(dataset, gap_minutes * 60)
    assert len(set(zip(names, expected, strict=True))) == len(set(names)) == len(set(expected))


def test_a_pause_of_exactly_the_gap_does_not_start_a_session() -> None:
    frame = pl.DataFrame({"user_id": ["a"] * 3, "item_id": ["x"] * 3, "timestamp": [0.0, 1800.0, 3601.0]})
    names = with_sessions(Dataset.from_frames(frame)).events["session_id"]
    assert names[0] == names[1] != names[2]


def test_events_without_a_user_stand_alone() -> None:
    dataset = visits()
    events = with_sessions(dataset).events
    alone = events.filter(pl.col("user_id").is_null())
    assert len(alone) > 0
    assert alone["session_id"].n_unique() == len(alone)
    assert events["session_id"].null_count() == 0


def test_a_user_name_cannot_imitate_the_session_of_another() -> None:
    users = [None, "a", "a/0", "", "anonymous-0", "anonymous"]
    frame = pl.DataFrame({"user_id": users, "item_id": ["x"] * 6, "timestamp": [0.0] * 6})
    assert with_sessions(Dataset.from_frames(frame)).events["session_id"].n_unique() == 6


def test_new_sessions_are_ids_in_the_schema() -> None:
    dataset = with_sessions(visits())
    assert dataset.schema.events["session_id"] is Kind.ID
    assert "session_id" not in dataset.schema.context


def test_given_sessions_are_left_alone() -> None:
    dataset = with_sessions(visits())
    assert with_sessions(dataset, 1.0) is dataset


def test_sessions_need_times() -> None:
    with pytest.raises(DataError, match="`timestamp` or `session_id`"):
        with_sessions(Dataset.from_frames(pl.DataFrame({"user_id": ["a"], "item_id": ["x"]})))
    with pytest.raises(ConfigError, match="`gap_minutes` must be above 0"):
        with_sessions(visits(), 0.0)


def test_repeats_collapse_within_a_session_only() -> None:
    rows = [
        ("s", "a"),
        ("t", "a"),
        ("s", "a"),
        ("s", "b"),
        ("s", "a"),
        ("t", "a"),
        ("t", "a"),
        (None, "a"),
        (None, "a"),
    ]
    frame = pl.DataFrame(rows, schema={"session_id": pl.String, "item_id": pl.String}, orient="row").with_row_index()
    assert collapse_repeats(frame)["index"].to_list() == [0, 1, 3, 4, 7, 8]


def test_events_without_an_item_never_collapse() -> None:
    frame = pl.DataFrame({"session_id": ["s"] * 4, "item_id": ["a", None, None, "a"]})
    assert len(collapse_repeats(frame)) == 4


def test_collapse_needs_sessions() -> None:
    with pytest.raises(DataError, match="call `with_sessions` first"):
        collapse_repeats(pl.DataFrame({"item_id": ["a"]}))


def slow_filter(rows: list[tuple[str, str]], length: int, support: int, iterate: bool) -> list[tuple[str, str]]:
    def sessions(kept: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [r for r in kept if sum(s == r[0] for s, _ in kept) >= length]

    def items(kept: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [r for r in kept if sum(i == r[1] for _, i in kept) >= support]

    if not iterate:
        return sessions(items(sessions(rows)))
    while (after := items(sessions(rows))) != rows:
        rows = after
    return rows


@pytest.mark.parametrize("iterate", [True, False])
@pytest.mark.parametrize(("length", "support"), [(2, 5), (3, 2), (1, 4), (2, 1)])
def test_filter_agrees_with_counting_by_hand(length: int, support: int, iterate: bool) -> None:
    rng = np.random.default_rng(11)
    rows = [(f"s{s}", f"i{i}") for s, i in zip(rng.integers(0, 60, 150), rng.zipf(1.4, 150) % 40, strict=True)]
    frame = pl.DataFrame(rows, schema=["session_id", "item_id"], orient="row")
    dataset, removed = filter_support(Dataset.from_frames(frame), length, support, iterate)
    expected = slow_filter(rows, length, support, iterate)
    assert dataset.events.select("session_id", "item_id").rows() == expected
    assert removed["events of short sessions"] + removed["events of rare items"] == len(rows) - len(expected)
    assert removed["sessions"] == len({s for s, _ in rows}) - len({s for s, _ in expected})
    assert removed["items"] == len({i for _, i in rows}) - len({i for _, i in expected})


def test_one_pass_and_iterating_differ_where_a_removal_makes_another() -> None:
    # session 3 loses its rare item, is then too short, and takes the support of `b` with it
    rows = [("1", "a"), ("1", "b"), ("2", "a"), ("2", "a"), ("3", "b"), ("3", "rare")]
    dataset = Dataset.from_frames(pl.DataFrame(rows, schema=["session_id", "item_id"], orient="row"))
    once, _ = filter_support(dataset, 2, 2, iterate=False)
    until, _ = filter_support(dataset, 2, 2, iterate=True)
    assert once.events["item_id"].to_list() == ["a", "b", "a", "a"]
    assert until.events["item_id"].to_list() == ["a", "a"]


def test_events_without_an_item_survive_the_item_rule_and_without_a_session_are_short() -> None:
    frame = pl.DataFrame({"session_id": ["s", "s", "s", None], "item_id": ["a", "a", None, "a"]})
    dataset, removed = filter_support(Dataset.from_frames(frame), 2, 2)
    assert dataset.events["item_id"].to_list() == ["a", "a", None]
    assert removed["events of short sessions"] == 1


def test_a_filter_that_leaves_nothing_says_so() -> None:
    frame = pl.DataFrame({"session_id": ["s", "t"], "item_id": ["a", "b"]})
    with pytest.raises(DataError, match=r"no event is left .* of 2 events: lower them"):
        filter_support(Dataset.from_frames(frame))
