from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from rankine.errors import ConfigError
from rankine.serving.events import Event
from rankine.serving.store import EventLog, Stored, Visitor

VIEW = Event("u", None, "a", "view", 100.0, None, None, {}, 1.0, False)


def view(item: str | None, time: float = 100.0, **more: object) -> Event:
    return replace(VIEW, item_id=item, timestamp=time, **more)  # type: ignore[arg-type]


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Callable[[], EventLog]]:
    logs: list[EventLog] = []

    def opened() -> EventLog:
        for log in logs:
            log.close()
        logs.append(EventLog(tmp_path / "deep" / "events.sqlite"))
        return logs[-1]

    yield opened
    for log in logs:
        log.close()


def test_what_was_acknowledged_is_there_after_a_restart(open_log: Callable[[], EventLog]) -> None:
    log = open_log()
    log.append([view("a", 1), view("b", 3), view("c", 2, columns={"device": "phone"})]).result()
    log = open_log()
    assert log.count == 3
    entries, hidden = log.replay(Visitor("user_id", "u"), 10)
    assert [e.item_id for e in entries] == ["a", "c", "b"]
    assert hidden == []


def test_replay_gives_the_latest_in_time_then_in_arrival(open_log: Callable[[], EventLog]) -> None:
    log = open_log()
    log.append([view("late", 9), view("x", 5), view("y", 5), view("early", 1)]).result()
    entries, _ = log.replay(Visitor("user_id", "u"), 3)
    assert [e.item_id for e in entries] == ["x", "y", "late"]
    assert entries == sorted(entries)


def test_replay_tells_users_and_sessions_apart(open_log: Callable[[], EventLog]) -> None:
    log = open_log()
    log.append([view("a"), view("b", user_id=None, session_id="u"), view("c", session_id="s")]).result()
    found = {name: [e.item_id for e in log.replay(Visitor(*name), 10)[0]]
             for name in (("user_id", "u"), ("session_id", "u"), ("session_id", "s"))}  # fmt: skip
    assert found == {("user_id", "u"): ["a", "c"], ("session_id", "u"): ["b"], ("session_id", "s"): ["c"]}


def test_only_events_that_speak_for_an_item_are_history_and_only_hiding_ones_hide(
    open_log: Callable[[], EventLog],
) -> None:
    log = open_log()
    log.append([view("back", weight=-3.0), view(None, weight=0.0), view("gone", weight=0.0, hides=True)]).result()
    assert log.replay(Visitor("user_id", "u"), 10) == ([], ["gone"])
    assert log.count == 3


def test_an_event_id_is_stored_once(open_log: Callable[[], EventLog]) -> None:
    log = open_log()
    first = log.append([view("a", event_id="1"), view("a", event_id="1"), view("b", event_id="2"), view("c")]).result()
    assert (len(first.stored), first.duplicates) == (3, 1)
    again = open_log().append([view("a", event_id="1"), view("b", event_id="2"), view("c")]).result()
    assert (len(again.stored), again.duplicates) == (1, 2)


def test_requests_that_wait_together_are_committed_together_and_none_is_lost(tmp_path: Path) -> None:
    heard: list[str | None] = []
    log = EventLog(tmp_path / "log", listener=lambda stored: heard.extend(s.event.item_id for s in stored))
    with ThreadPoolExecutor(16) as pool:
        receipts = list(pool.map(lambda n: log.append([view(str(n)), view(f"{n}b")]).result(), range(200)))
    log.close()
    assert sum(len(r.stored) for r in receipts) == log.count == 400
    assert sorted(s.seq for r in receipts for s in r.stored) == list(range(1, 401))
    assert len(heard) == len(set(heard)) == 400


def test_one_batch_that_cannot_be_stored_does_not_take_others_down(open_log: Callable[[], EventLog]) -> None:
    log = open_log()
    bad = log.append([view("x"), view("\ud800")])  # half a character: no file can hold it
    good = log.append([view("a")])
    assert len(good.result().stored) == 1
    with pytest.raises(UnicodeEncodeError):
        bad.result()
    assert log.count == 1
    assert [e.item_id for e in log.replay(Visitor("user_id", "u"), 5)[0]] == ["a"]


def test_a_promise_given_up_does_not_stop_the_writer(open_log: Callable[[], EventLog]) -> None:
    log = open_log()
    promises = [log.append([view(str(n))]) for n in range(50)]
    for promise in promises[::2]:
        promise.cancel()
    assert len(log.append([view("last")]).result().stored) == 1


def test_a_listener_that_fails_does_not_take_the_acknowledgement_back(tmp_path: Path) -> None:
    def broken(stored: Sequence[Stored]) -> None:
        raise ZeroDivisionError

    log = EventLog(tmp_path / "log", listener=broken)
    assert [len(log.append([VIEW]).result().stored) for _ in range(2)] == [1, 1]
    log.close()


def test_events_are_written_with_a_flush_for_each_commit(open_log: Callable[[], EventLog]) -> None:
    log = open_log()
    settings = [log._writer.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]


@pytest.mark.parametrize("column", ["user_id", "session_id"])
def test_replay_reads_through_an_index(open_log: Callable[[], EventLog], column: str) -> None:
    log = open_log()
    statements: list[str] = []
    log._reader.set_trace_callback(statements.append)
    log.replay(Visitor(column, "u"), 5)
    log._reader.set_trace_callback(None)
    for statement in statements:
        plan = " ".join(str(row[3]) for row in log._reader.execute("EXPLAIN QUERY PLAN " + statement))
        assert "USING INDEX" in plan, plan
        assert "SCAN" not in plan, plan


def test_something_else_at_the_path_is_named(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, and long enough to be read as the head of one " * 4)
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()
    for path in (text, other, tmp_path):
        with pytest.raises(ConfigError, match="cannot hold the event log"):
            EventLog(path)
