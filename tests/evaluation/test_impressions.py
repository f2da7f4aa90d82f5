from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.data.schema import EVENT_TYPES, EventType, Feedback, Kind, Schema
from rankine.errors import DataError
from rankine.evaluation.cases import Cases
from rankine.evaluation.evaluate import evaluate_logged
from rankine.evaluation.impressions import impressions, logged
from rankine.features.config import FeaturesConfig
from rankine.features.encode import Encoder

Row = tuple[str | None, str | None, str, float | None]


def frame_of(rows: Sequence[Row], first_row: int = 0, kind: str = "impression", **columns: Any) -> pl.DataFrame:
    """user, session, item, value per row, a second apart."""
    names = {"user_id": pl.String, "session_id": pl.String, "item_id": pl.String, "value": pl.Float64}
    n = len(rows)
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.int_range(first_row, first_row + n, dtype=pl.Int64).alias("row"),
        pl.Series("timestamp", np.arange(first_row, first_row + n), dtype=pl.Float64),
        pl.Series("event_type", [kind] * n, dtype=pl.String),
        **{name: pl.Series(name, values) for name, values in columns.items()},
    )


BEFORE: list[Row] = [("u", "s", "a", 1.0), ("v", "s", "b", 0.0), ("v", "s", "c", 1.0)]


def encoder_of(before: pl.DataFrame, **kinds: Kind) -> Encoder:
    """An encoder of these events, with further context columns."""
    schema = Schema(events={**Schema().events, **kinds}) if kinds else Schema()
    return Encoder.fit(Dataset.from_frames(before.drop("row"), schema=schema))


def asked(test: pl.DataFrame) -> tuple[Cases, Encoder]:
    before = frame_of(BEFORE)
    encoder = encoder_of(before)
    return impressions(encoder, before, test), encoder


def test_every_labelled_impression_is_a_case_in_the_order_of_the_table() -> None:
    test = frame_of([("v", "t", "b", 0.0), ("u", "t", "z", 1.0), ("w", "t", "a", 1.0)], 3)
    cases, encoder = asked(test)
    assert cases.values is not None
    assert cases.values.tolist() == [0, 1, 1]
    n = len(encoder.items)
    assert cases.targets.values.tolist() == [encoder.items.row("b"), n, encoder.items.row("a")]
    assert cases.targets.lengths.tolist() == [1, 1, 1]
    assert cases.queries.user_idx.tolist() == [encoder.users.row("v"), encoder.users.row("u"), len(encoder.users)]
    assert cases.queries.timestamp.tolist() == [3, 4, 5]
    assert cases.queries.context["hour"].tolist() == [0, 0, 0]
    assert cases.counts == {"unknown_targets": 1}
    assert cases.target_rows is not None
    assert cases.target_rows.values.tolist() == [3, 4, 5]
    part = cases.take(np.array([2, 0]))
    assert part.values is not None
    assert part.values.tolist() == [1, 0]


def test_rows_count_by_user_else_by_session_else_each_by_itself() -> None:
    rows: list[Row] = [("v", "t", "a", 0.0), (None, "t", "a", 1.0), (None, "t", "b", 1.0), (None, None, "b", 1.0)]
    cases, _ = asked(frame_of([*rows, ("v", "x", "b", 0.0)], 3))
    assert cases.unit == "user"
    assert cases.unit_names.to_list() == ["v", "session_id t", "row 6"]
    assert cases.unit_idx.tolist() == [0, 1, 1, 2, 0]
    cases, _ = asked(frame_of(rows[1:], 3))
    assert (cases.unit, cases.unit_idx.tolist()) == ("session", [0, 0, 1])
    cases, _ = asked(frame_of([rows[3], rows[3]], 3).drop("session_id"))
    assert (cases.unit, cases.unit_names.to_list()) == ("row", ["3", "4"])
    assert cases.queries.user_idx.tolist() == [2, 2]


def test_other_events_of_the_test_part_are_not_asked() -> None:
    shown, taken = frame_of([("u", "t", "a", 0.0)], 3), frame_of([("u", "t", "b", 1.0)], 4, "click")
    cases, _ = asked(pl.concat([shown, taken]))
    assert len(cases) == 1
    with pytest.raises(DataError, match=r"no test event is an impression: expected events of type `impression` with a"):
        asked(taken)


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0, float("inf"), float("nan"), None])
def test_an_outcome_is_taken_or_left_and_nothing_else(value: float | None) -> None:
    with pytest.raises(DataError, match="impression"):
        asked(frame_of([("u", "t", "a", 0.0), ("u", "t", "b", value)], 3))
    with pytest.raises(DataError, match="no column `value`"):
        asked(frame_of([("u", "t", "a", 0.0)], 3).drop("value"))


def test_ratings_may_say_what_was_taken() -> None:
    before = frame_of(BEFORE, kind="stars")
    rated = EventType(feedback=Feedback.SHOWN, taken_from=4)
    schema = Schema(event_types={**EVENT_TYPES, "stars": rated})
    encoder = Encoder.fit(Dataset.from_frames(before.drop("row"), schema=schema))
    cases = impressions(encoder, before, frame_of([("v", "t", "b", 3.5), ("v", "t", "a", 4.0)], 3, "stars"))
    assert cases.values is not None
    assert cases.values.tolist() == [0, 1]


def test_a_logged_row_is_its_own_unit_and_keeps_its_propensity() -> None:
    before = frame_of(BEFORE, p=[0.5, 0.5, 0.5])
    test = frame_of([("v", "t", "b", 0.0), ("v", "t", "a", 1.0)], 3, p=[0.5, 0.25])
    cases = logged(encoder_of(before, p=Kind.NUMBER), before, test, propensity="p")
    assert cases.propensity is not None
    assert cases.propensity.tolist() == [0.5, 0.25]
    assert (cases.unit, cases.unit_idx.tolist()) == ("row", [0, 1])
    part = cases.take(np.array([1]))
    assert part.propensity is not None
    assert part.propensity.tolist() == [0.25]
    scores = np.zeros((2, 3), np.float32)
    assert evaluate_logged(lambda queries: scores, cases, ["ips"]).values["ips"].tolist() == [0, 4]


@pytest.mark.parametrize("bad", [0.0, -0.5, 1.5, None, float("nan")])
def test_a_propensity_that_is_no_chance_is_an_error(bad: float | None) -> None:
    before = frame_of(BEFORE)
    test = frame_of([("v", "t", "b", 0.0), ("v", "t", "a", 1.0)], 3, p=[0.5, bad])
    with pytest.raises(
        DataError, match="`p` must be above 0 and at most 1: 1 of 2 impressions have another, the first of them "
    ):
        logged(encoder_of(before), before, test, propensity="p")
    with pytest.raises(DataError, match="the events have no column `q`"):
        logged(encoder_of(before), before, test, propensity="q")


def test_a_request_never_holds_the_propensity() -> None:
    before, test = frame_of(BEFORE, p=["0.5"] * 3), frame_of([("v", "t", "b", 0.0)], 3, p=["0.5"])
    with pytest.raises(DataError, match="`p` says something of the item that was shown"):
        logged(encoder_of(before, p=Kind.CATEGORY), before, test, propensity="p")


def looking_back(**columns: Any) -> tuple[pl.DataFrame, pl.DataFrame, Encoder]:
    """v takes c at 2, sees a, takes b and sees a again at 4 and 5, sees b at 6; in the frames before and after 2."""
    before = frame_of(BEFORE)
    rows: list[Row] = [("v", "t", "a", 0.0), ("v", "t", "b", 1.0), ("v", "t", "a", 0.0), ("v", "t", "b", 0.0)]
    test = frame_of(rows, 3, **columns).with_columns(timestamp=pl.Series([3.0, 4.0, 4.0, 6.0]))
    features = FeaturesConfig(last_items=2, count_before=True)
    return before, test, Encoder.fit(Dataset.from_frames(before.drop("row")), features=features)


def test_what_a_visitor_took_earlier_by_the_clock_is_known_and_nothing_else() -> None:
    before, test, encoder = looking_back(p=[0.5] * 4)
    cases = logged(encoder, before, test, propensity="p")
    assert [encoder.items.names(row) for row in cases.queries.history] == [["c"], ["c"], ["c"], ["c", "b"]]
    assert cases.history_rows is not None and cases.history_times is not None
    assert cases.history_rows.values.tolist() == [2, 2, 2, 2, 4]
    assert cases.history_times.tolist() == [2, 2, 2, 2, 4]
    assert cases.queries.history_weight.tolist() == [1] * 5
    assert len(impressions(encoder, before, test).queries.history.values) == 0
    untimed = logged(encoder, before.drop("timestamp"), test.drop("timestamp"), propensity="p")
    assert [encoder.items.names(row) for row in untimed.queries.history] == [["c"]] * 4  # only what training knew


def test_fields_look_back_on_what_a_history_holds() -> None:
    before, test, encoder = looking_back(p=[0.5] * 4)
    rows = impressions(encoder, before, test).queries.rows
    assert rows is not None and encoder.features is not None
    expected = encoder.rows(test, logged(encoder, before, test, propensity="p").queries.history)
    assert expected is not None
    np.testing.assert_array_equal(rows.request.idx, expected.request.idx)
    np.testing.assert_array_equal(rows.request.weight, expected.request.weight)
    layout = encoder.features.layout
    counts = rows.request.idx[:, layout.slots_of("count_before")].ravel() - layout.first_rows["count_before"]
    assert counts.tolist() == [1, 1, 1, 2]


def test_no_field_may_be_the_propensity() -> None:
    before = frame_of(BEFORE, p=[0.5, 0.5, 0.25])
    test = frame_of([("v", "t", "b", 0.0)], 3, p=[0.5])
    schema = Schema(events={**Schema().events, "p": Kind.NUMBER})
    dataset = Dataset.from_frames(before.drop("row"), schema=schema)
    with pytest.raises(DataError, match="`p` says something of the item that was shown: leave it out of the features"):
        logged(Encoder.fit(dataset, features=FeaturesConfig()), before, test, propensity="p")
    left_out = Encoder.fit(dataset, features=FeaturesConfig(drop=("p",)))
    assert len(logged(left_out, before, test, propensity="p")) == 1
