"""The clock: context read off the time of an event or a request, UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from rankine.arrays import Array

CLOCK = {"hour": [str(h) for h in range(24)], "weekday": [str(d) for d in range(1, 8)]}
"""Context read off the timestamp, UTC: hour 0..23, ISO weekday 1..7."""


def clock_numbers(name: str, timestamp: pl.Series) -> Array:
    """The place in CLOCK[name] of each time (Unix seconds), the one behind the last where it is not known; int64 [E]."""
    time = pl.select(pl.from_epoch((timestamp * 1000).cast(pl.Int64, strict=False), time_unit="ms").alias("t"))["t"]
    number = time.dt.hour() if name == "hour" else time.dt.weekday() - 1
    return number.cast(pl.Int64).fill_null(len(CLOCK[name])).to_numpy()


def clock_of(timestamp: float) -> dict[str, str]:
    """The context read off one timestamp (Unix seconds)."""
    time = datetime.fromtimestamp(timestamp, UTC)
    return {"hour": str(time.hour), "weekday": str(time.isoweekday())}
