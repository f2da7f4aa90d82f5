from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.arrays import Ragged
from rankine.data.audit import (
    Check,
    audit,
    check_constant,
    check_context,
    check_duplicates,
    check_fitted_on,
    check_order,
    check_propensity,
    check_queries,
    check_sessions,
    check_shown_before,
    check_vocabulary,
)
from rankine.data.dataset import Dataset
from rankine.data.split import Fold, SplitConfig, make_folds
from rankine.data.vocab import Vocab
from rankine.errors import LeakError


def log(n: int = 300, time: bool = True) -> Dataset:
    rng = np.random.default_rng(8)
    frame = pl.DataFrame(
        {
            "user_id": rng.integers(0, 20, n),
            "item_id": rng.integers(0, 30, n),
            "value": rng.integers(1, 6, n).astype(float),
            **({"timestamp": 1e9 + np.sort(rng.random(n)) * 1e6} if time else {}),
        }
    )
    return Dataset.from_frames(frame)


def fold_of(dataset: Dataset, **settings: Any) -> Fold:
    (fold,) = make_folds(dataset, SplitConfig(**settings), 0)
    return fold


def moved(fold: Fold, part: str, **changes: Any) -> Fold:
    """The fold with the first event of `train` also (or only, with new times) in another part."""
    event = fold.train.events.head(1).with_columns(**changes)
    return replace(fold, **{part: pl.concat([getattr(fold, part), event])})


CLEAN = fold_of(log(), test=0.2, valid=0.1)


def test_a_clean_time_split_passes_every_check() -> None:
    train, final = CLEAN.train, CLEAN.before_test()
    items = Vocab.of(train.events["item_id"])
    checks = [
        check_order(CLEAN),
        check_duplicates(CLEAN),
        check_fitted_on("popularity", train.fingerprint(), train.events),
        check_fitted_on("popularity", final.fingerprint(), final.events),
        check_vocabulary(items.ids, train.events["item_id"], train.items["item_id"], "the item encoder"),
    ]
    assert audit(checks) == checks
    assert all(check.ok for check in checks)


# order


def test_a_test_event_older_than_a_training_event_fails() -> None:
    check = check_order(moved(CLEAN, "test", row=pl.lit(999, pl.Int64)))
    assert not check.ok and check.severity == "fail"
    assert check.text == (
        "1 of 61 test events are older than the last training event; "
        "1 of 61 test events are older than the last validation event"
    )


def test_a_validation_event_out_of_order_fails() -> None:
    assert "validation events are older than the last training event" in check_order(moved(CLEAN, "valid")).text
    late = moved(CLEAN, "valid", timestamp=pl.lit(2e9))
    assert "test events are older than the last validation event" in check_order(late).text


def test_a_rejoining_event_from_the_future_fails() -> None:
    future = CLEAN.test.tail(1)
    assert "last rejoining event" in check_order(replace(CLEAN, rejoins=future)).text


def test_an_ordered_fold_without_times_fails() -> None:
    timeless = replace(CLEAN, test=CLEAN.test.with_columns(timestamp=pl.lit(None, pl.Float64)))
    assert "cannot be put in order" in check_order(timeless).text


@pytest.mark.parametrize("by", ["last", "user", "random"])
def test_an_unordered_split_is_a_warning_in_words(by: Any) -> None:
    check = check_order(fold_of(log(), by=by))
    assert not check.ok and check.severity == "warn"
    assert check.text.endswith("This split lets a model see other users' future: use it to compare with papers")
    assert audit([check]) == [check]


# duplicates


@pytest.mark.parametrize("part", ["test", "valid"])
@pytest.mark.parametrize("by", ["time", "random"])
def test_the_same_row_on_both_sides_fails_in_every_split(by: Any, part: str) -> None:
    check = check_duplicates(moved(fold_of(log(), by=by, test=0.2, valid=0.1), part))
    assert (check.ok, check.severity) == (False, "fail")
    assert check.text == "1 rows of the dataset lie on both sides of the split"


@pytest.mark.parametrize("part", ["fold_in", "rejoins"])
def test_a_test_row_that_is_known_or_rejoins_fails(part: str) -> None:
    fold = fold_of(log(), by="user", test=0.3, valid=0.2)
    assert check_duplicates(fold).ok
    leaky = replace(fold, **{part: pl.concat([getattr(fold, part), fold.test.head(2)])})
    assert check_duplicates(leaky).text.startswith("2 rows")


def test_an_equal_event_under_another_row_number_fails_in_an_ordered_split() -> None:
    check = check_duplicates(moved(CLEAN, "test", row=pl.lit(999, pl.Int64)))
    assert (check.ok, check.severity) == (False, "fail")
    assert check.text.startswith("1 of 61 test events equal an event before the test in user_id, item_id")


def test_events_that_differ_in_one_column_are_no_duplicates() -> None:
    for changes in ({"value": pl.col("value") + 1}, {"user_id": pl.lit(None, pl.String)}, {"timestamp": pl.lit(1.0)}):
        assert check_duplicates(moved(CLEAN, "test", row=pl.lit(999, pl.Int64), **changes)).ok


def test_equal_events_without_a_user_are_duplicates_too() -> None:
    frame = pl.DataFrame({"item_id": ["a", "b", "a", "c"], "split": ["train", "train", "test", "test"]})
    check = check_duplicates(fold_of(Dataset.from_frames(frame), by="column"))
    assert (check.ok, check.severity) == (False, "warn")
    assert check.text.startswith("1 of 2 test events equal")


def test_repeats_of_a_log_without_times_are_counted_and_warned_of() -> None:
    dataset = log(2000, time=False)
    fold = fold_of(dataset, by="random", test=0.2)
    seen = set(fold.train.events.select("user_id", "item_id", "value").rows())
    n = sum(row in seen for row in fold.test.select("user_id", "item_id", "value").rows())
    check = check_duplicates(fold)
    assert n > 0 and check.severity == "warn"
    assert check.text.startswith(f"{n} of 400 test events")


# fitted on train


def test_counts_over_all_events_fail() -> None:
    check = check_fitted_on("popularity", log().fingerprint(), CLEAN.train.events)
    assert not check.ok and check.severity == "fail"
    assert check.text == "popularity was fitted on something other than the 210 training events"


def test_counts_over_validation_events_fail_while_settings_are_chosen() -> None:
    assert not check_fitted_on("popularity", CLEAN.before_test().fingerprint(), CLEAN.train.events).ok


# vocabulary


def test_an_id_that_only_the_test_names_fails() -> None:
    known = Vocab.of(pl.Series(["a", "b", "t1", "t2"])).ids
    train, table = pl.Series(["a", "a", None]), pl.Series(["b", "c"])
    check = check_vocabulary(known, train, table, "the item encoder")
    assert not check.ok and check.severity == "fail"
    assert "knows 2 ids" in check.text and check.text.endswith("`t1`, `t2`")
    assert check_vocabulary(known.head(2), train, table, "the item encoder").ok
    assert check_vocabulary(known.head(0), train, table, "the item encoder").ok


# queries

HISTORY = Ragged.from_rows([[0, 1], [], [2, 3, -1]], np.int64)
TARGETS = Ragged.from_rows([[4], [3, 5], [6]], np.int64)
TIMES = {
    "history_times": np.array([1.0, 2.0, 1.5, 3.0, 4.0]),
    "query_times": np.array([2.0, 1.0, 4.0]),
    "target_times": np.array([2.5, 3.0, 5.0, 4.0]),
}


def names_of_failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.ok]


def test_clean_queries_pass_even_where_another_query_knows_the_target() -> None:
    checks = check_queries(HISTORY, TARGETS, **TIMES)
    assert len(checks) == 3 and not names_of_failed(checks)


def test_a_target_in_its_own_history_fails() -> None:
    leaky = Ragged.from_rows([[4], [5, 3], [6]], np.int64)
    history = Ragged.from_rows([[0, 1], [5], [2, 6, -1]], np.int64)
    (check,) = check_queries(history, leaky)
    assert not check.ok and check.text == "2 of 4 targets lie in the history of their own query"


def test_unknown_rows_never_match() -> None:
    nobody = Ragged.from_rows([[-1]], np.int64)
    assert check_queries(nobody, nobody)[0].ok


def test_rows_of_ten_million_events_do_not_collide() -> None:
    rng = np.random.default_rng(2)
    history = Ragged.from_lengths(rng.integers(0, 10_000_000, 300_000).astype(np.int32), np.full(100_000, 3))
    targets = Ragged.from_lengths(rng.integers(0, 10_000_000, 100_000).astype(np.int32), np.full(100_000, 1))
    targets.values[77_777] = history[77_777][1]
    same = (history.values.reshape(-1, 3) == targets.values[:, None]).any(1).sum()
    assert check_queries(history, targets)[0].text.startswith(f"{same:,} of 100,000")


def test_a_history_event_later_than_the_query_fails() -> None:
    late = TIMES | {"history_times": np.array([1.0, 2.1, 1.5, 3.0, 4.0])}
    assert names_of_failed(check_queries(HISTORY, TARGETS, **late)) == ["future history"]


def test_a_query_later_than_its_target_fails() -> None:
    late = TIMES | {"query_times": np.array([2.6, 1.0, 4.0])}
    (check,) = [c for c in check_queries(HISTORY, TARGETS, **late) if not c.ok]
    assert check.name == "future context" and check.text.startswith("1 of 4 targets")


def test_a_moment_that_is_not_a_number_proves_nothing() -> None:
    late = TIMES | {"query_times": np.array([2.0, np.nan, 4.0])}
    assert names_of_failed(check_queries(HISTORY, TARGETS, **late)) == ["future context"]


# context


def with_context(**columns: Any) -> pl.DataFrame:
    return log().events.with_columns(**columns)


def test_honest_context_passes() -> None:
    rng = np.random.default_rng(4)
    events = with_context(
        device=pl.Series(rng.choice(["phone", "desk"], 300)),
        hour=pl.Series(rng.integers(0, 24, 300)),
        request=pl.int_range(pl.len()).cast(pl.String),
        geo=pl.concat_list(pl.lit(48.1), pl.int_range(pl.len()).cast(pl.Float64)),
        empty=pl.lit(None, pl.String),
        last_item=pl.col("item_id").shift(),
    )
    checks = check_context(events, ["device", "hour", "request", "geo", "empty", "last_item"])
    assert [check.ok for check in checks] == [True] * 6


@pytest.mark.parametrize(
    "copy",
    [
        pl.col("item_id"),
        pl.col("item_id").cast(pl.Int64),
        pl.when(pl.int_range(pl.len()) % 3 == 0).then("item_id"),
    ],
)
def test_context_that_is_the_item_fails(copy: pl.Expr) -> None:
    (check,) = check_context(with_context(page=copy), ["page"])
    assert not check.ok and check.severity == "fail" and "is the `item_id` itself" in check.text


def test_context_that_is_a_code_of_the_item_fails() -> None:
    secret = {"page": "/" + pl.col("item_id") + ".html", "geo": pl.concat_list(pl.col("item_id").cast(pl.Float64))}
    checks = check_context(with_context(**secret), list(secret))
    assert [(c.ok, c.severity) for c in checks] == [(False, "fail")] * 2
    assert "stands one-to-one for `item_id`" in checks[0].text


def test_a_code_of_few_items_may_be_chance() -> None:
    few = with_context(page="/" + pl.col("item_id")).filter(pl.col("item_id").cast(pl.Int64) < 10)
    assert check_context(few, ["page"])[0].ok


def test_a_name_per_event_tells_nothing_where_every_item_appears_once() -> None:
    events = pl.DataFrame({"item_id": [f"i{i}" for i in range(50)], "request": [f"r{i}" for i in range(50)]})
    assert check_context(events, ["request"])[0].ok


def test_context_that_is_the_outcome_fails() -> None:
    (check,) = check_context(with_context(stars=pl.col("value").cast(pl.Int64)), ["stars"])
    assert not check.ok and check.severity == "fail" and "known only after the event" in check.text


def test_context_that_is_a_code_of_the_outcome_is_a_warning() -> None:
    (check,) = check_context(with_context(mood=pl.lit("m") + pl.col("value").cast(pl.String)), ["mood"])
    assert not check.ok and check.severity == "warn" and "one-to-one for `value`" in check.text


def test_without_values_there_is_no_outcome_to_copy() -> None:
    events = with_context(stars=pl.col("value")).drop("value")
    assert check_context(events, ["stars"])[0].ok


# audit


def test_the_error_names_every_leak_and_no_warning() -> None:
    checks = [
        Check("a", False, "first"),
        Check("b", True, "fine"),
        Check("c", False, "odd", "warn"),
        Check("d", False, "second"),
    ]
    with pytest.raises(LeakError) as caught:
        audit(checks)
    assert str(caught.value) == "the audit found 2 leaks: `a`: first; `d`: second"


def test_session_numbers_that_start_anew_for_each_user_are_noticed() -> None:
    events = pl.DataFrame({"user_id": ["a", "a", "b", None], "session_id": ["1", "2", "1", "2"], "item_id": ["x"] * 4})
    found = check_sessions(events)
    assert (found.ok, found.severity) == (False, "warn")
    assert found.text == "1 of 2 session ids belong to several users: make them unique"
    assert check_sessions(events.head(2)).ok


# impressions


def test_impressions_that_training_answers_are_counted_and_warned_of() -> None:
    rows = {"user_id": list("uuuv"), "item_id": list("aaba"), "device": ["x", "y", "x", None], "part": [1, 2, 2, 1]}
    events = pl.DataFrame(rows).with_columns(event_type=pl.lit("impression"), value=pl.lit(1.0))
    train, test = events.filter(part=1).drop("part"), events.filter(part=2).drop("part")
    fold = fold_of(log(time=False), by="random", test=0.2)
    fold = replace(fold, test=test)
    assert check_shown_before(fold, train, ["device"]).ok
    again = replace(fold, test=pl.concat([test, train.with_columns(value=0.0)]))  # another answer to the same question
    found = check_shown_before(again, train, ["device"])
    assert (found.ok, found.severity) == (False, "warn")
    assert found.text == "2 of 4 test events repeat user, item and context of a training event"
    assert not check_shown_before(fold, train, []).ok
    assert check_shown_before(replace(again, ordered=True), train, ["device"]).ok  # visitors do meet an item again


@pytest.mark.parametrize("chances", [[0.25] * 4, [0.7, 0.1, 0.1, 0.1], [0.9, 0.05, 0.04, 0.01]])
def test_propensities_that_the_log_was_drawn_with_pass_and_others_do_not(chances: list[float]) -> None:
    p = np.array(chances)
    drawn = p[np.random.default_rng(2).choice(4, 5000, p=p)]
    assert check_propensity(drawn, 4).ok
    for wrong in (drawn / 2, np.minimum(1.3 * drawn, 1), 1 - drawn):
        found = check_propensity(wrong, 4)
        assert (found.ok, found.severity) == (False, "warn")
        assert "with 4 items that may be shown it should be 4" in found.text


def test_fields_that_say_nothing_are_named_but_stop_nothing() -> None:
    assert check_constant([]).ok
    found = check_constant(["country", "level"])
    assert not found.ok
    assert found.severity == "warn"
    assert "`country`, `level`" in found.text
