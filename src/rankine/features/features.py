"""Features: the fields of a dataset, fitted on training events, and the rows they turn events and requests into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from rankine.arrays import Array, Int
from rankine.data.dataset import Dataset
from rankine.data.vocab import Vocab
from rankine.features.columns import Column
from rankine.features.config import FeaturesConfig
from rankine.features.crosses import Crosses
from rankine.features.history import Past, count_bucket
from rankine.features.layout import COUNT_BEFORE, ITEM_AGE, MET_BEFORE, make_crosses, make_layout
from rankine.features.pairs import ItemAge, Pairs
from rankine.features.rows import Rows
from rankine.features.selection import STARTS, Chosen
from rankine.features.side_tables import beside_ids, encode_columns, encode_side
from rankine.features.slots import Layout, Slots


@dataclass(frozen=True, kw_only=True)
class Features:
    """What is fitted.

    chosen: the columns that are fields; columns: how each is encoded, by name of the field; users: a row per user of the training
    events and of the user table, then one never heard of, then nobody; items: a row per item, then one not known, all with the
    columns that are fields.
    """

    config: FeaturesConfig
    chosen: tuple[Chosen, ...]
    columns: Mapping[str, Column]
    users: pl.DataFrame
    items: pl.DataFrame

    @cached_property
    def layout(self) -> Layout:
        """The fields in the order of their slots."""
        return make_layout(self.config, self.chosen, self.columns)

    @property
    def context(self) -> list[str]:
        """The event columns that a request may bring."""
        return [c.column for c in self.chosen if c.table == "context"]

    @property
    def constant(self) -> list[str]:
        """Fields that were the same in all training events: they are kept, but nothing can be learned of them."""
        return [name for name, column in self.columns.items() if column.constant]

    def rows(self, frame: pl.DataFrame, past: Past | None = None) -> Rows:
        """The request side of the events of a frame, each after its past (nothing where not given). Raises DataError."""
        n, nan = len(frame), float("nan")
        time = frame["timestamp"].fill_null(nan).to_numpy() if "timestamp" in frame.columns else np.full(n, nan)
        here = encode_columns(self.columns, self.layout, self._of_moment, frame)
        return self._rows(
            [self._visitors.take(self._people_rows(frame["user_id"])), here], time, past or Past.nothing(n)
        )

    def row(self, user: str | None, given: Mapping[str, Any], timestamp: float | None, past: Past) -> Rows:
        """The request side of one request; given: its context and clock by column. Raises RequestError."""
        person = len(self._people) + 1 if user is None else self._people.row(user)
        idx: list[int] = []
        weight: list[float] = []
        weighted = False
        for c in self._of_moment:
            column, first = self.columns[c.name], self.layout.first_rows[c.name]
            rows, weights = column.one(c.column, given.get(c.column))
            idx += [first + row for row in rows]
            weight += weights
            weighted |= column.weighted
        here = Slots(np.array([idx], np.int32), np.array([weight], np.float32) if weighted else None)
        time = np.array([np.nan if timestamp is None else timestamp])
        return self._rows([self._visitors.take(slice(person, person + 1)), here], time, past)

    def extended(self, users: Vocab, items: Vocab, train: Dataset) -> Features:
        """The same fields over the users and items that came since; whatever was not in training stays unknown."""
        people = Vocab.of(self._people.ids, users.ids, train.users["user_id"])
        users_frame, items_frame = side_frames(self.config, self.chosen, people, items, train)
        return replace(self, users=users_frame, items=items_frame)

    @cached_property
    def _of_moment(self) -> list[Chosen]:
        """The fields that a request brings itself."""
        return [c for c in self.chosen if c.table in ("context", "clock")]

    @cached_property
    def _people(self) -> Vocab:
        return Vocab(self.users["user_id"][:-2])

    @cached_property
    def _visitors(self) -> Slots:
        """The slots of every user, of one never heard of, and of nobody."""
        chosen = [c for c in self.chosen if c.table == "users"]
        return encode_side(self.columns, self.layout, chosen, self.users, "user_id", len(self._people))

    @cached_property
    def _catalogue(self) -> Slots:
        """The slots of every item, and of one not known."""
        chosen = [c for c in self.chosen if c.table == "items"]
        return encode_side(self.columns, self.layout, chosen, self.items, "item_id", len(self.items) - 1)

    @cached_property
    def _crosses(self) -> Crosses:
        return make_crosses(self.config, self.layout, self.columns)

    @cached_property
    def _item_age(self) -> ItemAge | None:
        name = start_column(self.items)
        if not self.config.item_age or name is None:
            return None
        return ItemAge(self.layout.first_rows[ITEM_AGE], self.items[name].fill_null(float("nan")).to_numpy())

    def _people_rows(self, user_id: pl.Series) -> Int:
        rows = self._people.index(user_id)
        rows[user_id.is_null().to_numpy()] = len(self._people) + 1
        return rows

    def _rows(self, parts: list[Slots], time: Array, past: Past) -> Rows:
        if self.config.last_items:
            parts.append(self._last_items(past))
        if self.config.count_before:
            count = self.layout.first_rows[COUNT_BEFORE] + count_bucket(past.lengths)
            parts.append(Slots(count.astype(np.int32)[:, None]))
        return Rows(
            layout=self.layout,
            request=Slots.beside(parts),
            items=self._catalogue,
            pairs=self._pairs(time, past),
            crosses=self._crosses,
        )

    def _last_items(self, past: Past) -> Slots:
        """The items met last, averaged or summed; the row of an item not known where there were none."""
        n, mean = self.config.last_items, self.config.pooling == "mean"
        lengths = np.minimum(past.lengths, n).clip(1)[:, None]
        share = 1 / lengths if mean else np.ones_like(lengths)
        weight = np.where(np.arange(n) < lengths, share, 0)
        item_row = self._catalogue.idx[:, self._item_slot]
        return Slots(item_row[past.last(n, len(item_row) - 1)], weight.astype(np.float32))

    @cached_property
    def _item_slot(self) -> int:
        """Which slot of an item is that of its id."""
        before = [c.name for c in self.chosen if c.table == "items"]
        return sum(self.columns[name].n_slots for name in before[: before.index("item_id")])

    def _pairs(self, time: Array, past: Past) -> Pairs | None:
        if not (self.config.item_age or self.config.met_before):
            return None
        met_row = self.layout.first_rows[MET_BEFORE] if self.config.met_before else None
        return Pairs(time=time, past=past, item_age=self._item_age, met_row=met_row)


def side_frames(
    config: FeaturesConfig, chosen: tuple[Chosen, ...], people: Vocab, items: Vocab, train: Dataset
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The frames `users` and `items` of Features: the columns of the side tables that are fields, a row per id and the rest."""
    start = start_column(train.items) if config.item_age else None
    of_users = ["user_id", *(c.column for c in chosen if c.table == "users")]
    of_items = ["item_id", *(c.column for c in chosen if c.table == "items"), *([start] if start else [])]
    return (
        beside_ids(people.ids, train.users.select(list(dict.fromkeys(of_users))), "user_id", 2),
        beside_ids(items.ids, train.items.select(list(dict.fromkeys(of_items))), "item_id", 1),
    )


def start_column(items: pl.DataFrame) -> str | None:
    """The column that says since when an item is there."""
    return next((name for name in STARTS if items.schema.get(name) == pl.Float64), None)
