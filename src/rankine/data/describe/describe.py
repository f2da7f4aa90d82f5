"""describe: open the tables without loading them, measure, and look for trouble."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from rankine.data.describe import measure, problems
from rankine.data.describe.account import Account, account
from rankine.data.describe.description import Column, Description
from rankine.data.describe.measure import activity, count_by
from rankine.data.readers.config import DataConfig, Layout, resolve
from rankine.data.readers.tables import Table, open_table
from rankine.data.schema import EVENT_COLUMNS, Kind
from rankine.errors import DataError
from rankine.progress import track


def describe(config: DataConfig | str | Path, root: Path | None = None, *, now: float | None = None) -> Description:
    """What is in the dataset at a path or as configured, and what looks wrong with it.

    Parquet files are scanned; text files are first turned, block by block, into Parquet in a temporary folder.
    now: Unix seconds after which an event lies in the future. Raises ConfigError and DataError as `read_dataset`, but
    broken rows, unknown event types and duplicate rows are described, not refused.
    """
    layout = resolve(config, root)
    with tempfile.TemporaryDirectory(prefix="rankine-") as spool:
        names = track(layout.sources, "opening the tables")
        tables = {name: open_table(layout, name, Path(spool)) for name in names}
        if not tables["events"].columns:
            raise DataError(f"{tables['events'].label} holds no row that can be read: expected at least one event")
        accounts = {name: account(table, layout) for name, table in tables.items()}
        return _describe(layout, tables, accounts, time.time() if now is None else now)


def _describe(layout: Layout, tables: dict[str, Table], accounts: dict[str, Account], now: float) -> Description:
    events, kinds = accounts["events"].rows, tables["events"].kinds
    facts = measure.scalars(events, kinds, now)
    visitor, last_tenth = _visitor(facts), _last_tenth(facts)
    late = (pl.col("timestamp") >= last_tenth).sum() if last_tenth is not None else pl.lit(0)
    items = count_by(events, "item_id", late.alias("late"))
    visitors = count_by(events, visitor) if visitor else pl.DataFrame(schema={"n": pl.UInt32})
    sessions = count_by(events, "session_id") if "session_id" in kinds else visitors.clear()
    n_known, n_pairs, n_distinct = _pairs(events, visitor, kinds, facts["n"])
    per_item, per_session = activity(items), activity(sessions)
    per_user = activity(visitors if visitor == "user_id" else visitors.clear())
    cold_items, cold_events = measure.cold_shares(items)
    cells = len(visitors) * len(items)
    side = accounts["items"].rows if "items" in tables and tables["items"].columns else None
    found = Description(
        name=layout.name,
        counts={name: found.counts for name, found in accounts.items()},
        refused=tuple(sorted((r for a in accounts.values() for r in a.refused), key=lambda r: -r.n_rows)),
        time_units={name: unit for table in tables.values() for name, unit in table.time_units.items()},
        n_events=facts["n"],
        n_users=per_user.n_ids,
        n_items=per_item.n_ids,
        n_sessions=per_session.n_ids,
        first=facts.get("first"),
        last=facts.get("last"),
        last_tenth=last_tenth,
        sparsity=1 - n_pairs / cells if cells else None,
        repeat_rate=1 - n_pairs / n_known if n_known else None,
        cold_items=cold_items,
        cold_events=cold_events,
        head_share=measure.head(items),
        events_per_user=per_user.quantiles,
        events_per_item=per_item.quantiles,
        events_per_session=per_session.quantiles,
        event_types=dict(count_by(events, "event_type").iter_rows()) if "event_type" in kinds else {},
        top_items=measure.top_items(items, side),
        context=_context(events, kinds, facts),
    )
    evidence = problems.Evidence(layout, tables, accounts, found, facts, visitors, items, n_known - n_distinct)
    return dataclasses.replace(found, problems=problems.find(evidence))


def _visitor(facts: dict[str, Any]) -> str | None:
    """Who meets items: the user, or where events have no user, the session."""
    for name in ("user_id", "session_id"):
        if facts.get(f"nulls {name}", facts["n"]) < facts["n"]:
            return name
    return None


def _last_tenth(facts: dict[str, Any]) -> float | None:
    first, last = facts.get("first"), facts.get("last")
    return None if first is None or last is None or first == last else float(last - (last - first) / 10)


def _pairs(events: pl.LazyFrame, visitor: str | None, kinds: dict[str, Kind], n: int) -> tuple[int, int, int]:
    if visitor is None:
        return 0, 0, 0
    moment = [name for name in ("session_id", "event_type", "timestamp", "value") if name in kinds and name != visitor]
    return measure.pairs(events, visitor, moment, n)


def _context(events: pl.LazyFrame, kinds: dict[str, Kind], facts: dict[str, Any]) -> tuple[Column, ...]:
    names = [name for name in kinds if name not in EVENT_COLUMNS and name != "split"]
    steps = track(names, "context columns", len(names))
    return tuple(measure.context_column(events, name, kinds[name], facts) for name in steps)
