"""Cases of items that were shown: was each taken, and what would another ranking have earned?

`impressions` asks for every impression of the test part how likely its item is taken; `logged` asks a policy for every row of a log
that says how likely the shown item was to be shown. A request never holds the item, the outcome or the propensity of its row.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from rankine.arrays import Array, Ragged
from rankine.errors import DataError, closest
from rankine.evaluation.cases import Cases, units_of
from rankine.features.codes import codes
from rankine.features.encode import Encoder
from rankine.features.history import Past, strictly_before
from rankine.features.queries import Queries


def impressions(encoder: Encoder, before: pl.DataFrame, test: pl.DataFrame) -> Cases:
    """One case per impression of the test part, in order of the table: its value is 1 where the item was taken, 0 where it was left.

    What the visitor did before is in the `rows` of the queries where features look back on it, and nowhere else: a history for each
    of many impressions would be long. Raises DataError where there is no impression, or one does not say what came of it.
    """
    return _cases(encoder, before, test)[0]


def logged(encoder: Encoder, before: pl.DataFrame, test: pl.DataFrame, *, propensity: str) -> Cases:
    """The same cases, each a unit of its own, with the column `propensity`: how likely the log was to show the item of the row.

    Raises DataError for a propensity that is missing or not above 0 and at most 1, or that a request would hold.
    """
    if propensity not in test.columns:
        raise DataError(f"the events have no column `{propensity}`{closest(propensity, test.columns)}")
    cases, asked = _cases(encoder, before, test)
    fields = [] if cases.queries.rows is None else [f.name for f in cases.queries.rows.layout.fields]
    if propensity in (*cases.queries.context, *fields):
        raise DataError(f"`{propensity}` says something of the item that was shown: leave it out of the features")
    return replace(
        _with_history(cases, encoder, before, test, asked),
        propensity=_chances(test[propensity].gather(asked)),
        unit="row",
        unit_names=pl.Series(np.arange(len(cases))).cast(pl.String),
        unit_idx=np.arange(len(cases)),
    )


def _chances(column: pl.Series) -> Array:
    """The propensities as float64. Raises DataError for one that is no chance."""
    values = column.cast(pl.Float64, strict=False).to_numpy()
    bad = ~((values > 0) & (values <= 1))  # true for what is missing or no number
    if bad.any():
        raise DataError(
            f"`{column.name}` must be above 0 and at most 1: {int(bad.sum()):,} of {len(bad):,} impressions have another, "
            f"the first of them {column[int(np.argmax(bad))]!r}"
        )
    return values


def _cases(encoder: Encoder, before: pl.DataFrame, test: pl.DataFrame) -> tuple[Cases, Array]:
    """The cases, and the rows of `test` that they are."""
    shown = encoder.schema.shown(test["event_type"]) & test["item_id"].is_not_null()
    asked = np.flatnonzero(shown.to_numpy())
    if not len(asked):
        types = [f"`{name}`" for name, meaning in encoder.schema.event_types.items() if meaning.feedback == "shown"]
        raise DataError(f"no test event is an impression: expected events of type {', '.join(types)} with a `value`")
    frame, n, n_items = test[asked], len(asked), len(encoder.items)
    items, timed = encoder.items.index(frame["item_id"]), "timestamp" in frame.columns
    row = frame["row"].to_numpy().astype(np.int64) if "row" in frame.columns else asked
    time = frame["timestamp"].fill_null(np.nan).to_numpy() if timed else np.full(n, np.nan)
    unit, names, unit_idx = _visitors(frame, row)
    cases = Cases(
        queries=Queries(
            user_idx=encoder.users.index(frame["user_id"]),
            history=Ragged.empty(n),
            history_weight=np.empty(0, np.float32),
            session_len=np.zeros(n, np.int64),
            timestamp=time,
            n_users=len(encoder.users),
            n_items=n_items,
            context=encoder.context_rows(frame),
            rows=encoder.rows(frame, _past(encoder, before, test, asked)),
        ),
        targets=Ragged.from_lengths(items, np.ones(n, np.int64)),
        values=(encoder.schema.weights(frame).to_numpy() > 0).astype(np.float64),
        unit=unit,
        unit_names=names,
        unit_idx=unit_idx,
        target_rows=Ragged.from_lengths(row, np.ones(n, np.int64)),
        target_times=time if timed else None,
        counts={"unknown_targets": int((items == n_items).sum())},
    )
    return cases, asked


def _past(encoder: Encoder, before: pl.DataFrame, test: pl.DataFrame, asked: Array) -> Past | None:
    """What the features of these rows of `test` look back on, None where they do not."""
    if encoder.features is None or not encoder.features.config.looks_back:
        return None
    events = pl.concat([before, test], how="diagonal")
    item = encoder.items.index(events["item_id"])
    return _before(encoder, events, len(before), item, item).take(len(before) + asked)


def _with_history(cases: Cases, encoder: Encoder, before: pl.DataFrame, test: pl.DataFrame, asked: Array) -> Cases:
    """The same cases, whose requests know what the visitor did before."""
    events = pl.concat([before, test], how="diagonal")
    item = encoder.items.index(events["item_id"])
    past = _before(encoder, events, len(before), item, np.arange(len(events), dtype=np.int32)).take(len(before) + asked)
    history = Ragged.from_lengths(np.empty(0, np.int32), past.lengths)
    at = past.line.items[np.arange(history.offsets[-1]) + np.repeat(past.start - history.offsets[:-1], past.lengths)]
    row = events["row"].to_numpy() if "row" in events.columns else np.arange(len(events))
    weight = encoder.schema.weights(events).to_numpy()
    queries = replace(cases.queries, history=history.with_values(item[at]), history_weight=weight[at])
    times = events["timestamp"].to_numpy()[at] if "timestamp" in events.columns else None
    return replace(cases, queries=queries, history_rows=history.with_values(row[at]), history_times=times)


def _before(encoder: Encoder, events: pl.DataFrame, n_before: int, item: Array, marks: Array) -> Past:
    """What every event comes after, as the `marks` of those: what the visitor took earlier by the clock; without one, in training."""
    ids = [pl.format(f"{c} {{}}", c) for c in ("user_id", "session_id") if c in events.columns]
    name = events.select(name=pl.coalesce(*ids))["name"]
    visitor = np.where(name.is_null().to_numpy(), -1, codes(name))
    time = events["timestamp"].fill_null(np.nan).to_numpy() if "timestamp" in events.columns else None
    counts = (encoder.schema.weights(events).to_numpy() > 0) & (item < len(encoder.items))
    if time is None:
        counts &= np.arange(len(events)) < n_before
    return strictly_before(visitor, time, marks, counts)


def _visitors(frame: pl.DataFrame, row: Array) -> tuple[str, pl.Series, Array]:
    """What the rows are counted by, the names of these units, and the unit of each row: its user, else session, else itself."""
    ids = [c for c in ("user_id", "session_id") if c in frame.columns and frame[c].null_count() < len(frame)]
    first, *others = [*ids, "row"]
    names = pl.coalesce(pl.col(first).cast(pl.String), *(pl.format(f"{c} {{}}", c) for c in others))
    return (first.removesuffix("_id"), *units_of(frame.with_columns(row=row).select(name=names)["name"]))
