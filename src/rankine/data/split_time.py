"""Splits at a moment in time, and the Plan that every way to split fills in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import polars as pl

from rankine.arrays import Array
from rankine.errors import ConfigError, SplitError

TRAIN, VALID, TEST, FOLD_IN, DROPPED = range(5)
UNIT_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}

Amount = float | str


@dataclass
class Plan:
    """The part of each event, int8 [n], and what a report says about it.

    rejoins: bool [n], events before the test that the final fit sees although neither train nor valid holds them.
    """

    part: Array
    name: str
    sentence: str
    ordered: bool = False
    cut: float | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    rejoins: Array = field(default_factory=lambda: np.zeros(0, np.bool_))

    def __post_init__(self) -> None:
        self.part = self.part.astype(np.int8)
        if not len(self.rejoins):
            self.rejoins = np.zeros(len(self.part), np.bool_)

    def drop(self, rows: Array, reason: str) -> None:
        """Take these rows (bool [n]) out of their part and count them."""
        self.part[rows] = DROPPED
        if rows.any():
            self.dropped[reason] = self.dropped.get(reason, 0) + int(rows.sum())


def seconds_of(duration: str, name: str) -> float:
    """Seconds of "7d", "36h", "90m", "45s" or "2w"; `name` is the setting in the message. Raises ConfigError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)\s*", duration)
    if not match or not float(match[1]):
        raise ConfigError(f'`{name}` must be a share such as 0.1 or a duration such as "7d" or "36h"; got {duration!r}')
    return float(match[1]) * UNIT_SECONDS[match[2]]


def by_time(events: pl.DataFrame, test: Amount, valid: Amount | None) -> Plan:
    """One moment for everybody; a session belongs where it starts, and what it does beyond the cut is dropped."""
    times, starts = _times(events, pl.Expr.min)
    cuts = _cuts(times, test, valid)
    own, part = _place(times, cuts), _place(starts, cuts)
    whole = "; a session belongs where it starts" if "session_id" in events.columns else ""
    plan = Plan(part, "time", f"train before {_middle(cuts)}, test from then on{whole}", True, cuts[-1])
    straddles = (own != part) & (own != DROPPED)
    plan.drop(own == DROPPED, "events without a timestamp")
    plan.drop(straddles, "events after a cut of sessions that began before it")
    plan.rejoins = straddles & (own != TEST)
    return plan


def by_session_end(events: pl.DataFrame, test: Amount, valid: Amount | None) -> Plan:
    """A whole session goes to test if its last event lies at or after the cut.

    Source: the first RSC15 protocol of GRU4Rec (2016).
    """
    if "session_id" not in events.columns:
        raise SplitError('`by` = "session_time" needs `session_id`: call `with_sessions` first, or use `by` = "time"')
    _, ends = _times(events, pl.Expr.max)
    cuts = _cuts(ends, test, valid)
    sentence = f"train on sessions that end before {_middle(cuts)}, test on those that end later; sessions stay whole"
    plan = Plan(_place(ends, cuts), "session_time", sentence, False, cuts[-1])
    plan.drop(plan.part == DROPPED, "events without a timestamp")
    return plan


def day(moment: float) -> str:
    """A moment in words: `21 Nov 2026 00:00 UTC`."""
    try:
        at = datetime.fromtimestamp(moment, UTC)
    except (OverflowError, ValueError, OSError):
        return f"time {moment:g}"
    return f"{at.day} {at:%b %Y} {at:%H:%M:%S}".removesuffix(":00") + " UTC"


def _middle(cuts: list[float]) -> str:
    return day(cuts[0]) if len(cuts) == 1 else f"{day(cuts[0])}, validation until {day(cuts[1])}"


def _times(events: pl.DataFrame, first_or_last: Callable[[pl.Expr], pl.Expr]) -> tuple[Array, Array]:
    """Time of each event and of its session's first (or last) event, float64 [n], NaN where unknown."""
    if "timestamp" not in events.columns:
        raise SplitError('a split by time needs `timestamp`; events have none: use `by` = "random", "user" or "column"')
    time = pl.when(pl.col("timestamp").is_finite()).then("timestamp")
    frame = events.select(time.alias("own"), *(["session_id"] if "session_id" in events.columns else []))
    of_session = pl.col("own")
    if "session_id" in events.columns:
        shared = first_or_last(pl.col("own")).over("session_id")
        of_session = pl.when(pl.col("session_id").is_null()).then("own").otherwise(shared)
    frame = frame.select("own", of_session.alias("session")).fill_null(np.nan)
    return frame["own"].to_numpy(), frame["session"].to_numpy()


def _cuts(times: Array, test: Amount, valid: Amount | None) -> list[float]:
    """The moment where the test part starts, before it the one of the validation part if there is one."""
    known = np.sort(times[~np.isnan(times)])
    if not len(known):
        raise SplitError("no event has a timestamp: a split by time needs them")
    test_at = _moment(known, test, len(known), "test")
    if valid is None:
        return [test_at]
    return [_moment(known[known < test_at], valid, len(known), "valid"), test_at]


def _moment(times: Array, amount: Amount, n_events: int, name: str) -> float:
    """Where the last `amount` of these ascending times starts; times at one moment stay together.

    Shares are of all `n_events`. At least one time lies before the moment. Raises SplitError.
    """
    if isinstance(amount, str):
        at, span = float(times[-1]) - seconds_of(amount, name), float(times[-1] - times[0])
        if at <= times[0]:
            raise SplitError(f'`{name}` = "{amount}" must be shorter than the {_span(span)} that the events span')
        return at
    i = len(times) - max(1, round(amount * n_events))
    low, high = np.searchsorted(times, times[max(i, 0)], "left"), np.searchsorted(times, times[max(i, 0)], "right")
    options = [int(j) for j in (low, high) if 0 < j < len(times)]
    if i <= 0 or not options:
        raise SplitError(f"`{name}` = {amount:g} leaves no earlier moment to train on: take less, or another `by`")
    return float(times[min(options, key=lambda j: abs(j - i))])


def _span(seconds: float) -> str:
    return f"{seconds / 86400:.1f} days" if seconds >= 86400 else f"{seconds / 3600:.1f} hours"


def _place(times: Array, cuts: list[float]) -> Array:
    """The part that each time lies in, int8 [n]; unknown times are DROPPED."""
    parts = np.array([TRAIN, TEST] if len(cuts) == 1 else [TRAIN, VALID, TEST], np.int8)
    placed = parts[np.searchsorted(np.asarray(cuts), times, side="right")]
    return np.where(np.isnan(times), np.int8(DROPPED), placed)
