"""What may be searched of a model's settings, and between which bounds: declared beside its Config, read by `rankine tune`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

DIGITS = 4  # significant ones of a value that is tried: it can be written down and run again
Value: TypeAlias = float | int | str | bool | None


@dataclass(frozen=True)
class Real:
    """A number from `low` to `high`, both included; `log`: every order of magnitude is as likely as another."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        assert self.low < self.high and (self.low > 0 or not self.log), self

    def __contains__(self, value: object) -> bool:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and self.low <= value <= self.high  # type: ignore[operator]

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (", log" if self.log else "")

    def tried(self, value: Value) -> Value:
        """The value as it is tried: rounded, within the bounds."""
        assert isinstance(value, (int, float)), value
        if not value:
            return 0.0
        rounded = round(float(value), DIGITS - 1 - math.floor(math.log10(abs(value))))
        return min(max(rounded, float(self.low)), float(self.high))


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`, both included; `log` as for Real."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        assert self.low < self.high and (self.low > 0 or not self.log), self

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low} to {self.high}" + (", log" if self.log else "")

    def tried(self, value: Value) -> Value:
        """The value as it is tried."""
        return value


@dataclass(frozen=True)
class Choice:
    """One of a few values; None leaves the setting out."""

    options: tuple[Value, ...]

    def __contains__(self, value: object) -> bool:
        return any(value is option or (type(value) is type(option) and value == option) for option in self.options)

    def __str__(self) -> str:
        return ", ".join("none" if option is None else str(option) for option in self.options)

    def tried(self, value: Value) -> Value:
        """The value as it is tried."""
        return value


Range: TypeAlias = Real | Whole | Choice


def choice(*options: Value) -> Choice:
    """One of these."""
    return Choice(options)


def ranges(**searched: Range) -> Mapping[str, Range]:
    """Setting -> where to search it."""
    return MappingProxyType(searched)
