"""A table as it stands in its files: their names, their types; rows here, lines that are no rows there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from rankine.data.readers.chunks import FILE, LINE, REFUSALS, Chunk, Fault, Votes, safe_name
from rankine.data.readers.config import Source
from rankine.data.readers.delimited import read_delimited
from rankine.data.readers.jsonl import read_jsonl
from rankine.errors import DataError
from rankine.progress import track

MOSTLY = {"csv": 0.9, "jsonl": 0.5}  # share of numbers that makes a mixed column one of numbers


@dataclass(frozen=True)
class Raw:
    """rows: the file's columns, FILE, LINE and `split` where file names carry it; faults: (file, fault)."""

    rows: pl.LazyFrame
    faults: list[tuple[int, Fault]]
    types: Mapping[str, pl.DataType]  # of each column; for text, what nearly all of its values are

    @property
    def columns(self) -> list[str]:
        """The columns of the file."""
        return [name for name in self.types if name not in (FILE, LINE)]


def open_raw(sources: Sequence[Source], spool: Path | None = None) -> Raw:
    """The sources one after another. Parquet is scanned; text is held in memory, or in Parquet parts below `spool`.

    Raises DataError for a file that cannot be read at all.
    """
    parts: list[pl.LazyFrame] = []
    faults: list[tuple[int, Fault]] = []
    votes: Votes = Counter()
    for number, source in enumerate(sources):
        for chunk in _chunks(source):
            faults.extend((number, fault) for fault in chunk.faults)
            votes.update(chunk.votes)
            rows = _marked(chunk.rows.lazy(), number, source.split)
            parts.append(_spooled(rows, spool / f"{number}-{len(parts)}.parquet") if spool else rows)
        if source.format == "parquet":
            parts.append(_marked(_scan(source), number, source.split))
    rows = stacked(parts) if parts else pl.LazyFrame(schema={FILE: pl.UInt16, LINE: pl.UInt32})
    share = MOSTLY.get(sources[0].format, 0.5)
    types = {name: _type(name, dtype, votes, share) for name, dtype in rows.collect_schema().items()}
    return Raw(rows, faults, types)


def text_of(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as text: JSON for lists and objects."""
    if not dtype.is_nested():
        return pl.col(name) if dtype == pl.String else pl.col(name).cast(pl.String, strict=False)
    json = pl.struct(pl.col(name).alias("v")).struct.json_encode()  # {"v":...}
    return pl.when(pl.col(name).is_not_null()).then(json.str.slice(5).str.head(-1)).alias(name)


def stacked(parts: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
    """The parts under one another; a column that is a list in one and a single value in the other becomes text."""
    if len(parts) == 1:
        return parts[0]
    schemas = [part.collect_schema() for part in parts]
    kinds: dict[str, set[type[pl.DataType]]] = {}
    for schema in schemas:
        for name, dtype in schema.items():
            if dtype != pl.Null:
                kinds.setdefault(name, set()).add(dtype.base_type() if dtype.is_nested() else pl.String)
    mixed = {name for name, found in kinds.items() if len(found) > 1 or pl.Struct in found}
    texts = [[text_of(n, t) for n, t in schema.items() if n in mixed] for schema in schemas]
    return pl.concat([p.with_columns(t) for p, t in zip(parts, texts, strict=True)], how="diagonal_relaxed")


def _chunks(source: Source) -> Iterator[Chunk]:
    readers = {"csv": read_delimited, "jsonl": read_jsonl}
    if source.format in readers:
        yield from track(readers[source.format](source), f"reading {source.label}")


def _scan(source: Source) -> pl.LazyFrame:
    try:
        rows = pl.scan_parquet(source.path, row_index_name=LINE, row_index_offset=1)
        rows.collect_schema()
    except REFUSALS as error:
        problem = str(error).splitlines()[0]
        raise DataError(f"`{source.label}` is not a Parquet file that can be read: {problem}") from None
    return rows


def _marked(rows: pl.LazyFrame, number: int, split: str | None) -> pl.LazyFrame:
    rows = rows.rename({name: safe_name(name) for name in rows.collect_schema() if safe_name(name) != name})
    marks = [pl.lit(number, pl.UInt16).alias(FILE)]
    return rows.with_columns(marks if split is None else [*marks, pl.lit(split).alias("split")])


def _spooled(rows: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.collect().write_parquet(path, compression="lz4")
    return pl.scan_parquet(path)


def _type(name: str, dtype: pl.DataType, votes: Votes, share: float) -> pl.DataType:
    numbers, lists, texts = (votes[name, what] for what in ("number", "list", "text"))
    if dtype != pl.String or not (numbers + lists):
        return dtype
    if numbers > share * (numbers + lists + texts):
        return pl.Float64()
    return pl.List(pl.String()) if lists and (share == MOSTLY["jsonl"] or lists > share * (lists + texts)) else dtype
