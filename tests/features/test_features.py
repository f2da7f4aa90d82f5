from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.arrays import Array
from rankine.data.dataset import Dataset
from rankine.data.schema import Kind, Schema
from rankine.errors import ConfigError, DataError, RequestError
from rankine.evaluation.timeline import queries_at, timeline
from rankine.features import encode
from rankine.features.config import FeaturesConfig
from rankine.features.encode import Encoder
from rankine.features.features import Features
from rankine.features.rows import Rows
from rankine.features.slots import Slots

DAY = 86_400.0
RICH = FeaturesConfig(
    numbers="log",
    number_kinds={"price": "value", "age": "quantile"},
    n_quantiles=4,
    min_counts={"item_id": 2, "tags": 3},
    hash_rows={"city": 5},
    max_values=3,
    item_age=True,
    crosses=(("job", "kind"), ("device", "age", "item_id")),
    cross_rows=50,
    last_items=3,
    count_before=True,
    met_before=True,
)


def world(seed: int, n_events: int = 300) -> Dataset:
    """Columns of every kind with gaps, times with ties, users and items without events."""
    rng = np.random.default_rng(seed)

    def some(values: list[Any], n: int, missing: float = 0.2) -> list[Any]:
        return [None if rng.random() < missing else values[rng.integers(len(values))] for _ in range(n)]

    def lists(values: list[str], n: int) -> list[list[str] | None]:
        return [
            None if rng.random() < 0.1 else [values[i] for i in rng.integers(0, len(values), rng.integers(0, 5))]
            for _ in range(n)
        ]

    users = pl.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(12)],
            "job": some(["cook", "clerk", "smith"], 12),
            "age": some([20.0, 31.5, 44.0, float("nan")], 12),
        }
    )
    items = pl.DataFrame(
        {
            "item_id": [f"i{i}" for i in range(10)],
            "kind": some(["a", "b", "c"], 10),
            "tags": lists(["x", "y", "z", "rare"], 10),
            "price": some([1.0, 2.5, 9.0, -3.0], 10),
            "available_from": some([0.0, 2 * DAY, 9 * DAY], 10),
        }
    )
    events = pl.DataFrame(
        {
            "user_id": some([f"u{i}" for i in range(15)], n_events),
            "session_id": some([f"s{i}" for i in range(30)], n_events, 0.1),
            "item_id": [f"i{i}" for i in rng.integers(0, 9, n_events)],
            "event_type": some(["view", "return", "purchase"], n_events, 0.0),
            "timestamp": np.sort(rng.integers(0, n_events // 2, n_events)) * DAY / 20,
            "device": some(["phone", "tv", "till", "tape"], n_events),
            "city": some([f"c{i}" for i in range(40)], n_events),
            "amount": some([0.0, 1.0, 2.9, 3.0, 40.0, -1.0, 1e6, float("nan")], n_events),
            "labels": lists(["p", "q"], n_events),
        },
        strict=False,
    )
    return Dataset.from_frames(events, users, items, Schema(events={"city": Kind.CATEGORY}))


def split(dataset: Dataset, n_train: int = 200) -> tuple[Dataset, pl.DataFrame, pl.DataFrame]:
    """Training events, and later ones with values that training does not have."""
    before, test = dataset.events[:n_train], dataset.events[n_train:]
    unseen = test.with_columns(
        pl.when(pl.int_range(pl.len()) % 7 == 0).then(pl.lit("sled")).otherwise("device").alias("device"),
        pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.lit(77.0)).otherwise("amount").alias("amount"),
    )
    return dataset.with_events(before), before, unseen


def fitted(encoder: Encoder) -> Features:
    assert encoder.features is not None
    return encoder.features


def rows_of(rows: Rows | None) -> Rows:
    assert rows is not None
    return rows


def equal(ours: Slots, theirs: Slots) -> None:
    np.testing.assert_array_equal(ours.idx, theirs.idx)
    assert (ours.weight is None) == (theirs.weight is None)
    if ours.weight is not None and theirs.weight is not None:
        np.testing.assert_array_equal(ours.weight, theirs.weight)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "config", [RICH, FeaturesConfig(), FeaturesConfig(pooling="sum", numbers="value", last_items=2)]
)
def test_a_table_of_events_and_requests_one_by_one_give_equal_rows(seed: int, config: FeaturesConfig) -> None:
    train, before, test = split(world(seed))
    encoder = Encoder.fit(train, features=config)
    log = timeline(encoder, before, test)
    at = np.flatnonzero(log.test)
    seen = (log.weight > 0) & (log.item < log.n_items)
    rows = rows_of(queries_at(encoder, log, at, seen)[0].rows)
    items = log.item[at]
    whole = rows.of(slice(None), items)
    assert whole.idx.shape == (len(at), fitted(encoder).layout.n_slots)
    for place, row in enumerate(at):
        event = log.frame.row(int(row), named=True)
        mine = np.flatnonzero(seen & (log.visitor == log.visitor[row]) & (log.time < log.time[row]))
        earlier = mine[np.argsort(log.time[mine], kind="stable")]
        query = encoder.query(
            user=event["user_id"],
            history=encoder.items.names(log.item[earlier]),
            context={name: event[name] for name in encoder.columns if name in event},
            timestamp=event["timestamp"],
        )
        equal(rows_of(query.rows).of(slice(None), items[[place]]), whole.take([place]))


@pytest.mark.parametrize("seed", range(3))
def test_training_events_and_requests_one_by_one_give_equal_rows(seed: int) -> None:
    train = world(seed)
    encoder = Encoder.fit(train, features=RICH)
    data = encoder.events(train.events)
    whole = rows_of(data.rows).of(slice(None), data.item_idx)
    frame = encoder.informative(train.events)
    for place in range(0, len(data), 3):
        event = frame.row(place, named=True)
        key = "user_id" if event["user_id"] else "session_id"
        mine = frame.filter(
            pl.col(key) == event[key] if event[key] else pl.lit(False),
            pl.col("user_id").is_null() if key == "session_id" else pl.lit(True),
            pl.col("timestamp") < event["timestamp"],
            pl.col("_weight") > 0,
        )
        query = encoder.query(
            user=event["user_id"],
            history=mine["item_id"].to_list(),
            context={name: event[name] for name in encoder.columns if name in event},
            timestamp=event["timestamp"],
        )
        equal(rows_of(query.rows).of(slice(None), data.item_idx[[place]]), whole.take([place]))


def test_no_feature_changes_when_the_future_and_the_present_do() -> None:
    """Events planted at the time of an event and after it leave its row as it was."""
    train = world(1)
    encoder = Encoder.fit(train, features=RICH)
    moment = float(train.events["timestamp"][150])
    planted = train.events[150:].with_columns(pl.col("item_id").shuffle(seed=3), pl.lit("purchase").alias("event_type"))
    planted = pl.concat([planted] * 3).with_columns(pl.col("timestamp").clip(moment))
    changed = train.extended(planted)

    def rows_at(events: pl.DataFrame) -> Slots:
        data = encoder.events(events)
        assert data.timestamp is not None
        whole = rows_of(data.rows).of(slice(None), data.item_idx)
        return whole.take(np.flatnonzero(data.timestamp < moment))

    assert len(rows_at(train.events)) > 100
    equal(rows_at(changed.events), rows_at(train.events))


def test_events_of_one_moment_do_not_see_each_other() -> None:
    time = [1.0, 2.0, 2.0, 2.0, 3.0, float("nan"), None]
    train = Dataset.from_frames(pl.DataFrame({"user_id": ["u"] * 7, "item_id": list("aabaaaa"), "timestamp": time}))
    encoder = Encoder.fit(train, features=FeaturesConfig(count_before=True, met_before=True))
    data = encoder.events(train.events)
    whole, layout = rows_of(data.rows).of(slice(None), data.item_idx), fitted(encoder).layout
    column = {f.name: whole.idx[:, layout.slots_of(f.name).start] - layout.first_rows[f.name] for f in layout.fields}
    assert data.timestamp is not None
    order = np.argsort(data.timestamp, kind="stable")  # times that are not known last
    assert column["count_before"][order].tolist() == [0, 1, 1, 1, 3, 0, 0]
    assert column["met_before"][order].tolist() == [0, 1, 0, 1, 3, 0, 0]


def simple(**columns: list[Any]) -> Dataset:
    n = len(next(iter(columns.values())))
    return Dataset.from_frames(pl.DataFrame({"item_id": ["a"] * n, "user_id": ["u"] * n, **columns}, strict=False))


def encoded(encoder: Encoder, frame: pl.DataFrame, name: str) -> tuple[list[Any], list[Any]]:
    """The rows of a field counted from its first, and their weights."""
    layout = fitted(encoder).layout
    rows = rows_of(encoder.rows(frame)).request
    here = layout.slots_of(name)
    weight = np.ones(rows.idx.shape) if rows.weight is None else rows.weight
    return (rows.idx[:, here] - layout.first_rows[name]).tolist(), weight[:, here].tolist()


def test_ten_categories_are_ten_slots_without_weights() -> None:
    columns = [f"c{i}" for i in range(8)]
    events = pl.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "b"], **{c: ["x", "y"] for c in columns}})
    encoder = Encoder.fit(Dataset.from_frames(events), features=FeaturesConfig())
    layout = fitted(encoder).layout
    assert [f.name for f in layout.fields] == ["user_id", *columns, "item_id"]
    assert {field.n_slots for field in layout.fields} == {1}
    data = encoder.events(Dataset.from_frames(events).events)
    whole = rows_of(data.rows).of(slice(None), data.item_idx)
    assert whole.weight is None
    assert whole.idx.dtype == np.int32
    assert whole.idx.shape == (2, 10)
    assert layout.n_rows == 10 * 3


def test_rows_go_to_the_most_frequent_values_first_and_rare_ones_share_the_unknown_row() -> None:
    train = simple(c=["x", "y", "y", "z", "z", "z"])
    encoder = Encoder.fit(train, features=FeaturesConfig(min_count=2))
    assert encoded(encoder, train.events, "c")[0] == [[2], [1], [1], [0], [0], [0]]
    assert encoded(encoder, simple(c=[None, "new"]).events, "c")[0] == [[2], [2]]


def test_a_missing_value_has_a_row_of_its_own_where_training_has_such() -> None:
    train = simple(c=["x", None, "x"], n=[1.0, None, float("nan")], m=[1.0, 2.0, 3.0], t=[["p", "q"], [], None])
    later = simple(c=["new", None], n=[None, 5.0], m=[None, 1e8], t=[None, ["q", "new", "p"]])
    for kind in ("quantile", "log", "value"):
        encoder = Encoder.fit(train, features=FeaturesConfig(numbers=kind))
        assert encoded(encoder, later.events, "c")[0] == [[2], [1]]
        assert encoded(encoder, later.events, "n")[0] == [[1], [2 if kind == "value" else 0]]
        unknown = fitted(encoder).columns["m"].unknown
        assert encoded(encoder, later.events, "m")[0] == [[unknown], [unknown - 1]]
        assert encoded(encoder, later.events, "t") == ([[2, 3], [1, 3]], [[1, 0], [0.5, 0.5]])


def test_a_row_of_nothing_is_a_row() -> None:
    encoder = Encoder.fit(world(2), features=RICH)
    whole = rows_of(encoder.query().rows).of(slice(None), np.array([len(encoder.items)], np.int32))
    assert whole.weight is not None
    layout = fitted(encoder).layout
    totals = np.bincount(layout.slot_field, np.abs(whole.weight[0]))
    assert (totals > 0).all()
    first = {f.name: whole.idx[0, layout.slots_of(f.name).start] - layout.first_rows[f.name] for f in layout.fields}
    for name, column in fitted(encoder).columns.items():
        assert first[name] in (column.missing_row, column.unknown), name
    assert first["last_items"] == first["item_id"] == fitted(encoder).columns["item_id"].unknown
    assert (first["count_before"], first["met_before"]) == (0, 0)
    assert first["item_age"] == layout.fields[-4].n_rows - 1
    assert [f.n_rows - 1 for f in layout.fields[-2:]] == [first["job x kind"], first["device x age x item_id"]]


@pytest.mark.parametrize("kind", ["quantile", "log", "value"])
def test_an_infinite_number_is_an_error_that_names_the_column(kind: Any) -> None:
    config = FeaturesConfig(numbers=kind)
    with pytest.raises(DataError, match=r"`n` has 2 infinite values of 3"):
        Encoder.fit(simple(n=[1.0, float("inf"), float("-inf")]), features=config)
    encoder = Encoder.fit(simple(n=[1.0, 2.0]), features=config)
    with pytest.raises(DataError, match="`n` has 1 infinite values of 1"):
        encoder.events(simple(n=[float("inf")]).events)


@pytest.mark.parametrize("value", [float("inf"), "-inf", "many", True, [1.0]])
def test_a_number_of_a_request_must_be_one(value: Any) -> None:
    encoder = Encoder.fit(simple(n=[1.0, 2.0]), features=FeaturesConfig())
    with pytest.raises(RequestError, match=r"`context.n` must be a finite number; got"):
        encoder.query(context={"n": value})


def test_a_request_brings_numbers_and_lists_as_text_too() -> None:
    encoder = Encoder.fit(simple(n=[1.0, 2.0], t=[["p"], ["q", "p"]], c=["17", "x"]), features=FeaturesConfig())
    assert encoder.columns == ["c", "n", "t"]

    def idx(**context: Any) -> list[int]:
        found: list[int] = rows_of(encoder.query(context=context).rows).request.idx[0].tolist()
        return found

    assert idx(n="2.0", t="q, p", c=17) == idx(n=2, t=["q", "p"], c="17") == idx(n=2.0, t=("q", "p"), c=17.0)
    assert idx(n="", t=[], c=None) == idx(n=float("nan"), t=None) == idx()
    with pytest.raises(RequestError, match=r"`context.t` must be a list, or text with commas; got 3"):
        encoder.query(context={"t": 3})
    with pytest.raises(RequestError, match=r"`context.c` must be a category: .*; got \['x'\]"):
        encoder.query(context={"c": ["x"]})
    with pytest.raises(RequestError, match="unknown context column `m`"):
        encoder.query(context={"m": 3})


def test_a_constant_field_stays_and_is_listed() -> None:
    train = simple(c=["x", "x"], n=[3.0, 3.0], m=[1.0, 2.0])
    for kind in ("quantile", "log", "value"):
        features = fitted(Encoder.fit(train, features=FeaturesConfig(numbers=kind)))
        assert features.constant == ["user_id", "c", "n", "item_id"]
        assert {f.name for f in features.layout.fields} == {"user_id", "c", "n", "m", "item_id"}
    encoder = Encoder.fit(train, features=FeaturesConfig(numbers="value"))
    idx, weight = encoded(encoder, simple(n=[3.0, 4.5]).events, "n")
    unknown = fitted(encoder).columns["n"].unknown
    assert (idx, weight) == (
        [[0], [unknown]],
        [[0.0], [1.0]],
    )  # no vector was learned that 4.5 could be multiplied with
    for value, row in ((3.0, 0), (4.5, unknown)):
        assert fitted(encoder).columns["n"].one("n", value)[0] == (row,)


def test_constant_is_what_has_the_same_row_in_all_of_training() -> None:
    none = pl.Series([None, None, None], dtype=pl.Float64)
    train = simple(c=["x", "x", "rare"], h=["x", "x", "x"], none=none, all_rare=["p", "q", "r"], some=[2.0, None, 2.0])
    for kind in ("quantile", "log", "value"):
        config = FeaturesConfig(numbers=kind, hash_rows={"h": 9}, min_counts={"c": 2, "all_rare": 2})
        assert fitted(Encoder.fit(train, features=config)).constant == ["user_id", "h", "none", "all_rare", "item_id"]


@pytest.mark.parametrize("value", [1e300, -1e39])
def test_a_number_too_far_from_training_to_be_multiplied_is_an_error(value: float) -> None:
    encoder = Encoder.fit(simple(n=[1.0, 2.0, 4.0]), features=FeaturesConfig(numbers="value"))
    assert encoded(encoder, simple(n=[1e8]).events, "n")[0] == [[0]]
    with pytest.raises(DataError, match=r"`n` has 1 of 2 values further than 1e.09 standard deviations"):
        encoder.events(simple(n=[1.0, value]).events)
    with pytest.raises(RequestError, match=r"`context.n` must not be further than"):
        encoder.query(context={"n": value})


def test_numbers_too_large_to_standardise_are_an_error() -> None:
    train = simple(n=[1e200, -1e200])
    with pytest.raises(
        DataError, match=r"`n` has numbers up to 1e.200, too large to standardise: take it by `quantile`"
    ):
        Encoder.fit(train, features=FeaturesConfig(numbers="value"))
    Encoder.fit(train, features=FeaturesConfig(numbers="log"))


@pytest.mark.parametrize("kind", ["quantile", "log", "value"])
def test_a_whole_number_of_a_request_beyond_any_float_is_refused(kind: Any) -> None:
    encoder = Encoder.fit(simple(n=[1.0, 2.0]), features=FeaturesConfig(numbers=kind))
    with pytest.raises(RequestError, match=r"`context.n` must be a finite number"):
        encoder.query(context={"n": 10**400})


def test_text_that_is_no_unicode_is_a_category_like_any_other() -> None:
    encoder = Encoder.fit(simple(c=["x", "y"], h=["x", "y"]), features=FeaturesConfig(hash_rows={"h": 9}))
    row = rows_of(encoder.query(context={"c": "\ud800", "h": "\ud800"}).rows)
    assert row.request.idx[0, 1] == fitted(encoder).layout.first_rows["c"] + fitted(encoder).columns["c"].unknown


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"numbers": "quntile"},
            "`numbers` of FeaturesConfig must be one of 'quantile', 'log', 'value'; got 'quntile'",
        ),
        ({"number_kinds": {"n": "logs"}}, "`number_kinds.n` of FeaturesConfig must be one of"),
        ({"pooling": "max"}, "`pooling` of FeaturesConfig must be one of 'mean', 'sum'; got 'max'"),
        ({"crosses": (("a", "b"), ("a", "b"))}, "`crosses` of FeaturesConfig must differ"),
    ],
)
def test_a_setting_that_is_none_is_an_error_in_python_too(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FeaturesConfig(**settings)


def test_who_never_did_anything_is_known_by_their_side_fields() -> None:
    users = pl.DataFrame({"user_id": ["u", "quiet"], "job": ["cook", "cook"]})
    items = pl.DataFrame({"item_id": ["a", "new"], "kind": ["k", "k"]})
    train = Dataset.from_frames(pl.DataFrame({"user_id": ["u"], "item_id": ["a"]}), users, items)
    encoder = Encoder.fit(train, features=FeaturesConfig())

    def whole(user: str | None, item: str) -> list[int]:
        found: list[int] = rows_of(encoder.query(user=user).rows).of([0], encoder.items.index([item])).idx[0].tolist()
        return found

    assert whole("u", "a") == [0, 2, 4, 6]
    assert whole("quiet", "new") == [1, 2, 5, 6]
    assert whole("nobody", "no item") == whole(None, "no item") == [1, 3, 5, 7]


def test_features_of_a_log_in_many_parts_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    train = world(3)
    whole = Encoder.fit(train, features=RICH)
    monkeypatch.setattr(encode, "PART", 17)
    monkeypatch.setattr("rankine.features.counting.MOST_WAITING", 10)
    parts = Encoder.fit(train, features=RICH)
    assert fitted(parts).layout == fitted(whole).layout
    data = whole.events(train.events), parts.events(train.events)
    equal(*(rows_of(d.rows).of(slice(None), d.item_idx) for d in data))


def test_saved_features_come_back(tmp_path: Path) -> None:
    train, _, test = split(world(4))
    for config in (RICH, FeaturesConfig(drop=("user_id", "job", "age"), last_items=2)):
        encoder = Encoder.fit(train, features=config)
        encoder.save(tmp_path)
        loaded = Encoder.load(tmp_path)
        assert fitted(loaded).config == config
        assert fitted(loaded).layout == fitted(encoder).layout
        ours, theirs = encoder.events(test), loaded.events(test)
        equal(rows_of(ours.rows).of(slice(None), ours.item_idx), rows_of(theirs.rows).of(slice(None), theirs.item_idx))
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds == {".json", ".parquet"}


def test_extended_features_keep_their_rows_and_know_the_side_fields_of_newcomers() -> None:
    train, _, test = split(world(5))
    test = test.with_columns(pl.lit("newcomer").alias("user_id"))
    encoder = Encoder.fit(train, features=RICH)
    after = train.extended(test)
    wider = encoder.extended(after)
    assert fitted(wider).layout == fitted(encoder).layout
    assert len(wider.users) > len(encoder.users)
    old, new = encoder.events(train.events), wider.events(train.events)
    equal(rows_of(old.rows).of(slice(None), old.item_idx), rows_of(new.rows).of(slice(None), new.item_idx))
    more = wider.events(test)
    assert len(rows_of(more.rows)) == len(more)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fields": ("jobb",)}, "`fields` of .features. names 'jobb', .*did you mean `job`"),
        ({"drop": ("title",)}, "`drop` of .features. names 'title'"),
        ({"hash_rows": {"age": 4}}, "`hash_rows` of .features. names `age`, which is no id or category"),
        ({"number_kinds": {"job": "log"}}, "`number_kinds` of .features. names `job`, which is no number"),
        ({"crosses": (("job", "hat"),)}, "a cross names 'hat', which is no field"),
        ({"crosses": (("job", "tags"),)}, "a cross names `tags`, which does not pick one row"),
        ({"drop": ("item_id",), "last_items": 3}, "`last_items` of .features. shares the rows of the field `item_id`"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Encoder.fit(world(0), features=FeaturesConfig(**settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_count": 0}, "`min_count` of FeaturesConfig must be at least 1"),
        ({"hash_rows": {"x": 0}}, "`hash_rows` of FeaturesConfig must be at least 1 for every field; got 0 for `x`"),
        ({"crosses": (("a", "a"),)}, "a cross must name at least two different fields"),
        ({"last_items": 501}, "`last_items` of FeaturesConfig must be at most 500"),
    ],
)
def test_a_setting_out_of_range_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FeaturesConfig(**settings)


def test_age_needs_a_time_that_is_there() -> None:
    with pytest.raises(
        ConfigError, match=r"`item_age` of .features. needs a `timestamp` per event and one of available_from"
    ):
        Encoder.fit(simple(c=["x"]), features=FeaturesConfig(item_age=True))


def test_a_name_that_users_and_items_share_is_told_apart() -> None:
    users, items = pl.DataFrame({"user_id": ["u"], "kind": ["x"]}), pl.DataFrame({"item_id": ["a"], "kind": ["y"]})
    train = Dataset.from_frames(pl.DataFrame({"user_id": ["u"], "item_id": ["a"]}), users, items)
    features = fitted(Encoder.fit(train, features=FeaturesConfig()))
    assert [f.name for f in features.layout.fields] == ["user_id", "users.kind", "item_id", "items.kind"]


def test_left_impressions_are_events_of_weight_zero() -> None:
    events = pl.DataFrame(
        {
            "user_id": ["u"] * 4,
            "item_id": ["a", "b", "a", "b"],
            "event_type": ["impression", "impression", "click", "search"],
            "value": [1.0, 0.0, None, None],
        }
    )
    data = Encoder.fit(Dataset.from_frames(events), features=FeaturesConfig()).events(
        Dataset.from_frames(events).events
    )
    assert data.shown is not None
    assert data.shown.tolist() == [True, True, False]
    assert data.weight.tolist() == [1, 0, 1]
    assert len(rows_of(data.rows)) == 3
    assert data.interactions.nnz == 1
    assert Encoder.fit(simple(c=["x"])).events(simple(c=["x"]).events).shown is None


def test_a_visitor_who_left_an_item_did_not_meet_it() -> None:
    time = [1.0, 2.0, 3.0]
    events = pl.DataFrame(
        {
            "user_id": ["u"] * 3,
            "item_id": ["a", "b", "b"],
            "event_type": ["impression"] * 3,
            "value": [1.0, 0.0, 1.0],
            "timestamp": time,
        }
    )
    train = Dataset.from_frames(events)
    encoder = Encoder.fit(train, features=FeaturesConfig(count_before=True, met_before=True))
    data = encoder.events(train.events)
    whole = rows_of(data.rows).of(slice(None), data.item_idx)
    layout = fitted(encoder).layout

    def column(name: str) -> Array:
        return whole.idx[:, layout.slots_of(name).start] - layout.first_rows[name]

    assert column("count_before").tolist() == [0, 1, 1]
    assert column("met_before").tolist() == [0, 0, 0]
