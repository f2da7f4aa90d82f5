"""What a click model tells beside its metrics: how its probabilities compare with what came, and which fields it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rankine.evaluation.report.values import Estimate, estimate, number, numbers, rows, table, whole


@dataclass(frozen=True)
class Bin:
    """Rows with about the same prediction: their mean, and the share that was taken with its interval."""

    predicted: float
    observed: Estimate
    n: int | None


@dataclass(frozen=True)
class Histogram:
    """Shares of the taken and of the left rows whose prediction lies between two edges; each sums to one."""

    edges: tuple[float, ...]
    taken: tuple[float, ...]
    left: tuple[float, ...]


@dataclass(frozen=True)
class Clicks:
    """The predictions of one model beside the labels; `error` is the mean gap over the bins.

    Half of the taken rows get more than `median`; `above` is the share of the left rows that do.
    """

    bins: tuple[Bin, ...]
    error: float | None
    histogram: Histogram | None
    median: float | None
    above: float | None


@dataclass(frozen=True)
class Drop:
    """What is lost when a field is dealt out anew: mean and deviation over the deals."""

    field: str
    mean: float
    deviation: float


def read_clicks(values: Mapping[str, Any]) -> Clicks | None:
    """`clicks` of a model, or `None` where it holds nothing to draw."""
    bins = tuple(found for row in rows(values, "bins") if (found := _bin(row)))
    histogram = _histogram(table(values, "histogram"))
    if not bins and histogram is None:
        return None
    median, above = number(values.get("median_taken")), number(values.get("left_above"))
    return Clicks(bins, number(values.get("error")), histogram, median, above)


def read_drops(values: Mapping[str, Any]) -> tuple[Drop, ...]:
    """`importance` of a model, the field that costs most first."""
    found = [
        Drop(str(row.get("field")), drop, number(row.get("sd")) or 0.0)
        for row in rows(values, "fields")
        if (drop := number(row.get("drop"))) is not None
    ]
    return tuple(sorted(found, key=lambda drop: -drop.mean))


def _bin(values: Mapping[str, Any]) -> Bin | None:
    predicted, observed = number(values.get("predicted")), estimate(values, "observed")
    return None if predicted is None or observed is None else Bin(predicted, observed, whole(values.get("n")))


def _histogram(values: Mapping[str, Any]) -> Histogram | None:
    edges, taken, left = (tuple(v or 0.0 for v in numbers(values, key)) for key in ("edges", "taken", "left"))
    fits = len(edges) == len(taken) + 1 == len(left) + 1 > 1
    return Histogram(edges, taken, left) if fits and list(edges) == sorted(set(edges)) else None
