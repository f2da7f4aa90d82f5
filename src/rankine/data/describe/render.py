"""A Description as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rankine.data.describe.description import QUANTILES, Column, Description

WIDEST = 60  # characters of a title or value


def render(description: Description) -> str:
    """The description as text, a block per subject."""
    blocks = (_headline, _rows, _shape, _quantiles, _event_types, _top, _context, _problems)
    texts = ("\n".join(block(description)) for block in blocks)
    return "\n\n".join(text for text in texts if text)


def _headline(d: Description) -> Iterator[str]:
    users = f"{d.n_users:,} users" if d.n_users else f"{d.n_sessions:,} sessions"
    yield f"{d.name}: {d.n_events:,} events of {users} on {d.n_items:,} items"
    if d.first is not None and d.last is not None:
        days = (d.last - d.first) / 86_400
        yield f"{_moment(d.first)} to {_moment(d.last)} UTC, {days:,.1f} days"
    for name, unit in d.time_units.items():
        yield f"{name} is written as {unit}" if unit in ("datetime", "ISO 8601") else f"{name} is in Unix {unit}"


def _rows(d: Description) -> Iterator[str]:
    columns = ("read", "accepted", "rejected", "filtered")
    yield from _table(("rows", *columns), [(name, *(f"{c[k]:,}" for k in columns)) for name, c in d.counts.items()])
    for table, column, reason, n in d.refused:
        yield f"  refused: {n:,} of {table}, {f'`{column}`: ' if column else ''}{reason}"


def _shape(d: Description) -> Iterator[str]:
    visitor = "user" if d.n_users else "session"
    if d.sparsity is not None:
        yield f"sparsity      {_percent(d.sparsity, 3)} of all {visitor}-item pairs have no event"
    if d.repeat_rate is not None:
        yield f"repeats       {_percent(d.repeat_rate)} of the events repeat an earlier {visitor}-item pair"
    if d.cold_items is not None and d.cold_events is not None and d.last_tenth is not None:
        yield f"cold          {_percent(d.cold_items)} of the items in the last tenth of the time are new, with"
        yield f"              {_percent(d.cold_events)} of its events (from {_moment(d.last_tenth)})"
    if d.head_share is not None:
        yield f"popularity    the most popular 1 % of the items take {_percent(d.head_share)} of the events"


def _quantiles(d: Description) -> Iterator[str]:
    per = {"user": d.events_per_user, "item": d.events_per_item, "session": d.events_per_session}
    rows = [(f"per {name}", *(f"{value:,.0f}" for value in values)) for name, values in per.items() if values]
    if rows:
        heads = {0.0: "least", 0.5: "median", 1.0: "most"}
        yield from _table(("events", *(heads.get(q, f"{q:.0%}") for q in QUANTILES)), rows)


def _event_types(d: Description) -> Iterator[str]:
    total = max(sum(d.event_types.values()), 1)
    rows = [(name, f"{n:,}", _percent(n / total)) for name, n in d.event_types.items()]
    if rows:
        yield from _table(("event types", "events", "share"), rows)


def _top(d: Description) -> Iterator[str]:
    rows = [(_clip(item.title or item.item_id), f"{item.n_events:,}", _percent(item.share)) for item in d.top_items]
    if rows:
        yield from _table(("most popular items", "events", "share"), rows)


def _context(d: Description) -> Iterator[str]:
    if d.context:
        yield "context"
    width = max((len(column.name) for column in d.context), default=0)
    for column in d.context:
        yield f"  {column.name:<{width}}  {column.kind}{_values(column)}"


def _values(column: Column) -> str:
    parts = []
    if column.n_values is not None:
        parts.append(f"{column.n_values:,} values")
    if column.low is not None and column.high is not None:
        parts.append(f"{column.low:g} .. {column.high:g}")
    if column.null_share:
        parts.append(f"{_percent(column.null_share)} empty")
    parts += [f"{_clip(value, 30)} {_percent(share)}" for value, share in column.top]
    return "".join(f", {part}" for part in parts)


def _problems(d: Description) -> Iterator[str]:
    yield "what looks wrong" if d.problems else "nothing looks wrong"
    for problem in d.problems:
        yield f"  - {problem}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of columns: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        rest = "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        yield f"{row[0]:<{widths[0]}}{rest}"


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _clip(text: str, width: int = WIDEST) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 3] + "..."
