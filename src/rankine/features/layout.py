"""The layout of fitted columns: the fields in the order of their slots, and the crosses of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rankine.features.columns import Column
from rankine.features.config import FeaturesConfig
from rankine.features.crosses import Cross, Crosses
from rankine.features.history import N_COUNT_BUCKETS
from rankine.features.pairs import N_AGE_BUCKETS
from rankine.features.selection import Chosen
from rankine.features.slots import Field, Layout, Side

LAST_ITEMS, COUNT_BEFORE, ITEM_AGE, MET_BEFORE = "last_items", "count_before", "item_age", "met_before"


def make_layout(config: FeaturesConfig, chosen: Sequence[Chosen], columns: Mapping[str, Column]) -> Layout:
    """The fields: of the request, of the item, of both, and crosses behind all."""
    sides: dict[str, Side] = {c.name: "item" if c.table == "items" else "request" for c in chosen}
    own = [Field(name=n, side=side, n_slots=columns[n].n_slots, n_rows=columns[n].n_rows) for n, side in sides.items()]
    count = N_COUNT_BUCKETS + 1
    looking_back = [
        (config.last_items, Field(name=LAST_ITEMS, side="request", n_slots=config.last_items, shares="item_id")),
        (config.count_before, Field(name=COUNT_BEFORE, side="request", n_rows=count)),
    ]
    pairs = [
        (config.item_age, Field(name=ITEM_AGE, side="pair", n_rows=N_AGE_BUCKETS + 1)),
        (config.met_before, Field(name=MET_BEFORE, side="pair", n_rows=count)),
    ]
    return Layout(
        (
            *(field for field in own if field.side == "request"),
            *(field for asked, field in looking_back if asked),
            *(field for field in own if field.side == "item"),
            *(field for asked, field in pairs if asked),
            *(_cross_field(parts, sides, config.cross_rows) for parts in config.crosses),
        )
    )


def make_crosses(config: FeaturesConfig, layout: Layout, columns: Mapping[str, Column]) -> Crosses:
    """The crosses of a layout, ready to be computed from the rows of their parts."""
    first = layout.first_rows
    return Crosses(
        tuple(
            Cross(
                slots=tuple(layout.slots_of(part).start for part in parts),
                unknown=tuple(first[part] + columns[part].unknown for part in parts),
                first_row=first[cross_name(parts)],
                n_buckets=config.cross_rows,
            )
            for parts in config.crosses
        )
    )


def cross_name(parts: Sequence[str]) -> str:
    """What the field of a cross is called."""
    return " x ".join(parts)


def _cross_field(parts: Sequence[str], sides: Mapping[str, Side], n_rows: int) -> Field:
    met = {sides[part] for part in parts}
    side: Side = met.pop() if len(met) == 1 else "pair"
    return Field(name=cross_name(parts), side=side, n_rows=n_rows + 1, cross=True)
