"""Columns of numbers: by quantile, by logarithm, or one vector times the number."""

from __future__ import annotations

import math
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rankine.arrays import Array
from rankine.errors import DataError, RequestError
from rankine.features.columns import Column
from rankine.features.slots import Slots

FARTHEST = 1e9  # standard deviations: products of a few such numbers are still finite in float32


class Number(Column):
    """A number that picks a row."""

    @abstractmethod
    def place(self, values: Array) -> Array:
        """The row of each number that is there."""

    @abstractmethod
    def place_one(self, value: float) -> int:
        """The row of one number."""

    def encode(self, values: pl.Series) -> Slots:
        numbers, given = numbers_of(values)
        return Slots(np.where(given, self.place(numbers), self.missing_row).astype(np.int32)[:, None])

    def one(self, name: str, value: Any) -> tuple[Sequence[int], Sequence[float]]:
        number = number_of(name, value)
        return (self.missing_row if number is None else self.place_one(number),), (1.0,)


@dataclass(frozen=True, kw_only=True)
class Quantile(Number):
    """The bucket a number lies in: row r holds edges[r - 1] <= number < edges[r]."""

    kind = "quantile"
    edges: tuple[float, ...]

    @property
    def n_known(self) -> int:
        return len(self.edges) + 1

    def place(self, values: Array) -> Array:
        return np.searchsorted(self.edges, values, side="right")

    def place_one(self, value: float) -> int:
        return bisect_right(self.edges, value)


LOG_EDGES = np.exp(np.sqrt(np.arange(1, 4097)))  # floor(log(v)^2) is how many of these v reaches


@dataclass(frozen=True, kw_only=True)
class Log(Number):
    """floor(log(v)^2) of a number above 2, the whole part of any other; `seen`: those of training, ascending, a row each.

    One that training had not takes the row of the next lower one.
    """

    kind = "log"
    seen: tuple[float, ...]

    @property
    def n_known(self) -> int:
        return len(self.seen)

    def place(self, values: Array) -> Array:
        if not self.seen:
            return np.full(len(values), self.unknown)
        return np.maximum(np.searchsorted(self.seen, log_bucket(values), side="right") - 1, 0)

    def place_one(self, value: float) -> int:
        bucket = int(LOG_EDGES.searchsorted(value, side="right")) if value > 2 else math.trunc(value)
        return max(bisect_right(self.seen, bucket) - 1, 0) if self.seen else self.unknown


@dataclass(frozen=True, kw_only=True)
class Scaled(Column):
    """One row, multiplied by the number after the mean of training is taken off and its standard deviation divided out.

    Where training had but one number, any other is unknown: no vector was learned that could be multiplied.
    """

    kind = "value"
    weighted = True
    mean: float
    deviation: float  # 0 where training had but one number

    @property
    def n_known(self) -> int:
        return 1

    def encode(self, values: pl.Series) -> Slots:
        numbers, given = numbers_of(values)
        known = given & ((numbers == self.mean) | (self.deviation > 0))
        weight = np.where(known, (numbers - self.mean) / (self.deviation or 1), 1)
        if n_far := int((np.abs(weight) > FARTHEST).sum()):
            raise DataError(f"`{values.name}` has {n_far} of {len(values)} values {self._too_far}")
        idx = np.where(known, 0, np.where(given, self.unknown, self.missing_row))
        return Slots(idx.astype(np.int32)[:, None], weight.astype(np.float32)[:, None])

    def one(self, name: str, value: Any) -> tuple[Sequence[int], Sequence[float]]:
        number = number_of(name, value)
        if number is None:
            return (self.missing_row,), (1.0,)
        if number != self.mean and not self.deviation:
            return (self.unknown,), (1.0,)
        weight = (number - self.mean) / (self.deviation or 1)
        if abs(weight) > FARTHEST:
            raise RequestError(f"`context.{name}` must not be {self._too_far}; got {value!r}")
        return (0,), (weight,)

    @property
    def _too_far(self) -> str:
        return f"further than {FARTHEST:.0e} standard deviations ({self.deviation:.3g}) from the training mean {self.mean:.3g}"


def log_bucket(values: Array) -> Array:
    """floor(log(v)^2) where v > 2, else the whole part of v; float64."""
    return np.where(values > 2, np.searchsorted(LOG_EDGES, values, side="right"), np.trunc(values))


def numbers_of(values: pl.Series) -> tuple[Array, Array]:
    """The numbers, 0 where there is none, and where there is one. Raises DataError where one is infinite."""
    numbers = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    given = ~np.isnan(numbers)
    if n_infinite := int(np.isinf(numbers).sum()):
        raise DataError(
            f"`{values.name}` has {n_infinite} infinite values of {len(values)}: leave a value out that is not known"
        )
    return np.where(given, numbers, 0.0), given


def number_of(name: str, value: Any) -> float | None:
    """A number of a request, None where it is missing. Raises RequestError."""
    if value is None or value == "":
        return None
    try:
        number = float(value) if not isinstance(value, bool) else math.inf
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if math.isinf(number):
        raise RequestError(f"`context.{name}` must be a finite number; got {value!r}")
    return None if math.isnan(number) else number
