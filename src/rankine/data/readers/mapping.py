"""Their columns, our columns: which are read, under which name, and as which kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from rankine.data.readers import convert, times
from rankine.data.readers.chunks import FILE, LINE
from rankine.data.readers.config import TableConfig
from rankine.data.readers.raw import Raw
from rankine.data.schema import Kind, kind_of
from rankine.errors import ConfigError, DataError, closest

REQUIRED = {"users": ("user_id",), "items": ("item_id",), "events": ("item_id",)}
CONSTANT = "rankine.constant."
SAME_LENGTH = 0.9  # share of lists of numbers with one length that makes them vectors


@dataclass(frozen=True)
class Column:
    """One of our columns: its name in the file, its type there, its kind, and what was found out about it."""

    name: str
    theirs: str
    dtype: pl.DataType
    kind: Kind
    facts: convert.Facts

    def conversion(self) -> convert.Conversion:
        """How its values come about, and which are at fault."""
        return convert.convert(self.name, self.theirs, self.dtype, self.kind, self.facts)


@dataclass(frozen=True)
class Mapped:
    """A table of the file's rows (and constants) with the columns that ours are made of."""

    rows: pl.LazyFrame
    columns: tuple[Column, ...]
    warnings: list[str]
    time_units: dict[str, str]


def map_columns(table: str, label: str, raw: Raw, config: TableConfig) -> Mapped:
    """Our columns of a table. Raises ConfigError and DataError for a name that fits nothing."""
    ours = _names(table, label, raw, config)
    dtypes = dict(raw.rows.collect_schema())
    for name in config.constants:
        ours[name] = CONSTANT + name
    rows = raw.rows.with_columns([pl.lit(value).alias(CONSTANT + name) for name, value in config.constants.items()])
    dtypes |= {CONSTANT + name: _literal_type(value) for name, value in config.constants.items()}
    _check_names(table, "kinds", config.kinds, ours)
    warnings: list[str] = []
    known = {}
    for name, theirs in ours.items():
        if convert.is_supported(dtypes[theirs]):
            known[name] = theirs
        elif name in (*REQUIRED[table], *config.kinds):
            raise DataError(f"`{theirs}` of `{label}` must hold single values or flat lists; got {dtypes[theirs]}")
        else:
            warnings.append(f"column `{theirs}` of `{label}` is left out: {_type_words(dtypes[theirs])} has no kind")
    kinds = {n: config.kinds.get(n) or kind_of(n, raw.types.get(t, dtypes[t])) for n, t in known.items()}
    rows = rows.select([FILE, LINE, *dict.fromkeys(known.values())])
    return _with_facts(table, rows, known, dtypes, kinds, set(config.kinds), warnings)


def _names(table: str, label: str, raw: Raw, config: TableConfig) -> dict[str, str]:
    """{our name: their name} of the columns that are read."""
    theirs = raw.columns
    for name, column in config.columns.items():
        if column not in theirs:
            raise DataError(f"`{label}` has no column `{column}` (for `{name}` of {table}){closest(column, theirs)}")
    mapped = set(config.columns.values())
    ours = {name: name for name in theirs if name not in mapped and not config.only_mapped} | dict(config.columns)
    _check_names(table, "drop", config.drop, ours)
    ours = {name: column for name, column in ours.items() if name not in config.drop}
    for name in REQUIRED[table]:
        if name not in ours and name not in config.constants:
            found = ", ".join(f"`{c}`" for c in theirs) or "no column"
            which = f'say which it is, [{table}.columns] {name} = "..."'
            raise DataError(f"{table} need the column `{name}`; `{label}` has {found}: {which}")
    return ours


def _check_names(table: str, setting: str, names: Iterable[str], ours: Mapping[str, str]) -> None:
    for name in names:
        if name not in ours:
            raise ConfigError(f"`{setting}` of {table} names `{name}`, which is not a column{closest(name, ours)}")


def _with_facts(table: str, rows: pl.LazyFrame, ours: Mapping[str, str], dtypes: Mapping[str, pl.DataType],
                kinds: dict[str, Kind], stated: set[str], warnings: list[str]) -> Mapped:  # fmt: skip
    columns, units = [], {}
    found = _look(rows, ours, dtypes, kinds)
    for name, theirs in ours.items():
        kind, dtype, facts = kinds[name], dtypes[theirs], convert.Facts(bounded=table == "events")
        if kind is Kind.TIME:
            facts, words = _time_facts(found[name], dtype, facts.bounded)
            units[f"{table}.{name}"] = words
        elif kind is Kind.VECTOR:
            longest = found[name]
            if name in stated or longest["same"] >= SAME_LENGTH * longest["all"]:
                facts = convert.Facts(length=longest["length"])
            else:
                kind = Kind.CATEGORIES  # lists of any length are sets of codes, not points in space
        columns.append(Column(name, theirs, dtype, kind, facts))
    return Mapped(rows, tuple(columns), warnings, units)


def _look(rows: pl.LazyFrame, ours: Mapping[str, str], dtypes: Mapping[str, pl.DataType],
          kinds: Mapping[str, Kind]) -> dict[str, dict[str, int]]:  # fmt: skip
    """Counts over whole columns of times and vectors, in one pass."""
    wanted: dict[str, list[pl.Expr]] = {}
    for name, theirs in ours.items():
        raw, dtype = pl.col(theirs), dtypes[theirs]
        if kinds[name] is Kind.TIME and (dtype == pl.String or dtype.is_numeric()):
            wanted[name] = times.bands(raw, dtype)
        elif kinds[name] is Kind.VECTOR:
            lengths = convert.floats(raw, dtype).list.len()
            usual = lengths.drop_nulls().mode().first()
            wanted[name] = [usual.alias("length"), (lengths == usual).sum().alias("same"), raw.count().alias("all")]
    if not wanted:
        return {name: {} for name in ours}
    counts = rows.select(pl.struct(exprs).alias(name) for name, exprs in wanted.items()).collect(engine="streaming")
    return {name: {} for name in ours} | counts.row(0, named=True)


def _time_facts(counts: dict[str, int], dtype: pl.DataType, bounded: bool) -> tuple[convert.Facts, str]:
    if not counts:
        return convert.Facts(unit="datetime", bounded=bounded), "datetime"
    facts = convert.Facts(unit=times.number_unit(counts), has_text=counts["text"] > 0, bounded=bounded)
    return facts, times.unit(counts)


def _literal_type(value: str | int | float) -> pl.DataType:
    return pl.String() if isinstance(value, str) else pl.Float64() if isinstance(value, float) else pl.Int32()


def _type_words(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Struct):
        return "an object"
    return "text" if dtype == pl.String else f"type {dtype}"
