"""Questions about single events against what was written into the log."""

from __future__ import annotations

import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.errors import DataError
from rankine.evaluation.event_items import event_items
from rankine.features.config import FeaturesConfig
from rankine.features.encode import Encoder

TRAIN = [("u", "a", "home"), ("v", "b", "work"), ("u", "b", "work"), ("v", "c", "home")]
TEST = [("u", "c", "work"), ("v", "a", "home"), ("u", "a", "home"), ("u", "new", "bus"), (None, "a", "home")]


def frames() -> tuple[Dataset, pl.DataFrame]:
    rows = [(*row, part) for part, rows in (("train", TRAIN), ("test", TEST)) for row in rows]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "place", "split"], orient="row")
    dataset = Dataset.from_frames(events.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64)))
    train = dataset.with_events(dataset.events.filter(pl.col("split") == "train"))
    return train, dataset.events.filter(pl.col("split") == "test")


def asked(**options: bool) -> list[tuple[str, str | None, str, list[str]]]:
    """User, target, place and history of each case."""
    train, test = frames()
    encoder = Encoder.fit(train, features=FeaturesConfig())
    cases = event_items(encoder, train.events, test, **options)
    queries = cases.queries
    assert queries.rows is not None
    assert len(queries.rows) == len(queries)
    place = encoder.context["place"]
    return [
        (
            str(cases.unit_names[int(cases.unit_idx[row])]),
            encoder.items.name(int(cases.targets[row][0])) if cases.targets[row][0] < len(encoder.items) else None,
            place.name(int(queries.context["place"][row])) if queries.context["place"][row] < len(place) else "?",
            sorted(encoder.items.names(queries.history[row])),
        )
        for row in range(len(cases))
    ]


def test_each_event_is_asked_in_its_own_context_and_knows_training_only() -> None:
    assert sorted(asked(exclude_seen=False), key=str) == sorted(
        [
            ("u", "c", "work", ["a", "b"]),
            ("u", "a", "home", ["a", "b"]),
            ("u", None, "?", ["a", "b"]),
            ("v", "a", "home", ["b", "c"]),
        ],
        key=str,
    )


def test_items_of_the_past_are_not_asked_for_where_they_are_left_out() -> None:
    assert sorted(case[1] or "" for case in asked()) == ["", "a", "c"]
    assert sorted(case[1] or "" for case in asked(drop_unknown=True)) == ["a", "c"]
    train, test = frames()
    encoder = Encoder.fit(train)
    cases = event_items(encoder, train.events, test)
    assert cases.exclude is not None
    assert [sorted(encoder.items.names(row)) for row in cases.exclude] == [
        sorted(set(encoder.items.names(row))) for row in cases.queries.history
    ]
    assert cases.counts == {"unknown_targets": 1, "dropped_unknown_events": 0, "events_of_seen_items": 1}


def test_nothing_to_ask_is_an_error() -> None:
    train, test = frames()
    encoder = Encoder.fit(train)
    with pytest.raises(DataError, match="no user has a test event"):
        event_items(encoder, train.events, test.filter(pl.col("user_id").is_null()))
    with pytest.raises(DataError, match="set `exclude_seen` to false"):
        event_items(encoder, train.events, test.filter(pl.col("item_id") == "a", pl.col("user_id") == "u"))
