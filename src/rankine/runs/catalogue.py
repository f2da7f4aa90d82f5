"""What a run keeps of items and visitors, so that a service can start from it."""

from __future__ import annotations

import polars as pl

from rankine.data.dataset import Dataset
from rankine.features.encode import Encoder
from rankine.features.queries import MAX_HISTORY


def catalogue(dataset: Dataset) -> pl.DataFrame:
    """One row per item: item_id, n_events, and title and category where the item table has them (null elsewhere)."""
    counts = (
        dataset.events.drop_nulls("item_id")
        .group_by("item_id")
        .len("n_events")
        .with_columns(pl.col("n_events").cast(pl.Int64))
    )
    facts = dataset.items.select(
        "item_id",
        _text(dataset.items, ("title", "name", "description")).alias("title"),
        _text(dataset.items, ("category",)).alias("category"),
    )
    both = facts.join(counts, on="item_id", how="full", coalesce=True)
    return both.with_columns(pl.col("n_events").fill_null(0)).sort("item_id")


def visitors(dataset: Dataset, encoder: Encoder) -> pl.DataFrame:
    """One row per known user: items and weights of their latest events (oldest first), when the last was, and hidden items."""
    events = encoder.informative(dataset.events).filter(pl.col("_weight") != 0).drop_nulls("user_id")
    time = pl.col("timestamp").last() if "timestamp" in events.columns else pl.lit(0.0)
    rows = events.group_by("user_id", maintain_order=True).agg(
        pl.col("item_id").tail(MAX_HISTORY).alias("items"),
        pl.col("_weight").tail(MAX_HISTORY).alias("weights"),
        time.alias("last_time"),
    )
    hidden = encoder.hidden(dataset.events)
    table = pl.DataFrame(
        {"user_id": list(hidden), "hidden": list(hidden.values())},
        schema={"user_id": pl.String, "hidden": pl.List(pl.String)},
    )
    joined = rows.join(table, on="user_id", how="full", coalesce=True)
    return joined.with_columns(pl.col("items", "weights", "hidden").fill_null([]), pl.col("last_time").fill_null(0.0))


def _text(items: pl.DataFrame, columns: tuple[str, ...]) -> pl.Expr:
    for name in columns:
        if name in items.columns:
            column = pl.col(name)
            return column.list.first() if items.schema[name].is_nested() else column
    return pl.lit(None, pl.String)
