"""Cases: the questions of an evaluation and their answers, built from the events of a split.

`next_item` asks after every event of a test session what comes next; `user_items` asks once per user for all their test items;
`candidates` is `user_items` over a short given list; `ratings` asks for the value of each test event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from rankine.arrays import Array, Ragged
from rankine.errors import DataError
from rankine.evaluation.timeline import Timeline, queries_at, timeline
from rankine.features.codes import codes
from rankine.features.encode import Encoder
from rankine.features.events import repeats_previous
from rankine.features.queries import MAX_HISTORY, Queries


@dataclass(frozen=True, kw_only=True)
class Cases:
    """B questions: queries, the item_idx of their targets (`n_items` for an item not known), what to leave out, whom they count for.

    exclude: item_idx per case, ascending, taken out of the ranking; candidates: the only items ranked; values: ratings, float64 [B],
    or 1 where an item was taken and 0 where it was left; propensity: how likely the log was to show the item, float64 [B];
    unit: names of the users or sessions that are resampled together, unit_idx int64 [B];
    the rows and times of history and target events let the audit check them; counts says what was left out.
    """

    queries: Queries
    targets: Ragged
    unit: str
    unit_names: pl.Series
    unit_idx: Array
    exclude: Ragged | None = None
    candidates: Ragged | None = None
    values: Array | None = None
    propensity: Array | None = None
    history_rows: Ragged | None = None
    history_times: Array | None = None
    target_rows: Ragged | None = None
    target_times: Array | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, rows: Array) -> Cases:
        """The cases at these indices; units keep their numbers."""

        def part(ragged: Ragged | None) -> Ragged | None:
            return None if ragged is None else ragged.take(rows)

        def flat(values: Array | None, like: Ragged | None) -> Array | None:
            return None if values is None or like is None else like.with_values(values).take(rows).values

        return replace(
            self,
            queries=self.queries.take(rows),
            targets=self.targets.take(rows),
            unit_idx=self.unit_idx[rows],
            exclude=part(self.exclude),
            candidates=part(self.candidates),
            values=None if self.values is None else self.values[rows],
            propensity=None if self.propensity is None else self.propensity[rows],
            history_rows=part(self.history_rows),
            history_times=flat(self.history_times, self.history_rows),
            target_rows=part(self.target_rows),
            target_times=flat(self.target_times, self.target_rows),
        )


def next_item(
    encoder: Encoder, before: pl.DataFrame, test: pl.DataFrame, *, drop_unknown: bool = False, first: bool = False
) -> Cases:
    """One case per event of a test session but the first (`first`: that one too), with what the visitor did until then.

    drop_unknown leaves events of items not known in training out before anything is counted; otherwise such a target is a miss.
    """
    if "session_id" not in test.columns:
        raise DataError("next_item cases need sessions: map `session_id`, or set `gap_minutes` under [sessions]")
    log = timeline(encoder, before, test)
    seen = (log.weight > 0) & (log.item < log.n_items)
    considered = seen if drop_unknown else log.weight > 0
    is_target = log.test & considered
    if encoder.collapse_repeats:
        is_target &= ~repeats_previous(log.session, log.item_code, considered)
    at = np.flatnonzero(is_target & (first | (_count_before(considered, log.session_start) > 0)))
    if not len(at):
        raise DataError(
            "no test session has two events: there is nothing to predict; test a longer period or use `user_items`"
        )
    queries, rows = queries_at(encoder, log, at, seen, max_history=MAX_HISTORY)
    names, unit_idx = units_of(log.session_name[at])
    return Cases(
        queries=queries,
        targets=Ragged.from_lengths(log.item[at], np.ones(len(at), np.int64)),
        unit="session",
        unit_names=names,
        unit_idx=unit_idx,
        history_rows=queries.history.with_values(log.row[rows]),
        history_times=log.times_of(rows),
        target_rows=Ragged.from_lengths(log.row[at], np.ones(len(at), np.int64)),
        target_times=log.times_of(at),
        counts={
            "unknown_targets": int((log.item[at] == log.n_items).sum()),
            "dropped_unknown_events": int((log.test & (log.item == log.n_items)).sum()) if drop_unknown else 0,
        },
    )


def user_items(
    encoder: Encoder, before: pl.DataFrame, test: pl.DataFrame, *, drop_unknown: bool = False, exclude_seen: bool = True
) -> Cases:
    """One case per user with test events: all their test items against everything they did before."""
    n_all = len(test)
    test = _known(encoder, test) if drop_unknown else test
    n_dropped = n_all - len(test)
    log = timeline(encoder, before, test, by_user=True)
    seen = (log.weight > 0) & (log.item < log.n_items)
    is_target = log.test & (log.weight > 0)
    if not is_target.any():
        raise DataError("no user has a test event to predict: check the split and the event weights")
    _, first, index = np.unique(log.visitor[is_target], return_index=True, return_inverse=True)
    at = np.flatnonzero(is_target)[first]
    queries, rows = queries_at(encoder, log, at, seen & ~log.test)
    exclude = queries.history if exclude_seen else None
    targets, target_rows = _distinct_targets(index, log, is_target, len(at), exclude)
    some = np.flatnonzero(targets.lengths > 0)  # who only met items again that are taken out has nothing to be found
    if not len(some):
        raise DataError(f"each of {len(at)} test users met only items of their past again: set `exclude_seen` to false")
    kept = np.isin(queries.history.row_of_value(), some)
    queries, targets, target_rows, rows = queries.take(some), targets.take(some), target_rows.take(some), rows[kept]
    queries = replace(queries, session_len=np.zeros(len(some), np.int64))
    exclude = queries.history if exclude_seen else None
    names, unit_idx = units_of(log.user_name[at[some]])
    return Cases(
        queries=queries,
        targets=targets,
        unit="user",
        unit_names=names,
        unit_idx=unit_idx,
        exclude=None if exclude is None else _sorted_rows(exclude),
        history_rows=queries.history.with_values(log.row[rows]),
        history_times=log.times_of(rows),
        target_rows=target_rows.with_values(log.row[target_rows.values]),
        target_times=log.times_of(target_rows.values),
        counts={
            "unknown_targets": int((targets.values == log.n_items).sum()),
            "users_without_new_items": len(at) - len(some),
            "dropped_unknown_events": n_dropped,
        },
    )


def candidates(cases: Cases, encoder: Encoder, lists: pl.DataFrame) -> Cases:
    """The same cases ranked among given negatives only: `lists` has the columns user_id and negatives (List of item ids).

    Where a list repeats a target of its own case, that entry is no negative and is left out. Raises DataError for a user without a list.
    """
    if (cases.targets.lengths != 1).any():
        raise DataError("candidate lists are for one target per user: leave out all but one test event of each user")
    users = pl.DataFrame({"user_id": cases.unit_names.gather(cases.unit_idx), "case": np.arange(len(cases))})
    joined = users.join(lists.select(pl.col("user_id", "negatives")), on="user_id", how="left", maintain_order="left")
    if joined["negatives"].null_count():
        missing = joined.filter(pl.col("negatives").is_null())["user_id"][0]
        raise DataError(f"no candidate list for user {missing!r}: every test user needs one")
    long = joined.select("case", "negatives").explode("negatives")
    case, item = long["case"].to_numpy(), encoder.items.index(long["negatives"])
    own = cases.targets.row_of_value() * (len(encoder.items) + 1) + cases.targets.values
    keep = ~np.isin(case * (len(encoder.items) + 1) + item, own)
    case = np.concatenate([cases.targets.row_of_value(), case[keep]])
    item = np.concatenate([cases.targets.values, item[keep]])
    order = np.argsort(case, kind="stable")  # the target stays first
    rows = Ragged.from_lengths(item[order], np.bincount(case, minlength=len(cases)))
    return replace(cases, candidates=rows, exclude=None)


def ratings(encoder: Encoder, test: pl.DataFrame) -> Cases:
    """One case per test event with a value."""
    if "value" not in test.columns:
        raise DataError("ratings cases need a `value` per event: map the rating column to `value`")
    test = test.filter(pl.col("value").is_finite().fill_null(False), pl.col("item_id").is_not_null())
    if not len(test):
        raise DataError("no test event has a `value` to predict: check the split and the rating column")
    users, items = encoder.users.index(test["user_id"]), encoder.items.index(test["item_id"])
    names, unit_idx = units_of(test["user_id"].fill_null("").to_numpy())
    n = len(test)
    queries = Queries(
        user_idx=users,
        history=Ragged.empty(n),
        history_weight=np.empty(0, np.float32),
        session_len=np.zeros(n, np.int64),
        timestamp=np.full(n, np.nan),
        n_users=len(encoder.users),
        n_items=len(encoder.items),
    )
    return Cases(
        queries=queries,
        targets=Ragged.from_lengths(items, np.ones(n, np.int64)),
        unit="user",
        unit_names=names,
        unit_idx=unit_idx,
        values=test["value"].to_numpy().astype(np.float64),
        counts={"unknown_targets": int((items == len(encoder.items)).sum())},
    )


def _known(encoder: Encoder, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows whose item the encoder knows."""
    return frame.filter(pl.Series(encoder.items.index(frame["item_id"]) < len(encoder.items), dtype=pl.Boolean))


def _distinct_targets(
    index: Array, log: Timeline, is_target: Array, n_cases: int, exclude: Ragged | None
) -> tuple[Ragged, Ragged]:
    """Distinct target items per case and the log rows of their first event; items taken out of the ranking are no targets."""
    rows = np.flatnonzero(is_target)
    _, first = np.unique(index.astype(np.int64) * len(log.item) + log.item_code[rows], return_index=True)
    if exclude is not None:
        gone = exclude.row_of_value() * (log.n_items + 1) + exclude.values
        first = first[~np.isin(index[first] * (log.n_items + 1) + log.item[rows[first]], gone)]
    lengths = np.bincount(index[first], minlength=n_cases)
    return Ragged.from_lengths(log.item[rows[first]], lengths), Ragged.from_lengths(rows[first], lengths)


def units_of(names: Array | pl.Series) -> tuple[pl.Series, Array]:
    """The distinct names in order of appearance, and the number of each row's, int64 [B]."""
    series = pl.Series(names, dtype=pl.String)
    distinct = series.unique(maintain_order=True)
    return distinct, codes(series).astype(np.int64)


def _sorted_rows(ragged: Ragged) -> Ragged:
    order = np.lexsort((ragged.values, ragged.row_of_value()))
    return ragged.with_values(ragged.values[order])


def _count_before(marked: Array, start: Array) -> Array:
    """Number of marked elements from `start` up to, not including, each element."""
    total = np.concatenate([[0], np.cumsum(marked)])
    return np.asarray(total[:-1] - total[start])
