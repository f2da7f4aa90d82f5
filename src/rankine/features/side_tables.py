"""Columns of frames and of side tables as slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from rankine.arrays import Float
from rankine.features.clock import clock_numbers
from rankine.features.columns import Column
from rankine.features.selection import Chosen
from rankine.features.slots import Layout, Slots


def encode_columns(
    columns: Mapping[str, Column], layout: Layout, chosen: Sequence[Chosen], frame: pl.DataFrame
) -> Slots:
    """Rows of the table for these columns of a frame side by side; a column that it does not have is missing everywhere."""
    idx = np.empty((len(frame), sum(columns[c.name].n_slots for c in chosen)), np.int32)
    weight: Float | None = np.ones(idx.shape, np.float32) if any(columns[c.name].weighted for c in chosen) else None
    start = 0
    for c in chosen:
        slots = clock_slots(c, frame) if c.table == "clock" else columns[c.name].encode(column_of(frame, c))
        here = slice(start, start := start + slots.idx.shape[1])
        np.add(slots.idx, layout.first_rows[c.name], out=idx[:, here])
        if weight is not None and slots.weight is not None:
            weight[:, here] = slots.weight
    return Slots(idx, weight)


def column_of(frame: pl.DataFrame, chosen: Chosen) -> pl.Series:
    """The column of a frame by the name of its field, all null where there is none."""
    if chosen.column in frame.columns:
        return frame[chosen.column].rename(chosen.name)
    return pl.Series(chosen.name, [None] * len(frame), chosen.kind.dtype)


def clock_slots(chosen: Chosen, frame: pl.DataFrame) -> Slots:
    """The hour or weekday of each event; unknown where the time is."""
    time = frame["timestamp"] if "timestamp" in frame.columns else pl.Series([None] * len(frame), dtype=pl.Float64)
    return Slots(clock_numbers(chosen.column, time).astype(np.int32)[:, None])


def beside_ids(ids: pl.Series, table: pl.DataFrame, key: str, n_more: int) -> pl.DataFrame:
    """The rows of a side table in the order of the ids, null where it has none, and so many rows of nulls behind."""
    names = pl.concat([ids.rename(key), pl.Series(key, [None] * n_more, pl.String)])
    return names.to_frame().join(table, on=key, how="left", maintain_order="left")


def encode_side(
    columns: Mapping[str, Column], layout: Layout, chosen: Sequence[Chosen], table: pl.DataFrame, key: str, n_ids: int
) -> Slots:
    """The slots of a side table that `beside_ids` made; row `n_ids` is for an id never heard of, one behind it for none."""
    slots = encode_columns(columns, layout, chosen, table)
    start = 0
    for c in chosen:
        if c.column == key:
            slots.idx[n_ids, start] = layout.first_rows[c.name] + columns[c.name].unknown
        start += columns[c.name].n_slots
    return slots
