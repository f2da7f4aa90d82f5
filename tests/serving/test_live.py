from __future__ import annotations

import threading
from dataclasses import replace

from rankine.random import stream
from rankine.serving.events import Event
from rankine.serving.live import LiveState
from rankine.serving.store import Entry, Stored, Visitor

VIEW = Event("u", None, "a", "view", 100.0, None, None, {}, 1.0, False)
USER = Visitor("user_id", "u")


class Log:
    """A log in a list: the truth that the memory is compared with."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.loads = 0

    def append(self, event: Event) -> list[Stored]:
        self.stored.append(Stored(len(self.stored) + 1, event))
        return self.stored[-1:]

    def replay(self, visitor: Visitor, limit: int) -> tuple[list[Entry], list[str]]:
        self.loads += 1
        mine = [s for s in self.stored if getattr(s.event, visitor.column) == visitor.name and s.event.item_id]
        entries = sorted(Entry(s.event.timestamp, s.seq, str(s.event.item_id), s.event.weight)
                         for s in mine if s.event.weight > 0)  # fmt: skip
        return entries[-limit:], [str(s.event.item_id) for s in mine if s.event.hides]


def test_an_event_is_there_after_it_was_added() -> None:
    log = Log()
    live = LiveState(log.replay, 10, 10)
    assert live.of(USER) == ([], [])
    live.add(log.append(VIEW))
    assert [e.item_id for e in live.of(USER)[0]] == ["a"]
    assert log.loads == 1


def test_an_event_that_a_load_has_seen_already_counts_once() -> None:
    log = Log()
    live = LiveState(log.replay, 10, 10)
    stored = log.append(VIEW)
    live.of(USER)
    live.add(stored)
    assert len(live.of(USER)[0]) == 1


def test_the_least_recently_asked_visitor_leaves_and_comes_back_from_the_log() -> None:
    log = Log()
    live = LiveState(log.replay, 2, 10)
    for name in "abc":
        live.of(Visitor("user_id", name))
        live.add(log.append(replace(VIEW, user_id=name)))
    assert len(live) == 2
    assert len(live.of(Visitor("user_id", "a"))[0]) == 1
    assert log.loads == 4


def test_a_visitor_who_was_asked_for_again_stays() -> None:
    log = Log()
    live = LiveState(log.replay, 2, 10)
    for name in "abaca":
        live.of(Visitor("user_id", name))
    assert log.loads == 3


def test_what_is_handed_out_does_not_change_later() -> None:
    log = Log()
    live = LiveState(log.replay, 2, 10)
    entries, hidden = live.of(USER)
    live.add(log.append(VIEW))
    live.add(log.append(replace(VIEW, weight=0.0, hides=True)))
    assert (entries, hidden) == ([], [])


def test_memory_equals_the_log_after_any_mix_of_events_and_questions() -> None:
    draw, log = stream(11, "live state"), Log()
    live = LiveState(log.replay, 3, 5)
    for _ in range(600):
        user, session = (str(draw.integers(6)) if draw.random() < 0.7 else None for _ in range(2))
        weight = float(draw.choice([1.0, 0.0, -1.0]))
        event = replace(VIEW, user_id=user, session_id=session, item_id=str(draw.integers(9)), weight=weight,
                        timestamp=float(draw.integers(50)), hides=bool(draw.random() < 0.05))  # fmt: skip
        live.add(log.append(event))
        visitor = Visitor(str(draw.choice(["user_id", "session_id"])), str(draw.integers(6)))
        entries, hidden = live.of(visitor)
        expected, expected_hidden = log.replay(visitor, 5)
        assert entries == expected
        assert set(hidden) == set(expected_hidden)
        assert len(live) <= 3


def test_threads_that_add_and_ask_at_once_lose_nothing() -> None:
    log, lock = Log(), threading.Lock()
    live = LiveState(log.replay, 2, 10_000)

    def work(name: str) -> None:
        for _ in range(200):
            with lock:  # the log has one writer
                stored = log.append(replace(VIEW, user_id=name))
            live.of(Visitor("user_id", name))
            live.add(stored)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(live.of(Visitor("user_id", name))[0]) for name in "abcd"] == [200] * 4
