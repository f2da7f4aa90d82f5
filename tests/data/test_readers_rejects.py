"""Bad input: every unreadable row is written down with its line and reason, and the counts add up."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankine.config import from_dict
from rankine.data.readers import DataConfig, Read, chunks, delimited, jsonl, read_dataset
from rankine.errors import DataError

T = 1476884080
EVENT = {"user_id": "1", "item_id": "5", "event_type": "view", "timestamp": T, "value": 3, "geo": "1,2", "age": 30}
RANGE = "expected a time between 1990 and 2100 (the column is in seconds)"
TIME = "expected a time: Unix seconds, milliseconds or microseconds, or ISO 8601"
DEGREES = "expected latitude within 90 and longitude within 180 degrees"
TWO = "expected two numbers: latitude, longitude"


def line(**changes: Any) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


BROKEN: dict[tuple[str | None, str], list[bytes]] = {
    (None, "broken JSON"): [b'{"user_id": "1", "item', b"{]", b'{"value": NaN}', line() + b" x", b"{'a': 1}", b"}"],
    (None, "expected a JSON object"): [b"[1, 2]", b"42", b"null", b'"text"', b"{}"],
    (None, "invalid UTF-8"): [line().replace(b"view", b"vi\xff\xfew"), b"\x80"],
    ("user_id", "expected an id: text or a number"): [line(user_id={"a": 1}), line(user_id=[1])],
    ("value", "expected a number"): [line(value="abc"), line(value=[1, 2]), line(value=True), line(value="1,5")],
    ("age", "expected a number"): [line(age="abc"), line(age="thirty")],
    ("value", "expected a finite number"): [line(value="nan"), line(value="-inf"), line(value="Infinity")],
    ("item_id", "missing"): [line(item_id=None), line(item_id=""), line(item_id="  "), b'{"event_type": "view"}'],
    ("event_type", "missing"): [line(event_type=None), line(event_type="")],
    ("event_type", "expected a known event_type"): [line(event_type="vuew"), line(event_type=7)],
    ("timestamp", "missing"): [line(timestamp=None), line(timestamp=" ")],
    ("timestamp", TIME): [line(timestamp="soon"), line(timestamp="2016-13-01"), line(timestamp="2016-10-19T25:00")],
    ("timestamp", RANGE): [
        line(timestamp=0),
        line(timestamp=T * 1000),
        line(timestamp=-T),
        line(timestamp="1989-12-31"),
    ],
    ("geo", TWO): [line(geo="37.7"), line(geo=[1, 2, 3]), line(geo=["a", "b"]), line(geo="nan,1"), line(geo=5)],
    ("geo", DEGREES): [line(geo="91,0"), line(geo=[0, -180.5])],
}
REJECT = {"rules": {"unknown_event_type": "reject"}}
N_EACH = 200


def read(folder: Path, **more: Any) -> Read:
    return read_dataset(
        from_dict(DataConfig, {"path": str(folder), **REJECT}), rejects=folder / "out" / "rejects.jsonl", **more
    )


def add_up(count: dict[str, int]) -> bool:
    return count["accepted"] + count["rejected"] + count["filtered"] == count["read"]


@pytest.fixture(params=[1 << 25, 5000], ids=["one block", "many blocks"])
def block_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Files are read in one block, or in many."""
    size: int = request.param
    for module in (jsonl, delimited):
        monkeypatch.setattr(module, "blocks", lambda path, quoted=False: chunks.blocks(path, size, quoted))
    return size


def shuffled_log(seed: int) -> tuple[list[bytes], dict[int, tuple[str | None, str]], int]:
    """Lines of a log, the (column, reason) of each broken line number, and how many lines are sound."""
    rng = np.random.default_rng(seed)
    lines: list[tuple[bytes, tuple[str | None, str] | None]] = [(line(timestamp=T + i), None) for i in range(4000)]
    for fault, examples in BROKEN.items():
        lines += [(examples[i], fault) for i in rng.integers(0, len(examples), N_EACH)]
        lines += [(example, fault) for example in examples]
    lines += [(b"", ("blank", "")), (b"  \t", ("blank", ""))] * 20
    order = rng.permutation(len(lines))
    faults = {n: fault for n, i in enumerate(order, 1) if (fault := lines[i][1]) is not None and fault[0] != "blank"}
    return [lines[i][0] for i in order], faults, 4000


def test_every_broken_line_is_written_down_with_its_reason(tmp_path: Path, block_bytes: int) -> None:
    lines, faults, n_sound = shuffled_log(seed=11)
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines))
    result = read(tmp_path)
    count = result.counts["events"]
    assert count == {"read": n_sound + len(faults), "accepted": n_sound, "rejected": len(faults), "filtered": 0}
    assert len(result.dataset.events) == n_sound
    written = [json.loads(row) for row in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    found = {row["line"]: (row["column"], short(row["column"], row["reason"])) for row in written}
    assert found == faults
    assert len(written) == len(faults)
    assert {row["table"] for row in written} == {"events"}
    assert {row["file"] for row in written} == {"events.jsonl"}
    assert min(Counter(found.values()).values()) >= N_EACH
    assert set(found.values()) == set(BROKEN)


def short(column: str | None, reason: str) -> str:
    return reason if column else reason.split(":")[0].split(" at ")[0]


def test_a_reject_shows_the_value_that_was_there(tmp_path: Path) -> None:
    long = "x" * 1000
    rows = [line(), line(value="abc"), line(geo=[0, -180.5]), line(item_id=""), b"{broken", line(value=long)]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(rows))
    values = read(tmp_path).rejects["value"].to_list()
    assert values[:4] == ["abc", "[0, -180.5]", "", "{broken"]
    assert values[4].startswith("xxx")
    assert len(values[4]) <= chunks.LONGEST_VALUE


def test_users_and_items_need_their_id(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(line())
    (tmp_path / "users.jsonl").write_text(
        '{"user_id": null, "age": 3}\n{"user_id": 1, "age": 4}\n{"user_id": 2, "age": "abc"}\n'
    )
    (tmp_path / "items.csv").write_text("item_id,price\n,3\n5,4\n")
    result = read(tmp_path)
    assert list(result.rejects.select("table", "line", "column", "reason").iter_rows()) == [
        ("users", 1, "user_id", "missing"),
        ("users", 3, "age", "expected a number"),
        ("items", 2, "item_id", "missing"),
    ]
    assert "2 of 3 rows of users could not be read" in result.warnings


def test_parquet_rejects_name_the_row(tmp_path: Path) -> None:
    table = pl.DataFrame({"item_id": ["1", None, "3"], "value": [1.0, 2.0, float("nan")], "event_type": "view"})
    table.write_parquet(tmp_path / "events.parquet")
    rows = read(tmp_path).rejects.select("line", "column", "value", "reason").rows()
    assert rows == [(2, "item_id", None, "missing"), (3, "value", "NaN", "expected a finite number")]


UNCLOSED = b'"1,view,3'
CSV_BROKEN: dict[bytes, str] = {
    b"1,view": "expected 3 fields; got 2",
    b"1,view,3,4": "expected 3 fields; got 4",
    b"1": "expected 3 fields; got 1",
    b'"1"x,view,3': "broken quoting",
    UNCLOSED: "a quoted field that is never closed",
    b"\xff,view,3": "invalid UTF-8",
    b",view,3": "missing",
    b'"",view,3': "missing",
    b"1,view,x": "expected a number",
    b"1,view,inf": "expected a finite number",
    b"1,wiew,4": "expected a known event_type",
}


def csv_rows(rng: np.random.Generator, broken: list[bytes], n: int) -> list[tuple[bytes, str | None]]:
    """Records with their reason; sound ones with quotes, commas and line breaks inside quotes."""
    sound = [b"7,view,1.5", b'"a,b",cart,', b'"two\nlines",view,2', b'"say ""hi""",view,3', b"8,view,-1\r"]
    rows: list[tuple[bytes, str | None]] = [(sound[i], None) for i in rng.integers(0, len(sound), n)]
    return rows + [(b, CSV_BROKEN[b]) for b in broken for _ in range(5)]


@pytest.mark.parametrize("broken", [[], *([b] for b in CSV_BROKEN), list(CSV_BROKEN)[:4] + list(CSV_BROKEN)[5:]])
def test_broken_csv_records_are_found_by_their_line(tmp_path: Path, block_bytes: int, broken: list[bytes]) -> None:
    rows = csv_rows(np.random.default_rng(3), broken, 400)
    order = [0, *(1 + np.random.default_rng(4).permutation(len(rows) - 1))]
    if UNCLOSED in broken and block_bytes < 10_000:
        rows = [
            (record.replace(b"\n", b" "), reason) for record, reason in rows
        ]  # a stray quote hides the block's border
    content, expected, at = b"item_id,event_type,value\n", [], 2
    for record, reason in (rows[i] for i in order):
        content += record + b"\n"
        if reason:
            expected.append((at, reason))
        at += record.count(b"\n") + 1
    (tmp_path / "events.csv").write_bytes(content)
    result = read(tmp_path)
    found = [(n, r.split(":")[0].split(" at ")[0]) for n, r in result.rejects.select("line", "reason").iter_rows()]
    assert found == expected
    assert result.counts["events"] == {"read": len(rows), "accepted": 400, "rejected": len(expected), "filtered": 0}
    items = {name.replace("\n", " ") for name in result.dataset.events["item_id"]}
    assert items == {"7", "a,b", "two lines", 'say "hi"', "8"}


def test_a_byte_order_mark_and_a_missing_last_newline_do_no_harm(tmp_path: Path) -> None:
    for name, content in (("events.csv", b"item_id\n1\n2"), ("events.jsonl", b'{"item_id": 1}\n{"item_id": 2}')):
        folder = tmp_path / name.split(".")[1]
        folder.mkdir()
        (folder / name).write_bytes(b"\xef\xbb\xbf" + content)
        assert read(folder).dataset.events["item_id"].to_list() == ["1", "2"]


def test_a_header_must_name_each_column_once(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("item_id,a,a\n1,2,3\n")
    with pytest.raises(DataError, match=r"line 1 of `events.csv` must name each column once; got `a` twice"):
        read(tmp_path)
    (tmp_path / "events.csv").write_bytes(b"item_id,\xff\n1,2\n")
    with pytest.raises(DataError, match=r"`events.csv` line 1 is not UTF-8 at byte 9"):
        read(tmp_path)


def test_an_unnamed_column_of_row_numbers_gets_a_name(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(",item_id\n0,a\n1,b\n")
    assert read(tmp_path).dataset.events["column_1"].to_list() == [0.0, 1.0]


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
def test_column_names_are_not_taken_for_patterns(tmp_path: Path, extension: str) -> None:
    table = pl.DataFrame({"*": ["a", "b"], "^item.*$": ["c", "d"], "item_id": ["1", "2"]})
    path = tmp_path / f"events.{extension}"
    {"csv": table.write_csv, "jsonl": table.write_ndjson, "parquet": table.write_parquet}[extension](path)
    events = read(tmp_path).dataset.events
    assert events.select("column *", "column ^item.*$", "item_id").rows() == [("a", "c", "1"), ("b", "d", "2")]


def test_a_column_that_changes_its_shape_between_blocks_is_read_whole(tmp_path: Path, block_bytes: int) -> None:
    rows = [{"item_id": i, "event_type": "view", "c": i, "tags": "a"} for i in range(300)]
    rows += [{"item_id": i, "event_type": "view", "c": [str(i)], "tags": ["a", "b"]} for i in range(300)]
    rows += [{"item_id": i, "event_type": "view", "c": 0.5} for i in range(100)]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = {"path": str(tmp_path), "events": {"kinds": {"c": "categories"}}}
    events = read_dataset(from_dict(DataConfig, config)).dataset.events
    assert events["c"].to_list() == [[str(i)] for i in range(300)] * 2 + [["0.5"]] * 100
    assert events["tags"].to_list() == [["a"]] * 300 + [["a", "b"]] * 300 + [None] * 100


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from([*EVENT, "session_id", "device", "tags", "x", "", "*", "^x$", "user_id "])
objects = st.dictionaries(keys, json_values, max_size=6).map(lambda row: json.dumps({**EVENT, **row}))
garbage_lines = st.one_of(
    st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"")),
    json_values.map(lambda value: json.dumps(value).encode()),
    objects.map(str.encode),
    objects.map(lambda text: text.encode()[: len(text) // 2]),
    st.builds(lambda text, at: text.encode()[at:] + b"}", objects, st.integers(0, 20)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(garbage_lines, max_size=8), st.randoms(use_true_random=False))
def test_counts_add_up_whatever_the_lines_are(
    tmp_path_factory: pytest.TempPathFactory, garbage: list[bytes], random: Any
) -> None:
    folder = tmp_path_factory.mktemp("garbage")
    sound = [line(timestamp=T + i, item_id=f"sound{i}") for i in range(20)]
    rest = [*sound[1:], *garbage]
    random.shuffle(rest)
    lines = [sound[0], *rest]
    (folder / "events.jsonl").write_bytes(b"\n".join(lines))
    result = read(folder)
    count = result.counts["events"]
    assert add_up(count)
    assert count["read"] == sum(bool(one.strip()) for one in lines)
    assert count["accepted"] == len(result.dataset.events)
    assert count["rejected"] == len(result.rejects) == result.rejects["line"].n_unique()
    assert {f"sound{i}" for i in range(20)} <= set(result.dataset.events["item_id"])
    for number in result.rejects["line"]:
        assert lines[number - 1] not in sound


csv_garbage = st.one_of(
    st.binary(max_size=20),
    st.text(alphabet='ab",\r\n 1.', max_size=12).map(str.encode),
    st.lists(st.text(max_size=5), min_size=3, max_size=3).map(lambda fields: ",".join(fields).encode()),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(csv_garbage, max_size=6))
def test_csv_counts_add_up_whatever_the_records_are(
    tmp_path_factory: pytest.TempPathFactory, garbage: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("garbage")
    sound = [f"sound{i},view,{i}".encode() for i in range(200)]
    lines = [*sound[:100], *garbage, *sound[100:]]
    (folder / "events.csv").write_bytes(b"item_id,event_type,value\n" + b"\n".join(lines))
    result = read(folder)
    count = result.counts["events"]
    assert add_up(count)
    assert count["accepted"] == len(result.dataset.events)
    assert count["rejected"] == len(result.rejects)
    assert {f"sound{i}" for i in range(100)} <= set(result.dataset.events["item_id"])


records = st.text(alphabet="ab\n, ", max_size=20).map(lambda text: f'"{text}",1\n')


@given(st.lists(records, max_size=20), st.integers(30, 60))
def test_blocks_join_to_the_file_and_end_between_records(
    tmp_path_factory: pytest.TempPathFactory, written: list[str], size: int
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "x"
    path.write_text("".join(written))
    parts = [part.decode() for part in chunks.blocks(path, size, quoted=True)]
    borders = {len("".join(written[:i])) for i in range(len(written) + 1)}
    assert "".join(parts) == "".join(written)
    assert {len("".join(parts[:i])) for i in range(len(parts))} <= borders
    lines = list(chunks.blocks(path, size))
    assert b"".join(lines) == path.read_bytes()
    assert all(part.endswith(b"\n") for part in lines)
