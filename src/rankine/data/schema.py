"""What a dataset's columns are, and what each event type is worth.

Outside ids are text everywhere: a log that writes 17 and a request that says "17" mean the same user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import polars as pl

from rankine.config import from_dict, to_dict
from rankine.errors import ConfigError, DataError, closest


class Kind(StrEnum):
    """Kind of a column, and the polars type its values are stored in."""

    ID = "id"  # String: the outside name of a user, an item, a session or an author
    CATEGORY = "category"  # String: one of few values
    CATEGORIES = "categories"  # List(String)
    NUMBER = "number"  # Float64
    TEXT = "text"  # String: words
    TIME = "time"  # Float64: Unix seconds, UTC
    GEO = "geo"  # List(Float64) of two: latitude, longitude in degrees
    VECTOR = "vector"  # List(Float64), the same length in every row

    @property
    def dtype(self) -> pl.DataType:
        """The polars type of the stored column."""
        lists = {Kind.CATEGORIES: pl.List(pl.String), Kind.GEO: pl.List(pl.Float64), Kind.VECTOR: pl.List(pl.Float64)}
        if self in lists:
            return lists[self]
        return pl.Float64() if self in (Kind.NUMBER, Kind.TIME) else pl.String()


class Feedback(StrEnum):
    """How an event speaks: by deed, by a number, by a wish, towards others, or by being shown and taken or left."""

    IMPLICIT = "implicit"
    EXPLICIT = "explicit"
    INTENT = "intent"
    SOCIAL = "social"
    SHOWN = "shown"


@dataclass(frozen=True, kw_only=True)
class EventType:
    """What one event of a type is worth.

    weight > 0 speaks for the item, < 0 against it, 0 says nothing about an item (a search).
    hides: the item leaves this user's rankings (a block); such an event trains nothing.
    An event whose feedback is `shown` says by its value whether the item was taken (1) or left (0); its weight counts only where
    taken. taken_from: any value is allowed, and the item counts as taken from this one on.
    """

    feedback: Feedback = Feedback.IMPLICIT
    weight: float = 1.0
    hides: bool = False
    taken_from: float | None = None

    def __post_init__(self) -> None:
        if self.feedback is Feedback.SHOWN and not self.weight > 0:
            raise ConfigError(
                f"the `weight` of an event type whose feedback is `shown` must be above 0; got {self.weight}"
            )
        if self.feedback is not Feedback.SHOWN and self.taken_from is not None:
            raise ConfigError(f'`taken_from` is for event types with feedback = "shown"; got "{self.feedback}"')


def _types(feedback: Feedback, weights: Mapping[str, float]) -> dict[str, EventType]:
    return {name: EventType(feedback=feedback, weight=weight) for name, weight in weights.items()}


EVENT_TYPES: dict[str, EventType] = {
    **_types(
        Feedback.IMPLICIT,
        {"view": 1, "page_view": 1, "click": 1, "preview": 1, "play": 1, "cart": 3, "purchase": 5, "return": -3},
    ),
    **_types(Feedback.EXPLICIT, {"rating": 1, "review": 1}),
    **_types(Feedback.INTENT, {"search": 0}),
    **_types(Feedback.SOCIAL, {"like": 2, "share": 2, "follow": 2, "unfollow": -2}),
    "block": EventType(feedback=Feedback.SOCIAL, weight=0, hides=True),
    **_types(Feedback.SHOWN, {"impression": 1}),
}

EVENT_COLUMNS: dict[str, Kind] = {
    "user_id": Kind.ID,
    "item_id": Kind.ID,
    "event_type": Kind.CATEGORY,
    "timestamp": Kind.TIME,
    "value": Kind.NUMBER,
    "session_id": Kind.ID,
}
"""The columns of an event that are not context."""

KINDS_BY_NAME: dict[str, Kind] = {
    **EVENT_COLUMNS,
    "author_id": Kind.ID,
    "query": Kind.TEXT,
    "ip": Kind.TEXT,
    "name": Kind.TEXT,
    "title": Kind.TEXT,
    "description": Kind.TEXT,
    "url": Kind.TEXT,
    "created_date": Kind.TIME,
    "updated_date": Kind.TIME,
    "available_from": Kind.TIME,
    "geo": Kind.GEO,
    "tags": Kind.CATEGORIES,
    "vector": Kind.VECTOR,
    "split": Kind.CATEGORY,
}
"""Kinds of the domain's usual column names, used where a schema says nothing."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What to do with rows that are readable but doubtful. Every choice is counted; `error` stops the read."""

    unknown_event_type: Literal["error", "reject", "keep"] = "error"  # keep: as an implicit event of weight 1
    duplicate_item: Literal["error", "first", "last"] = "last"
    duplicate_user: Literal["error", "first", "last"] = "last"


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The columns of the three tables by kind, what each event type means, and the rules for doubtful rows."""

    users: Mapping[str, Kind] = field(default_factory=dict)
    items: Mapping[str, Kind] = field(default_factory=dict)
    events: Mapping[str, Kind] = field(default_factory=lambda: dict(EVENT_COLUMNS))
    event_types: Mapping[str, EventType] = field(default_factory=lambda: dict(EVENT_TYPES))
    rules: Rules = field(default_factory=Rules)

    @property
    def context(self) -> dict[str, Kind]:
        """The event columns that are context: neither user, item, time, value nor session."""
        return {name: kind for name, kind in self.events.items() if name not in EVENT_COLUMNS and name != "split"}

    def event_type(self, name: str) -> EventType:
        """The meaning of an event type. Raises DataError with the closest known name."""
        if name in self.event_types:
            return self.event_types[name]
        if self.rules.unknown_event_type == "keep":
            return EventType()
        raise DataError(f"unknown event_type {name!r}{closest(name, self.event_types)}")

    def weights(self, events: pl.DataFrame) -> pl.Series:
        """What each event says about its item, Float32; 0 where it says nothing, hides it, or the item was shown and left.

        Raises DataError for an unknown type, and for an impression that does not say whether its item was taken.
        """
        types = events["event_type"]
        meanings = {name: self.event_type(name) for name in types.unique().to_list()}
        weights = {name: 0.0 if meaning.hides else float(meaning.weight) for name, meaning in meanings.items()}
        weight = types.replace_strict(weights, default=0.0, return_dtype=pl.Float32)
        for name, meaning in meanings.items():
            if meaning.feedback is Feedback.SHOWN:
                weight = weight.zip_with(
                    (types != name) | self._taken(events, name, meaning), pl.Series([0], dtype=pl.Float32)
                )
        return weight

    def shown(self, event_types: pl.Series) -> pl.Series:
        """Which events are impressions, Boolean."""
        types = [name for name, meaning in self.event_types.items() if meaning.feedback is Feedback.SHOWN]
        return event_types.is_in(types).fill_null(False)

    def taken(self, event_type: str, value: float | None) -> bool:
        """Whether an event says that its item was taken: every one but an impression that was left. Raises DataError."""
        meaning = self.event_type(event_type)
        if meaning.feedback is not Feedback.SHOWN:
            return True
        if value is None or value != value or (meaning.taken_from is None and value not in (0, 1)):
            raise DataError(_no_outcome(event_type, meaning, str(value)))
        return value >= (1 if meaning.taken_from is None else meaning.taken_from)

    def _taken(self, events: pl.DataFrame, event_type: str, meaning: EventType) -> pl.Series:
        """Where a value says taken; whatever it says of other event types. Raises DataError."""
        if "value" not in events.columns:
            raise DataError(_no_outcome(event_type, meaning, "no column `value`"))
        value = events["value"]
        bad = (
            value.is_null() | value.is_nan()
            if meaning.taken_from is not None
            else ~value.is_in([0.0, 1.0]).fill_null(False)
        )
        if wrong := value.filter(bad.fill_null(True) & (events["event_type"] == event_type)).to_list():
            raise DataError(_no_outcome(event_type, meaning, f"{wrong[0]}", f" in {len(wrong):,} of them"))
        return value >= (1.0 if meaning.taken_from is None else meaning.taken_from)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in schema.toml and in a saved recommender."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schema:
        """The schema that `to_dict` wrote; given event types are added to the usual ones. Raises ConfigError."""
        schema = from_dict(cls, values, "the schema")
        merged = {**EVENT_TYPES, **schema.event_types}
        return cls(users=schema.users, items=schema.items, events=schema.events, event_types=merged, rules=schema.rules)


def _no_outcome(event_type: str, meaning: EventType, got: str, often: str = "") -> str:
    if meaning.taken_from is None:
        return (
            f"the `value` of an event of type `{event_type}` must be 1 (taken) or 0 (left); got {got}{often}: set `taken_from` "
            f"under [event_types.{event_type}] where any value from one on counts as taken"
        )
    return f"an event of type `{event_type}` needs a `value`, taken from {meaning.taken_from} on; got {got}{often}"


def kind_of(name: str, dtype: pl.DataType) -> Kind:
    """The kind a column has when no schema names it: by its usual name, else by its type."""
    if name in KINDS_BY_NAME and not (dtype.is_nested() and KINDS_BY_NAME[name] is Kind.TEXT):
        return KINDS_BY_NAME[name]
    if name.endswith("_id"):
        return Kind.ID
    if dtype.is_temporal():
        return Kind.TIME
    if dtype.is_nested():
        inner = getattr(dtype, "inner", pl.String())
        return Kind.VECTOR if inner.is_numeric() else Kind.CATEGORIES
    return Kind.NUMBER if dtype.is_numeric() else Kind.CATEGORY
