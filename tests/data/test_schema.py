from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from rankine.data.schema import EVENT_TYPES, KINDS_BY_NAME, EventType, Feedback, Kind, Rules, Schema, kind_of
from rankine.errors import ConfigError, DataError


def test_a_schema_survives_the_way_to_a_file_and_back() -> None:
    schema = Schema(
        users={"country": Kind.CATEGORY},
        items={"tags": Kind.CATEGORIES, "vector": Kind.VECTOR},
        event_types={
            **EVENT_TYPES,
            "wish": EventType(feedback=Feedback.SOCIAL, weight=0.5),
            "ban": EventType(hides=True),
        },
        rules=Rules(unknown_event_type="keep", duplicate_item="error"),
    )
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
    assert Schema.from_dict({}) == Schema()


def test_given_event_types_are_added_to_the_usual_ones() -> None:
    schema = Schema.from_dict({"event_types": {"view": {"weight": 0.1}, "wish": {"feedback": "social"}}})
    assert schema.event_type("view").weight == 0.1
    assert schema.event_type("wish") == EventType(feedback=Feedback.SOCIAL)
    assert schema.event_type("purchase") == EVENT_TYPES["purchase"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"user": {}}, "unknown setting `user` for the schema; did you mean `users`?"),
        ({"users": {"age": "numbr"}}, "unknown value 'numbr'; did you mean `number`?"),
        ({"rules": {"duplicate_item": "any"}}, "must be one of 'error', 'first', 'last'; got 'any'"),
        ({"event_types": {"view": {"wieght": 1}}}, "unknown setting `wieght`"),
        ({"event_types": {"view": 3}}, "must be a table"),
    ],
)
def test_a_wrong_schema_names_the_closest_word(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Schema.from_dict(values)
    assert message in str(caught.value)


def test_an_unknown_event_type_names_the_closest_or_is_kept_as_a_view() -> None:
    with pytest.raises(DataError, match="unknown event_type 'purchse'; did you mean `purchase`"):
        Schema().event_type("purchse")
    assert Schema(rules=Rules(unknown_event_type="keep")).event_type("purchse") == EventType()


def test_the_usual_types_of_the_domain_are_known() -> None:
    implicit = {"view", "page_view", "click", "preview", "play", "cart", "purchase", "return"}
    social = {"like", "share", "follow", "unfollow", "block"}
    kinds = {name: meaning.feedback for name, meaning in EVENT_TYPES.items()}
    assert {n for n, f in kinds.items() if f is Feedback.IMPLICIT} == implicit
    assert {n for n, f in kinds.items() if f is Feedback.SOCIAL} == social
    assert {n for n, f in kinds.items() if f is Feedback.EXPLICIT} == {"rating", "review"}
    assert {n for n, f in kinds.items() if f is Feedback.INTENT} == {"search"}
    assert {n for n, f in kinds.items() if f is Feedback.SHOWN} == {"impression"}
    assert {n for n, m in EVENT_TYPES.items() if m.weight < 0} == {"return", "unfollow"}
    assert {n for n, m in EVENT_TYPES.items() if m.hides} == {"block"}
    assert EVENT_TYPES["search"].weight == 0


def impressions(values: list[float | None], **types: EventType) -> tuple[Schema, pl.DataFrame]:
    frame = pl.DataFrame({"event_type": ["impression"] * len(values), "value": pl.Series(values, dtype=pl.Float64)})
    return Schema(event_types={**EVENT_TYPES, **types}), frame


def test_an_impression_weighs_something_where_its_item_was_taken() -> None:
    schema, frame = impressions([1.0, 0.0, 1.0], impression=EventType(feedback=Feedback.SHOWN, weight=2))
    mixed = pl.concat([frame, pl.DataFrame({"event_type": ["cart", "block"], "value": [7.0, None]})])
    assert schema.weights(mixed).to_list() == [2, 0, 2, 3, 0]
    assert schema.weights(mixed).dtype == pl.Float32
    assert schema.shown(mixed["event_type"]).to_list() == [True, True, True, False, False]
    assert Schema().weights(pl.DataFrame({"event_type": ["cart"]})).to_list() == [3]
    assert [schema.taken("impression", v) for v in (0, 1)] == [False, True]
    assert schema.taken("cart", None)


@pytest.mark.parametrize("value", [0.5, 2.0, -1.0, None, float("nan"), float("inf")])
def test_an_impression_must_say_whether_its_item_was_taken(value: float | None) -> None:
    schema, frame = impressions([1.0, value, value])
    for ask in (lambda: schema.weights(frame), lambda: schema.taken("impression", value)):
        with pytest.raises(DataError, match=r"must be 1 \(taken\) or 0 \(left\); got .* set `taken_from`"):
            ask()
    with pytest.raises(DataError, match="got no column `value`"):
        schema.weights(frame.drop("value"))


def test_a_value_from_a_threshold_on_counts_as_taken() -> None:
    shown = EventType(feedback=Feedback.SHOWN, taken_from=4.0)
    schema, frame = impressions([1.0, 3.5, 4.0, 5.0], impression=shown)
    assert schema.weights(frame).to_list() == [0, 0, 1, 1]
    assert [schema.taken("impression", v) for v in (3.5, 4)] == [False, True]
    schema, frame = impressions([1.0, None], impression=shown)
    with pytest.raises(DataError, match=r"needs a `value`, taken from 4.0 on; got None in 1 of them"):
        schema.weights(frame)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"taken_from": 4}, '`taken_from` is for event types with feedback = "shown"; got "implicit"'),
        ({"feedback": "shown", "weight": 0}, "whose feedback is `shown` must be above 0; got 0.0"),
    ],
)
def test_an_event_type_that_contradicts_itself_is_an_error(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Schema.from_dict({"event_types": {"x": values}})
    assert message in str(caught.value)


def test_context_is_every_other_event_column() -> None:
    columns = {
        "user_id": Kind.ID,
        "timestamp": Kind.TIME,
        "device": Kind.CATEGORY,
        "price": Kind.NUMBER,
        "split": Kind.CATEGORY,
    }
    assert Schema(events=columns).context == {"device": Kind.CATEGORY, "price": Kind.NUMBER}


@pytest.mark.parametrize(
    ("name", "dtype", "kind"),
    [
        ("user_id", pl.Int64(), Kind.ID),
        ("timestamp", pl.Int64(), Kind.TIME),
        ("value", pl.Int64(), Kind.NUMBER),
        ("shop_id", pl.Int64(), Kind.ID),
        ("created_date", pl.Int64(), Kind.TIME),
        ("geo", pl.String(), Kind.GEO),
        ("tags", pl.List(pl.String()), Kind.CATEGORIES),
        ("title", pl.String(), Kind.TEXT),
        ("title", pl.List(pl.String()), Kind.CATEGORIES),
        ("sold_on", pl.Date(), Kind.TIME),
        ("seen_at", pl.Datetime("ms"), Kind.TIME),
        ("embedding", pl.List(pl.Float32()), Kind.VECTOR),
        ("embedding", pl.Array(pl.Float32(), 3), Kind.VECTOR),
        ("category", pl.List(pl.String()), Kind.CATEGORIES),
        ("country", pl.String(), Kind.CATEGORY),
        ("active", pl.Boolean(), Kind.CATEGORY),
        ("age", pl.UInt8(), Kind.NUMBER),
    ],
)
def test_a_column_without_a_kind_gets_one_by_name_or_type(name: str, dtype: pl.DataType, kind: Kind) -> None:
    assert kind_of(name, dtype) is kind


def test_every_kind_has_a_stored_type() -> None:
    values: dict[Kind, Any] = {
        Kind.ID: "a",
        Kind.CATEGORY: "a",
        Kind.CATEGORIES: ["a"],
        Kind.NUMBER: 1.5,
        Kind.TEXT: "a b",
        Kind.TIME: datetime(2026, 1, 1).timestamp(),
        Kind.GEO: [1.0, 2.0],
        Kind.VECTOR: [1.0],
    }
    assert set(values) == set(Kind)
    for kind, value in values.items():
        assert pl.Series([value], dtype=kind.dtype).to_list() == [value]
    assert set(KINDS_BY_NAME.values()) <= set(Kind)
