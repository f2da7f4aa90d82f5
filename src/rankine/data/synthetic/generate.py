"""A shop as a Dataset in memory, or as Parquet files written day by day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from rankine.arrays import Array
from rankine.data.dataset import Dataset
from rankine.data.synthetic.config import ShopConfig
from rankine.data.synthetic.oracle import Oracle
from rankine.data.synthetic.tables import item_ids, items_table, user_ids, users_table
from rankine.data.synthetic.visits import EVENT_NAMES, DayEvents, Walker
from rankine.data.synthetic.world import DEVICES, REFERRERS, World, make_world
from rankine.progress import track

EVENTS_SCHEMA: dict[str, pl.DataType] = {
    "user_id": pl.String(), "item_id": pl.String(), "event_type": pl.String(), "timestamp": pl.Float64(),
    "session_id": pl.String(), "device": pl.String(), "referrer": pl.String(), "hour": pl.String(),
}  # fmt: skip


@dataclass(frozen=True)
class Shop:
    """A generated dataset and the oracle that knows how it came about."""

    dataset: Dataset
    oracle: Oracle


def generate(config: ShopConfig) -> Shop:
    """The shop of these settings, in memory; equal settings give equal shops."""
    world = make_world(config)
    events = pl.concat([pl.DataFrame(schema=EVENTS_SCHEMA), *_days(world)])
    dataset = Dataset.from_frames(events, users_table(world), items_table(world), name="shop")
    return Shop(dataset, Oracle(world))


def write(config: ShopConfig, folder: Path) -> None:
    """Write users.parquet, items.parquet, events.parquet and the oracle into `folder`, one day at a time."""
    world = make_world(config)
    folder.mkdir(parents=True, exist_ok=True)
    users_table(world).write_parquet(folder / "users.parquet")
    items_table(world).write_parquet(folder / "items.parquet")
    Oracle(world).save(folder)

    def source(columns: list[str] | None, *_: object) -> Iterator[pl.DataFrame]:
        return (frame.select(columns or pl.all()) for frame in _days(world))

    register_io_source(source, schema=EVENTS_SCHEMA).sink_parquet(folder / "events.parquet")


def _days(world: World) -> Iterator[pl.DataFrame]:
    """The events of each day as a frame, in order of time."""
    walker, names = Walker(world), _Names(world.config)
    for day in track(range(world.config.n_days), "opening the shop", world.config.n_days):
        yield names.frame(walker.day(day))


class _Names:
    """Outside words for the numbers of events."""

    def __init__(self, config: ShopConfig) -> None:
        self._users = pl.Series([*user_ids(config.n_users), None], dtype=pl.String)
        self._items = pl.Series(item_ids(config.n_items))
        self._hours = pl.Series([str(hour) for hour in range(24)])

    def frame(self, events: DayEvents) -> pl.DataFrame:
        """The events as rows of EVENTS_SCHEMA."""
        return pl.DataFrame(
            {
                "user_id": self._users.gather(events.user),
                "item_id": self._items.gather(events.item),
                "event_type": pl.Series(EVENT_NAMES).gather(events.kind),
                "timestamp": pl.Series(events.time, dtype=pl.Float64),
                "session_id": _session_ids(events.session),
                "device": pl.Series(DEVICES).gather(events.device),
                "referrer": pl.Series(REFERRERS).gather(events.referrer),
                "hour": self._hours.gather(events.hour),
            }
        )


def _session_ids(session: Array) -> pl.Series:
    """`s-0000000` and on."""
    return pl.select(pl.lit("s-") + pl.Series(session).cast(pl.String).str.zfill(7)).to_series()
