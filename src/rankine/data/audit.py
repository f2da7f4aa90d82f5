"""The audit: small checks that find the future in the past, each on plain tables and arrays.

A check that fails with severity `fail` stops the fit; one with `warn` is printed in the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from rankine.arrays import Array, Ragged
from rankine.data.dataset import fingerprint as fingerprint_of
from rankine.data.schema import EVENT_COLUMNS
from rankine.data.split import ROW, Fold
from rankine.errors import LeakError

MANY = 20
"""From this number of distinct items (or values) on, a one-to-one relation is not taken for chance."""


SURE = 4.0
"""Standard errors beyond which a mean is not taken for the one expected."""


@dataclass(frozen=True)
class Check:
    """What one check found: `text` says it in a sentence, whether it is fine or not."""

    name: str
    ok: bool
    text: str
    severity: Literal["fail", "warn"] = "fail"


def audit(checks: Iterable[Check]) -> list[Check]:
    """The checks as a list. Raises LeakError that names every failed one; warnings pass."""
    found = list(checks)
    leaks = [check for check in found if not check.ok and check.severity == "fail"]
    if leaks:
        listed = "; ".join(f"`{check.name}`: {check.text}" for check in leaks)
        raise LeakError(f"the audit found {len(leaks)} leak{'s' if len(leaks) > 1 else ''}: {listed}")
    return found


def check_order(fold: Fold) -> Check:
    """No test event is older than a training event; a split that cannot promise it gets a warning.

    Validation events lie between the two, where there are any.
    """
    if not fold.ordered:
        text = f"{fold.sentence}. This split lets a model see other users' future: use it to compare with papers"
        return Check("order", False, text, "warn")
    train, valid, test = (("training", fold.train.events), ("validation", fold.valid), ("test", fold.test))
    pairs = [(train, valid), (train, test), (valid, test)]
    if fold.rejoins is not None:
        pairs.append((("rejoining", fold.rejoins), test))
    problems = [problem for early, late in pairs if (problem := _out_of_order(*early, *late))]
    return Check("order", not problems, "; ".join(problems) or f"{fold.sentence}: no event is out of order")


def check_duplicates(fold: Fold) -> Check:
    """No event on both sides of the split: neither the same row, nor (in an ordered split) another row that equals it.

    Equal rows of an unordered split are a warning: a log without times repeats itself honestly.
    """
    known = [fold.train.events, *([] if fold.fold_in is None else [fold.fold_in])]
    seen = [*known, fold.valid, *([] if fold.rejoins is None else [fold.rejoins])]
    same = _shared(fold.test, seen, [ROW]) + _shared(fold.valid, known, [ROW])
    if same:
        return Check("duplicates", False, f"{same:,} rows of the dataset lie on both sides of the split")
    columns = [c for c in EVENT_COLUMNS if c in fold.test.columns]
    equal = _shared(fold.test, seen, columns)
    text = f"{equal:,} of {len(fold.test):,} test events equal an event before the test in {', '.join(columns)}"
    return Check("duplicates", not equal, text, "fail" if fold.ordered else "warn")


def check_fitted_on(what: str, fingerprint: str, train_events: pl.DataFrame) -> Check:
    """`what` (an encoder, a popularity count) was fitted on exactly these events: `fingerprint` is what it saw."""
    ok = fingerprint == fingerprint_of(train_events)
    text = f"{what} was fitted on {'the' if ok else 'something other than the'} {len(train_events):,} training events"
    return Check(f"{what} fit", ok, text)


def check_vocabulary(known_ids: pl.Series, train_ids: pl.Series, table_ids: pl.Series, what: str) -> Check:
    """An encoder knows only ids that training events or the table of side information name."""
    known, train, table = (
        ids.drop_nulls().cast(pl.String).rename("id").to_frame() for ids in (known_ids, train_ids, table_ids)
    )
    named = pl.concat([train, table])
    foreign = known.unique(maintain_order=True).join(named, on="id", how="anti", maintain_order="left")["id"]
    if foreign.is_empty():
        return Check(
            f"{what} vocabulary", True, f"every id known to {what} is in the training events or the side table"
        )
    shown = ", ".join(f"`{name}`" for name in foreign.head(3).to_list())
    text = f"{what} knows {len(foreign):,} ids that neither training events nor the side table name, such as {shown}"
    return Check(f"{what} vocabulary", False, text)


def check_sessions(events: pl.DataFrame) -> Check:
    """Warns where one session_id names the events of several users: numbers that start anew for each user merge strangers."""
    if "session_id" not in events.columns:
        return Check("sessions", True, "the events have no sessions")
    named = events.drop_nulls(["user_id", "session_id"]).group_by("session_id").agg(pl.col("user_id").n_unique())
    shared = int((named["user_id"] > 1).sum())
    text = f"{shared:,} of {len(named):,} session ids belong to several users"
    return Check("sessions", not shared, text + (": make them unique" if shared else ""), severity="warn")


def check_queries(
    history_rows: Ragged,
    target_rows: Ragged,
    history_times: Array | None = None,
    query_times: Array | None = None,
    target_times: Array | None = None,
) -> list[Check]:
    """No query of B holds its own target, an event later than itself, or a moment later than its target.

    Rows are row numbers of events (negative: not an event of the dataset); times are flat, one per value, float64;
    query_times [B]. A moment that is not a number fails, because it proves nothing.
    """
    assert len(history_rows) == len(target_rows), "one history and one list of targets per query"
    own, n_targets = _holds_target(history_rows, target_rows), len(target_rows.values)
    text = f"{own:,} of {n_targets:,} targets lie in the history of their own query"
    checks = [Check("target in query", not own, text)]
    if query_times is not None and history_times is not None:
        late = _later(history_times, query_times[history_rows.row_of_value()])
        text = f"{late:,} of {len(history_times):,} history events are later than their query"
        checks.append(Check("future history", not late, text))
    if query_times is not None and target_times is not None:
        late = _later(query_times[target_rows.row_of_value()], target_times)
        text = f"{late:,} of {n_targets:,} targets are older than their query"
        checks.append(Check("future context", not late, text))
    return checks


def check_context(events: pl.DataFrame, context_columns: Iterable[str]) -> list[Check]:
    """One check per context column: it must not name the item, nor the outcome that is known only after the event.

    Fails on a copy of `item_id` or `value` and on a one-to-one code of the items; warns on a code of `value`.
    """
    return [_check_column(events, column) for column in context_columns]


def check_shown_before(fold: Fold, known: pl.DataFrame, context_columns: Iterable[str]) -> Check:
    """Warns where test events repeat user, item and context of an event fitted to (`known`): their answers can be looked up.

    In an ordered split that is no leak: visitors do meet an item again.
    """
    columns = ["user_id", "item_id", "event_type", *context_columns]
    columns = [c for c in columns if c in known.columns and c in fold.test.columns]
    asked = fold.test.select(columns).hash_rows()
    n_same = int(asked.is_in(known.select(columns).hash_rows().implode()).sum())
    text = f"{n_same:,} of {len(asked):,} test events repeat user, item and context of a training event"
    return Check("shown before", fold.ordered or not n_same, text, "warn")


def check_propensity(propensity: Array, n_items: int) -> Check:
    """Warns where the chances that a log gives for its shown items cannot be those it was drawn with; float64 [B], above zero.

    Where any of `n_items` may be shown, the mean of 1 / propensity is their number: a shown item of chance p comes p of the time.
    """
    inverse = 1 / np.asarray(propensity, np.float64)
    mean, error = float(inverse.mean()), float(inverse.std() / np.sqrt(len(inverse)))
    ok = abs(mean - n_items) <= SURE * error + 1e-6 * n_items
    text = f"1 / propensity is {mean:.2f} on average, +- {error:.2f}; with {n_items} items that may be shown it should be {n_items}"
    return Check("propensity", ok, text, "warn")


def check_constant(names: Sequence[str]) -> Check:
    """Warns of fields that say the same of every training event: nothing can be learned from them."""
    text = f"fields with one value in all training events say nothing: {', '.join(f'`{name}`' for name in names)}"
    return Check(
        "constant fields", not names, text if names else "no field has the same value in all training events", "warn"
    )


def _check_column(events: pl.DataFrame, column: str) -> Check:
    name = f"context {column}"
    if _copies(events, column, "item_id", pl.String()):
        return Check(name, False, f"`{column}` is the `item_id` itself: leave it out of the context")
    if "value" in events.columns and _copies(events, column, "value", pl.Float64()):
        return Check(name, False, f"`{column}` is the `value`, known only after the event: leave it out of the context")
    if _is_code(events, column, "item_id", at_least=MANY):
        return Check(name, False, f"`{column}` stands one-to-one for `item_id`: make it a column of the items")
    if "value" in events.columns and _is_code(events, column, "value", at_least=2):
        text = f"`{column}` stands one-to-one for `value`: leave it out if it is known only after the event"
        return Check(name, False, text, "warn")
    return Check(name, True, f"`{column}` tells neither the item nor the outcome")


def _copies(events: pl.DataFrame, column: str, target: str, dtype: pl.DataType) -> bool:
    """Whether the column says what the target says wherever both say something, and that more than one thing."""
    if events.schema[column].is_nested():
        return False
    pair = events.select(a=column, b=target).drop_nulls()
    same = (pair["a"].cast(dtype, strict=False) == pair["b"]).fill_null(False)
    return bool(same.all()) and pair["b"].n_unique() > 1


def _is_code(events: pl.DataFrame, column: str, target: str, at_least: int) -> bool:
    """Whether `at_least` values of the column and of the target, that repeat, determine each other."""
    pair = events.select(a=column, b=target).drop_nulls().select(pl.all().hash())
    n_values = pair["a"].n_unique()
    if n_values < at_least or len(pair) < max(MANY, 2 * n_values):
        return False
    return pair["b"].n_unique() == n_values == pair.n_unique(["a", "b"])


def _out_of_order(early_name: str, early: pl.DataFrame, late_name: str, late: pl.DataFrame) -> str:
    """What is wrong with the order of two parts, empty if nothing."""
    if early.is_empty() or late.is_empty():
        return ""
    if "timestamp" not in late.columns or late["timestamp"].null_count() or early["timestamp"].null_count():
        return f"{early_name} and {late_name} events without a timestamp cannot be put in order"
    n_old = int((late["timestamp"] < early["timestamp"].max()).sum())
    return f"{n_old:,} of {len(late):,} {late_name} events are older than the last {early_name} event" if n_old else ""


def _shared(part: pl.DataFrame, others: list[pl.DataFrame], columns: list[str]) -> int:
    """How many rows of `part` have an equal in one of the others, nulls being equal."""
    keys = part.select(columns)
    if keys.is_empty():
        return 0
    others = [other.select(columns) for other in others if len(other)]
    met = [
        other.join(keys, on=columns, how="semi", nulls_equal=True) for other in others
    ]  # few, so the way back is fast
    return keys.join(pl.concat([keys.clear(), *met]), on=columns, how="semi", nulls_equal=True).height


def _holds_target(history: Ragged, targets: Ragged) -> int:
    """How many targets lie in the history of their own query."""
    if (targets.lengths == 1).all():
        same = history.values == np.repeat(targets.values, history.lengths)
        return len(np.unique(history.row_of_value()[same & (history.values >= 0)]))
    n_rows = 1 + max(int(history.values.max(initial=-1)), int(targets.values.max(initial=-1)))
    somewhere = np.zeros(n_rows, np.bool_)  # most history rows are nobody's target: only the others need the search
    somewhere[targets.values[targets.values >= 0]] = True

    def keys(rows: Ragged) -> Array:
        told = np.flatnonzero(rows.values >= 0)
        told = told[somewhere[rows.values[told]]]
        query: Array = np.searchsorted(rows.offsets, told, side="right") - 1
        return query * n_rows + rows.values[told]

    return int(np.isin(keys(targets), keys(history)).sum())


def _later(times: Array, than: Array) -> int:
    return int((~(times <= than)).sum())
