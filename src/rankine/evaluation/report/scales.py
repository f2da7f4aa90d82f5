"""Scales that bend: by square root for small rates, by log-odds for probabilities, by powers of ten for sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rankine.evaluation.report.axes import Axis
from rankine.evaluation.report.words import NBSP

SMALL = 0.1  # rates whose middle is below this share of the largest are drawn by square root


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` drawn from pixel `start` to pixel `end` by a growing function; `wanted`: ticks, dearest first."""

    low: float
    high: float
    start: float
    end: float
    bend: Callable[[float], float]
    wanted: tuple[float, ...]

    def at(self, value: float) -> float:
        """The pixel of a value; that of the nearer end for one outside."""
        first, last, here = (self.bend(v) for v in (self.low, self.high, min(max(value, self.low), self.high)))
        return self.start + (here - first) / (last - first) * (self.end - self.start)

    def over(self, start: float, end: float) -> Scale:
        """The same scale drawn elsewhere."""
        return replace(self, start=start, end=end)

    def ticks(self, gap: float) -> list[float]:
        """The wanted ticks on it, ascending: each that stands `gap` pixels off those wanted more."""
        kept: list[float] = []
        for value in self.wanted:
            if self.low <= value <= self.high and all(abs(self.at(value) - self.at(other)) >= gap for other in kept):
                kept.append(value)
        return sorted(kept)


def rates(values: Sequence[float]) -> tuple[Scale, bool]:
    """A scale from zero that holds these rates, and whether it is drawn by square root because most are small."""
    straight = Axis.over([*values, 0.0], 0, 1, n=4)
    high = min(straight.high, 1.0)
    by_root = sorted(values)[len(values) // 2] < SMALL * high
    evenly = straight.ticks
    wanted = [0.0, high, *(_round(high) if by_root else [evenly[len(evenly) // 2], *evenly])]
    return Scale(0.0, high, 0, 1, math.sqrt if by_root else float, tuple(wanted)), by_root


def odds(low: float, high: float) -> Scale:
    """A scale of probabilities by log-odds."""
    tails = [10.0**-d for d in range(1, 10)]
    wanted = (0.5, *(p for tail in tails for p in (tail, 1 - tail)), *_round(0.5))
    return Scale(low, high, 0, 1, log_odds, wanted)


def sizes(low: float, high: float, start: float, end: float) -> Scale:
    """A scale of counts by powers of ten."""
    tens = [10.0**d for d in range(int(math.log10(low)), int(math.log10(high)) + 2)]
    return Scale(low, high, start, end, math.log, (*tens, *(f * t for f in (3, 2, 5) for t in tens)))


def log_odds(p: float) -> float:
    """The log-odds of a probability."""
    return math.log(p) - math.log1p(-p)


def rate_label(value: float) -> str:
    """A tick as a percentage: 0.1 %, 99.99 %."""
    return (
        f"{float(f'{value * 100:.8g}'):g}{NBSP}%"
        if value * 100 >= 1e-4
        else f"{value * 100:.0e}{NBSP}%"
        if value
        else "0"
    )


def size_label(value: float) -> str:
    """A count in few characters: 500, 20k, 1M."""
    for unit, word in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{float(f'{value / unit:.3g}'):g}{word}"
    return f"{value:.0f}"


def _round(high: float) -> list[float]:
    """1, 2 and 5 times powers of ten, from `high` down, those with a 1 first."""
    top = math.floor(math.log10(high))
    return [m * 10.0**d for m in (1.0, 5.0, 2.0) for d in range(top, top - 6, -1)]
