"""Numbers about a table that may be larger than memory: every function is one or a few streaming passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from rankine.data.describe.description import QUANTILES, Column, TopItem
from rankine.data.schema import EVENT_COLUMNS, Kind

PAIRS_PER_PASS = 16_000_000  # distinct pairs are counted in as many passes as this many events at a time need
MOST_VALUES = 200_000  # columns with more distinct values have no list of frequent ones
DAY_S = 86_400
N_TOP_ITEMS, N_TOP_VALUES = 10, 5


@dataclass(frozen=True)
class Activity:
    """Events per id, without the ids: the sum, the quantiles of QUANTILES, and how many ids there are."""

    n_ids: int = 0
    quantiles: tuple[float, ...] = ()


def collect(rows: pl.LazyFrame) -> pl.DataFrame:
    """The rows, computed piece by piece."""
    return rows.collect(engine="streaming")


def scalars(events: pl.LazyFrame, kinds: dict[str, Kind], now: float) -> dict[str, Any]:
    """One pass: number of events, time span, and for each column its nulls, distinct values, blanks and bounds."""
    wanted = [pl.len().alias("n")]
    if "timestamp" in kinds:
        time = pl.col("timestamp")
        wanted += [time.min().alias("first"), time.max().alias("last"), (time > now).sum().alias("future")]
        wanted += [(time % DAY_S == 0).sum().alias("midnight")]
    for name, kind in kinds.items():
        column = pl.col(name)
        wanted.append(column.null_count().alias(f"nulls {name}"))
        if name not in EVENT_COLUMNS and kind not in (Kind.CATEGORIES, Kind.GEO, Kind.VECTOR):
            wanted.append(column.drop_nulls().approx_n_unique().alias(f"values {name}"))
        if kind is Kind.ID:
            wanted.append((column != column.str.strip_chars()).sum().alias(f"blanks {name}"))
        if kind is Kind.NUMBER:
            wanted += [column.min().alias(f"low {name}"), column.max().alias(f"high {name}")]
    return collect(events.select(wanted)).row(0, named=True)


def count_by(events: pl.LazyFrame, column: str, *more: pl.Expr) -> pl.DataFrame:
    """Events per value of a column as `n`, nulls left out, most frequent first; `more` aggregates beside it."""
    counts = events.filter(pl.col(column).is_not_null()).group_by(column).agg(pl.len().alias("n"), *more)
    return collect(counts.sort("n", column, descending=[True, False]))


def total(counts: pl.DataFrame, column: str = "n") -> int:
    """The sum of a column of counts."""
    return int(counts[column].sum())


def activity(counts: pl.DataFrame) -> Activity:
    """The spread of the counts that `count_by` gave."""
    if not len(counts):
        return Activity()
    quantiles = tuple(float(counts["n"].quantile(q, "lower") or 0) for q in QUANTILES)
    return Activity(len(counts), quantiles)


def pairs(events: pl.LazyFrame, visitor: str, moment: Sequence[str], n_events: int) -> tuple[int, int, int]:
    """Events with visitor and item, distinct pairs of the two, and distinct events (the pair and `moment`).

    64-bit hashes stand for the pairs, and are counted part by part, so memory does not grow with the data.
    """
    known = events.filter(pl.col(visitor).is_not_null() & pl.col("item_id").is_not_null())
    pair = pl.struct(visitor, "item_id").hash().alias("pair")
    whole = pl.struct(visitor, "item_id", *moment).hash().alias("whole")
    n_parts = n_events // PAIRS_PER_PASS + 1
    sums = [0, 0, 0]
    for part in range(n_parts):
        hashes = known.select(pair, whole)
        hashes = hashes.filter(pl.col("pair") % n_parts == part) if n_parts > 1 else hashes
        found = collect(hashes.select(pl.len(), pl.col("pair").n_unique(), pl.col("whole").n_unique())).row(0)
        sums = [a + b for a, b in zip(sums, found, strict=True)]
    return sums[0], sums[1], sums[2]


def cold_shares(items: pl.DataFrame) -> tuple[float | None, float | None]:
    """Share of items, and of events on items, in the last tenth of time that had no event before.

    `items`: a row per item with `late` (its events in the last tenth) and `n`.
    """
    late = items.filter(pl.col("late") > 0)
    if not len(late):
        return None, None
    cold = late.filter(pl.col("late") == pl.col("n"))
    return len(cold) / len(late), total(cold, "late") / total(late, "late")


def head(items: pl.DataFrame) -> float | None:
    """Share of events on the most popular 1 % of the items (at least one item); `items` most popular first."""
    n_head = max(1, round(len(items) / 100))
    return total(items.head(n_head)) / total(items) if total(items) else None


def top_items(counts: pl.DataFrame, items: pl.LazyFrame | None) -> tuple[TopItem, ...]:
    """The most popular items with their titles, where the table of items has a title or a name."""
    top, n_events = counts.head(N_TOP_ITEMS), total(counts)
    ids = top["item_id"].to_list()
    titles: dict[str, str] = {}
    columns = items.collect_schema().names() if items is not None else []
    title = next((name for name in ("title", "name", "description") if name in columns), None)
    if items is not None and title:
        titles = dict(collect(items.filter(pl.col("item_id").is_in(ids)).select("item_id", title)).iter_rows())
    return tuple(TopItem(i, titles.get(i), n, n / n_events) for i, n in top.select("item_id", "n").iter_rows())


def context_column(events: pl.LazyFrame, name: str, kind: Kind, facts: dict[str, Any]) -> Column:
    """A context column, with its frequent values where it has few."""
    nulls, n_values = facts[f"nulls {name}"] / max(facts["n"], 1), facts.get(f"values {name}")
    if kind is Kind.NUMBER:
        return Column(name, str(kind), nulls, n_values, (), facts[f"low {name}"], facts[f"high {name}"])
    if kind not in (Kind.CATEGORY, Kind.CATEGORIES) or (n_values or 0) > MOST_VALUES:
        return Column(name, str(kind), nulls, n_values)
    source = events.select(name).explode(name) if kind is Kind.CATEGORIES else events
    counts = count_by(source, name)
    present = max(facts["n"] - facts[f"nulls {name}"], 1)
    top = tuple((str(value), n / present) for value, n in counts.head(N_TOP_VALUES).iter_rows())
    return Column(name, str(kind), nulls, len(counts), top)
