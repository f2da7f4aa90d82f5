"""Which columns of a dataset become fields, in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from rankine.data.schema import Kind, Schema
from rankine.errors import ConfigError, closest
from rankine.features.clock import CLOCK
from rankine.features.config import FeaturesConfig

Table = Literal["users", "context", "clock", "items"]
KINDS = (Kind.ID, Kind.CATEGORY, Kind.CATEGORIES, Kind.NUMBER)
STARTS = ("available_from", "created_date")
"""Columns of an item that say since when it is there, the first that exists."""


@dataclass(frozen=True)
class Chosen:
    """A column that becomes the field `name`."""

    name: str
    table: Table
    column: str
    kind: Kind


def choose(config: FeaturesConfig, schema: Schema, timed: bool) -> list[Chosen]:
    """The fields with rows of their own, those of a request first. Raises ConfigError for a name that is no column."""
    usable = usable_columns(schema, timed)
    names = [c.name for c in usable]
    check_names(config, names)
    chosen = [c for c in usable if (not config.fields or c.name in config.fields) and c.name not in config.drop]
    check_settings(config, chosen, schema, timed)
    return chosen


def usable_columns(schema: Schema, timed: bool) -> list[Chosen]:
    """Every column that can become a field; a name that users and items share is told apart as `users.name`, `items.name`."""
    found: list[Chosen] = [Chosen("user_id", "users", "user_id", Kind.ID)]
    found += [Chosen(c, "users", c, kind) for c, kind in schema.users.items() if kind in KINDS and c != "user_id"]
    found += [Chosen(c, "context", c, kind) for c, kind in schema.context.items() if kind in KINDS]
    found += [Chosen(c, "clock", c, Kind.CATEGORY) for c in CLOCK if timed and c not in schema.context]
    found.append(Chosen("item_id", "items", "item_id", Kind.ID))
    found += [Chosen(c, "items", c, kind) for c, kind in schema.items.items() if kind in KINDS and c != "item_id"]
    often = Counter(c.name for c in found)
    return [c if often[c.name] == 1 else Chosen(f"{c.table}.{c.name}", c.table, c.column, c.kind) for c in found]


def check_names(config: FeaturesConfig, names: Collection[str]) -> None:
    """Raise ConfigError where a setting names a column that cannot be a field."""
    settings: list[tuple[str, Iterable[str]]] = [
        ("fields", config.fields), ("drop", config.drop), ("min_counts", config.min_counts),
        ("hash_rows", config.hash_rows), ("number_kinds", config.number_kinds),
    ]  # fmt: skip
    for setting, given in settings:
        for name in given:
            if name not in names:
                raise ConfigError(
                    f"`{setting}` of [features] names {name!r}, which is no column that can be a field{closest(name, names)}; "
                    f"there are {', '.join(names)}"
                )


def check_settings(config: FeaturesConfig, chosen: list[Chosen], schema: Schema, timed: bool) -> None:
    """Raise ConfigError where a setting does not fit the fields, or asks for what the data does not have."""
    kinds = {c.name: c.kind for c in chosen}
    if not kinds:
        raise ConfigError("[features] leaves no field: name some in `fields`, or fewer in `drop`")
    for name in config.number_kinds:
        if kinds.get(name) is not Kind.NUMBER:
            raise ConfigError(f"`number_kinds` of [features] names `{name}`, which is no number among the fields")
    for name in config.hash_rows:
        if kinds.get(name) in (None, Kind.NUMBER):
            raise ConfigError(f"`hash_rows` of [features] names `{name}`, which is no id or category among the fields")
    if config.last_items and "item_id" not in kinds:
        raise ConfigError("`last_items` of [features] shares the rows of the field `item_id`: do not drop that")
    if config.item_age and not (timed and any(schema.items.get(c) is Kind.TIME for c in STARTS)):
        raise ConfigError(
            f"`item_age` of [features] needs a `timestamp` per event and one of {', '.join(STARTS)} per item"
        )
    for cross in config.crosses:
        for part in cross:
            kind = kinds.get(part)
            if kind is None:
                raise ConfigError(f"a cross names {part!r}, which is no field{closest(part, kinds)}")
            scaled = config.number_kinds.get(part, config.numbers) == "value"
            if kind is Kind.CATEGORIES or (kind is Kind.NUMBER and scaled):
                raise ConfigError(
                    f"a cross names `{part}`, which does not pick one row: cross categories and buckets of numbers"
                )
