"""Events as they arrive: read field by field, accepted or rejected one by one, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from rankine.data.schema import EVENT_COLUMNS, EventType, Kind, Schema
from rankine.errors import DataError, closest
from rankine.serving.values import FORMS, ID, Form, RefusedError, shown

EVENT_HELP: dict[str, str] = {
    "user_id": "who did it; this or `session_id` is needed",
    "visitor_id": "another name for `user_id`",
    "session_id": "the visit it belongs to",
    "item_id": "what it is about; not needed where the event type says nothing about an item",
    "event_type": "what was done",
    "timestamp": "when; now if not given",
    "value": "a rating, a price, a play count",
    "event_id": "a name for this delivery: an event whose name is in the log already is not stored again",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One readable event. columns: its context and whatever else it carried; weight and hides as in its EventType."""

    user_id: str | None
    session_id: str | None
    item_id: str | None
    event_type: str
    timestamp: float
    value: float | None
    event_id: str | None
    columns: Mapping[str, Any]
    weight: float
    hides: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why the event at place `index` of a request was not accepted."""

    index: int
    field: str | None
    value: Any
    reason: str


@dataclass
class Batch:
    """The events of one request. unknown_fields: names that the schema does not have: stored, but read by no model."""

    events: list[Event] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    unknown_fields: set[str] = field(default_factory=set)


MAX_AHEAD_S = (
    86_400.0  # a clock may be wrong by a time zone; an event of next year would count as the last one until then
)


class _FieldError(Exception):
    def __init__(self, name: str | None, value: Any, reason: str) -> None:
        self.name, self.value, self.reason = name, value, reason


def _storable(columns: dict[str, Any]) -> bool:
    try:
        orjson.dumps(columns)
    except TypeError:  # what orjson raises for what it cannot write
        return False
    return True


class EventReader:
    """Reads request bodies into events of this schema."""

    def __init__(self, schema: Schema, max_events: int) -> None:
        self.schema = schema
        self.max_events = max_events
        kinds = {**EVENT_COLUMNS, "visitor_id": Kind.ID, **schema.context}
        self.forms: dict[str, Form] = {**{name: FORMS[kind] for name, kind in kinds.items()}, "event_id": ID}

    def read(self, body: Any, now: float) -> Batch:
        """The events of a body: one object, a list, or {"events": [...]}. Raises RefusedError for anything else.

        now: Unix seconds, the time of events that state none.
        """
        batch = Batch()
        for index, raw in enumerate(self._rows(body)):
            try:
                batch.events.append(self._event(raw, now, batch.unknown_fields))
            except _FieldError as bad:
                batch.rejected.append(Rejected(index, bad.name, shown(bad.value), bad.reason))
        return batch

    def _rows(self, body: Any) -> list[Any]:
        if isinstance(body, dict) and "events" in body:
            for name in body.keys() - {"events"}:
                raise RefusedError(f"unknown field `{shown(name)}` beside `events`: put it into each event")
            body = body["events"]
        elif isinstance(body, dict):
            body = [body]
        if not isinstance(body, list) or not body:
            got = "an empty list" if body == [] else type(body).__name__
            raise RefusedError(
                f'expected an event, a list of events or {{"events": [...]}} with at least one event; got {got}'
            )
        if len(body) > self.max_events:
            raise RefusedError(
                f"expected at most {self.max_events} events in one request; got {len(body)}: send several requests", 413
            )
        return body

    def _event(self, raw: Any, now: float, unknown_fields: set[str]) -> Event:
        if not isinstance(raw, dict):
            raise _FieldError(None, raw, "an event must be an object with named fields")
        values = {name: self._value(name, value) for name, value in raw.items() if value is not None}
        unknown_fields.update(shown(name) for name in values if name not in self.forms)
        user_id = _user(values)
        if user_id is None and "session_id" not in values:
            raise _FieldError("user_id", None, f"needs `user_id` or `session_id`; got {_names(raw)}")
        event_type = values.get("event_type", "view")
        meaning = self._meaning(event_type)
        if "item_id" not in values and (meaning.weight or meaning.hides):
            raise _FieldError("item_id", None, f"`{event_type}` needs `item_id`; got {_names(raw)}")
        if values.get("timestamp", now) > now + MAX_AHEAD_S:
            raise _FieldError("timestamp", raw["timestamp"], "`timestamp` must not lie more than a day ahead")
        columns = {n: v for n, v in values.items() if n not in EVENT_HELP}
        if not _storable(columns):
            raise _FieldError(None, None, "the fields of an event must be plain values, not nested this deep")
        return Event(
            user_id,
            values.get("session_id"),
            values.get("item_id"),
            event_type,
            values.get("timestamp", now),
            values.get("value"),
            values.get("event_id"),
            columns,
            meaning.weight if self._taken(event_type, values.get("value")) else 0.0,
            meaning.hides,
        )

    def _value(self, name: str, value: Any) -> Any:
        if name not in self.forms:
            return value
        try:
            return self.forms[name].read(value)
        except ValueError:
            raise _FieldError(name, value, f"`{name}` must be {self.forms[name].expected}") from None

    def _taken(self, event_type: str, value: float | None) -> bool:
        if event_type not in self.schema.event_types:
            return True  # kept as an event like any other
        try:
            return self.schema.taken(event_type, value)
        except DataError as error:
            raise _FieldError("value", value, str(error)) from None

    def _meaning(self, event_type: str) -> EventType:
        try:
            return self.schema.event_type(event_type)
        except DataError:
            near = closest(event_type, self.schema.event_types)
            raise _FieldError("event_type", event_type, f"unknown event type{near}") from None


def _user(values: dict[str, Any]) -> str | None:
    user_id, visitor_id = values.get("user_id"), values.get("visitor_id")
    if user_id is not None and visitor_id is not None and user_id != visitor_id:
        raise _FieldError(
            "visitor_id", visitor_id, "`visitor_id` is another name for `user_id`: give one, or the same in both"
        )
    found: str | None = visitor_id if user_id is None else user_id
    return found


def _names(raw: dict[str, Any]) -> str:
    return str(shown(", ".join(f"`{name}`" for name in raw))) or "none"
