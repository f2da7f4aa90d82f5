"""CSV and its kin: whole blocks through polars; a block that polars refuses, or pads, is gone through line by line."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence

import polars as pl

from rankine.data.readers.chunks import LINE, REFUSALS, Chunk, Fault, Votes, blocks, clip, safe_name
from rankine.data.readers.config import Source
from rankine.errors import DataError

SEPARATORS = ",\t;|"
LONGEST_RECORD = 100  # lines that one quoted record may span before its quote counts as never closed
UNCLOSED = "a quoted field that is never closed"
SAMPLE = 10_000  # rows of a block that are looked at to tell numbers from text


def read_delimited(source: Source) -> Iterator[Chunk]:
    """The rows of the file by blocks, every value as text. The first line names the columns. Raises DataError."""
    first, names, separator = 1, [""], ","
    for block in blocks(source.path, quoted=True):
        body, number = block, first
        if first == 1:
            head, _, body = block.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
            names, separator = _header(source, head)
            number = 2
        if body.strip():
            yield _chunk(body, number, names, separator)
        first += block.count(b"\n")


def _header(source: Source, line: bytes) -> tuple[list[str], str]:
    try:
        text = line.decode("utf-8").strip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"`{source.label}` line 1 is not UTF-8 at byte {error.start + 1}: save it as UTF-8") from None
    separator = max(SEPARATORS, key=text.count)
    row = next(csv.reader([text], delimiter=separator), [])
    names = [
        safe_name(name.strip()) or f"column_{i}" for i, name in enumerate(row, 1)
    ]  # a row index is often written unnamed
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice or not names:
        found = f"`{twice[0]}` twice" if twice else "an empty line"
        raise DataError(f"line 1 of `{source.label}` must name each column once; got {found}")
    return names, separator


def _chunk(block: bytes, first: int, names: list[str], separator: str) -> Chunk:
    frame = _parse(block, first, names, separator)
    faults: list[Fault] = []
    if frame is None:
        frame, faults = _line_by_line(block, first, names, separator)
    return Chunk(frame, faults, _votes(frame.drop(LINE)))


def _parse(block: bytes, first: int, names: list[str], separator: str) -> pl.DataFrame | None:
    """The block as a frame with its line numbers, or None where polars refuses it or has filled up short rows."""
    schema = dict.fromkeys(names, pl.String())
    try:
        frame = pl.read_csv(io.BytesIO(block), has_header=False, schema=schema, separator=separator)
    except REFUSALS:
        return None
    outside = block.count(separator.encode()) - _count(frame, separator).sum()
    if outside != len(frame) * (len(names) - 1) or (len(names) == 1 and frame.to_series().null_count()):
        return None
    spans = 1 + _count(frame, "\n")
    if spans.sum() != block.count(b"\n") + (not block.endswith(b"\n")):
        return None
    return frame.with_columns((first + spans.cum_sum() - spans).cast(pl.UInt32).alias(LINE))


def _count(frame: pl.DataFrame, character: str) -> pl.Series:
    counts = [pl.col(name).str.count_matches(character, literal=True).fill_null(0) for name in frame.columns]
    return frame.select(pl.sum_horizontal(counts).cast(pl.Int64)).to_series()


def _line_by_line(block: bytes, first: int, names: list[str], separator: str) -> tuple[pl.DataFrame, list[Fault]]:
    lines = block.split(b"\n")
    rows: list[list[str]] = []
    numbers: list[int] = []
    faults: list[Fault] = []
    at = 0
    while at < len(lines):
        row, n_lines, reason = _record(lines[at : at + LONGEST_RECORD], len(names), separator)
        if reason:
            faults.append(Fault(first + at, None, clip(lines[at].rstrip(b"\r")), reason))
        elif row:
            rows.append(row)
            numbers.append(first + at)
        at += n_lines
    columns: Sequence[Sequence[str]] = list(zip(*rows, strict=True)) if rows else [[] for _ in names]
    series = [pl.Series(name, values, pl.String) for name, values in zip(names, columns, strict=True)]
    return pl.DataFrame([*series, pl.Series(LINE, numbers, pl.UInt32)]), faults


def _record(lines: Sequence[bytes], n_fields: int, separator: str) -> tuple[list[str], int, str | None]:
    """The fields of the first record (none on a blank line), how many lines it takes, and why it is no record."""
    if not lines[0].strip():
        return [], 1, None
    parts: list[str] = []
    reason = None
    for line in lines:
        try:
            parts.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            return [], 1, reason or f"invalid UTF-8 at byte {error.start + 1}"
        if reason and b'"' not in line:
            continue  # the quote is still open
        row, problem = _fields("\n".join(parts).removesuffix("\r"), separator)
        if row is not None and len(row) == n_fields:
            return row, len(parts), None
        reason = reason or problem or f"expected {n_fields} fields; got {len(row or ())}"
        if problem != UNCLOSED:
            break
    return [], 1, reason


def _fields(text: str, separator: str) -> tuple[list[str] | None, str | None]:
    if '"' not in text:
        return text.split(separator), None
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)), None
    except csv.Error as error:
        return None, UNCLOSED if "unexpected end of data" in str(error) else f"broken quoting: {error}"


def _votes(frame: pl.DataFrame) -> Votes:
    """How often a sample of the rows holds a number, a list or something else in each column."""
    votes: Votes = Counter()
    for column in frame.gather_every(len(frame) // SAMPLE + 1):
        values = column.str.strip_chars().drop_nulls()
        values = values.filter(values != "")
        padded = values.str.contains(r"^[+-]?0\d")  # 01234 is a code
        numbers = int((values.cast(pl.Float64, strict=False).is_not_null() & ~padded).sum())
        lists = int(values.str.starts_with("[").sum())
        votes[column.name, "number"] += 0 if padded.any() else numbers
        votes[column.name, "list"] += lists
        votes[column.name, "text"] += len(values) - lists - (0 if padded.any() else numbers)
    return votes
