"""Counting the values of a column in passes over parts of a log, and the column that the counts make."""

from __future__ import annotations

import numpy as np
import polars as pl

from rankine.arrays import Array
from rankine.data.schema import Kind
from rankine.data.vocab import Vocab
from rankine.errors import DataError
from rankine.features.columns import Category, Column, Hashed, Tags
from rankine.features.config import FeaturesConfig
from rankine.features.numbers import Log, Quantile, Scaled, log_bucket, numbers_of

MOST_WAITING = 1_000_000  # counted values that wait to be put together


class Counts:
    """How often each value of a column occurs, null where it is missing, and how long its longest list is."""

    def __init__(self, name: str, kind: Kind) -> None:
        self.name, self.kind = name, kind
        self.longest = 1
        self._parts: list[pl.DataFrame] = []

    def add(self, values: pl.Series, times: Array | None = None) -> None:
        """Count the values of one part, each as often as `times` says [len(values)]. Raises DataError for an infinite number."""
        dtype = pl.List(pl.String) if self.kind is Kind.CATEGORIES else pl.Float64 if self.is_number else pl.String
        frame = values.rename("value").cast(dtype).to_frame()
        if times is not None:
            frame = frame.with_columns(pl.Series("n", times, dtype=pl.Float64)).filter(pl.col("n") > 0)
        if self.kind is Kind.CATEGORIES:
            lists = pl.col("value").list.drop_nulls()
            frame = frame.with_columns(
                pl.when(lists.list.len() > 0).then(lists).alias("value")
            )  # an empty list is missing
            self.longest = max(self.longest, int(frame["value"].list.len().fill_null(0).to_numpy().max(initial=0)))
            frame = frame.explode("value")
        elif self.is_number:
            _, given = numbers_of(frame["value"].rename(self.name))
            frame = frame.with_columns(pl.when(pl.Series(given)).then("value").alias("value"))
        n = pl.len().cast(pl.Float64) if times is None else pl.col("n").sum()
        self._parts.append(frame.group_by("value").agg(n.alias("n")))
        if sum(map(len, self._parts)) > MOST_WAITING:
            self._parts = [self._together()]

    @property
    def is_number(self) -> bool:
        """Whether values are numbers."""
        return self.kind is Kind.NUMBER

    def _together(self) -> pl.DataFrame:
        if len(self._parts) == 1:
            return self._parts[0]
        return pl.concat(self._parts).group_by("value").agg(pl.col("n").sum())

    def column(self, config: FeaturesConfig) -> Column:
        """The column for these values."""
        if not self._parts:  # no event at all
            self.add(pl.Series(self.name, [], dtype=self.kind.dtype))
        counted = self._together()
        missing = counted["value"].null_count() > 0
        counted = counted.filter(pl.col("value").is_not_null())
        if self.is_number:
            counted = counted.sort("value")
            kind = config.number_kinds.get(self.name, config.numbers)
            return number_column(kind, counted["value"].to_numpy(), counted["n"].to_numpy(), missing, self.name, config)
        each = text_column(counted, missing, self.name, config)
        if self.kind is not Kind.CATEGORIES:
            return each
        most = min(self.longest, config.max_values)
        mean = config.pooling == "mean"
        return Tags(missing=missing, constant=each.constant, each=each, most=most, mean=mean)


def text_column(counted: pl.DataFrame, missing: bool, name: str, config: FeaturesConfig) -> Category | Hashed:
    """Rows for texts, the most frequent first; or buckets for them."""
    if name in config.hash_rows:
        return Hashed(missing=missing, constant=len(counted) + missing < 2, n_buckets=config.hash_rows[name])
    often = counted.filter(pl.col("n") >= config.needed_count(name))
    constant = len(often) + (len(often) < len(counted)) + missing < 2
    return Category(
        missing=missing, constant=constant, vocab=Vocab(often.sort("n", "value", descending=[True, False])["value"])
    )


def number_column(kind: str, values: Array, times: Array, missing: bool, name: str, config: FeaturesConfig) -> Column:
    """The column for numbers: distinct values ascending, each with how often it occurs."""
    if kind == "value":
        mean, spread = moments(values, times, name)
        return Scaled(missing=missing, constant=len(values) + missing < 2, mean=mean, deviation=spread)
    some = len(values) > 0
    if kind == "log":
        buckets, place = np.unique(log_bucket(values), return_inverse=True)
        often = buckets[np.bincount(place, times, minlength=len(buckets)) >= config.needed_count(name)]
        return Log(missing=missing, constant=max(len(often), some) + missing < 2, seen=tuple(often.tolist()))
    edges = quantile_edges(values, times, config.n_quantiles)
    return Quantile(missing=missing, constant=len(edges) + some + missing < 2, edges=tuple(edges.tolist()))


def moments(values: Array, times: Array, name: str) -> tuple[float, float]:
    """Mean and standard deviation of numbers that occur so often; 0 where there are none. Raises DataError where they overflow."""
    if not len(values):
        return 0.0, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.average(values, weights=times))
        spread = float(np.sqrt(np.average((values - mean) ** 2, weights=times))) if len(values) > 1 else 0.0
    if not np.isfinite(spread):
        raise DataError(
            f"`{name}` has numbers up to {np.abs(values).max():.3g}, too large to standardise: take it by `quantile` or `log`"
        )
    return mean, spread


def quantile_edges(values: Array, times: Array, n: int) -> Array:
    """Where up to n buckets of about as many events begin, but the first; a value each where there are no more than n."""
    if len(values) <= n:
        return values[1:]
    reached = np.cumsum(times)
    edges = values[np.searchsorted(reached, reached[-1] * np.arange(1, n) / n, side="right")]
    return np.unique(edges[edges > values[0]])
