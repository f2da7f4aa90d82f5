"""describe: its numbers against slow Python, and each of its complaints on data made to deserve it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.config import from_dict
from rankine.data.describe import Description, describe, measure, render
from rankine.data.readers import DataConfig, read_dataset
from rankine.errors import DataError

T = 1_600_000_123
NOW = T + 10_000_000


def log(n: int = 3000, seed: int = 3) -> pl.DataFrame:
    """Events in a random order: users and items by popularity, some anonymous, some searches without an item."""
    rng = np.random.default_rng(seed)
    users = [None if rng.random() < 0.1 else f"u{u}" for u in rng.zipf(1.5, n) % 60]
    types = rng.choice(["view", "cart", "search"], n, p=[0.7, 0.2, 0.1])
    items = rng.zipf(1.4, n) % 80
    return pl.DataFrame(
        {
            "user_id": users,
            "item_id": [None if t == "search" else f"i{i}" for t, i in zip(types, items, strict=True)],
            "event_type": types,
            "timestamp": T + rng.integers(0, 1_000_000, n),
            "session_id": [f"s{s}" for s in rng.integers(0, 700, n)],
            "device": rng.choice(["mobile", "desktop"], n, p=[0.8, 0.2]),
            "price": rng.integers(0, 500, n) / 10,
        }
    ).with_columns(pl.when(pl.col("item_id") == "i7").then(T + 990_000).otherwise("timestamp").alias("timestamp"))


def write(folder: Path, events: pl.DataFrame, extension: str = "parquet", **tables: pl.DataFrame) -> Path:
    folder.mkdir(exist_ok=True)
    for name, frame in {"events": events, **tables}.items():
        path = folder / f"{name}.{extension}"
        if extension == "parquet":
            frame.write_parquet(path)
        elif extension == "csv":
            frame.write_csv(path)
        else:
            frame.write_ndjson(path)
    return folder


def look(folder: Path, **settings: Any) -> Description:
    return describe(from_dict(DataConfig, {"path": str(folder), **settings}), now=NOW)


def problems(events: dict[str, Sequence[Any]], folder: Path, **tables: pl.DataFrame) -> str:
    n = max(len(values) for values in events.values())
    base = {"item_id": [f"i{i % 3}" for i in range(n)], "user_id": [f"u{i % 4}" for i in range(n)]}
    base |= {"timestamp": [T + 7 * i for i in range(n)], "event_type": [("view", "cart")[i % 2] for i in range(n)]}
    frame = pl.DataFrame({**base, **events}, strict=False)
    return "\n".join(look(write(folder, frame, **tables)).problems)


def test_the_numbers_equal_those_of_slow_python(tmp_path: Path) -> None:
    rows = log().to_dicts()
    d = look(write(tmp_path, log()))
    per_user = Counter(r["user_id"] for r in rows if r["user_id"])
    per_item = Counter(r["item_id"] for r in rows if r["item_id"])
    per_session = Counter(r["session_id"] for r in rows)
    assert (d.n_events, d.n_users, d.n_items, d.n_sessions) == (3000, len(per_user), len(per_item), len(per_session))
    times = [r["timestamp"] for r in rows]
    assert (d.first, d.last) == (min(times), max(times))
    pairs = [(r["user_id"], r["item_id"]) for r in rows if r["user_id"] and r["item_id"]]
    assert d.sparsity == pytest.approx(1 - len(set(pairs)) / (len(per_user) * len(per_item)))
    repeats = sum(pair in pairs[:i] for i, pair in enumerate(pairs))
    assert d.repeat_rate == pytest.approx(repeats / len(pairs))
    start = max(times) - (max(times) - min(times)) / 10
    late = [r["item_id"] for r in rows if r["timestamp"] >= start and r["item_id"]]
    old = {r["item_id"] for r in rows if r["timestamp"] < start}
    assert d.last_tenth == pytest.approx(start)
    assert 0 < sum(i not in old for i in set(late)) < len(set(late))
    assert d.cold_items == pytest.approx(sum(i not in old for i in set(late)) / len(set(late)))
    assert d.cold_events == pytest.approx(sum(i not in old for i in late) / len(late))
    assert d.event_types == dict(Counter(r["event_type"] for r in rows).most_common())
    for found, counter in (
        (d.events_per_user, per_user),
        (d.events_per_item, per_item),
        (d.events_per_session, per_session),
    ):
        ordered = sorted(counter.values())
        assert (found[0], found[2], found[-1]) == (ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1])
        assert list(found) == sorted(found)
    best = sorted(per_item.items(), key=lambda pair: (-pair[1], pair[0]))
    assert [(i.item_id, i.n_events) for i in d.top_items] == best[:10]
    assert d.top_items[0].share == pytest.approx(best[0][1] / sum(per_item.values()))
    assert d.head_share == pytest.approx(best[0][1] / sum(per_item.values()))


def test_context_columns_show_their_values(tmp_path: Path) -> None:
    device, price = look(write(tmp_path, log())).context
    share = (log()["device"] == "mobile").mean()
    assert (device.name, device.kind, device.n_values, device.null_share) == ("device", "category", 2, 0)
    assert device.top[0] == ("mobile", pytest.approx(share))
    assert (price.name, price.low, price.high) == ("price", 0.0, log()["price"].max())
    assert price.n_values == pytest.approx(log()["price"].n_unique(), rel=0.1)


@pytest.mark.parametrize("extension", ["csv", "jsonl"])
def test_text_files_are_described_as_parquet_is(tmp_path: Path, extension: str) -> None:
    items = pl.DataFrame({"item_id": [f"i{i}" for i in range(90)], "title": [f"Item {i}" for i in range(90)]})
    parquet = look(write(tmp_path / "data", log(), items=items))
    (tmp_path / "data" / "events.parquet").unlink()
    (tmp_path / "data" / "items.parquet").unlink()
    assert look(write(tmp_path / "data", log(), extension, items=items)) == parquet
    assert parquet.top_items[0].title == parquet.top_items[0].item_id.replace("i", "Item ")


def test_pairs_are_counted_in_parts_as_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, pl.concat([log(), log().head(100)]))
    whole = look(folder)
    monkeypatch.setattr(measure, "PAIRS_PER_PASS", 400)
    assert look(folder) == whole
    assert any(problem.startswith("exact duplicates: ") for problem in whole.problems)


def test_sessions_stand_for_users_where_there_are_none(tmp_path: Path) -> None:
    d = look(write(tmp_path, log().drop("user_id")))
    rows = log().filter(pl.col("item_id").is_not_null())
    assert (d.n_users, d.n_sessions, d.events_per_user) == (0, log()["session_id"].n_unique(), ())
    assert d.repeat_rate == pytest.approx(1 - rows.select("session_id", "item_id").n_unique() / len(rows))
    assert "sessions on" in render(d).splitlines()[0]


def test_rows_are_accounted_for_as_the_reader_does(tmp_path: Path) -> None:
    lines = [json.dumps({"item_id": i % 5, "event_type": "view", "timestamp": T + i, "n": i}) for i in range(50)]
    lines += ["broken", "[]", '{"item_id": 1, "event_type": "view", "timestamp": "soon"}', '{"event_type": "view"}']
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    (tmp_path / "items.csv").write_text("item_id,price\n1,2\n1,3\n2,x\n" + "".join(f"{i},1\n" for i in range(3, 30)))
    config = from_dict(DataConfig, {"path": str(tmp_path), "events": {"where": "n < 40 OR n IS NULL"}})
    d, read = describe(config, now=NOW), read_dataset(config)
    assert d.counts == read.counts
    assert d.counts["events"] == {"read": 54, "accepted": 40, "rejected": 4, "filtered": 10}
    assert {(r.table, r.column, r.reason, r.n_rows) for r in d.refused} == {
        ("events", None, "broken JSON", 1),
        ("events", None, "expected a JSON object", 1),
        ("events", "timestamp", "expected a time: Unix seconds, milliseconds or microseconds, or ISO 8601", 1),
        ("events", "item_id", "missing", 1),
        ("items", "price", "expected a number", 1),
        ("items", "item_id", "duplicate", 1),
    }
    assert d.time_units == read.time_units
    assert "4 (7.4 %) of the rows of events refused" in d.problems


def test_an_unknown_event_type_is_described_not_refused(tmp_path: Path) -> None:
    found = problems({"event_type": ["view", "vuew", "view"]}, tmp_path)
    assert "unknown event_type in 1 event: add it to event_types" in found
    kept = look(tmp_path, rules={"unknown_event_type": "keep"})
    assert kept.event_types == {"view": 2, "vuew": 1}
    assert "unknown event types count as implicit events of weight 1: `vuew`" in kept.problems


def test_a_user_with_absurdly_many_events_looks_like_a_robot(tmp_path: Path) -> None:
    users = ["bot"] * 500 + [f"u{i % 100}" for i in range(300)]
    found = problems({"user_id": users}, tmp_path)
    assert "robots? 1 user with more than 20 times the events of the 95th percentile (3) make 62.5 %" in found
    assert "`bot` has 500" in found


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ({"timestamp": [T, NOW + 1, T + 5, T + 9]}, "1 (25.0 %) of the events lie in the future"),
        ({"timestamp": [1_599_955_200 + 86_400 * i for i in range(20)]}, "of the timestamps are midnight"),
        ({"timestamp": [T] * 9}, "every event has the same timestamp"),
        ({"event_type": ["view"] * 5}, "there is one event type only: `view`"),
        ({"user_id": [None] * 5}, "events have neither user_id nor session_id"),
        ({"user_id": [None, "a", "b", "c"]}, "1 (25.0 %) of the events have no user_id"),
        ({"device": ["mobile"] * 6}, "column `device` of events has one value only (`mobile`)"),
        ({"device": ["a", "b", None, None, None]}, "column `device` of events is empty in 60.0 % of the rows"),
        ({"user_id": ["a", " a", "b ", "c"]}, "`user_id` begins or ends with a blank in 2 events"),
        ({"item_id": ["a "] * 3}, "`item_id` begins or ends with a blank in 3 events"),
    ],
)
def test_what_looks_wrong_is_said(tmp_path: Path, events: dict[str, Sequence[Any]], sentence: str) -> None:
    assert sentence in problems(events, tmp_path)


def test_items_without_a_row_and_rows_without_an_event_are_said(tmp_path: Path) -> None:
    items = pl.DataFrame({"item_id": ["i0", "i1", "never", "ever"]})
    found = problems({"device": list("abcabcab")}, tmp_path, items=items)
    assert "1 (33.3 %) of the items in events have no row in the table of items (25.0 % of the events): `i2`" in found
    assert "2 (50.0 %) of the items in their table have no event" in found


def test_a_sound_log_has_no_problem(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    users = [f"u{u}" for u in rng.integers(0, 40, 400)]
    assert problems({"user_id": users, "device": rng.choice(["a", "b"], 400).tolist()}, tmp_path) == ""
    assert render(look(tmp_path)).endswith("nothing looks wrong")


def test_a_log_without_time_is_described_too(tmp_path: Path) -> None:
    d = look(write(tmp_path, log().drop("timestamp")))
    assert (d.first, d.cold_items) == (None, None)
    assert "events have no timestamp: nothing can be split by time" in d.problems
    assert "cold" not in render(d)


def test_the_rendering_holds_every_subject(tmp_path: Path) -> None:
    text = render(look(write(tmp_path, log())))
    for word in (
        "3,000 events",
        "sparsity",
        "repeats",
        "cold",
        "per session",
        "event types",
        "most popular items",
        "device",
    ):
        assert word in text
    assert text.splitlines()[1] == "2020-09-13 12:30 to 2020-09-25 02:14 UTC, 11.6 days"
    assert max(map(len, text.splitlines())) < 200


def test_an_empty_log_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("item_id,user_id\n")
    with pytest.raises(DataError, match=r"`events.csv` holds no row"):
        look(tmp_path)


def test_a_log_of_which_nothing_is_accepted_is_described(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("item_id,timestamp\n,1600000000\n5,soon\n")
    d = look(tmp_path)
    assert (d.n_events, d.counts["events"]["rejected"]) == (0, 2)
    assert render(d)
