"""The event log: a file of accepted events, written by one thread. What was acknowledged is on disk.

Requests that wait together are committed together, with one flush for all of them (sqlite, WAL, synchronous=FULL).
Readers see committed events while the writer writes.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from rankine.errors import ConfigError
from rankine.serving.events import Event

logger = logging.getLogger(__name__)
FORMAT = 1
MAX_GROUP = 256  # requests committed together
MAX_HIDDEN = 10_000  # most recent hidden items of a visitor

_TABLES = """
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, event_id TEXT UNIQUE, received REAL NOT NULL, user_id TEXT, session_id TEXT, item_id TEXT,
  event_type TEXT NOT NULL, timestamp REAL NOT NULL, value REAL, columns TEXT NOT NULL, weight REAL NOT NULL,
  hides INTEGER NOT NULL
);
CREATE INDEX by_user ON events (user_id, timestamp) WHERE user_id IS NOT NULL AND weight > 0;
CREATE INDEX by_session ON events (session_id, timestamp) WHERE session_id IS NOT NULL AND weight > 0;
CREATE INDEX hidden_by_user ON events (user_id) WHERE user_id IS NOT NULL AND hides = 1;
CREATE INDEX hidden_by_session ON events (session_id) WHERE session_id IS NOT NULL AND hides = 1;
"""
_INSERT = """
INSERT INTO events
  (event_id, received, user_id, session_id, item_id, event_type, timestamp, value, columns, weight, hides)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING
"""


class Visitor(NamedTuple):
    """Whose events: column is `user_id` or `session_id`."""

    column: str
    name: str


class Entry(NamedTuple):
    """An event that speaks for an item, as the history needs it; ordered by time (Unix seconds), then by arrival."""

    time: float
    seq: int
    item_id: str
    weight: float


class Stored(NamedTuple):
    """An event and its place in the log."""

    seq: int
    event: Event


@dataclass(frozen=True)
class Receipt:
    """What became of one batch: stored events, and how many were in the log already."""

    stored: tuple[Stored, ...]
    duplicates: int


Listener = Callable[[Sequence[Stored]], None]
_Job = tuple[Sequence[Event], "Future[Receipt]"]


class EventLog:
    """The log at `path`, made if missing. `listener` hears of events that are on disk, before they are acknowledged.

    One process writes a log. Raises ConfigError where the path holds something else or cannot be written.
    """

    def __init__(self, path: Path, listener: Listener = lambda stored: None) -> None:
        self.path = path
        self.failure: str | None = None  # why the last write failed
        self._listener = listener
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = _open(path)
            self._reader = _connect(path)
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"`{path}` cannot hold the event log: {error}; name another file in `log_path`") from None
        self._reading = threading.Lock()
        self._count: int = self._writer.execute("SELECT count(*) FROM events").fetchone()[0]
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    def append(self, events: Sequence[Event]) -> Future[Receipt]:
        """A promise that is kept when the events are on disk; it carries sqlite3.Error if they could not be written."""
        promise: Future[Receipt] = Future()
        self._jobs.put((events, promise))
        return promise

    def replay(self, visitor: Visitor, limit: int) -> tuple[list[Entry], list[str]]:
        """The last `limit` events that speak for an item, oldest first, and the items this visitor hid."""
        column = {"user_id": "user_id", "session_id": "session_id"}[visitor.column]
        recent = (
            f"SELECT timestamp, seq, item_id, weight FROM events WHERE {column} = ? AND weight > 0 "
            "ORDER BY timestamp DESC, seq DESC LIMIT ?"
        )
        hidden = f"SELECT item_id FROM events WHERE {column} = ? AND hides = 1 ORDER BY seq DESC LIMIT ?"
        with self._reading:
            entries = [Entry(*row) for row in self._reader.execute(recent, (visitor.name, limit))]
            items = [row[0] for row in self._reader.execute(hidden, (visitor.name, MAX_HIDDEN))]
        return entries[::-1], items

    @property
    def count(self) -> int:
        """Number of events on disk."""
        return self._count

    def close(self) -> None:
        """Write what waits, then close the file."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
            self._writer.close()
            self._reader.close()

    def _run(self) -> None:
        running = True
        while running:
            group = [self._jobs.get()]
            while len(group) < MAX_GROUP and not self._jobs.empty():
                group.append(self._jobs.get())
            running = None not in group
            jobs = [job for job in group if job is not None and job[1].set_running_or_notify_cancel()]
            if not self._settle(jobs):
                for job in jobs:  # one bad batch must not take the others down with it
                    self._settle([job], last=True)

    def _settle(self, jobs: Sequence[_Job], last: bool = False) -> bool:
        """Commit, tell the listener, acknowledge. False where nothing was written; `last`: then say so to who waits."""
        try:
            receipts = self._commit([events for events, _ in jobs])
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            for _, promise in jobs if last else ():
                promise.set_exception(error)
            return False
        self.failure = None
        for (_, promise), receipt in zip(jobs, receipts, strict=True):
            try:
                self._listener(receipt.stored)
            except Exception:
                logger.exception("a listener of the event log failed")
            promise.set_result(receipt)  # it is on disk, whatever the listener made of it
        return True

    def _commit(self, batches: Sequence[Sequence[Event]]) -> list[Receipt]:
        if not batches:
            return []
        now = time.time()
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            receipts = [self._insert(events, now) for events in batches]
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        self._count += sum(len(r.stored) for r in receipts)
        return receipts

    def _insert(self, events: Sequence[Event], now: float) -> Receipt:
        stored = []
        for event in events:
            cursor = self._writer.execute(
                _INSERT,
                (
                    event.event_id,
                    now,
                    event.user_id,
                    event.session_id,
                    event.item_id,
                    event.event_type,
                    event.timestamp,
                    event.value,
                    orjson.dumps(event.columns).decode(),
                    event.weight,
                    event.hides,
                ),
            )
            if cursor.rowcount == 1:
                stored.append(Stored(int(cursor.lastrowid or 0), event))
        return Receipt(tuple(stored), len(events) - len(stored))


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)


def _open(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = 1")  # where a plain flush stops at the drive's own memory
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version == 0 and tables == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
    elif version != FORMAT:
        connection.close()
        raise sqlite3.DatabaseError(f"it is a database of another kind or version ({version}; expected {FORMAT})")
    return connection
