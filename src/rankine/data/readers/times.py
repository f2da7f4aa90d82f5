"""Points in time as they come in files, and the unit they were written in."""

from __future__ import annotations

import polars as pl

UNITS = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
EARLIEST = 631_152_000  # 1990-01-01 UTC
LATEST = 4_102_444_800  # 2100-01-01 UTC
BAND = 5e10  # Unix seconds below this, milliseconds below a thousand times this, and so on
ISO = (
    r"^\s*(?<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?<minute>\d{2}:\d{2})(?<second>:\d{2}(?:\.\d+)?)?\s*(?<zone>[Zz]|[+-]\d{2}(?::?\d{2})?)?)?\s*$"
)


def numeric(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The Unix numbers of a column of numbers or text; null where there is none."""
    return (raw.str.strip_chars() if dtype == pl.String else raw).cast(pl.Float64, strict=False)


def bands(raw: pl.Expr, dtype: pl.DataType) -> list[pl.Expr]:
    """How many numbers of a column have the size of each unit, and how many values are text instead."""
    numbers = numeric(raw, dtype)
    size = numbers.abs()
    counts = [(size < BAND * scale).sum().alias(unit) for unit, scale in UNITS.items()]
    words = numbers.is_null() & raw.is_not_null() & (raw.str.strip_chars() != "") if dtype == pl.String else pl.lit(0)
    return [*counts, words.sum().alias("text"), numbers.is_not_null().sum().alias("numbers")]


def unit(counts: dict[str, int]) -> str:
    """The unit of the median of the numbers counted by `bands`; `ISO 8601` where most values are text."""
    if counts["text"] > counts["numbers"]:
        return "ISO 8601"
    return number_unit(counts)


def number_unit(counts: dict[str, int]) -> str:
    """The unit of the median of the numbers counted by `bands`."""
    reached = [unit for unit in UNITS if 2 * counts[unit] >= counts["numbers"]]
    return reached[0] if reached else "nanoseconds"


def from_temporal(raw: pl.Expr) -> pl.Expr:
    """Unix seconds of dates and datetimes; those without a zone are UTC."""
    return raw.cast(pl.Datetime("us")).dt.epoch("us") / 1e6


def from_iso(raw: pl.Expr) -> pl.Expr:
    """Unix seconds of ISO 8601 text: a date, or date and time with Z, an offset or none (UTC); null for other text."""
    part = raw.str.extract_groups(ISO).struct.field
    clock = pl.concat_str(part("day"), pl.lit("T"), part("minute").fill_null("00:00"), part("second").fill_null(":00"))
    local = clock.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False).dt.epoch("us") / 1e6
    zone = part("zone")
    digits = zone.str.replace_all(r"\D", "")
    hours, minutes = (digits.str.slice(i, 2).cast(pl.Int64, strict=False).fill_null(0) for i in (0, 2))
    offset = (hours * 3600 + minutes * 60) * pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    return local - offset.fill_null(0)
