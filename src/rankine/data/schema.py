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
from rankine.errors import DataError, closest


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
    """How an event speaks: by deed, by a number, by a wish, or towards others."""

    IMPLICIT = "implicit"
    EXPLICIT = "explicit"
    INTENT = "intent"
    SOCIAL = "social"


@dataclass(frozen=True, kw_only=True)
class EventType:
    """What one event of a type is worth.

    weight > 0 speaks for the item, < 0 against it, 0 says nothing about an item (a search).
    hides: the item leaves this user's rankings (a block); such an event trains nothing.
    """

    feedback: Feedback = Feedback.IMPLICIT
    weight: float = 1.0
    hides: bool = False


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

    def weights(self, event_types: pl.Series) -> pl.Series:
        """What each event says about its item, Float32; 0 where it says nothing or hides it. Raises DataError for an unknown type."""
        meanings = {name: self.event_type(name) for name in event_types.unique().to_list()}
        weights = {name: 0.0 if meaning.hides else float(meaning.weight) for name, meaning in meanings.items()}
        return event_types.replace_strict(weights, default=0.0, return_dtype=pl.Float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in schema.toml and in a saved recommender."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schema:
        """The schema that `to_dict` wrote; given event types are added to the usual ones. Raises ConfigError."""
        schema = from_dict(cls, values, "the schema")
        merged = {**EVENT_TYPES, **schema.event_types}
        return cls(users=schema.users, items=schema.items, events=schema.events, event_types=merged, rules=schema.rules)


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
