"""Reading: the domain's own shapes, equal results from every format, and the mapping settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rankine.config import from_dict
from rankine.data.readers import DataConfig, Read, TableConfig, read_dataset
from rankine.data.schema import Feedback, Kind
from rankine.errors import ConfigError, DataError

T = 1476884080

USER = {"user_id": "1", "name": "Ann", "created_date": T, "age": 32, "country": "US"}
ITEM = {"item_id": "5", "category": ["a", "b"], "tags": ["x", "y"], "likes": 100000, "author_id": "7", "title": "Lamp"}
EVENT = {
    "user_id": "1",
    "item_id": "5",
    "event_type": "page_view",
    "timestamp": T,
    "referrer": "https://example.org/",
    "ip": "10.0.0.1",
    "device_type": "mobile",
    "user_agent_os": "iOS",
    "geo": "37.784,-122.401",
}


def write_lines(path: Path, rows: Iterable[Mapping[str, Any] | str]) -> None:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))


def read_events(folder: Path, rows: Iterable[Mapping[str, Any] | str], **settings: Any) -> Read:
    write_lines(folder / "events.jsonl", rows)
    return read_dataset(from_dict(DataConfig, {"path": str(folder), **settings}))


def column(read: Read, name: str) -> list[Any]:
    return read.dataset.events[name].to_list()


def reasons(read: Read) -> list[tuple[int, str | None, str]]:
    return list(read.rejects.select("line", "column", "reason").iter_rows())


def test_the_three_json_shapes_load_as_they_are(tmp_path: Path) -> None:
    write_lines(tmp_path / "users.jsonl", [USER, {**USER, "user_id": 2, "age": None}])
    write_lines(tmp_path / "items.jsonl", [ITEM, {**ITEM, "item_id": 6, "category": "c", "tags": [], "author_id": 8}])
    listed = {**EVENT, "user_id": None, "item_id": 6, "timestamp": T + 1, "geo": [37.784, -122.401]}
    read = read_events(tmp_path, [EVENT, listed])
    assert all(count == {"read": 2, "accepted": 2, "rejected": 0, "filtered": 0} for count in read.counts.values())
    assert read.warnings == []
    assert read.time_units == {"users.created_date": "seconds", "events.timestamp": "seconds"}
    users, items, events = read.dataset.users, read.dataset.items, read.dataset.events
    assert users.to_dicts() == [
        {"user_id": "1", "name": "Ann", "created_date": T, "age": 32.0, "country": "US"},
        {"user_id": "2", "name": "Ann", "created_date": T, "age": None, "country": "US"},
    ]
    assert items["item_id"].to_list() == ["5", "6"]
    assert items["category"].to_list() == [["a", "b"], ["c"]]
    assert items["tags"].to_list() == [["x", "y"], []]
    assert items["author_id"].to_list() == ["7", "8"]
    assert events["user_id"].to_list() == ["1", None]
    assert events["geo"].to_list() == [[37.784, -122.401]] * 2
    assert read.dataset.schema.items["category"] is Kind.CATEGORIES
    assert read.dataset.schema.items["likes"] is Kind.NUMBER
    assert read.dataset.schema.context == {
        "referrer": Kind.CATEGORY,
        "ip": Kind.TEXT,
        "device_type": Kind.CATEGORY,
        "user_agent_os": Kind.CATEGORY,
        "geo": Kind.GEO,
    }


def test_ids_may_be_numbers_or_text_in_one_file(tmp_path: Path) -> None:
    ids = ["1", 2, 3.0, "0004", 12345678901234567890, "a b"]
    read = read_events(tmp_path, [{**EVENT, "item_id": i} for i in ids])
    assert column(read, "item_id") == ["1", "2", "3", "0004", "12345678901234567890", "a b"]


def test_whole_numbers_stored_as_floats_name_the_same_user(tmp_path: Path) -> None:
    pl.DataFrame({"user_id": [17850.0, None, 3.0], "item_id": [1, 2, 3]}).write_parquet(tmp_path / "events.parquet")
    assert column(read_dataset(tmp_path), "user_id") == ["17850", None, "3"]


def test_a_search_needs_no_item_and_a_view_does(tmp_path: Path) -> None:
    search = {"user_id": "1", "event_type": "search", "timestamp": T, "query": "lamp"}
    read = read_events(tmp_path, [EVENT, search, {**search, "event_type": "page_view"}])
    assert column(read, "query") == [None, "lamp"]
    assert reasons(read) == [(3, "item_id", "missing")]


def frame() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_id": ["u1", "u2", None, "u1"],
            "item_id": ["5", "6", "7", "5"],
            "event_type": ["view", "cart", "view", "purchase"],
            "timestamp": [T, T + 5, T + 2, T + 9],
            "value": [1.0, None, 2.5, -3.0],
            "session_id": ["s1", "s2", "s3", "s1"],
            "device": ["mobile", "desktop", 'a "quoted", one', "two\nlines"],
            "geo": ["1.5,2.5", None, "-90,180", "[0, 0]"],
            "tags": ['["a", "b"]', '["c"]', None, "[]"],
        }
    )


def test_csv_parquet_and_json_lines_give_equal_datasets(tmp_path: Path) -> None:
    reads = []
    for extension, write in {
        "parquet": pl.DataFrame.write_parquet,
        "csv": pl.DataFrame.write_csv,
        "jsonl": pl.DataFrame.write_ndjson,
        "tsv": lambda f, path: f.write_csv(path, separator="\t"),
    }.items():
        folder = tmp_path / extension
        folder.mkdir()
        write(frame(), folder / f"events.{extension}")
        reads.append(read_dataset(folder))
    first = reads[0].dataset
    assert first.events["timestamp"].to_list() == [T, T + 2, T + 5, T + 9]
    assert first.events["tags"].to_list() == [["a", "b"], None, ["c"], []]
    for read in reads[1:]:
        assert read.dataset.events.equals(first.events)
        assert read.dataset.schema == first.schema
        assert read.counts == reads[0].counts


@pytest.mark.parametrize(
    ("unit", "values"),
    {
        "seconds": [T, T + 60, T + 0.5],
        "milliseconds": [T * 1000, (T + 60) * 1000, T * 1000 + 500],
        "microseconds": [T * 10**6, (T + 60) * 10**6, T * 10**6 + 500_000],
        "nanoseconds": [T * 10**9, (T + 60) * 10**9, T * 10**9 + 500_000_000],
        "ISO 8601": ["2016-10-19T13:34:40Z", "2016-10-19 15:35:40+02:00", "2016-10-19T13:34:40.500"],
    }.items(),
)
@pytest.mark.parametrize("quoted", [False, True])
def test_time_units_are_told_apart_and_stated(tmp_path: Path, unit: str, values: list[Any], quoted: bool) -> None:
    read = read_events(tmp_path, [{**EVENT, "timestamp": str(v) if quoted else v} for v in values])
    assert read.time_units == {"events.timestamp": unit}
    assert column(read, "timestamp") == [T, T + 0.5, T + 60]


@pytest.mark.parametrize("form", ["2016-10-19", "2016-10-19T00:00", "2016-10-18T19:00:00-05", "2016-10-19T05:30+0530"])
def test_iso_text_may_leave_out_what_is_zero(tmp_path: Path, form: str) -> None:
    expected = datetime(2016, 10, 19, tzinfo=UTC).timestamp()
    assert column(read_events(tmp_path, [{**EVENT, "timestamp": form}]), "timestamp") == [expected]


def test_the_unit_is_that_of_the_median_and_the_others_are_rejects(tmp_path: Path) -> None:
    times = [T * 1000, T * 1000 + 1, T, T * 1000 + 2, T * 10**6, "2016-10-19T13:34:40Z"]
    read = read_events(tmp_path, [{**EVENT, "timestamp": t} for t in times])
    assert read.time_units == {"events.timestamp": "milliseconds"}
    expected = "expected a time between 1990 and 2100 (the column is in milliseconds)"
    assert reasons(read) == [(3, "timestamp", expected), (5, "timestamp", expected)]
    assert len(read.dataset.events) == 4


def test_native_dates_and_datetimes_are_utc(tmp_path: Path) -> None:
    aware = pl.Series([datetime(2020, 1, 1, 12)]).dt.replace_time_zone("Europe/Paris")
    for values, expected in (
        (pl.Series([datetime(2020, 1, 1, 12)]), 1577880000),
        (aware, 1577880000 - 3600),
        (pl.Series([date(2020, 1, 1)]), 1577836800),
    ):
        pl.DataFrame({"item_id": ["1"], "timestamp": values}).write_parquet(tmp_path / "events.parquet")
        read = read_dataset(tmp_path)
        assert column(read, "timestamp") == [expected]
        assert read.time_units == {"events.timestamp": "datetime"}


def test_an_old_release_date_of_an_item_is_no_reject_but_an_old_event_is(tmp_path: Path) -> None:
    write_lines(tmp_path / "items.jsonl", [{"item_id": "5", "released": "1922-03-04"}])
    settings = {"items": {"kinds": {"released": "time"}}}
    read = read_events(tmp_path, [EVENT, {**EVENT, "timestamp": "1922-03-04"}], **settings)
    assert read.dataset.items["released"].to_list() == [datetime(1922, 3, 4, tzinfo=UTC).timestamp()]
    assert read.counts["events"]["rejected"] == 1


def test_a_mapping_in_schema_toml_is_used_where_the_recipe_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"visitor,what,when,stars,junk\nu1,5,{T},4,x\nu2,6,{T + 1},5,y\n")
    (tmp_path / "schema.toml").write_text(
        """
        [events]
        file = "log.csv"
        columns = { user_id = "visitor", item_id = "what", timestamp = "when", value = "stars" }
        constants = { event_type = "rated", source = 1 }
        drop = ["junk"]
        kinds = { source = "category" }
        [event_types.rated]
        feedback = "explicit"
        weight = 2
        [rules]
        duplicate_item = "first"
        """
    )
    read = read_dataset(tmp_path)
    assert column(read, "user_id") == ["u1", "u2"]
    assert column(read, "value") == [4.0, 5.0]
    assert column(read, "source") == ["1", "1"]
    assert "junk" not in read.dataset.events.columns
    assert read.dataset.schema.event_type("rated").feedback is Feedback.EXPLICIT
    assert read.dataset.schema.event_type("rated").weight == 2
    assert read.dataset.schema.rules.duplicate_item == "first"
    recipe = {"path": str(tmp_path), "events": {"file": "log.csv", "columns": {"item_id": "visitor"}}}
    other = read_dataset(from_dict(DataConfig, recipe))
    assert column(other, "item_id") == ["u1", "u2"]
    assert column(other, "event_type") == ["view", "view"]


def test_several_files_are_read_one_after_another(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [EVENT, "broken"])
    pl.DataFrame({"item_id": [9], "event_type": "view", "timestamp": [T + 1]}).write_parquet(tmp_path / "b.parquet")
    config = DataConfig(path=str(tmp_path), events=TableConfig(file=("a.jsonl", "b.parquet")))
    read = read_dataset(config)
    assert column(read, "item_id") == ["5", "9"]
    assert read.counts["events"] == {"read": 3, "accepted": 2, "rejected": 1, "filtered": 0}
    assert read.rejects["file"].to_list() == ["a.jsonl"]


def test_files_by_split_add_the_column_split(tmp_path: Path) -> None:
    for split, n in (("train", 2), ("test", 1)):
        write_lines(tmp_path / f"{split}.jsonl", [{**EVENT, "timestamp": T + i} for i in range(n)])
    files = {"train": "train.jsonl", "test": "test.jsonl"}
    read = read_dataset(from_dict(DataConfig, {"path": str(tmp_path), "events": {"file": files}}))
    assert sorted(column(read, "split")) == ["test", "train", "train"]
    assert "split" not in read.dataset.schema.context


def test_where_rows_are_counted_as_filtered(tmp_path: Path) -> None:
    small = "".join(f"{i},1,yes\n" for i in range(20))
    (tmp_path / "events.csv").write_text(f"item_id,n,ok\n1,10,yes\n2,9,yes\n3,11,no\n4,x,yes\n,12,no\n{small}")
    where = {"where": "n > 9 AND ok = 'yes'"}
    read = read_dataset(from_dict(DataConfig, {"path": str(tmp_path), "events": where}))
    assert column(read, "item_id") == ["1"]
    assert read.counts["events"] == {"read": 25, "accepted": 1, "rejected": 0, "filtered": 24}


def test_where_sees_the_types_of_a_parquet_file(tmp_path: Path) -> None:
    table = pl.DataFrame({"item_id": [1, 2, 3], "cancelled": [True, False, None], "q": [1, 1, 1]})
    table.write_parquet(tmp_path / "events.parquet")
    where = {"where": "NOT cancelled AND q > 0", "drop": ["cancelled", "q"]}
    read = read_dataset(from_dict(DataConfig, {"path": str(tmp_path), "events": where}))
    assert column(read, "item_id") == ["2"]
    assert read.counts["events"]["filtered"] == 2


@pytest.mark.parametrize("extension", ["jsonl", "parquet", "csv"])
def test_explode_gives_a_row_per_element_in_order(tmp_path: Path, extension: str) -> None:
    lists = [[3, 1, 2], [], [9]]
    path = tmp_path / f"events.{extension}"
    if extension == "parquet":
        pl.DataFrame({"user_id": ["a", "b", "c"], "items": lists}).write_parquet(path)
    elif extension == "csv":
        path.write_text('user_id,items\na,"[3, 1, 2]"\nb,[]\nc,[9]\n')
    else:
        write_lines(path, [{"user_id": u, "items": i} for u, i in zip("abc", lists, strict=True)])
    events = {"explode": "items", "columns": {"item_id": "items"}}
    read = read_dataset(from_dict(DataConfig, {"path": str(tmp_path), "events": events}))
    assert column(read, "item_id") == ["3", "1", "2", "9"]
    assert column(read, "user_id") == ["a", "a", "a", "c"]
    assert read.counts["events"] == {"read": 5, "accepted": 4, "rejected": 1, "filtered": 0}
    assert reasons(read) == [(3 if extension == "csv" else 2, "item_id", "missing")]


def test_only_mapped_leaves_out_what_is_not_named(tmp_path: Path) -> None:
    events = {"columns": {"item_id": "item_id", "device": "device_type"}, "only_mapped": True}
    read = read_events(tmp_path, [EVENT], events=events)
    assert set(read.dataset.events.columns) == {"item_id", "device", "event_type", "user_id"}


def test_items_can_be_taken_from_the_log(tmp_path: Path) -> None:
    columns = {"columns": {"item_id": "item_id", "title": "device_type"}, "only_mapped": True}
    items = {"file": "events.jsonl", "distinct": True, **columns}
    rows = [EVENT, {**EVENT, "item_id": "6"}, {**EVENT, "device_type": "last"}]
    read = read_events(tmp_path, rows, items=items)
    assert sorted(read.dataset.items.iter_rows()) == [("5", "last"), ("6", "mobile")]
    assert read.counts["items"] == {"read": 3, "accepted": 2, "rejected": 0, "filtered": 1}


def test_a_column_of_zip_codes_in_csv_stays_text_and_one_of_numbers_does_not(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("item_id,zip,price\n1,01234,5\n2,85711,7.5\n")
    schema = read_dataset(tmp_path).dataset.schema
    assert schema.context == {"zip": Kind.CATEGORY, "price": Kind.NUMBER}


def test_lists_of_numbers_are_vectors_when_they_have_one_length(tmp_path: Path) -> None:
    rows = [
        {"item_id": i, "v": [0.5, i], "codes": list(range(i)), "vector": [1.0] * (2 + (i == 3))} for i in range(1, 21)
    ]
    write_lines(tmp_path / "items.jsonl", rows)
    read = read_events(tmp_path, [EVENT])
    kinds = read.dataset.schema.items
    assert (kinds["v"], kinds["codes"], kinds["vector"]) == (Kind.VECTOR, Kind.CATEGORIES, Kind.VECTOR)
    assert reasons(read) == [(3, "vector", "expected a list of 2 finite numbers")]


def test_objects_are_left_out_with_a_warning(tmp_path: Path) -> None:
    read = read_events(tmp_path, [{**EVENT, "device": {"os": "x"}}])
    assert "device" not in read.dataset.events.columns
    assert read.warnings == ["column `device` of `events.jsonl` is left out: an object has no kind"]


def test_a_file_of_events_can_be_named_directly(tmp_path: Path) -> None:
    write_lines(tmp_path / "log.jsonl", [EVENT])
    assert column(read_dataset(tmp_path / "log.jsonl"), "item_id") == ["5"]
    assert column(read_dataset("log.jsonl", root=tmp_path), "item_id") == ["5"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": {"user_id": "usr_id"}}, "has no column `usr_id` .*did you mean `user_id`"),
        ({"kinds": {"devise_type": "category"}}, "`kinds` of events names `devise_type`.*`device_type`"),
        ({"drop": ["devise_type"]}, "`drop` of events names `devise_type`.*`device_type`"),
        ({"where": "devise_type = 'x'"}, "`where` names `devise_type`.*`device_type`"),
        ({"where": "timestamp + 1"}, "must be true or false"),
        ({"where": "timestamp >"}, "not an SQL expression"),
        ({"where": "ip > 9"}, "does not fit its columns .`ip` is text"),
        ({"explode": "geo"}, "`explode` needs a column of lists; `geo`"),
        ({"explode": "goe"}, "`explode` names `goe`.*did you mean `geo`"),
        ({"file": "event.jsonl"}, "no file .*did you mean `events.jsonl`"),
        ({"file": ()}, "`file` of events is empty"),
        ({"columns": {"thing": "item_id"}}, 'need the column `item_id`.*\\[events.columns\\] item_id = "..."'),
    ],
)
def test_a_setting_that_does_not_fit_names_the_closest_that_does(tmp_path: Path, settings: Any, message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        read_events(tmp_path, [EVENT], events=settings)


def test_files_that_cannot_be_the_dataset_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file or folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no events in .*found nothing"):
        read_dataset(tmp_path)
    (tmp_path / "events.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"`events.parquet` is not a Parquet file"):
        read_dataset(tmp_path)
    write_lines(tmp_path / "events.jsonl", [EVENT])
    with pytest.raises(DataError, match=r"both `events.parquet` and `events.jsonl` exist"):
        read_dataset(tmp_path)
    (tmp_path / "events.parquet").unlink()
    write_lines(tmp_path / "items.json", ["[", json.dumps(ITEM), "]"])
    with pytest.raises(DataError, match=r"`items.json` holds one JSON array"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["events.csv", "events.jsonl"])
@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_of_events_is_an_error(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=r"empty|name each column"):
        read_dataset(tmp_path)


def test_a_header_alone_is_empty_and_an_empty_table_of_items_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title\n")
    read = read_events(tmp_path, [EVENT])
    assert read.warnings == ["`items.csv` is empty: no items"]
    assert len(read.dataset.items) == 0
    (tmp_path / "events.jsonl").unlink()
    (tmp_path / "events.csv").write_text("item_id,title\n")
    with pytest.raises(DataError, match=r"`events.csv` is empty"):
        read_dataset(tmp_path)


def test_a_log_in_which_every_line_is_broken_is_an_error_that_shows_the_first(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no event .* is left of 2 \(2 rejected, 0 filtered\); first: .* line 1"):
        read_events(tmp_path, ["x", "y"])
    with pytest.raises(DataError, match=r"first: `events.jsonl` line 1, `timestamp` = 'soon'"):
        read_events(tmp_path, [{**EVENT, "timestamp": "soon"}])


def test_an_unknown_event_type_does_what_the_rules_say(tmp_path: Path) -> None:
    rows = [EVENT, {**EVENT, "event_type": "purchas"}]
    with pytest.raises(DataError, match="line 2: unknown event_type 'purchas'; did you mean `purchase`"):
        read_events(tmp_path, rows)
    rejected = read_events(tmp_path, rows, rules={"unknown_event_type": "reject"})
    assert reasons(rejected) == [(2, "event_type", "expected a known event_type")]
    kept = read_events(tmp_path, rows, rules={"unknown_event_type": "keep"})
    assert kept.counts["events"]["accepted"] == 2
    assert "1 events of the unknown event_type 'purchas'" in kept.warnings[0]
    known = read_events(tmp_path, rows, event_types={"purchas": {"weight": 5}})
    assert known.dataset.schema.event_type("purchas").weight == 5


@pytest.mark.parametrize(("rule", "kept"), [("first", "Lamp"), ("last", "Desk")])
def test_a_duplicate_item_is_counted_and_written_down(tmp_path: Path, rule: str, kept: str) -> None:
    write_lines(tmp_path / "items.jsonl", [ITEM, {**ITEM, "title": "Desk"}])
    read = read_events(tmp_path, [EVENT], rules={"duplicate_item": rule})
    assert read.dataset.items["title"].to_list() == [kept]
    assert read.counts["items"] == {"read": 2, "accepted": 1, "rejected": 1, "filtered": 0}
    assert read.rejects["line"].to_list() == [2 if rule == "first" else 1]
    assert read.warnings == ["1 duplicate rows of items: one row of each id is kept"]


def test_a_duplicate_item_can_be_an_error(tmp_path: Path) -> None:
    write_lines(tmp_path / "items.jsonl", [{**ITEM, "item_id": "4"}, ITEM, ITEM])
    with pytest.raises(DataError, match=r"`items.jsonl` line 2: `item_id` '5' has another row"):
        read_events(tmp_path, [EVENT], rules={"duplicate_item": "error"})
