"""Axes: round ticks over a range of values, and where a value falls on the drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MANTISSAS = (1.0, 2.0, 2.5, 5.0, 10.0)


def nice_step(length: float, n: int) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that cuts `length` into at most `n` steps."""
    rough = length / max(n, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in MANTISSAS if m * power >= rough * (1 - 1e-9))


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` drawn from pixel `start` to pixel `end`, with a tick every `step`."""

    low: float
    high: float
    start: float
    end: float
    step: float

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float, *, n: int = 5, zero: bool = False) -> Axis:
        """An axis from tick to tick that holds all values, and zero if asked for."""
        low, high = _range([*values, *([0.0] if zero else [])])
        step = nice_step(high - low, n)
        return cls(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, end, step)

    @classmethod
    def between(cls, low: float, high: float, start: float, end: float, *, n: int = 5) -> Axis:
        """An axis over exactly this range; its ticks lie inside."""
        low, high = _range([low, high])
        return cls(low, high, start, end, nice_step(high - low, n))

    @classmethod
    def whole(cls, low: int, high: int, start: float, end: float, *, n: int = 5) -> Axis:
        """An axis over whole numbers such as epochs."""
        return cls(low, max(high, low + 1), start, end, max(1.0, math.ceil(nice_step(max(high - low, 1), n))))

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether a value lies on the axis."""
        margin = (self.high - self.low) * 1e-9
        return self.low - margin <= value <= self.high + margin

    def nearest(self, value: float) -> float:
        """The value on the axis that is closest to this one."""
        return min(max(value, self.low), self.high)

    @property
    def ticks(self) -> list[float]:
        """The multiples of the step that lie on the axis."""
        first = math.ceil(self.low / self.step - 1e-9)
        last = math.floor(self.high / self.step + 1e-9)
        return [i * self.step for i in range(first, last + 1)]

    def label(self, value: float) -> str:
        """A tick in as many decimals as the step needs."""
        return f"{value:,.{step_places(self.step)}f}".replace("-", "\u2212")


def step_places(step: float) -> int:
    """Decimals that a step needs: 0 for 5, 1 for 0.1, 3 for 0.025."""
    return next((d for d in range(9) if abs(step * 10**d - round(step * 10**d)) < 1e-6), 9)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions as close as can be to the wanted ones, in their order, at least `gap` apart, from `low` to `high`.

    Pools neighbours that stand too close around their mean (pool adjacent violators).
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    pools: list[tuple[float, int]] = []
    for place, index in enumerate(order):
        mean, size = wanted[index] - place * gap, 1
        while pools and pools[-1][0] > mean:
            other, n = pools.pop()
            mean, size = (mean * size + other * n) / (size + n), size + n
        pools.append((mean, size))
    top = max(low, high - (len(wanted) - 1) * gap)
    free = [min(max(mean, low), top) for mean, size in pools for _ in range(size)]
    out = [0.0] * len(wanted)
    for place, index in enumerate(order):
        out[index] = free[place] + place * gap
    return out


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low > 1e-12 * max(abs(low), abs(high), 1e-300):
        return low, high
    room = abs(low) * 0.1 or 1.0
    return low - room, high + room
