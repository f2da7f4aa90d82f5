"""What every reader of text files hands over: blocks of bytes on the way in, chunks of rows on the way out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import polars as pl

LINE = "rankine.line"  # 1-based line (text) or row (Parquet) of the file
FILE = "rankine.file"  # position of the file among the table's sources
BLOCK_BYTES = 32 << 20
LONGEST_VALUE = 200  # characters of a bad value that a reject keeps
REFUSALS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
Votes = Counter[tuple[str, str]]  # (column, "number" | "list" | "text") -> values seen that way


class Fault(NamedTuple):
    """A line that could not become a row; `column` is None where the whole line is at fault."""

    line: int
    column: str | None
    value: str | None
    reason: str


@dataclass(frozen=True)
class Chunk:
    """Rows of one file with their LINE, and the lines beside them that are no rows."""

    rows: pl.DataFrame
    faults: list[Fault] = field(default_factory=list)
    votes: Votes = field(default_factory=Counter)


def blocks(path: Path, size: int = BLOCK_BYTES, quoted: bool = False) -> Iterator[bytes]:
    """The file in pieces of about `size` bytes, cut behind a newline; with `quoted`, one outside of double quotes.

    Where a stray quote makes their number odd, a record of several lines may be cut.
    """
    with path.open("rb") as file:
        rest = file.read(size)
        while data := file.read(size):
            cut = _cut(rest, quoted and len(rest) < 4 * size)
            if cut:
                yield rest[:cut]
            rest = rest[cut:] + data
    if rest:
        yield rest


def safe_name(name: str) -> str:
    """The name of a column that polars does not take for a pattern, as it does `*` and `^...$`."""
    return f"column {name}" if name == "*" or (name.startswith("^") and name.endswith("$")) else name


def clip(value: bytes | str) -> str:
    """A bad value as text of bounded length."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."


def _cut(data: bytes, quoted: bool) -> int:
    end = data.rfind(b"\n")
    if not quoted:
        return end + 1
    n_quotes = data.count(b'"', 0, max(end, 0))
    while end >= 0 and n_quotes % 2:  # an odd number of quotes before it: this newline is inside a field
        before = data.rfind(b"\n", 0, end)
        n_quotes -= data.count(b'"', max(before, 0), end)
        end = before
    return end + 1
