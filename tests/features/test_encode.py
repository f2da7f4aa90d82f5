from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.data.schema import Kind, Schema
from rankine.errors import DataError, RequestError
from rankine.features.clock import CLOCK, clock_numbers, clock_of
from rankine.features.codes import codes, session_codes
from rankine.features.encode import Encoder

FRIDAY = datetime(2026, 11, 20, 21, 5, tzinfo=UTC).timestamp()


def shop() -> Dataset:
    events = pl.DataFrame(
        {
            "user_id": ["u", "v", None, "u", "u", "v"],
            "item_id": ["a", "b", "a", None, "c", "a"],
            "event_type": ["view", "purchase", "view", "search", "block", "return"],
            "timestamp": [FRIDAY + 3600 * n for n in range(6)],
            "value": [1.0, None, 2.0, None, None, 4.0],
            "session_id": ["s1", "s2", None, "s1", "s1", None],
            "device": ["phone", "laptop", None, "phone", "phone", "phone"],
            "price": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        }
    )
    return Dataset.from_frames(events, items=pl.DataFrame({"item_id": ["z", "a"]}))


def test_vocabularies_are_those_of_training_and_the_catalogue() -> None:
    encoder = Encoder.fit(shop())
    assert encoder.users.ids.to_list() == ["u", "v"]
    assert encoder.items.ids.to_list() == ["a", "b", "c", "z"]
    assert {name: vocab.ids.to_list() for name, vocab in encoder.context.items()} == {
        "device": ["phone", "laptop"],
        **CLOCK,
    }
    assert encoder.fitted_on == shop().fingerprint()


def test_an_extended_encoder_keeps_every_row_and_adds_what_is_new() -> None:
    more = pl.DataFrame(
        {"user_id": ["w", "u"], "item_id": ["y", "b"], "event_type": ["view", "view"], "device": ["tv", "phone"]}
    )
    encoder, after = Encoder.fit(shop()), shop().extended(Dataset.from_frames(more, schema=shop().schema).events)
    wider = encoder.extended(after)
    assert wider.users.ids.to_list() == ["u", "v", "w"]
    assert wider.items.ids.to_list() == [*encoder.items.ids, "y"]
    assert wider.context == encoder.context
    assert wider.fitted_on == after.fingerprint() != encoder.fitted_on
    np.testing.assert_array_equal(wider.events(shop().events).item_idx, encoder.events(shop().events).item_idx)


def test_events_become_arrays_without_those_that_say_nothing_about_an_item() -> None:
    data = Encoder.fit(shop()).events(shop().events)
    assert data.user_idx.tolist() == [0, 1, 2, 1]
    assert data.item_idx.tolist() == [0, 1, 0, 0]
    assert data.weight.tolist() == [1, 5, 1, -3]
    assert data.value is not None
    np.testing.assert_array_equal(data.value, np.array([1, np.nan, 2, 4], np.float32))
    assert data.timestamp is not None
    assert (data.timestamp - FRIDAY).tolist() == [0, 3600, 7200, 18000]
    assert data.context["device"].tolist() == [0, 1, 2, 0]
    assert data.context["hour"].tolist() == [21, 22, 23, 2]
    assert data.context["weekday"].tolist() == [4, 4, 4, 5]  # Friday is the fifth day, row 4
    assert dict(data.context_sizes) == {"device": 2, "hour": 24, "weekday": 7}
    assert [a.dtype.name for a in (data.user_idx, data.item_idx, data.weight)] == ["int32", "int32", "float32"]
    assert len(data) == 4


def test_an_event_without_a_session_stands_alone() -> None:
    data = Encoder.fit(shop()).events(shop().events)
    assert data.session_idx is not None
    assert len(set(data.session_idx.tolist())) == 4
    numbers = session_codes(pl.Series(["x", None, "y", None, "x"])).tolist()
    assert numbers[0] == numbers[4]
    assert len(set(numbers)) == 4


def test_events_of_items_not_known_are_left_out() -> None:
    encoder = Encoder.fit(shop())
    later = shop().events.with_columns(pl.lit("new").alias("item_id"))
    assert len(encoder.events(later)) == 0
    assert len(encoder.events(later.clear())) == 0


def test_an_unknown_event_type_is_an_error_here_too() -> None:
    with pytest.raises(DataError, match="unknown event_type 'vew'"):
        Encoder.fit(shop()).events(shop().events.with_columns(pl.lit("vew").alias("event_type")))


def test_hidden_items_are_those_that_a_user_blocked() -> None:
    assert Encoder.fit(shop()).hidden(shop().events) == {"u": ["c"]}


def test_a_request_holds_what_is_known_of_it() -> None:
    encoder = Encoder.fit(shop())
    query = encoder.query(
        user="v",
        history=["a", "nope", "b", "c"],
        weights=[1.0, 9.0, 0.5, 2.0],
        session_len=2,
        context={"device": "laptop"},
        timestamp=FRIDAY,
    )
    assert query.user_idx.tolist() == [1]
    assert query.history[0].tolist() == [0, 1, 2]
    assert query.history_weight.tolist() == [1.0, 0.5, 2.0]
    assert query.session[0].tolist() == [1, 2]
    assert query.last_item.tolist() == [2]
    assert query.timestamp.tolist() == [FRIDAY]
    assert {name: rows.tolist() for name, rows in query.context.items()} == {
        "device": [1],
        "hour": [21],
        "weekday": [4],
    }
    assert encoder.query(history=["a", "b"]).session[0].tolist() == [0, 1]


def test_a_request_without_anything_is_a_request() -> None:
    query = Encoder.fit(shop()).query()
    assert query.user_idx.tolist() == [2]
    assert query.history.lengths.tolist() == [0]
    assert query.last_item.tolist() == [4]
    assert np.isnan(query.timestamp[0])
    assert {name: rows.tolist() for name, rows in query.context.items()} == {
        "device": [2],
        "hour": [24],
        "weekday": [7],
    }
    assert query.known_user.tolist() == [False]


def test_what_was_returned_is_not_history() -> None:
    query = Encoder.fit(shop()).query(history=["a", "b", "a"], weights=[1.0, 5.0, -3.0], session_len=2)
    assert query.history[0].tolist() == [0, 1]
    assert query.session[0].tolist() == [1]


def test_ids_of_a_request_may_be_numbers() -> None:
    encoder = Encoder.fit(Dataset.from_frames(pl.DataFrame({"user_id": [7], "item_id": [5]})))
    numbers: Any = {"user": 7, "history": [5]}
    query = encoder.query(**numbers)
    assert query.user_idx.tolist() == [0]
    assert query.history[0].tolist() == [0]


def test_context_given_outweighs_the_clock_and_is_compared_as_text() -> None:
    events = pl.DataFrame(
        {"item_id": ["a", "b"], "timestamp": [FRIDAY, FRIDAY], "member": [True, False], "zone": ["7", "8"]}
    )
    encoder = Encoder.fit(Dataset.from_frames(events))
    query = encoder.query(context={"hour": 3, "member": True, "zone": 8}, timestamp=FRIDAY)
    assert {name: rows.tolist() for name, rows in query.context.items()} == {
        "member": [0],
        "zone": [1],
        "hour": [3],
        "weekday": [4],
    }
    assert encoder.query(context={"zone": None}).context["zone"].tolist() == [2]


def test_a_wrong_request_says_what_was_expected() -> None:
    encoder = Encoder.fit(shop())
    with pytest.raises(RequestError, match="unknown context column `devise`; did you mean `device`"):
        encoder.query(context={"devise": "phone"})
    with pytest.raises(RequestError, match="`weights` must have one value per item of `history`, 2; got 1"):
        encoder.query(history=["a", "b"], weights=[1.0])


@pytest.mark.parametrize(
    ("history", "session_len", "expected", "n_session"),
    [
        (["a", "a", "b", "b", "a"], None, ["a", "b", "a"], 3),
        (["a", "nope", "a", "b"], None, ["a", "b"], 2),
        (["b", "b", "a", "a"], 2, ["b", "b", "a"], 1),
        (["b", "a", "a"], 1, ["b", "a", "a"], 1),  # a new session may begin where the last one ended
        (["a", "a"], 0, ["a", "a"], 0),
    ],
)
def test_repeats_collapse_within_the_session(
    history: list[str], session_len: int | None, expected: list[str], n_session: int
) -> None:
    encoder = Encoder.fit(shop(), collapse_repeats=True)
    query = encoder.query(history=history, session_len=session_len)
    assert encoder.items.names(query.history[0]) == expected
    assert query.session_len.tolist() == [n_session]


def test_a_saved_encoder_comes_back(tmp_path: Path) -> None:
    schema = Schema(events={"price": Kind.CATEGORY})
    dataset = Dataset.from_frames(shop().events.with_columns(pl.lit("x/y").alias("a b")), schema=schema)
    encoder = Encoder.fit(dataset, collapse_repeats=True)
    encoder.save(tmp_path)
    loaded = Encoder.load(tmp_path)
    assert loaded.schema == encoder.schema
    assert (loaded.fitted_on, loaded.collapse_repeats) == (encoder.fitted_on, True)
    for name in ("users", "items"):
        assert getattr(loaded, name).ids.equals(getattr(encoder, name).ids)
    assert {n: v.ids.to_list() for n, v in loaded.context.items()} == {
        n: v.ids.to_list() for n, v in encoder.context.items()
    }
    assert list(loaded.context) == ["device", "price", "a b", "hour", "weekday"]


@pytest.mark.parametrize("moment", [0.0, FRIDAY, FRIDAY + 0.9, 1_000_000_000.0, -86_400.5])
def test_the_clock_of_one_moment_is_that_of_a_column(moment: float) -> None:
    column = pl.Series([moment])
    assert {name: CLOCK[name][clock_numbers(name, column)[0]] for name in CLOCK} == clock_of(moment)


def test_a_time_not_known_has_no_hour_and_a_log_without_time_no_clock() -> None:
    column = pl.Series([None, float("nan")], dtype=pl.Float64)
    assert clock_numbers("hour", column).tolist() == [24, 24]
    assert clock_numbers("weekday", column).tolist() == [7, 7]
    plain = pl.DataFrame({"item_id": ["a"]})
    assert Encoder.fit(Dataset.from_frames(plain)).context == {}


def test_an_hour_of_the_log_itself_is_not_overwritten() -> None:
    events = pl.DataFrame({"item_id": ["a", "b"], "timestamp": [FRIDAY, FRIDAY], "hour": ["late", "early"]})
    encoder = Encoder.fit(Dataset.from_frames(events))
    assert encoder.context["hour"].ids.to_list() == ["late", "early"]
    assert encoder.events(Dataset.from_frames(events).events).context["hour"].tolist() == [0, 1]
    number = Dataset.from_frames(events.with_columns(pl.Series("hour", [21, 9])))  # a number is no category
    assert "hour" not in Encoder.fit(number).context


def test_codes_number_values_by_appearance() -> None:
    assert codes(pl.Series(["b", "a", "b", "c"])).tolist() == [0, 1, 0, 2]
