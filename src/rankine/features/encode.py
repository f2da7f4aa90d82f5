"""Encoder: vocabularies fitted on training events, and the arrays they turn tables and requests into."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rankine.arrays import Array, Int, Ragged
from rankine.data.dataset import Dataset
from rankine.data.schema import Kind, Schema
from rankine.data.vocab import Vocab
from rankine.errors import RequestError, closest
from rankine.features.clock import CLOCK, clock_numbers, clock_of
from rankine.features.codes import session_codes
from rankine.features.columns import category_of
from rankine.features.config import FeaturesConfig
from rankine.features.events import EventArrays
from rankine.features.features import Features
from rankine.features.fitting import fit_features
from rankine.features.history import Past, strictly_before
from rankine.features.queries import Queries
from rankine.features.rows import Rows
from rankine.features.saving import load_features, save_features

PART = 1_000_000  # events that are looked at together while fitting


@dataclass(frozen=True)
class Encoder:
    """What ids and context values mean as rows. `fitted_on` is the fingerprint of the training events."""

    users: Vocab
    items: Vocab
    context: Mapping[str, Vocab]
    schema: Schema
    fitted_on: str
    collapse_repeats: bool = False
    features: Features | None = None

    @classmethod
    def fit(cls, train: Dataset, *, collapse_repeats: bool = False, features: FeaturesConfig | None = None) -> Encoder:
        """Vocabularies of the training events; items also of the item table, so that a catalogue is ranked whole.

        features: also fit the fields that click models look at. Raises ConfigError, DataError.
        """
        context = {
            name: Vocab.of(train.events[name]) for name, kind in train.schema.context.items() if kind is Kind.CATEGORY
        }
        if train.has_time:
            context |= {name: Vocab(values) for name, values in CLOCK.items() if name not in train.events.columns}
        encoder = cls(
            users=Vocab.of(train.events["user_id"]),
            items=Vocab.of(train.events["item_id"], train.items["item_id"]),
            context=context,
            schema=train.schema,
            fitted_on=train.fingerprint(),
            collapse_repeats=collapse_repeats,
        )
        if features is None:
            return encoder
        parts = (encoder.informative(part) for part in train.events.iter_slices(PART))
        return replace(encoder, features=fit_features(features, train, encoder.users, encoder.items, parts))

    def extended(self, train: Dataset) -> Encoder:
        """The same rows for what was known, further rows for the users and items that came since; context stays as it was."""
        users = Vocab.of(self.users.ids, train.events["user_id"])
        items = Vocab.of(self.items.ids, train.events["item_id"], train.items["item_id"])
        return replace(
            self,
            users=users,
            items=items,
            fitted_on=train.fingerprint(),
            features=None if self.features is None else self.features.extended(users, items, train),
        )

    def events(self, frame: pl.DataFrame) -> EventArrays:
        """The events about known items that are not merely hiding one, as arrays."""
        frame = self.informative(frame)
        optional = {name: frame[name].to_numpy() for name in ("value", "timestamp") if name in frame.columns}
        value, session_id = optional.get("value"), frame["session_id"] if "session_id" in frame.columns else None
        user_idx, item_idx = self.users.index(frame["user_id"]), self.items.index(frame["item_id"])
        session_idx = None if session_id is None else session_codes(session_id)
        weight = frame["_weight"].to_numpy()
        return EventArrays(
            n_users=len(self.users),
            n_items=len(self.items),
            user_idx=user_idx,
            item_idx=item_idx,
            weight=weight,
            value=None if value is None else value.astype(np.float32),
            timestamp=optional.get("timestamp"),
            session_idx=session_idx,
            context=self.context_rows(frame),
            context_sizes={name: len(vocab) for name, vocab in self.context.items()},
            collapse_repeats=self.collapse_repeats,
            shown=frame["_shown"].to_numpy() if frame["_shown"].any() else None,
            rows=self.rows(frame, self._past(frame, user_idx, session_idx, item_idx, weight)),
        )

    def rows(self, frame: pl.DataFrame, history: Ragged | Past | None = None) -> Rows | None:
        """The request side of each event in fields, None where no features were fitted.

        history: item_idx of what the visitor did before each event, oldest first; nothing where not given.
        """
        if self.features is None:
            return None
        return self.features.rows(frame, Past.of_rows(history) if isinstance(history, Ragged) else history)

    def _past(
        self, frame: pl.DataFrame, user_idx: Int, session_idx: Int | None, item_idx: Int, weight: Array
    ) -> Past | None:
        """What came before each of these events within them, None where no feature looks back."""
        if self.features is None or not self.features.config.looks_back:
            return None
        alone = np.full(len(frame), -1) if session_idx is None else session_idx.astype(np.int64) + len(self.users)
        visitor = np.where(user_idx < len(self.users), user_idx, alone)
        time = frame["timestamp"].fill_null(np.nan).to_numpy() if "timestamp" in frame.columns else None
        return strictly_before(visitor, time, item_idx, weight > 0)

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
        """The events about known items that weigh something or are impressions; weights as `_weight` (Float32), `_shown` (Boolean).

        Raises DataError for an unknown event type, and for an impression that does not say whether its item was taken.
        """
        weight, shown = (
            self.schema.weights(frame).alias("_weight"),
            self.schema.shown(frame["event_type"]).alias("_shown"),
        )
        says = (pl.col("_weight") != 0) | pl.col("_shown")
        frame = frame.with_columns(weight, shown).filter(says, pl.col("item_id").is_not_null())
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
        past = Past.of_rows(Ragged.from_rows([item_idx[said]]))
        if self.collapse_repeats:
            said = said[~(_same_as_before(item_idx[said]) & _same_as_before(in_session[said]) & in_session[said])]
        known, given = self._context(context or {}, timestamp)
        return Queries(
            user_idx=np.array([self.users.row(user)], np.int32),
            history=Ragged.from_rows([item_idx[said]]),
            history_weight=weight[said],
            session_len=np.array([int(in_session[said].sum())], np.int64),
            timestamp=np.array([np.nan if timestamp is None else timestamp]),
            n_users=len(self.users),
            n_items=len(self.items),
            context={name: np.array([row], np.int32) for name, row in known.items()},
            rows=None if self.features is None else self.features.row(user, given, timestamp, past),
        )

    @property
    def columns(self) -> list[str]:
        """The context columns that a request may name."""
        return [*self.context, *(n for n in (self.features.context if self.features else ()) if n not in self.context)]

    def _context(self, given: Mapping[str, Any], timestamp: float | None) -> tuple[dict[str, int], dict[str, Any]]:
        """The rows of the context, and its values, the clock among them where it is not given."""
        columns = self.columns
        for name in given:
            if name not in columns:
                raise RequestError(f"unknown context column `{name}`{closest(name, columns)}")
        values = {**(clock_of(timestamp) if timestamp is not None else {}), **given}
        return {name: vocab.row(category_of(name, values.get(name))) for name, vocab in self.context.items()}, values

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
        if self.features is not None:
            save_features(self.features, folder / "features")
        facts["features"] = self.features is not None
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
            load_features(folder / "features") if facts.get("features") else None,
        )


def _same_as_before(values: Array) -> Array:
    same = np.zeros(len(values), bool)
    same[1:] = values[1:] == values[:-1]
    return same
