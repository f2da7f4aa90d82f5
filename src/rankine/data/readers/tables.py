"""A table on its way in: the rows of its files with our columns beside theirs, and the first fault of each row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from rankine.data.readers.chunks import FILE, LINE, LONGEST_VALUE, Fault
from rankine.data.readers.config import Layout, Source
from rankine.data.readers.convert import OUT
from rankine.data.readers.mapping import Column, map_columns
from rankine.data.readers.raw import open_raw, text_of
from rankine.data.readers.select import exploded, filtered
from rankine.data.schema import Feedback, Kind

FAULT = "rankine.fault"
MISSING = "missing"
UNKNOWN_TYPE = "expected a known event_type"
REJECTS = {"table": pl.String, "file": pl.String, "line": pl.UInt32, "column": pl.String, "value": pl.String,
           "reason": pl.String}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """One table, opened and checked.

    rows: our columns (named OUT + name), theirs, FILE, LINE and FAULT, an index into `faults` or null.
    read = rows + filtered + unreadable lines.
    """

    name: str
    sources: tuple[Source, ...]
    columns: tuple[Column, ...]
    rows: pl.LazyFrame
    faults: list[tuple[str, str]]  # (our column, what was expected)
    unreadable: list[tuple[int, Fault]]
    read: int
    filtered: int
    time_units: dict[str, str]
    warnings: list[str]

    @property
    def key(self) -> str | None:
        """The column of which a value may come once: None for events, and where nothing could be read."""
        return None if self.name == "events" or not self.columns else f"{self.name.removesuffix('s')}_id"

    @property
    def label(self) -> str:
        """Its files, for messages."""
        return ", ".join(f"`{source.label}`" for source in self.sources)

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each of our columns."""
        return {column.name: column.kind for column in self.columns}

    def accepted(self, all_sound: bool = False) -> pl.LazyFrame:
        """The rows without a fault: our columns, FILE and LINE.

        all_sound: no row is known to have a fault, so that nothing but the wanted columns need be read.
        """
        ours = [pl.col(OUT + column.name).alias(column.name) for column in self.columns]
        rows = self.rows if all_sound else self.rows.filter(pl.col(FAULT).is_null())
        return rows.select([*ours, FILE, LINE])

    def rejects(self) -> pl.DataFrame:
        """The rows with a fault and the unreadable lines: table, file, line, column, value, reason."""
        rows = [(self.name, self.sources[file].label, *fault) for file, fault in self.unreadable]
        unreadable = pl.DataFrame(rows, schema=REJECTS, orient="row")
        bad = self.rows.filter(pl.col(FAULT).is_not_null()).collect(engine="streaming")
        parts = [self._reject_rows(part) for part in bad.partition_by(FAULT)]
        return pl.concat([unreadable, *parts]).sort("file", "line", maintain_order=True)

    def _reject_rows(self, bad: pl.DataFrame) -> pl.DataFrame:
        """Rejects of rows that share one fault."""
        ours, reason = self.faults[bad[FAULT][0]]
        column = next(c for c in self.columns if c.name == ours)
        return reject_rows(self, bad, ours, text_of(column.theirs, column.dtype), reason)


def reject_rows(table: Table, bad: pl.DataFrame, column: str, value: pl.Expr, reason: str) -> pl.DataFrame:
    """Rejects of rows with FILE and LINE for one reason."""
    labels = pl.Series([source.label for source in table.sources])
    return bad.select(
        pl.lit(table.name).alias("table"),
        pl.lit(labels).gather(pl.col(FILE)).alias("file"),
        pl.col(LINE).alias("line"),
        pl.lit(column).alias("column"),
        value.str.slice(0, LONGEST_VALUE).alias("value"),
        pl.lit(reason).alias("reason"),
    )


def open_table(layout: Layout, name: str, spool: Path | None = None) -> Table:
    """The table `name` of a dataset, checked row by row. With `spool`, a folder, nothing is held in memory.

    Raises ConfigError for settings that do not fit the files, DataError for files that cannot be read.
    """
    sources, config = layout.sources[name], layout.table(name)
    label = sources[0].label
    raw = open_raw(sources, spool / name if spool else None)
    if config.explode:
        raw = exploded(raw, config.explode, label)
    read = n_rows = _length(raw.rows)
    if config.where and n_rows:
        raw = filtered(raw, config.where, label)
        n_rows = _length(raw.rows)
    counts = (read + len(raw.faults), read - n_rows)
    if not read:
        return Table(
            name, sources, (), raw.rows.with_columns(pl.lit(None).alias(FAULT)), [], raw.faults, *counts, {}, []
        )
    mapped = map_columns(name, label, raw, config)
    rows = mapped.rows if spool else mapped.rows.collect().lazy()
    rows, faults = _checked(rows, mapped.columns, list(_requirements(name, mapped.columns, layout)))
    rows = rows if spool else rows.collect().lazy()
    return Table(name, sources, mapped.columns, rows, faults, raw.faults, *counts, mapped.time_units, mapped.warnings)


def _length(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect(engine="streaming").item())


Checks = list[tuple[str, str, pl.Expr]]  # (our column, what was expected, the rows at fault)


def _checked(rows: pl.LazyFrame, columns: tuple[Column, ...],
             checks: Checks) -> tuple[pl.LazyFrame, list[tuple[str, str]]]:  # fmt: skip
    conversions = [(column.name, column.conversion()) for column in columns]
    checks = [(name, reason, mask) for name, c in conversions for reason, mask in c.faults] + checks
    first = pl.coalesce([pl.when(mask).then(pl.lit(i, pl.UInt16)) for i, (_, _, mask) in enumerate(checks)])
    rows = rows.with_columns(c.value for _, c in conversions).with_columns(first.alias(FAULT))
    return rows, [(name, reason) for name, reason, _ in checks]


def _requirements(table: str, columns: tuple[Column, ...], layout: Layout) -> Iterator[tuple[str, str, pl.Expr]]:
    """What a row needs beyond readable values."""
    names = {column.name for column in columns}
    if table != "events":
        key = f"{table.removesuffix('s')}_id"
        yield key, MISSING, pl.col(OUT + key).is_null()
        return
    needs_item = pl.lit(True)
    if "event_type" in names:
        kind = pl.col(OUT + "event_type")
        yield "event_type", MISSING, kind.is_null()
        if layout.rules.unknown_event_type != "keep":
            yield "event_type", UNKNOWN_TYPE, ~kind.is_in(list(layout.event_types))
        wishes = [name for name, event_type in layout.event_types.items() if event_type.feedback is Feedback.INTENT]
        needs_item = ~kind.is_in(wishes)
    yield "item_id", MISSING, pl.col(OUT + "item_id").is_null() & needs_item
    if "timestamp" in names:
        yield "timestamp", MISSING, pl.col(OUT + "timestamp").is_null()
