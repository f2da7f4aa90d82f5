from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.data.schema import EventType, Kind, Rules, Schema
from rankine.errors import DataError


def made(schema: Schema | None = None, **columns: Any) -> Dataset:
    return Dataset.from_frames(pl.DataFrame(columns), schema=schema)


@pytest.mark.parametrize(
    ("users", "items"),
    [
        ([17, 18, None], [5, 6, 5]),
        (["17", "18", None], ["5", "6", "5"]),
        ([17.0, 18.0, None], [5.0, 6.0, 5.0]),
        (pl.Series([17, 18, None], dtype=pl.UInt16), pl.Series(["5", "6", "5"], dtype=pl.Categorical)),
    ],
    ids=["numbers", "text", "floats", "others"],
)
def test_an_id_is_the_same_as_a_number_and_as_text(users: Any, items: Any) -> None:
    events = made(user_id=users, item_id=items).events
    assert events["user_id"].to_list() == ["17", "18", None]
    assert events["item_id"].to_list() == ["5", "6", "5"]


def test_numbers_too_large_or_not_whole_stay_what_they_are() -> None:
    assert made(item_id=[1.5, 2.0]).events["item_id"].to_list() == ["1.5", "2"]
    assert made(item_id=[2**63 - 1]).events["item_id"].to_list() == ["9223372036854775807"]
    assert made(item_id=["007", " 7"]).events["item_id"].to_list() == ["007", " 7"]


def test_more_events_go_where_their_time_is_behind_those_of_the_same_time() -> None:
    old = made(user_id=["u", "v"], item_id=["a", "b"], timestamp=[10.0, 30.0], device=["phone", "tv"])
    more = made(user_id=["w", "u", "v"], item_id=["c", "d", "e"], timestamp=[30.0, 20.0, 5.0], price=[1.0, 2.0, 3.0])
    both = old.extended(more.events)
    assert both.events["item_id"].to_list() == ["e", "a", "d", "b", "c"]
    assert both.events.columns == old.events.columns
    assert both.events["device"].to_list() == [None, "phone", None, "tv", None]
    assert (both.schema, len(old.events)) == (old.schema, 2)


def test_more_events_of_a_log_without_times_come_last() -> None:
    assert made(item_id=["a"]).extended(made(item_id=["b"]).events).events["item_id"].to_list() == ["a", "b"]


START = 1577836800.0


@pytest.mark.parametrize(
    "times",
    [
        [START, START + 0.5],
        [int(START), int(START) + 1],
        pl.Series([datetime(2020, 1, 1), datetime(2020, 1, 1, 0, 0, 0, 500_000)]),
        pl.Series([datetime(2020, 1, 1), datetime(2020, 1, 1, 0, 0, 1)], dtype=pl.Datetime("ms")),
        pl.Series([datetime(2020, 1, 1), datetime(2020, 1, 1, 0, 0, 1)]).cast(pl.Datetime("ns")),
        pl.Series([datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, 2, tzinfo=UTC)]),
        pl.Series([datetime(2020, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2020, 1, 1, 5, tzinfo=UTC)]),
        [date(2020, 1, 1), date(2020, 1, 2)],
    ],
    ids=["seconds", "whole seconds", "us", "ms", "ns", "utc", "zone", "days"],
)
def test_times_of_any_type_become_unix_seconds(times: Any) -> None:
    events = made(item_id=["a", "b"], timestamp=times).events
    assert events.schema["timestamp"] == pl.Float64
    assert events["timestamp"][0] == START
    assert START < events["timestamp"][1] <= START + 86_400
    assert made(item_id=["a", "b"], timestamp=times).schema.events["timestamp"] is Kind.TIME


def test_events_are_ordered_by_time_and_ties_by_the_file() -> None:
    dataset = made(item_id=list("abcd"), timestamp=[2.0, 1.0, 2.0, None])
    assert dataset.events["item_id"].to_list() == ["d", "b", "a", "c"]
    assert made(item_id=["b", "a"]).events["item_id"].to_list() == ["b", "a"]


def test_a_time_that_is_not_a_number_is_no_time() -> None:
    assert made(item_id=["a", "b"], timestamp=[float("nan"), 1.0]).events["timestamp"].to_list() == [None, 1.0]


def test_an_id_or_category_that_is_no_number_is_missing_and_not_text() -> None:
    events = made(user_id=[17.0, float("nan")], item_id=["a", "b"]).events
    assert events["user_id"].to_list() == ["17", None]


def test_what_is_missing_is_added() -> None:
    plain = made(item_id=["a"]).events
    assert plain.row(0, named=True) == {"item_id": "a", "event_type": "view", "user_id": None}
    assert made(item_id=["a"], value=[4]).events["event_type"].to_list() == ["rating"]
    dataset = made(item_id=["a"])
    assert (len(dataset.users), len(dataset.items)) == (0, 0)
    assert (dataset.has_time, dataset.has_sessions) == (False, False)
    full = made(item_id=["a"], timestamp=[1], session_id=[2], value=[3])
    assert (full.has_time, full.has_sessions) == (True, True)


def test_kinds_are_given_or_guessed_and_only_for_columns_that_are_there() -> None:
    schema = Schema(events={"zone": Kind.CATEGORY, "nowhere": Kind.NUMBER})
    dataset = made(schema, item_id=["a"], zone=[3], price=[4], tags=[["x"]], active=[True])
    assert dict(dataset.schema.events) == {
        "item_id": Kind.ID,
        "zone": Kind.CATEGORY,
        "price": Kind.NUMBER,
        "tags": Kind.CATEGORIES,
        "active": Kind.CATEGORY,
        "event_type": Kind.CATEGORY,
        "user_id": Kind.ID,
    }
    row = dataset.events.row(0, named=True)
    assert (row["zone"], row["price"], row["active"]) == ("3", 4.0, "true")


def test_a_value_that_does_not_fit_its_kind_is_an_error() -> None:
    with pytest.raises(DataError, match=r"a column of events does not fit its kind: .*'value'"):
        made(item_id=["a"], value=["high"])
    with pytest.raises(DataError, match="a column of events does not fit its kind"):
        made(item_id=["a"], geo=["37.784,-122.401"])


def test_unknown_event_types_are_errors_or_kept_and_a_missing_one_is_an_error() -> None:
    with pytest.raises(DataError, match="unknown event_type 'vew'; did you mean `view`"):
        made(item_id=["a", "b"], event_type=["view", "vew"])
    keep = Schema(rules=Rules(unknown_event_type="keep"))
    assert made(keep, item_id=["a"], event_type=["vew"]).schema.event_type("vew") == EventType()
    with pytest.raises(DataError, match="1 events have no `event_type`: name one, or leave the column out"):
        made(item_id=["a", "b"], event_type=["view", None])


def test_events_need_items() -> None:
    with pytest.raises(DataError, match=r"events need the column `item_id`; got \['itemid'\]"):
        made(itemid=["a"])
    assert len(made(item_id=[]).events) == 0


@pytest.mark.parametrize(
    ("table", "rows", "message"),
    [
        (
            "items",
            {"item_id": ["a", "b", "a"]},
            "items need one row per `item_id`; got 3 rows of 2 ids: keep one of each",
        ),
        ("users", {"user_id": [1, 1]}, "users need one row per `user_id`; got 2 rows of 1 ids"),
        ("items", {"item_id": ["a", None]}, "items need one row per `item_id`"),
        ("users", {"name": ["x"]}, r"users need the column `user_id`; got \['name'\]"),
    ],
)
def test_side_tables_have_one_row_per_id(table: str, rows: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.from_frames(pl.DataFrame({"item_id": ["a"]}), **{table: pl.DataFrame(rows)})  # type: ignore[arg-type]
