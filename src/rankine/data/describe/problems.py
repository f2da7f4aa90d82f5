"""What looks wrong with a dataset: small checks, each a sentence or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from rankine.data.describe.account import Account
from rankine.data.describe.description import Description
from rankine.data.describe.measure import collect, total
from rankine.data.readers.config import Layout
from rankine.data.readers.tables import UNKNOWN_TYPE, Table
from rankine.data.schema import EVENT_COLUMNS

BUSY = 20  # a user with this many times the events of the 95th percentile looks like a machine,
BUSY_EVENTS = 200  # from this many events on
MANY_NULLS = 0.5
MOSTLY_MIDNIGHT = 0.95


@dataclass(frozen=True)
class Evidence:
    """What the checks look at. visitors, items: events per id as `n`; n_doubles: events that repeat one exactly."""

    layout: Layout
    tables: dict[str, Table]
    accounts: dict[str, Account]
    found: Description
    facts: dict[str, Any]
    visitors: pl.DataFrame
    items: pl.DataFrame
    n_doubles: int

    def has(self, column: str) -> bool:
        """Whether events have a column."""
        return column in self.tables["events"].kinds


def find(evidence: Evidence) -> tuple[str, ...]:
    """Every problem, one sentence each."""
    return tuple(sentence for check in CHECKS for sentence in check(evidence))


def _rejected(e: Evidence) -> Iterator[str]:
    for name, counts in e.found.counts.items():
        if not counts["read"]:
            yield f"{e.tables[name].label} is empty"
        elif counts["rejected"]:
            yield f"{_of(counts['rejected'], counts['read'])} of the rows of {name} refused"


def _warned(e: Evidence) -> Iterator[str]:
    for table in e.tables.values():
        yield from table.warnings


def _unknown_types(e: Evidence) -> Iterator[str]:
    rule = e.layout.rules.unknown_event_type
    n_rows = sum(r.n_rows for r in e.found.refused if r.reason == UNKNOWN_TYPE)
    if n_rows and rule == "error":
        yield f"unknown event_type in {_count(n_rows, 'event')}: add it to event_types, or a run will stop there"
    unknown = [name for name in e.found.event_types if name not in e.layout.event_types]
    if unknown:
        yield f"unknown event types count as implicit events of weight 1: {_names(unknown)}"


def _doubles(e: Evidence) -> Iterator[str]:
    if e.n_doubles:
        yield f"exact duplicates: {_of(e.n_doubles, e.found.n_events)} of the events repeat another one"


def _machines(e: Evidence) -> Iterator[str]:
    usual = e.visitors["n"].quantile(0.95, "lower") if len(e.visitors) else None
    if not usual:
        return
    busy = e.visitors.filter(pl.col("n") > max(BUSY * usual, BUSY_EVENTS))
    if len(busy):
        name, n = busy.row(0)[:2]
        who = busy.columns[0].removesuffix("_id")
        yield (
            f"robots? {_count(len(busy), who)} with more than {BUSY} times the events of the 95th percentile "
            f"({usual:,.0f}) make {_percent(total(busy) / total(e.visitors))} of the events; `{name}` has {n:,}"
        )


def _times(e: Evidence) -> Iterator[str]:
    n = e.found.n_events
    if not e.has("timestamp"):
        yield "events have no timestamp: nothing can be split by time"
        return
    if e.facts["future"]:
        yield f"{_of(e.facts['future'], n)} of the events lie in the future"
    if n and e.facts["midnight"] > MOSTLY_MIDNIGHT * n:
        yield f"{_of(e.facts['midnight'], n)} of the timestamps are midnight: the order within a day is not known"
    if n > 1 and e.found.first == e.found.last:
        yield "every event has the same timestamp"


def _one_type(e: Evidence) -> Iterator[str]:
    if len(e.found.event_types) == 1 and not e.has("value"):
        yield f"there is one event type only: `{next(iter(e.found.event_types))}`"


def _anonymous(e: Evidence) -> Iterator[str]:
    n = e.facts.get("nulls user_id", e.found.n_events)
    if n == e.found.n_events and not e.found.n_sessions:
        yield "events have neither user_id nor session_id: only popularity can be learnt"
    elif 0 < n < e.found.n_events:
        yield f"{_of(n, e.found.n_events)} of the events have no user_id"


def _strangers(e: Evidence) -> Iterator[str]:
    """Ids of events without a row of side information, and rows that never occur in events."""
    for table, key, counts in (("items", "item_id", e.items), ("users", "user_id", e.visitors)):
        side = e.tables.get(table)
        if side is None or not side.columns or key not in counts.columns:
            continue
        known = collect(e.accounts[table].rows.select(key).unique())
        missing = counts.join(known, on=key, how="anti", maintain_order="left")
        n_unused = len(known) - (len(counts) - len(missing))
        if len(missing):
            share = total(missing) / max(total(counts), 1)
            names = _names(missing[key].head(3).to_list())
            what = f"{_of(len(missing), len(counts))} of the {table} in events have no row in the table of {table}"
            yield f"{what} ({_percent(share)} of the events): {names}{', ...' if len(missing) > 3 else ''}"
        if n_unused:
            yield f"{_of(n_unused, len(known))} of the {table} in their table have no event"


def _columns(e: Evidence) -> Iterator[str]:
    for column in e.found.context:
        if column.n_values == 1 and not column.null_share:
            value = f" (`{column.top[0][0]}`)" if column.top else ""
            yield f"column `{column.name}` of events has one value only{value}"
    nulls = {column.name: column.null_share for column in e.found.context}
    nulls |= {name: e.facts.get(f"nulls {name}", 0) / max(e.found.n_events, 1) for name in ("session_id", "value")}
    for name, share in nulls.items():
        if share > MANY_NULLS:
            yield f"column `{name}` of events is empty in {_percent(share)} of the rows"


def _blanks(e: Evidence) -> Iterator[str]:
    for name in EVENT_COLUMNS:
        n = e.facts.get(f"blanks {name}", 0)
        if n:
            yield f"`{name}` begins or ends with a blank in {_count(n, 'event')}: another id than without it"


def _of(n: int, n_all: int) -> str:
    return f"{n:,} ({_percent(n / max(n_all, 1))})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


CHECKS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    _rejected,
    _warned,
    _unknown_types,
    _doubles,
    _machines,
    _times,
    _one_type,
    _anonymous,
    _strangers,
    _columns,
    _blanks,
)
