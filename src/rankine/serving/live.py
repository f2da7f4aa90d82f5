"""Live state: what visitors did since the models were trained. A bounded memory in front of the event log."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence

from rankine.serving.events import Event
from rankine.serving.store import MAX_HIDDEN, Entry, Stored, Visitor

Loader = Callable[[Visitor, int], tuple[list[Entry], list[str]]]


class Trace:
    """The recent events of one visitor, oldest first, and the items they hid."""

    def __init__(self, entries: list[Entry], hidden: Iterable[str]) -> None:
        self.entries = entries
        self.hidden = dict.fromkeys(hidden)

    def add(self, seq: int, event: Event, limit: int) -> None:
        """Take one event in at its place in time; one that is there already changes nothing."""
        if event.item_id is None:
            return
        if event.hides and len(self.hidden) < MAX_HIDDEN:
            self.hidden[event.item_id] = None
        if event.weight > 0:
            entry = Entry(event.timestamp, seq, event.item_id, event.weight)
            place = bisect.bisect_left(self.entries, entry)
            if self.entries[place : place + 1] != [entry]:
                self.entries.insert(place, entry)
                del self.entries[: max(0, len(self.entries) - limit)]


class LiveState:
    """Traces of up to `capacity` visitors; those asked for least recently leave first, and are loaded again on demand.

    Safe to use from many threads. A visitor's trace is loaded from the log when first asked for, so a restart
    answers from the whole log at once, however long it is.
    """

    def __init__(self, load: Loader, capacity: int, max_history: int) -> None:
        self._load, self._capacity, self._max_history = load, capacity, max_history
        self._traces: OrderedDict[Visitor, Trace] = OrderedDict()
        # Held while loading too: an event committed during a load is then either in what was loaded or added after it.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._traces)

    def add(self, stored: Sequence[Stored]) -> None:
        """Take in committed events. Visitors that are not in memory will find them in the log."""
        with self._lock:
            for seq, event in stored:
                for visitor in _visitors(event):
                    if visitor in self._traces:
                        self._traces[visitor].add(seq, event, self._max_history)

    def of(self, visitor: Visitor) -> tuple[list[Entry], list[str]]:
        """Copies of a visitor's recent events, oldest first, and hidden items."""
        with self._lock:
            trace = self._traces.get(visitor)
            if trace is None:
                trace = self._traces[visitor] = Trace(*self._load(visitor, self._max_history))
            self._traces.move_to_end(visitor)
            while len(self._traces) > self._capacity:
                self._traces.popitem(last=False)
            return list(trace.entries), list(trace.hidden)


def _visitors(event: Event) -> Iterator[Visitor]:
    if event.user_id is not None:
        yield Visitor("user_id", event.user_id)
    if event.session_id is not None:
        yield Visitor("session_id", event.session_id)
