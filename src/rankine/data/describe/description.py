"""Description: everything that `rankine data describe` knows about a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


class TopItem(NamedTuple):
    """An item at the top of the popularity curve; `share` of all events that have an item."""

    item_id: str
    title: str | None
    n_events: int
    share: float


class Refused(NamedTuple):
    """How many rows of a table one reason made unreadable; `column` is None for a whole line."""

    table: str
    column: str | None
    reason: str
    n_rows: int


class Column(NamedTuple):
    """A context column: `top` are the most frequent values with their share of the events that have one.

    n_values is exact for categories, within a few per cent for numbers and text; low and high bound a number.
    """

    name: str
    kind: str
    null_share: float
    n_values: int | None
    top: tuple[tuple[str, float], ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Description:
    """Counts, shares and quantiles of one dataset. Shares lie within 0 .. 1; None where they have no meaning here.

    n_users, n_items, n_sessions are those that occur in events; rows of the tables are in `counts`.
    repeat_rate: share of events whose user met the same item before.
    cold_items, cold_events: of the items and of the events in the last tenth of the time span, the share
        (of events: on items) without any event before it.
    head_share: share of events on the most popular 1 % of the items.
    last_tenth: Unix seconds at which the last tenth of the time span begins.
    """

    name: str
    counts: Mapping[str, Mapping[str, int]]
    refused: tuple[Refused, ...]
    time_units: Mapping[str, str]
    n_events: int
    n_users: int
    n_items: int
    n_sessions: int
    first: float | None
    last: float | None
    last_tenth: float | None
    sparsity: float | None
    repeat_rate: float | None
    cold_items: float | None
    cold_events: float | None
    head_share: float | None
    events_per_user: tuple[float, ...]
    events_per_item: tuple[float, ...]
    events_per_session: tuple[float, ...]
    event_types: Mapping[str, int]
    top_items: tuple[TopItem, ...]
    context: tuple[Column, ...]
    problems: tuple[str, ...] = field(default=())
