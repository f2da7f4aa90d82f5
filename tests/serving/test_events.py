from __future__ import annotations

from typing import Any

import pytest

from rankine.data.schema import EVENT_COLUMNS, EVENT_TYPES, Kind, Rules, Schema
from rankine.serving.events import EventReader
from rankine.serving.values import RefusedError

NOW = 1_700_000_000.0
SCHEMA = Schema(events={**EVENT_COLUMNS, "device": Kind.CATEGORY, "geo": Kind.GEO, "split": Kind.CATEGORY})


@pytest.fixture
def reader() -> EventReader:
    return EventReader(SCHEMA, max_events=3)


def test_one_event_a_list_and_an_object_of_events_are_the_same(reader: EventReader) -> None:
    event = {"user_id": 1, "item_id": "a"}
    bodies: list[Any] = [event, [event], {"events": [event]}]
    found = [reader.read(body, NOW).events for body in bodies]
    assert found[0] == found[1] == found[2]
    assert found[0][0].user_id == "1"


def test_a_bare_event_is_a_view_now(reader: EventReader) -> None:
    [event] = reader.read({"session_id": "s", "item_id": "a"}, NOW).events
    assert (event.event_type, event.timestamp, event.weight, event.hides) == ("view", NOW, 1, False)


def test_context_and_unknown_fields_are_kept_and_the_unknown_ones_named(reader: EventReader) -> None:
    batch = reader.read({"user_id": "u", "item_id": "a", "device": "phone", "geo": "1.5,2", "devise": {"x": 1}}, NOW)
    assert batch.events[0].columns == {"device": "phone", "geo": [1.5, 2.0], "devise": {"x": 1}}
    assert batch.unknown_fields == {"devise"}


def test_a_visitor_id_is_a_user_id(reader: EventReader) -> None:
    assert reader.read({"visitor_id": 5, "item_id": "a"}, NOW).events[0].user_id == "5"
    assert reader.read({"visitor_id": 5, "user_id": "5", "item_id": "a"}, NOW).events[0].user_id == "5"


def test_a_search_needs_no_item(reader: EventReader) -> None:
    assert reader.read({"user_id": "u", "event_type": "search"}, NOW).events[0].item_id is None


def test_null_is_the_same_as_not_given(reader: EventReader) -> None:
    [event] = reader.read({"user_id": "u", "item_id": "a", "value": None, "timestamp": None}, NOW).events
    assert (event.value, event.timestamp) == (None, NOW)


@pytest.mark.parametrize(
    ("event", "field", "reason"),
    [
        ({"item_id": "a"}, "user_id", "`user_id` or `session_id`; got `item_id`"),
        ({"user_id": "u"}, "item_id", "`view` needs `item_id`"),
        ({"user_id": "u", "event_type": "block"}, "item_id", "`block` needs `item_id`"),
        ({"user_id": "u", "item_id": "a", "event_type": "veiw"}, "event_type", "did you mean `view`?"),
        ({"user_id": "u", "item_id": "a", "timestamp": "noon"}, "timestamp", "Unix seconds, Unix milliseconds, or ISO"),
        ({"user_id": "u", "item_id": "a", "value": "much"}, "value", "a finite number"),
        ({"user_id": "u", "item_id": "a", "geo": "1"}, "geo", "latitude and longitude"),
        ({"user_id": "u", "visitor_id": "v", "item_id": "a"}, "visitor_id", "another name for `user_id`"),
        ({"user_id": {"id": 1}, "item_id": "a"}, "user_id", "text of 1 to 512 characters"),
        ({}, "user_id", "got none"),
        ("view", None, "an object with named fields"),
    ],
)
def test_a_bad_event_is_rejected_with_field_and_reason(
    reader: EventReader, event: Any, field: str, reason: str
) -> None:
    batch = reader.read([{"user_id": "u", "item_id": "a"}, event], NOW)
    assert len(batch.events) == 1
    [rejected] = batch.rejected
    assert (rejected.index, rejected.field) == (1, field)
    assert reason in rejected.reason


@pytest.mark.parametrize("body", [[], {"events": []}, {"events": {}}, 5, None, "view", {"events": [{}], "more": 1}])
def test_a_body_without_events_is_refused(reader: EventReader, body: Any) -> None:
    with pytest.raises(RefusedError):
        reader.read(body, NOW)


def test_too_many_events_are_refused_as_too_large(reader: EventReader) -> None:
    with pytest.raises(RefusedError, match="at most 3 events in one request; got 4") as error:
        reader.read([{}] * 4, NOW)
    assert error.value.status == 413


def test_a_schema_that_keeps_unknown_types_takes_them() -> None:
    reader = EventReader(Schema(rules=Rules(unknown_event_type="keep")), max_events=3)
    assert reader.read({"user_id": "u", "item_id": "a", "event_type": "wink"}, NOW).events[0].weight == 1


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_every_event_type_is_worth_what_the_schema_says(reader: EventReader, name: str) -> None:
    [event] = reader.read({"user_id": "u", "item_id": "a", "event_type": name, "value": 1}, NOW).events
    assert (event.weight, event.hides) == (EVENT_TYPES[name].weight, EVENT_TYPES[name].hides)


def test_an_impression_that_was_left_weighs_nothing_and_must_say_so(reader: EventReader) -> None:
    shown = {"user_id": "u", "item_id": "a", "event_type": "impression"}
    batch = reader.read([shown | {"value": 0}, shown | {"value": 1}, shown], NOW)
    assert [event.weight for event in batch.events] == [0, 1]
    assert [(rejected.index, rejected.field) for rejected in batch.rejected] == [(2, "value")]
    assert "must be 1 (taken) or 0 (left)" in batch.rejected[0].reason


def test_an_event_of_next_year_and_one_nested_too_deep_are_rejected_alone() -> None:
    deep: object = 1
    for _ in range(300):
        deep = [deep]
    body = [
        {"user_id": "a", "item_id": "x", "timestamp": 1_000_000_000 + 2 * 86_400},
        {"user_id": "a", "item_id": "x", "extra": deep},
        {"user_id": "a", "item_id": "x", "timestamp": 1_000_000_000 + 3_600},
    ]
    batch = EventReader(Schema(), 10).read(body, now=1_000_000_000.0)
    assert [(r.index, r.reason.split(" ")[0]) for r in batch.rejected] == [(0, "`timestamp`"), (1, "the")]
    assert len(batch.events) == 1
