"""Fitting features: one pass over training events that counts what their columns hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl

from rankine.arrays import Array
from rankine.data.dataset import Dataset
from rankine.data.vocab import Vocab
from rankine.features.clock import CLOCK
from rankine.features.columns import Category, Column
from rankine.features.config import FeaturesConfig
from rankine.features.counting import Counts
from rankine.features.features import Features, side_frames
from rankine.features.selection import Chosen, choose
from rankine.features.side_tables import column_of


def fit_features(
    config: FeaturesConfig, train: Dataset, users: Vocab, items: Vocab, parts: Iterable[pl.DataFrame]
) -> Features:
    """Features of the training events that come in parts, each a frame of events about known items; users and items from `train`.

    One pass: no more than a part and what was counted is held. Raises ConfigError, and DataError for an infinite number.
    """
    chosen = tuple(choose(config, train.schema, train.has_time))
    people = Vocab.of(users.ids, train.users["user_id"])
    of_users, of_items = side_frames(config, chosen, people, items, train)
    columns = count_columns(config, chosen, people, items, {"users": of_users, "items": of_items}, parts)
    return Features(config=config, chosen=chosen, columns=columns, users=of_users, items=of_items)


def count_columns(
    config: FeaturesConfig,
    chosen: Sequence[Chosen],
    people: Vocab,
    items: Vocab,
    tables: Mapping[str, pl.DataFrame],
    parts: Iterable[pl.DataFrame],
) -> dict[str, Column]:
    """The columns by name, from one pass over the events and one over each side table, weighted by the events of its rows."""
    counts = {c.name: Counts(c.name, c.kind) for c in chosen if c.table != "clock"}
    times: dict[str, Array] = {name: np.zeros(len(table)) for name, table in tables.items()}
    for part in parts:
        times["users"] += _user_counts(people, part["user_id"])
        times["items"] += np.bincount(items.index(part["item_id"]), minlength=len(items) + 1)
        for c in chosen:
            if c.table == "context":
                counts[c.name].add(column_of(part, c))
    for c in chosen:
        if c.table in tables:
            counts[c.name].add(column_of(tables[c.table], c), times[c.table])
    clock = {c: Category(missing=False, vocab=Vocab(CLOCK[c])) for c in CLOCK}
    return {c.name: clock[c.column] if c.table == "clock" else counts[c.name].column(config) for c in chosen}


def _user_counts(people: Vocab, user_id: pl.Series) -> Array:
    rows = people.index(user_id)
    rows[user_id.is_null().to_numpy()] = len(people) + 1
    return np.bincount(rows, minlength=len(people) + 2)
