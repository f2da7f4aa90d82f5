"""Encoder: vocabularies fitted on training events, and the arrays they turn tables and requests into."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rankine.arrays import Array, Int, Ragged
from rankine.data.dataset import Dataset
from rankine.data.schema import Kind, Schema
from rankine.data.vocab import Vocab
from rankine.errors import RequestError, closest
from rankine.features.events import EventArrays
from rankine.features.queries import Queries

CLOCK = {"hour": [str(h) for h in range(24)], "weekday": [str(d) for d in range(1, 8)]}
"""Context read off the timestamp, UTC: hour 0..23, ISO weekday 1..7."""


@dataclass(frozen=True)
class Encoder:
    """What ids and context values mean as rows. `fitted_on` is the fingerprint of the training events."""

    users: Vocab
    items: Vocab
    context: Mapping[str, Vocab]
    schema: Schema
    fitted_on: str
    collapse_repeats: bool = False

    @classmethod
    def fit(cls, train: Dataset, *, collapse_repeats: bool = False) -> Encoder:
        """Vocabularies of the training events; items also of the item table, so that a catalogue is ranked whole."""
        context = {
            name: Vocab.of(train.events[name]) for name, kind in train.schema.context.items() if kind is Kind.CATEGORY
        }
        if train.has_time:
            context |= {name: Vocab(values) for name, values in CLOCK.items() if name not in train.events.columns}
        return cls(
            users=Vocab.of(train.events["user_id"]),
            items=Vocab.of(train.events["item_id"], train.items["item_id"]),
            context=context,
            schema=train.schema,
            fitted_on=train.fingerprint(),
            collapse_repeats=collapse_repeats,
        )

    def extended(self, train: Dataset) -> Encoder:
        """The same rows for what was known, further rows for the users and items that came since; context stays as it was."""
        return replace(
            self,
            users=Vocab.of(self.users.ids, train.events["user_id"]),
            items=Vocab.of(self.items.ids, train.events["item_id"], train.items["item_id"]),
            fitted_on=train.fingerprint(),
        )

    def events(self, frame: pl.DataFrame) -> EventArrays:
        """The events about known items that are not merely hiding one, as arrays."""
        frame = self.informative(frame)
        optional = {name: frame[name].to_numpy() for name in ("value", "timestamp") if name in frame.columns}
        value = optional.get("value")
        return EventArrays(
            n_users=len(self.users),
            n_items=len(self.items),
            user_idx=self.users.index(frame["user_id"]),
            item_idx=self.items.index(frame["item_id"]),
            weight=frame["_weight"].to_numpy(),
            value=None if value is None else value.astype(np.float32),
            timestamp=optional.get("timestamp"),
            session_idx=session_codes(frame["session_id"]) if "session_id" in frame.columns else None,
            context=self.context_rows(frame),
            context_sizes={name: len(vocab) for name, vocab in self.context.items()},
            collapse_repeats=self.collapse_repeats,
        )

    def context_rows(self, frame: pl.DataFrame) -> dict[str, Int]:
        """The rows of each context column, int32 [E]; the clock is read off `timestamp` where the table has no such column."""
        given = {name: vocab.index(frame[name]) for name, vocab in self.context.items() if name in frame.columns}
        if "timestamp" not in frame.columns:
            return given
        return {name: given[name] if name in given else self._clock_rows(name, frame["timestamp"]) for name in self.context
                if name in given or name in CLOCK}  # fmt: skip

    def _clock_rows(self, name: str, timestamp: pl.Series) -> Int:
        """The rows of the hours or weekdays of a column, without writing them out as text."""
        places = self.context[name].index([*CLOCK[name], None])
        return places[clock_numbers(name, timestamp)]

    def informative(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The events about known items with a weight other than zero, and that weight as `_weight` (Float32)."""
        weight = self.schema.weights(frame["event_type"]).alias("_weight")
        frame = frame.with_columns(weight).filter(pl.col("_weight") != 0, pl.col("item_id").is_not_null())
        return frame.filter(pl.Series(self.items.index(frame["item_id"]) < len(self.items), dtype=pl.Boolean))

    def hidden(self, frame: pl.DataFrame) -> dict[str, list[str]]:
        """Per user the items that an event such as a block takes out of their rankings."""
        types = [name for name, meaning in self.schema.event_types.items() if meaning.hides]
        rows = frame.filter(pl.col("event_type").is_in(types), pl.col("user_id").is_not_null())
        pairs = rows.group_by("user_id").agg(pl.col("item_id").unique())
        return dict(zip(pairs["user_id"].to_list(), pairs["item_id"].to_list(), strict=True))

    def query(
        self,
        *,
        user: str | None = None,
        history: Sequence[str] = (),
        weights: Sequence[float] | None = None,
        session_len: int | None = None,
        context: Mapping[str, Any] | None = None,
        timestamp: float | None = None,
    ) -> Queries:
        """One request. Items not known and weights not above zero leave the history.

        Raises RequestError for a context column not known, or weights that do not fit the history.
        """
        item_idx = self.items.index(history)
        weight = np.ones(len(item_idx), np.float32) if weights is None else np.asarray(weights, np.float32)
        if len(weight) != len(item_idx):
            raise RequestError(
                f"`weights` must have one value per item of `history`, {len(item_idx)}; got {len(weight)}"
            )
        in_session = np.arange(len(item_idx)) >= len(item_idx) - (len(item_idx) if session_len is None else session_len)
        said = np.flatnonzero((item_idx < len(self.items)) & (weight > 0))
        if self.collapse_repeats:
            said = said[~(_same_as_before(item_idx[said]) & _same_as_before(in_session[said]) & in_session[said])]
        return Queries(
            user_idx=np.array([self.users.row(user)], np.int32),
            history=Ragged.from_rows([item_idx[said]]),
            history_weight=weight[said],
            session_len=np.array([int(in_session[said].sum())], np.int64),
            timestamp=np.array([np.nan if timestamp is None else timestamp]),
            n_users=len(self.users),
            n_items=len(self.items),
            context={name: np.array([row], np.int32) for name, row in self._context(context or {}, timestamp).items()},
        )

    def _context(self, given: Mapping[str, Any], timestamp: float | None) -> dict[str, int]:
        for name in given:
            if name not in self.context:
                raise RequestError(f"unknown context column `{name}`{closest(name, self.context)}")
        clock = clock_of(timestamp) if timestamp is not None else {}
        return {
            name: vocab.row(_category(given[name]) if name in given else clock.get(name))
            for name, vocab in self.context.items()
        }

    def save(self, folder: Path) -> None:
        """Write `encoder.json` and `vocab/*.parquet` below the folder."""
        self.users.save(folder / "vocab" / "users.parquet")
        self.items.save(folder / "vocab" / "items.parquet")
        for place, vocab in enumerate(self.context.values()):
            vocab.save(folder / "vocab" / f"context-{place}.parquet")
        facts = {
            "schema": self.schema.to_dict(),
            "context": list(self.context),
            "fitted_on": self.fitted_on,
            "collapse_repeats": self.collapse_repeats,
        }
        (folder / "encoder.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Encoder:
        """The encoder that `save` wrote."""
        facts = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        context = {
            name: Vocab.load(folder / "vocab" / f"context-{place}.parquet")
            for place, name in enumerate(facts["context"])
        }
        return cls(
            Vocab.load(folder / "vocab" / "users.parquet"),
            Vocab.load(folder / "vocab" / "items.parquet"),
            context,
            Schema.from_dict(facts["schema"]),
            facts["fitted_on"],
            facts["collapse_repeats"],
        )


def clock_numbers(name: str, timestamp: pl.Series) -> Array:
    """The place in CLOCK[name] of each time (Unix seconds), the one behind the last where it is not known; int64 [E]."""
    time = pl.select(pl.from_epoch((timestamp * 1000).cast(pl.Int64, strict=False), time_unit="ms").alias("t"))["t"]
    number = time.dt.hour() if name == "hour" else time.dt.weekday() - 1
    return number.cast(pl.Int64).fill_null(len(CLOCK[name])).to_numpy()


def clock_of(timestamp: float) -> dict[str, str]:
    """The context read off one timestamp (Unix seconds)."""
    time = datetime.fromtimestamp(timestamp, UTC)
    return {"hour": str(time.hour), "weekday": str(time.isoweekday())}


def codes(column: pl.Series) -> Int:
    """A number for each distinct value in order of appearance, int32 [E]."""
    return Vocab.of(column).index(column)


def session_codes(column: pl.Series) -> Int:
    """A number for each session, int32 [E]; an event without one stands alone."""
    numbers = codes(column)
    alone = column.is_null().to_numpy()
    numbers[alone] = len(numbers) + np.arange(alone.sum())
    return numbers


def _same_as_before(values: Array) -> Array:
    same = np.zeros(len(values), bool)
    same[1:] = values[1:] == values[:-1]
    return same


def _category(value: object) -> str | None:
    """A context value as it is stored."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
