"""JSON Lines: whole blocks through polars; a block that polars refuses is gone through line by line."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator

import orjson
import polars as pl

from rankine.data.readers.chunks import LINE, REFUSALS, Chunk, Fault, Votes, blocks, clip, safe_name
from rankine.data.readers.config import Source
from rankine.errors import DataError

Numbered = list[tuple[int, bytes]]  # 1-based line number, line
SAMPLE = 1000  # lines of a block that are looked at to tell numbers from text in mixed columns


def read_jsonl(source: Source) -> Iterator[Chunk]:
    """The rows of the file by blocks. Raises DataError for a JSON array."""
    first = 1
    for block in blocks(source.path):
        start = block.lstrip(b"\xef\xbb\xbf \t\r\n")
        if first == 1 and source.path.suffix == ".json" and start.startswith(b"["):
            raise DataError(f"`{source.label}` holds one JSON array; expected one object per line (JSON Lines)")
        body = block.removeprefix(b"\xef\xbb\xbf") if first == 1 else block
        lines = [(first + i, line) for i, line in enumerate(body.split(b"\n")) if line.strip()]
        if lines:
            yield _chunk(body, lines)
        first += block.count(b"\n")


def _chunk(block: bytes, lines: Numbered) -> Chunk:
    frame = _parse(block, len(lines))
    faults: list[Fault] = []
    if frame is None:
        lines, faults, keys = _sift(lines)
        frame = _frame(lines, keys, faults)
        lost = {fault.line for fault in faults}
        lines = [pair for pair in lines if pair[0] not in lost]
    numbers = pl.Series(LINE, [number for number, _ in lines], pl.UInt32)
    return Chunk(frame.with_columns(numbers), faults, _votes(frame, lines))


def _parse(block: bytes, n_rows: int, schema: dict[str, pl.DataType] | None = None) -> pl.DataFrame | None:
    """The block as a frame, or None where polars refuses it or sees another number of rows."""
    try:
        frame = pl.read_ndjson(io.BytesIO(block), schema=schema, infer_schema_length=None)  # every key of every line
    except REFUSALS:
        return None
    frame.columns = [safe_name(name) for name in frame.columns]
    return frame if frame.height == n_rows else None


def _sift(lines: Numbered) -> tuple[Numbered, list[Fault], dict[str, pl.DataType]]:
    good, faults, keys = [], [], {}
    for number, line in lines:
        row, reason = _load(line)
        if reason:
            faults.append(Fault(number, None, clip(line), reason))
        else:
            good.append((number, line))
            keys.update(row)
    return good, faults, dict.fromkeys(keys, pl.String())


def _load(line: bytes) -> tuple[dict[str, object], str | None]:
    """The object of a line, or the reason why it has none."""
    try:
        row = orjson.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return {}, f"invalid UTF-8 at byte {error.start + 1}"
    except orjson.JSONDecodeError as error:
        return {}, f"broken JSON: {error.msg} at character {error.colno}"
    return (row, None) if isinstance(row, dict) and row else ({}, "expected a JSON object")


def _frame(lines: Numbered, keys: dict[str, pl.DataType], faults: list[Fault]) -> pl.DataFrame:
    """The frame of lines that are objects; those that polars still cannot read are added to `faults`.

    Values of different shape in one column (a number here, an object there) are read as their text.
    """
    for schema in (None, keys):
        frame = (
            _parse(b"\n".join(line for _, line in lines), len(lines), schema) if lines else pl.DataFrame(schema=keys)
        )
        if frame is not None:
            return frame
    good = _readable(lines, keys)
    kept = {number for number, _ in good}
    reason = "broken JSON: a value that no column can hold"
    faults.extend(Fault(number, None, clip(line), reason) for number, line in lines if number not in kept)
    return _frame(good, keys, faults)


def _readable(lines: Numbered, keys: dict[str, pl.DataType]) -> Numbered:
    """The lines that polars can read as text, the others found by halving."""
    if _parse(b"\n".join(line for _, line in lines), len(lines), keys) is not None:
        return lines
    half = len(lines) // 2
    return _readable(lines[:half], keys) + _readable(lines[half:], keys) if half else []


def _votes(frame: pl.DataFrame, lines: Numbered) -> Votes:
    """How often a sample of the lines holds a number, a list or something else in the columns polars read as text."""
    votes: Votes = Counter()
    columns = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    sample = set(range(0, len(lines), len(lines) // SAMPLE + 1))
    for name in columns:
        sample.update(frame[name].str.starts_with("[").arg_true().head(10))
    for i in sample:
        row, _ = _load(lines[i][1])
        for name in columns:
            value = row.get(name)
            if value is not None:
                number = isinstance(value, (int, float)) and not isinstance(value, bool)
                votes[name, "number" if number else "list" if isinstance(value, list) else "text"] += 1
    return votes
