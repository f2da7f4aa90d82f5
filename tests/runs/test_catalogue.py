from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.features.encode import Encoder
from rankine.runs import catalogue as module
from rankine.runs.catalogue import catalogue, visitors

EVENTS = pl.DataFrame(
    {
        "user_id": ["ann", "ann", "bob", None, "ann", "bob", "cec", "bob"],
        "item_id": ["tea", "pot", "tea", "tea", "cup", "cup", "pot", "tea"],
        "event_type": ["view", "cart", "view", "view", "return", "block", "block", "purchase"],
        "timestamp": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
    }
)


def rows(frame: pl.DataFrame, key: str) -> dict[str, dict[str, Any]]:
    return {row.pop(key): row for row in frame.to_dicts()}


@pytest.mark.parametrize("column", ["title", "name", "description"])
def test_the_catalogue_has_every_item_with_its_title_and_how_often_it_was_met(column: str) -> None:
    items = pl.DataFrame(
        {"item_id": ["tea", "pot", "jar"], column: ["Green tea", None, "A jar"], "category": [["a", "b"], [], ["c"]]}
    )
    found = rows(catalogue(Dataset.from_frames(EVENTS, items=items)), "item_id")
    assert found == {
        "cup": {"title": None, "category": None, "n_events": 2},  # in no table, but met
        "jar": {"title": "A jar", "category": "c", "n_events": 0},  # never met
        "pot": {"title": None, "category": None, "n_events": 2},
        "tea": {"title": "Green tea", "category": "a", "n_events": 4},
    }


def test_a_catalogue_without_a_table_has_ids_alone() -> None:
    found = catalogue(Dataset.from_frames(EVENTS))
    assert found.schema["title"] == found.schema["category"] == pl.String
    assert found["item_id"].to_list() == ["cup", "pot", "tea"]


def test_visitors_are_users_with_their_history_and_what_they_hide() -> None:
    dataset = Dataset.from_frames(EVENTS)
    found = rows(visitors(dataset, Encoder.fit(dataset)), "user_id")
    ann, bob, cec = found.pop("ann"), found.pop("bob"), found.pop("cec")
    assert not found  # nobody without a name
    assert (ann["items"], ann["last_time"], ann["hidden"]) == (["tea", "pot", "cup"], 5.0, [])
    view, cart, back = ann["weights"]
    assert back < 0 < view < cart
    assert (bob["items"], bob["last_time"], bob["hidden"]) == (["tea", "tea"], 8.0, ["cup"])
    assert (cec["items"], cec["weights"], cec["last_time"], cec["hidden"]) == ([], [], 0.0, ["pot"])


def test_a_long_history_keeps_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HISTORY", 2)
    dataset = Dataset.from_frames(EVENTS)
    found = rows(visitors(dataset, Encoder.fit(dataset)), "user_id")
    assert found["ann"]["items"] == ["pot", "cup"]


def test_a_log_without_times_stands_in_its_own_order() -> None:
    dataset = Dataset.from_frames(EVENTS.drop("timestamp"))
    found = rows(visitors(dataset, Encoder.fit(dataset)), "user_id")
    assert found["ann"]["items"] == ["tea", "pot", "cup"]
    assert found["ann"]["last_time"] == 0.0
