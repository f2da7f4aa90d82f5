"""Cases of single events: which item, given who asks and in what context?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from rankine.arrays import Array, Ragged
from rankine.errors import DataError
from rankine.evaluation.cases import Cases, units_of
from rankine.evaluation.timeline import Timeline, queries_at, timeline
from rankine.features.encode import Encoder
from rankine.features.queries import Queries


def event_items(
    encoder: Encoder, before: pl.DataFrame, test: pl.DataFrame, *, drop_unknown: bool = False, exclude_seen: bool = True
) -> Cases:
    """One case per test event of a user, in its own context: its item against everything the user did in training.

    The other test events of the user are not known. drop_unknown leaves out items that training never saw; exclude_seen those
    of the user's past, also as targets.
    """
    log = timeline(encoder, before, test, by_user=True)
    asked = log.test & (log.weight > 0)
    known = log.item < log.n_items
    at = np.flatnonzero(asked & known if drop_unknown else asked)
    if not len(at):
        raise DataError("no user has a test event to predict: check the split and the event weights")
    queries, rows = queries_at(encoder, log, at, (log.weight > 0) & known & ~log.test)
    n_dropped = int((asked & ~known).sum()) if drop_unknown else 0
    queries = replace(queries, session_len=np.zeros(len(at), np.int64))
    cases = _cases(log, at, queries, rows, n_dropped)
    return _without_seen(cases) if exclude_seen else cases


def _cases(log: Timeline, at: Array, queries: Queries, rows: Array, n_dropped: int) -> Cases:
    names, unit_idx = units_of(log.user_name[at])
    ones = np.ones(len(at), np.int64)
    return Cases(
        queries=queries,
        targets=Ragged.from_lengths(log.item[at], ones),
        unit="user",
        unit_names=names,
        unit_idx=unit_idx,
        history_rows=queries.history.with_values(log.row[rows]),
        history_times=log.times_of(rows),
        target_rows=Ragged.from_lengths(log.row[at], ones),
        target_times=log.times_of(at),
        counts={
            "unknown_targets": int((log.item[at] == log.n_items).sum()),
            "dropped_unknown_events": n_dropped,
        },
    )


def _without_seen(cases: Cases) -> Cases:
    """Items of the past are not ranked, and who met one of them again is not asked."""
    history = cases.queries.history
    again = history.values == np.repeat(cases.targets.values, history.lengths)
    new = np.flatnonzero(np.bincount(history.row_of_value()[again], minlength=len(cases)) == 0)
    if not len(new):
        raise DataError(
            f"each of {len(cases)} test events is about an item of the user's past: set `exclude_seen` to false"
        )
    kept = cases.take(new)
    unknown = int((kept.targets.values == kept.queries.n_items).sum())
    counts = {**cases.counts, "unknown_targets": unknown, "events_of_seen_items": len(cases) - len(new)}
    return replace(kept, exclude=kept.queries.distinct_history, counts=counts)
