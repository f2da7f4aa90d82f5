"""Who asks: what a visitor did in the training data, since then, and in this session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from rankine.serving.live import LiveState
from rankine.serving.store import Entry, Visitor


@dataclass(frozen=True)
class Past:
    """What is remembered of a visitor: items oldest first, their weights, how many are of the present session."""

    items: list[str]
    weights: list[float]
    session_len: int
    hidden: list[str]
    user_known: bool


class StoredVisitors:
    """Histories of the training data by user: user_id, items, weights and hidden of the given frame, kept flat."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._row = {name: row for row, name in enumerate(frame["user_id"].to_list())}
        self._items = _Lists(frame["items"])
        self._weights = _Lists(frame["weights"])
        self._hidden = _Lists(frame["hidden"])

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._row

    def of(self, user_id: str, limit: int) -> tuple[list[str], list[float], list[str]]:
        """The last items that events spoke for, oldest first, their weights, and the hidden items; empty where unknown.

        Of the last `limit` events those that speak against an item are left out, as in an evaluation.
        """
        row = self._row.get(user_id)
        if row is None:
            return [], [], []
        pairs = zip(self._items.tail(row, limit), self._weights.tail(row, limit), strict=True)
        positive = [(item, weight) for item, weight in pairs if weight > 0]
        return [item for item, _ in positive], [weight for _, weight in positive], self._hidden.tail(row)


class Histories:
    """Puts the stored and the live history of a visitor together."""

    def __init__(self, stored: StoredVisitors, live: LiveState, gap_s: float, max_history: int) -> None:
        self.stored, self.live = stored, live
        self._gap_s, self._limit = gap_s, max_history

    def of(
        self, user_id: str | None, session_id: str | None, given: Sequence[str], now: float, until: float | None = None
    ) -> Past:
        """What is known of a visitor at `now`; `until` leaves later live events out (both Unix seconds).

        The present session: the events of `session_id`, else the events after the last idle gap; then the given items.
        """
        items, weights, hidden = self.stored.of(user_id, self._limit) if user_id is not None else ([], [], [])
        mine, hidden_live = self._live("user_id", user_id, until)
        session, hidden_here = self._live("session_id", session_id, until)
        known = bool(user_id in self.stored or mine or hidden_live)
        if session_id is None:
            cut = len(mine) - _present(mine, now, self._gap_s)
            mine, session = mine[:cut], mine[cut:]
        else:
            here = {entry.seq for entry in session}
            mine = [entry for entry in mine if entry.seq not in here]
        recent = [*mine, *session]
        items = [*items, *(e.item_id for e in recent), *given][-self._limit :]
        weights = [*weights, *(e.weight for e in recent), *(1.0 for _ in given)][-self._limit :]
        session_len = min(len(session) + len(given), len(items))
        return Past(items, weights, session_len, [*hidden, *hidden_live, *hidden_here], known)

    def _live(self, column: str, name: str | None, until: float | None) -> tuple[list[Entry], list[str]]:
        if name is None:
            return [], []
        entries, hidden = self.live.of(Visitor(column, name))
        return [e for e in entries if until is None or e.time <= until], hidden


def _present(entries: Sequence[Entry], now: float, gap_s: float) -> int:
    """How many of the last entries lie no further than the gap from each other, and the last one from now."""
    count = 0
    for entry in reversed(entries):
        if now - entry.time > gap_s:
            break
        now = entry.time
        count += 1
    return count


class _Lists:
    """A list column as one flat column and borders: a row is one slice."""

    def __init__(self, column: pl.Series) -> None:
        lengths = column.list.len().fill_null(0)
        self._borders = [0, *lengths.cum_sum().to_list()]
        self._flat = column.filter(lengths > 0).explode()

    def tail(self, row: int, limit: int | None = None) -> list[Any]:
        start, stop = self._borders[row], self._borders[row + 1]
        start = start if limit is None else max(start, stop - limit)
        return self._flat[start:stop].to_list()
