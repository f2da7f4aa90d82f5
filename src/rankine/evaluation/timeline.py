"""The line of events of each visitor, and what a request made at some place of it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from rankine.arrays import Array, Int, Ragged
from rankine.features.codes import codes
from rankine.features.encode import Encoder
from rankine.features.events import repeats_previous
from rankine.features.history import Past, strictly_before
from rankine.features.queries import Queries


@dataclass(frozen=True)
class Timeline:
    """Earlier and test events in one line per visitor, sessions kept together; arrays [E]."""

    n_items: int
    user: Int
    item: Int
    item_code: Int  # a number per outside id: two items that are not known are still two
    weight: Array
    timed: bool  # else `time` is the order of the rows
    time: Array
    row: Array
    test: Array
    visitor: Array
    visitor_start: Array
    session: Int
    session_start: Array
    user_name: Array
    session_name: Array
    context: Mapping[str, Int]
    frame: pl.DataFrame  # the events themselves, for the fields of click models

    def times_of(self, rows: Array) -> Array | None:
        """Times of these rows, None where the log has none."""
        return self.time[rows] if self.timed else None


def timeline(encoder: Encoder, before: pl.DataFrame, test: pl.DataFrame, by_user: bool = False) -> Timeline:
    """Both tables in one line per visitor: by user (anonymous events left out), or by user and session."""
    parts = [before.with_columns(pl.lit(False).alias("_test")), test.with_columns(pl.lit(True).alias("_test"))]
    frame = pl.concat(parts, how="diagonal").filter(pl.col("item_id").is_not_null())
    if "row" not in frame.columns:
        frame = frame.with_row_index("row")
    timed = "timestamp" in frame.columns
    order = pl.col("row").cast(pl.Float64).alias("timestamp")
    frame = frame if timed else frame.with_columns(order)
    if "session_id" not in frame.columns or by_user:
        frame = frame.with_columns(pl.col("user_id").alias("session_id"))
    if by_user:
        frame = frame.filter(pl.col("user_id").is_not_null())
    alone = pl.lit("alone ") + pl.col("row").cast(pl.String)  # an event without a session
    frame = frame.with_columns(pl.coalesce("session_id", alone).alias("session_id"))
    frame = frame.with_columns(
        pl.coalesce(pl.lit("u ") + pl.col("user_id"), pl.lit("s ") + pl.col("session_id")).alias("_visitor"),
        pl.col("timestamp").min().over("session_id").alias("_session_time"),
    )
    frame = frame.sort("_visitor", "_session_time", "session_id", "_test", "timestamp", "row", maintain_order=True)
    visitor, session = codes(frame["_visitor"]), codes(frame["session_id"])
    visitor_start = _run_start(visitor)
    return Timeline(
        n_items=len(encoder.items),
        user=encoder.users.index(frame["user_id"]),
        item=encoder.items.index(frame["item_id"]),
        item_code=codes(frame["item_id"]),
        timed=timed,
        weight=encoder.schema.weights(frame).to_numpy(),
        time=frame["timestamp"].to_numpy(),
        row=frame["row"].to_numpy().astype(np.int64),
        test=frame["_test"].to_numpy(),
        visitor=visitor,
        visitor_start=visitor_start,
        session=session,
        session_start=np.maximum(_run_start(session), visitor_start),
        user_name=frame["user_id"].fill_null("").to_numpy(),
        session_name=frame["session_id"].to_numpy(),
        context=encoder.context_rows(frame if timed else frame.drop("timestamp")),
        frame=frame if timed else frame.drop("timestamp"),
    )


def queries_at(
    encoder: Encoder, log: Timeline, at: Array, seen: Array, max_history: int | None = None
) -> tuple[Queries, Array]:
    """The requests made just before the events `at`, and the log rows of their history, flat."""
    start = log.visitor_start[at] if max_history is None else np.maximum(log.visitor_start[at], at - max_history)
    lengths = at - start
    flat = np.arange(lengths.sum()) + np.repeat(start - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    case = np.repeat(np.arange(len(at)), lengths)
    keep = seen[flat]
    if max_history is not None:  # a visitor's sessions may overlap: what came later than the request is not its history
        keep &= log.time[flat] <= log.time[at][case]
        if encoder.collapse_repeats:
            in_session = flat >= log.session_start[at][case]
            keep &= ~(in_session & repeats_previous(log.session, log.item, seen)[flat])
    flat, case = flat[keep], case[keep]
    history = Ragged.from_lengths(log.item[flat], np.bincount(case, minlength=len(at)))
    in_session = flat >= log.session_start[at][case]
    return Queries(
        user_idx=log.user[at],
        history=history,
        history_weight=log.weight[flat],
        session_len=np.bincount(case, in_session, minlength=len(at)).astype(np.int64),
        timestamp=log.time[at] if log.timed else np.full(len(at), np.nan),
        n_users=len(encoder.users),
        n_items=len(encoder.items),
        context={name: column[at] for name, column in log.context.items()},
        rows=None if encoder.features is None else encoder.rows(log.frame[at], _past(encoder, log, at, seen)),
    ), flat


def _past(encoder: Encoder, log: Timeline, at: Array, seen: Array) -> Past | None:
    """What the features of the events `at` may look back on: earlier than they are by the clock, not just in the line."""
    if encoder.features is None or not encoder.features.config.looks_back:
        return None
    return strictly_before(log.visitor, log.time if log.timed else None, log.item, seen).take(at)


def _run_start(group: Array) -> Array:
    """Index of the first element of the run that each element belongs to."""
    starts = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]])) if len(group) else np.empty(0, np.int64)
    return np.repeat(starts, np.diff(np.append(starts, len(group))))
