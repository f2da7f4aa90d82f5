"""Sessions: cut a log into visits, collapse repeats, drop what is too short or too rare to learn from.

Source: the session protocol of Hidasi & Karatzoglou (GRU4Rec, 2016 and 2018).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from rankine.arrays import Array
from rankine.data.dataset import Dataset
from rankine.data.schema import Kind
from rankine.data.vocab import Vocab
from rankine.errors import ConfigError, DataError


def with_sessions(dataset: Dataset, gap_minutes: float = 30.0) -> Dataset:
    """The dataset with a `session_id`: a user's events without a pause longer than the gap.

    A dataset that has sessions is returned as it is. An event without a user is a session of its own. Raises DataError, ConfigError.
    """
    if dataset.has_sessions:
        return dataset
    if not dataset.has_time:
        raise DataError(f"sessions need `timestamp` or `session_id`; got {dataset.events.columns}: add one of the two")
    if not gap_minutes > 0:
        raise ConfigError(f"`gap_minutes` must be above 0; got {gap_minutes!r}")
    pause = pl.col("timestamp").diff() > gap_minutes * 60
    number = pause.fill_null(False).cum_sum().over("user_id").cast(pl.String)
    of_user = pl.concat_str([pl.col("user_id"), number], separator="/")
    alone = pl.concat_str([pl.lit("anonymous-"), pl.int_range(pl.len()).cast(pl.String)])  # no "/": never a user's
    events = dataset.events.with_columns(pl.coalesce(of_user, alone).alias("session_id"))
    schema = replace(dataset.schema, events={**dataset.schema.events, "session_id": Kind.ID})
    return replace(dataset, events=events, schema=schema)


def collapse_repeats(events: pl.DataFrame) -> pl.DataFrame:
    """The events without those whose item is the item of the event just before in the same session: a a b a -> a b a.

    Event types are not told apart. Raises DataError where there are no sessions.
    """
    _need_sessions(events)
    sessions, items = _codes(events["session_id"]), _codes(events["item_id"])
    order = np.argsort(sessions, kind="stable")
    session, item = sessions[order], items[order]
    keep = np.ones(len(order), np.bool_)
    keep[order[1:]] = (session[1:] != session[:-1]) | (item[1:] != item[:-1]) | (session[1:] < 0) | (item[1:] < 0)
    return events.filter(pl.Series(keep))


def filter_support(
    dataset: Dataset, min_session_length: int = 2, min_item_support: int = 5, iterate: bool = True
) -> tuple[Dataset, dict[str, int]]:
    """The dataset without short sessions and rare items, and how many events, sessions and items that removed.

    iterate: until nothing changes; else one pass: sessions, items, sessions. Lengths and support count events.
    Events without an item are exempt from the item rule. Raises DataError where nothing is left.
    """
    _need_sessions(dataset.events)
    sessions, items = _codes(dataset.events["session_id"]), _codes(dataset.events["item_id"])
    keep = np.ones(len(sessions), np.bool_)
    removed = {"events of short sessions": 0, "events of rare items": 0}
    while True:
        before = int(keep.sum())
        removed["events of short sessions"] += _drop(keep, sessions, min_session_length, unnamed=1)
        removed["events of rare items"] += _drop(keep, items, min_item_support, unnamed=min_item_support)
        if not iterate:
            removed["events of short sessions"] += _drop(keep, sessions, min_session_length, unnamed=1)
        if not iterate or keep.sum() == before:
            break
    if not keep.any():
        raise DataError(
            f"no event is left with `min_session_length` {min_session_length} and `min_item_support` "
            f"{min_item_support} of {len(keep)} events: lower them"
        )
    removed["sessions"] = _n_distinct(sessions) - _n_distinct(sessions[keep])
    removed["items"] = _n_distinct(items) - _n_distinct(items[keep])
    return dataset.with_events(dataset.events.filter(pl.Series(keep))), removed


def _codes(column: pl.Series) -> Array:
    """A number per id, -1 for null."""
    vocab = Vocab.of(column)
    codes = vocab.index(column)
    return np.where(codes == vocab.unknown, -1, codes)


def _drop(keep: Array, codes: Array, at_least: int, unnamed: int) -> int:
    """How many it cleared of `keep`, in place: where fewer than `at_least` kept events share the code.

    Code -1 counts as `unnamed` events.
    """
    counts = np.bincount(codes[keep] + 1, minlength=int(codes.max(initial=-1)) + 2)
    counts[0] = unnamed
    few = keep & (counts[codes + 1] < at_least)
    keep[few] = False
    return int(few.sum())


def _n_distinct(codes: Array) -> int:
    named = codes[codes >= 0]
    return int((np.bincount(named) > 0).sum()) if len(named) else 0


def _need_sessions(events: pl.DataFrame) -> None:
    if "session_id" not in events.columns:
        raise DataError(f"expected the column `session_id`; got {events.columns}: call `with_sessions` first")
