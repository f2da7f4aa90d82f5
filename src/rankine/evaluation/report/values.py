"""Reading the plain values of a `metrics.json`: what is missing or null is nothing, what is of the wrong kind is an error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankine.errors import DataError


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, where one was computed."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def span(self) -> tuple[float, float]:
        """Both ends of the interval; the mean twice where there is none."""
        if self.low is None or self.high is None:
            return self.mean, self.mean
        return self.low, self.high

    @property
    def width(self) -> float:
        return self.span[1] - self.span[0]


def number(value: Any) -> float | None:
    """`value` as a float, or `None` unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def whole(value: Any) -> int | None:
    """`value` as an int, or `None` unless it is a finite number."""
    found = number(value)
    return None if found is None else round(found)


def table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping at `key`, empty where it is missing or null. Raises DataError for anything else."""
    found = values.get(key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise DataError(f"`{key}` of the results must be a table; got {type(found).__name__}")
    return found


def rows(values: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The mappings listed at `key`, none where it is missing or null. Raises DataError for anything else."""
    found = values.get(key)
    if found is None:
        return []
    if not isinstance(found, Sequence) or isinstance(found, str) or not all(isinstance(r, Mapping) for r in found):
        raise DataError(f"`{key}` of the results must be a list of tables; got {type(found).__name__}")
    return list(found)


def numbers(values: Mapping[str, Any], key: str) -> list[float | None]:
    """The list at `key` as floats, `None` for what is no finite number; empty where it is missing or no list."""
    found = values.get(key)
    return [number(v) for v in found] if isinstance(found, (list, tuple)) else []


def estimate(value: Any, mean: str = "mean") -> Estimate | None:
    """The estimate in a mapping with `mean`, `low` and `high`, or in a bare number."""
    if not isinstance(value, Mapping):
        found = number(value)
        return None if found is None else Estimate(found)
    centre = number(value.get(mean))
    return None if centre is None else Estimate(centre, number(value.get("low")), number(value.get("high")))
