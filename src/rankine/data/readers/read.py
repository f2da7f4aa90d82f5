"""From a folder of files to a Dataset, with an account of every row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from rankine.data.dataset import Dataset
from rankine.data.readers.chunks import FILE, LINE
from rankine.data.readers.config import DataConfig, Layout, resolve
from rankine.data.readers.tables import UNKNOWN_TYPE, Table, open_table, reject_rows
from rankine.data.schema import Schema
from rankine.errors import DataError, closest

KEEP = "rankine.keep"
DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Read:
    """A dataset and what became of every row that was read.

    counts: {table: {"read", "accepted", "rejected", "filtered"}}, where the last three add up to the first.
    time_units: {"events.timestamp": "seconds", ...}.
    rejects: table, file, line (1-based; the row number in Parquet), column, value, reason; a row per rejected row.
    """

    dataset: Dataset
    counts: dict[str, dict[str, int]]
    warnings: list[str]
    time_units: dict[str, str]
    rejects: pl.DataFrame


@dataclass(frozen=True)
class Account:
    """One table, read: the rows that are left, those that were refused, and how many were left out on purpose."""

    table: Table
    rows: pl.DataFrame
    rejects: pl.DataFrame
    filtered: int

    @property
    def counts(self) -> dict[str, int]:
        """What became of the rows."""
        made = {"accepted": len(self.rows), "rejected": len(self.rejects), "filtered": self.filtered}
        return {"read": self.table.read, **made}


def read_dataset(config: DataConfig | str | Path, *, root: Path | None = None, rejects: Path | None = None) -> Read:
    """The dataset at a path or as configured; rows that cannot be read are written to `rejects` as JSON Lines.

    Raises ConfigError for settings that do not fit, DataError for data that the rules do not allow.
    """
    layout = resolve(config, root)
    accounts = [_account(open_table(layout, name), layout) for name in layout.sources]
    refused = pl.concat([account.rejects for account in accounts])
    if rejects is not None:
        rejects.parent.mkdir(parents=True, exist_ok=True)
        refused.write_ndjson(rejects)
    warnings = [warning for account in accounts for warning in _warnings(account, layout)]
    units = {name: unit for account in accounts for name, unit in account.table.time_units.items()}
    kinds = {account.table.name: account.table.kinds for account in accounts}
    schema = Schema(**kinds, event_types=layout.event_types, rules=layout.rules)
    frames = {account.table.name: account.rows for account in accounts if account.table.columns}
    dataset = Dataset.from_frames(**frames, schema=schema, name=layout.name)
    return Read(dataset, {a.table.name: a.counts for a in accounts}, warnings, units, refused)


def _account(table: Table, layout: Layout) -> Account:
    """The rows of a table, one per user or item. Raises DataError where the rules do not allow a row."""
    rows, rejects = table.accepted().collect(), table.rejects()
    if table.key is None:
        return Account(table, _in_order(rows.drop(FILE, LINE)), rejects, table.filtered)
    rule = layout.duplicate_rule(table.name)
    id_column = pl.col(table.key)
    keep = id_column.is_first_distinct() if rule == "first" else id_column.is_last_distinct()
    rows = rows.with_columns(keep.alias(KEEP))
    doubles = rows.filter(~pl.col(KEEP))
    rows = rows.filter(KEEP).drop(KEEP, FILE, LINE)
    if layout.table(table.name).distinct:
        return Account(table, rows, rejects, table.filtered + len(doubles))
    if rule == "error" and len(doubles):
        _stop_at_double(table, table.key, doubles.row(0, named=True))
    reason = f"{DUPLICATE}: the {rule} row of this {table.key} is kept"
    refused = reject_rows(table, doubles, table.key, id_column, reason)
    return Account(table, rows, pl.concat([rejects, refused]).sort("file", "line", maintain_order=True), table.filtered)


def _in_order(events: pl.DataFrame) -> pl.DataFrame:
    """The events; those that are in the order of time already say so, which saves sorting them."""
    if "timestamp" in events.columns and events["timestamp"].is_sorted():
        return events.set_sorted("timestamp")
    return events


def _stop_at_double(table: Table, key: str, row: dict[str, object]) -> None:
    label, name = table.sources[int(str(row[FILE]))].label, key.removesuffix("_id")
    fix = f'remove one or set rules.duplicate_{name} to "first" or "last"'
    raise DataError(f"`{label}` line {row[LINE]}: `{key}` {row[key]!r} has another row further down: {fix}")


def _warnings(account: Account, layout: Layout) -> Iterator[str]:
    """What a user of the dataset should know. Raises DataError for events that the rules do not allow."""
    table, counts = account.table, account.counts
    yield from table.warnings
    if table.name == "events":
        _stop(account, layout)
        yield from _kept_types(layout, account.rows)
    if not counts["read"]:
        yield f"{table.label} is empty: no {table.name}"
    doubles = int(account.rejects["reason"].str.starts_with(DUPLICATE).sum())
    if doubles:
        yield f"{doubles:,} duplicate rows of {table.name}: one row of each id is kept"
    if counts["rejected"] > doubles:
        yield f"{counts['rejected'] - doubles:,} of {counts['read']:,} rows of {table.name} could not be read"


def _stop(account: Account, layout: Layout) -> None:
    counts, rejects, label = account.counts, account.rejects, account.table.label
    unknown = rejects.filter(pl.col("reason") == UNKNOWN_TYPE)
    if len(unknown) and layout.rules.unknown_event_type == "error":
        row = unknown.row(0, named=True)
        near = closest(row["value"], layout.event_types)
        fix = 'add it to event_types, or set rules.unknown_event_type to "reject" or "keep"'
        raise DataError(f"`{row['file']}` line {row['line']}: unknown event_type {row['value']!r}{near}: {fix}")
    if not counts["read"]:
        raise DataError(f"{label} is empty: expected at least one event")
    if not counts["accepted"]:
        left = f"no event of {label} is left of {counts['read']:,}"
        total = f"{counts['rejected']:,} rejected, {counts['filtered']:,} filtered"
        raise DataError(f"{left} ({total}){_first(rejects)}")


def _first(rejects: pl.DataFrame) -> str:
    if not len(rejects):
        return ""
    row = rejects.row(0, named=True)
    what = f"`{row['column']}` = {row['value']!r}" if row["column"] else repr(row["value"])
    return f"; first: `{row['file']}` line {row['line']}, {what}: {row['reason']}"


def _kept_types(layout: Layout, events: pl.DataFrame) -> Iterator[str]:
    if "event_type" in events.columns:
        unknown = events["event_type"].value_counts().filter(~pl.col("event_type").is_in(list(layout.event_types)))
        for name, n in unknown.sort("event_type").iter_rows():
            yield f"{n:,} events of the unknown event_type {name!r} are kept as implicit events of weight 1"
