from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankine.config import from_dict, to_dict
from rankine.data.dataset import Dataset
from rankine.data.sessions import with_sessions
from rankine.data.split import Fold, SplitConfig, make_folds
from rankine.data.split_time import day, seconds_of
from rankine.errors import ConfigError, SplitError

DAY = 86400.0
START = 1_760_000_000.0


def log(n: int = 400, seed: int = 5, *, days: float = 20.0, time: bool = True, sessions: bool = False) -> Dataset:
    """Events of 30 users over 20 days in order; with sessions, sessions of half an hour's gap."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "user_id": [f"u{u}" for u in rng.zipf(1.6, n) % 30],
        "item_id": [f"i{i}" for i in rng.integers(0, 50, n)],
        "timestamp": START + np.sort(rng.integers(0, int(days * DAY), n)),
        "cv_fold": rng.integers(1, 6, n),
        "split": rng.choice(["train", "valid", "test"], n, p=[0.6, 0.2, 0.2]),
    }
    frame = pl.DataFrame(columns if time else {k: v for k, v in columns.items() if k != "timestamp"})
    dataset = Dataset.from_frames(frame)
    return with_sessions(dataset, 24 * 60.0) if sessions else dataset


def one(dataset: Dataset, seed: int = 0, **settings: Any) -> Fold:
    (fold,) = make_folds(dataset, SplitConfig(**settings), seed)
    return fold


def rows(*frames: pl.DataFrame | None) -> list[int]:
    return [row for frame in frames if frame is not None for row in frame["row"].to_list()]


def first_time(events: pl.DataFrame) -> float:
    return float(events["timestamp"].to_numpy().min())


def last_time(events: pl.DataFrame) -> float:
    return float(events["timestamp"].to_numpy().max())


def assert_nothing_lost(dataset: Dataset, fold: Fold) -> None:
    seen = rows(fold.train.events, fold.valid, fold.test, fold.fold_in)
    assert len(seen) == len(set(seen))
    assert len(seen) + sum(fold.dropped.values()) == len(dataset.events)
    before = fold.before_test().events["row"].to_list()
    assert before == sorted(set(before))
    assert set(rows(fold.train.events, fold.valid)) <= set(before)
    assert not set(before) & set(rows(fold.test))


AMOUNTS = st.sampled_from([0.05, 0.2, 0.4, "2h", "12h", "1d", "3d"])
SHARES = st.sampled_from([0.05, 0.2, 0.4])
CONFIGS = st.one_of(
    st.fixed_dictionaries(
        {"by": st.sampled_from(["time", "session_time"]), "test": AMOUNTS, "valid": st.none() | AMOUNTS},
        optional={"min_session_length": st.integers(1, 3)},
    ),
    st.fixed_dictionaries({"by": st.just("last"), "n": st.integers(1, 3), "valid": st.none() | SHARES}),
    st.fixed_dictionaries({"by": st.just("user"), "test": SHARES, "valid": st.none() | SHARES, "fold_in": SHARES}),
    st.fixed_dictionaries(
        {"by": st.just("random"), "test": SHARES, "valid": st.none() | SHARES, "per_user": st.booleans()}
    ),
    st.fixed_dictionaries({"by": st.just("random"), "folds": st.integers(2, 5), "per_user": st.booleans()}),
    st.fixed_dictionaries(
        {"by": st.just("random"), "test": SHARES, "repeats": st.integers(2, 3), "valid": st.none() | SHARES}
    ),
    st.fixed_dictionaries(
        {"by": st.just("column"), "column": st.sampled_from(["day", "code"]), "valid": st.none() | AMOUNTS}
    ),
)
ID = st.none() | st.sampled_from("abcdef")
EVENT = st.tuples(ID, st.sampled_from("xyz"), st.none() | st.integers(0, 4 * 24), ID, st.none() | st.sampled_from("pq"))


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.lists(EVENT, min_size=3, max_size=40), CONFIGS, st.integers(0, 5))
def test_no_event_is_ever_lost_or_on_two_sides(
    events: list[tuple[Any, ...]], config: dict[str, Any], seed: int
) -> None:
    names = ["user_id", "item_id", "timestamp", "session_id", "code"]
    frame = pl.DataFrame(events, schema=dict.fromkeys(names, pl.String) | {"timestamp": pl.Float64}, orient="row")
    frame = frame.with_columns(
        pl.col("timestamp") * 3600 + START, (pl.col("timestamp") // 24).cast(pl.Int64).alias("day")
    )
    dataset = Dataset.from_frames(frame)
    try:
        folds = make_folds(dataset, SplitConfig(**config), seed)
    except SplitError:
        return
    for fold in folds:
        assert_nothing_lost(dataset, fold)
        assert len(fold.train.events) and len(fold.test)
        assert len(fold.valid) or config.get("valid") is None
        if fold.ordered:
            assert first_time(fold.test) >= last_time(fold.before_test().events)


def test_everybody_is_cut_at_the_same_moments() -> None:
    fold = one(log(), test=0.1, valid=0.2)
    parts = [fold.train.events, fold.valid, fold.test]
    assert [len(p) for p in parts] == [280, 80, 40]
    assert last_time(parts[0]) < first_time(parts[1])
    assert last_time(parts[1]) < first_time(parts[2]) == fold.cut
    assert fold.ordered and not fold.dropped


def test_a_duration_counts_back_from_the_last_event() -> None:
    dataset = log()
    last = last_time(dataset.events)
    fold = one(dataset, test="36h", valid="7d")
    assert fold.cut == last - 36 * 3600
    assert fold.test["timestamp"].to_list() == [t for t in dataset.events["timestamp"] if t >= fold.cut]
    last_before = max(t for t in dataset.events["timestamp"] if t < fold.cut)
    assert first_time(fold.valid) >= last_before - 7 * DAY > last_time(fold.train.events)


def test_events_of_one_moment_stay_together() -> None:
    times = np.repeat(START + DAY * np.arange(10), 10)
    dataset = Dataset.from_frames(pl.DataFrame({"item_id": ["x"] * 100, "timestamp": times}))
    assert len(one(dataset, test=0.12).test) == 10
    assert len(one(dataset, test=0.18).test) == 20
    assert len(one(dataset, test=0.01).test) == 10


def test_a_session_that_straddles_the_cut_trains_before_it_and_is_dropped_after_it() -> None:
    names = list("aabbabccdd")
    frame = pl.DataFrame({"item_id": names, "session_id": names, "timestamp": START + np.arange(10.0) * 3600})
    fold = one(Dataset.from_frames(frame), test="5h", valid="2h")  # cuts before event 4 (test) and event 1 (validation)
    assert rows(fold.train.events) == [0]
    assert rows(fold.valid) == [2, 3]
    assert rows(fold.test) == [6, 7, 8, 9]
    assert fold.dropped == {"events after a cut of sessions that began before it": 3}
    assert rows(fold.before_test().events) == [0, 1, 2, 3]
    assert "a session belongs where it starts" in fold.sentence


def test_test_sessions_are_those_that_start_at_or_after_the_cut() -> None:
    dataset = log(1000, sessions=True)
    fold = one(dataset, test="4d", valid="4d")
    start = dict(dataset.events.group_by("session_id").agg(pl.col("timestamp").min()).iter_rows())
    cut = last_time(dataset.events) - 4 * DAY
    pairs = enumerate(dataset.events["session_id"].to_list())
    assert rows(fold.test) == [row for row, session in pairs if start[session] >= cut]
    assert rows(fold.before_test().events) == [row for row, t in enumerate(dataset.events["timestamp"]) if t < cut]
    assert fold.dropped["events after a cut of sessions that began before it"] > 0
    assert_nothing_lost(dataset, fold)


def test_events_without_a_session_are_cut_by_their_own_time() -> None:
    frame = pl.DataFrame({"item_id": ["x"] * 4, "session_id": [None] * 4, "timestamp": START + np.arange(4.0) * 3600})
    fold = one(Dataset.from_frames(frame), test="2h")
    assert (rows(fold.train.events), rows(fold.test), dict(fold.dropped)) == ([0], [1, 2, 3], {})


def test_events_without_a_timestamp_are_dropped_and_counted() -> None:
    times = [None, float("nan"), float("inf"), *(START + np.arange(8.0) * 3600)]
    dataset = Dataset.from_frames(pl.DataFrame({"item_id": ["x"] * 11, "timestamp": times}))
    fold = one(dataset, test=0.25)
    assert fold.dropped == {"events without a timestamp": 3}
    assert len(fold.train.events) == 6 and len(fold.test) == 2


def test_short_sessions_of_a_part_are_dropped_where_asked() -> None:
    names = list("aababcdde")  # cut before event 3: of b, one event is left to train on
    frame = pl.DataFrame({"item_id": names, "session_id": names, "timestamp": START + np.arange(9.0) * 3600})
    fold = one(Dataset.from_frames(frame), test="5h", min_session_length=2)
    assert rows(fold.train.events) == [0, 1]
    assert rows(fold.test) == [6, 7]
    assert rows(fold.before_test().events) == [0, 1]
    assert fold.dropped == {
        "events after a cut of sessions that began before it": 2,
        "events of sessions with fewer than 2 events in their part": 3,
    }


def test_an_event_without_a_session_is_a_short_session() -> None:
    names = ["a", "a", None, None, "c", "c", None, None]
    frame = pl.DataFrame({"item_id": ["x"] * 8, "session_id": names, "timestamp": START + np.arange(8.0) * 3600})
    fold = one(Dataset.from_frames(frame), test="3h", min_session_length=2)
    assert (rows(fold.train.events), rows(fold.test)) == ([0, 1], [4, 5])
    assert list(fold.dropped.values()) == [4]


def test_the_final_fit_keeps_a_session_that_is_short_only_within_its_part() -> None:
    names = list("aabddbcc")  # validation from event 3 on, test from event 6 on: of b, one event is left to train on
    frame = pl.DataFrame({"item_id": names, "session_id": names, "timestamp": START + np.arange(8.0) * 3600})
    fold = one(Dataset.from_frames(frame), test="1h", valid="2h", min_session_length=2)
    assert (rows(fold.train.events), rows(fold.valid), rows(fold.test)) == ([0, 1], [3, 4], [6, 7])
    assert rows(fold.before_test().events) == [0, 1, 2, 3, 4, 5]


def test_a_whole_session_goes_where_it_ends() -> None:
    dataset = log(1000, sessions=True)
    fold = one(dataset, by="session_time", test="2d", valid="2d")
    ends = dict(dataset.events.group_by("session_id").agg(pl.col("timestamp").max()).iter_rows())
    cut = max(ends.values()) - 2 * DAY
    inner = max(t for t in ends.values() if t < cut) - 2 * DAY
    place = [2 if ends[s] >= cut else 1 if ends[s] >= inner else 0 for s in dataset.events["session_id"]]
    for part, frame in enumerate([fold.train.events, fold.valid, fold.test]):
        assert rows(frame) == [row for row, p in enumerate(place) if p == part]
    assert not fold.ordered and fold.cut == cut


@pytest.mark.parametrize("by", ["time", "session_time"])
def test_a_split_in_time_needs_time(by: Any) -> None:
    frame = pl.DataFrame({"item_id": ["x"] * 9, "session_id": ["s"] * 9})
    with pytest.raises(SplitError, match="needs `timestamp`"):
        one(Dataset.from_frames(frame), by=by)


def test_a_session_split_needs_sessions() -> None:
    with pytest.raises(SplitError, match="call `with_sessions` first"):
        one(log(), by="session_time")
    with pytest.raises(SplitError, match="call `with_sessions` first"):
        one(log(), min_session_length=2)


@pytest.mark.parametrize(
    "settings", [{"test": "21d"}, {"test": "10d", "valid": "11d"}, {"by": "session_time", "test": "3w"}]
)
def test_a_duration_longer_than_the_data_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(SplitError, match=r"must be shorter than the \d+\.\d days that the events span"):
        one(log(sessions=True), **settings)


def test_one_moment_for_all_events_cannot_be_cut() -> None:
    dataset = Dataset.from_frames(pl.DataFrame({"item_id": ["x"] * 9, "timestamp": [START] * 9}))
    with pytest.raises(SplitError, match="no earlier moment to train on"):
        one(dataset)


def test_a_test_part_without_a_session_that_starts_in_it_is_an_error() -> None:
    frame = pl.DataFrame({"item_id": ["x"] * 9, "session_id": ["s"] * 9, "timestamp": START + np.arange(9.0)})
    with pytest.raises(SplitError, match="the test part of 9 events is empty"):
        one(Dataset.from_frames(frame))


@pytest.mark.parametrize(("n", "valid"), [(1, None), (1, 0.5), (3, 0.5)])
def test_the_last_events_of_each_user_are_left_out(n: int, valid: float | None) -> None:
    dataset = log()
    fold = one(dataset, by="last", n=n, valid=valid)
    by_user: dict[str, list[int]] = {}
    for row, user in enumerate(dataset.events["user_id"].to_list()):
        by_user.setdefault(user, []).append(row)
    held = n + (valid is not None)
    long = [r for r in by_user.values() if len(r) > held]
    assert 0 < len(long) < len(by_user)
    assert sorted(rows(fold.test)) == sorted(row for r in long for row in r[-n:])
    assert sorted(rows(fold.valid)) == sorted(row for r in long for row in (r[-n - 1 : -n] if valid else []))
    assert f"{len(by_user) - len(long)} users with fewer than {held + 1} events train only" in fold.sentence
    assert not fold.ordered
    assert_nothing_lost(dataset, fold)


def test_without_times_the_last_event_is_that_of_the_file() -> None:
    dataset = log(time=False)
    fold = one(dataset, by="last")
    last = {user: row for row, user in enumerate(dataset.events["user_id"].to_list())}
    assert set(rows(fold.test)) <= set(last.values())
    assert "in the order of the file" in fold.sentence


def test_events_without_a_user_train_only() -> None:
    frame = pl.DataFrame({"user_id": ["a", None, "a", None], "item_id": ["x"] * 4, "timestamp": np.arange(4.0)})
    fold = one(Dataset.from_frames(frame), by="last")
    assert (rows(fold.train.events), rows(fold.test)) == ([0, 1, 3], [2])


@pytest.mark.parametrize("by", ["last", "user"])
def test_a_split_by_user_needs_users(by: Any) -> None:
    with pytest.raises(SplitError, match="no event names"):
        one(Dataset.from_frames(pl.DataFrame({"item_id": ["x"] * 4, "timestamp": np.arange(4.0)})), by=by)


def test_held_out_users_are_in_no_training_event_and_known_events_come_first() -> None:
    dataset = log()
    fold = one(dataset, by="user", test=0.3, valid=0.2, fold_in=0.8)
    sides = [set(f["user_id"]) for f in (fold.train.events, fold.valid, fold.test)]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    counts = Counter(dataset.events["user_id"])
    several = [u for u, m in counts.items() if m > 1]
    assert len(sides[2]) == round(0.3 * len(several)) and len(sides[1]) == round(0.2 * len(several))
    assert fold.fold_in is not None
    for user in sides[1] | sides[2]:
        known = fold.fold_in.filter(pl.col("user_id") == user)["row"]
        hidden = pl.concat([fold.valid, fold.test]).filter(pl.col("user_id") == user)["row"]
        assert len(hidden) == max(1, 2 * counts[user] // 10)
        assert max(known.to_list()) < min(hidden.to_list())
    final = fold.before_test().events
    assert set(rows(final)) == set(rows(dataset_rows(dataset))) - set(
        rows(fold.test, fold.fold_in.filter(pl.col("user_id").is_in(list(sides[2]))))
    )
    assert_nothing_lost(dataset, fold)


def dataset_rows(dataset: Dataset) -> pl.DataFrame:
    return dataset.events.with_row_index("row")


def test_without_times_the_known_events_are_drawn_with_the_seed() -> None:
    dataset = log(time=False)
    folds = [one(dataset, by="user", test=0.5, seed=s) for s in (1, 1, 2)]
    known = [rows(f.fold_in) for f in folds]
    assert known[0] == known[1] != known[2]
    busiest = folds[0].test["user_id"].mode()[0]
    hidden = folds[0].test.filter(pl.col("user_id") == busiest)["row"].to_list()
    its = dataset_rows(dataset).filter(pl.col("user_id") == busiest)["row"].to_list()
    assert hidden != its[-len(hidden) :]


def test_a_random_share_is_exact_and_repeats_with_its_seed() -> None:
    dataset = log()
    folds = [one(dataset, by="random", test=0.2, valid=0.1, seed=s) for s in (1, 1, 2)]
    assert {(len(f.train.events), len(f.valid), len(f.test)) for f in folds} == {(280, 40, 80)}
    assert rows(folds[0].test) == rows(folds[1].test) != rows(folds[2].test)
    assert rows(folds[0].test) == sorted(rows(folds[0].test))
    assert not folds[0].ordered and folds[0].fold_in is None


def test_a_random_share_per_user_leaves_everybody_in_train() -> None:
    dataset = log()
    fold = one(dataset, by="random", test=0.6, valid=0.3, per_user=True)
    counts, held = Counter(dataset.events["user_id"]), Counter(fold.test["user_id"])
    assert set(fold.train.events["user_id"]) == set(counts)
    assert all(held[u] == min(round(0.6 * m), m - 1) for u, m in counts.items())
    first = {u: dataset.events["user_id"].to_list().index(u) for u in held}
    assert any(first[u] not in rows(fold.test) for u in held)


@pytest.mark.parametrize("per_user", [False, True])
def test_in_k_folds_every_event_is_tested_once(per_user: bool) -> None:
    dataset = log()
    folds = make_folds(dataset, SplitConfig(by="random", folds=5, valid=0.1, per_user=per_user), 3)
    assert sorted(row for f in folds for row in rows(f.test)) == list(range(400))
    assert all(len(f.test) == 80 and len(f.valid) == 40 for f in folds)
    assert len({f.name for f in folds}) == 5
    for fold in folds:
        assert_nothing_lost(dataset, fold)
    if per_user:
        for user, m in Counter(dataset.events["user_id"]).items():
            sizes = [(f.test["user_id"] == user).sum() for f in folds]
            assert max(sizes) - min(sizes) <= 1 and sum(sizes) == m


@pytest.mark.parametrize("per_user", [False, True])
def test_a_random_share_is_drawn_anew_each_time(per_user: bool) -> None:
    dataset = log()
    settings: dict[str, Any] = {"by": "random", "test": 0.2, "valid": 0.1, "per_user": per_user}
    folds = make_folds(dataset, SplitConfig(**settings, repeats=3), 7)
    assert [f.name for f in folds] == ["draw 1 of 3", "draw 2 of 3", "draw 3 of 3"]
    assert len({f.sentence for f in folds}) == 3 and "train on the rest (draw 2 of 3, seed 7)" in folds[1].sentence
    assert rows(folds[0].test) == rows(one(dataset, 7, **settings).test)
    assert rows(folds[2].test) == rows(make_folds(dataset, SplitConfig(**settings, repeats=5), 7)[2].test)
    for fold in folds:
        assert_nothing_lost(dataset, fold)
    sizes = {(len(f.train.events), len(f.valid), len(f.test)) for f in folds}
    assert len(sizes) == 1 and (per_user or sizes == {(280, 40, 80)})
    times_tested = Counter(row for f in folds for row in rows(f.test))
    assert set(times_tested.values()) == {1, 2, 3}  # independent draws: some events in several tests, others in none
    assert len({tuple(rows(part)) for f in folds for part in (f.valid, f.test)}) == 6


def test_given_values_make_the_parts() -> None:
    dataset = log()
    fold = one(dataset, by="column", column="cv_fold", test_values=("3",), valid_values=("4",))
    folds = dataset.events["cv_fold"].to_list()
    assert rows(fold.test) == [r for r, f in enumerate(folds) if f == 3]
    assert rows(fold.valid) == [r for r, f in enumerate(folds) if f == 4]
    assert rows(fold.train.events) == [r for r, f in enumerate(folds) if f in (1, 2, 5)]
    assert fold.sentence == "test where `cv_fold` is 3, validation where it is 4, train on the rest"
    assert "cv_fold" not in fold.train.schema.context and "cv_fold" in dataset.schema.context


def test_values_of_no_part_are_dropped_and_counted() -> None:
    dataset = log()
    fold = one(dataset, by="column", column="cv_fold", test_values=("3",), train_values=("1", "2"))
    n = sum(f in (4, 5) for f in dataset.events["cv_fold"])
    assert fold.dropped == {"events whose `cv_fold` names no part": n}
    frame = pl.DataFrame({"item_id": ["x"] * 4, "part": ["a", "b", None, "c"]})
    fold = one(Dataset.from_frames(frame), by="column", column="part", test_values=("b",))
    assert (rows(fold.train.events), fold.dropped) == ([0, 3], {"events whose `part` names no part": 1})


def test_each_value_is_tested_once_where_no_values_are_given() -> None:
    dataset = log()
    folds = make_folds(dataset, SplitConfig(by="column", column="cv_fold", folds=5, valid=0.1), 0)
    assert [f.name for f in folds] == [f"cv_fold {v}" for v in range(1, 6)]
    assert [set(f.test["cv_fold"]) for f in folds] == [{v} for v in range(1, 6)]
    assert all(len(f.valid) == 40 and f.test["cv_fold"][0] not in f.valid["cv_fold"] for f in folds)


def test_a_column_that_names_its_parts_needs_no_values() -> None:
    dataset = log()
    fold = one(dataset, by="column")
    assert [set(f["split"]) for f in (fold.train.events, fold.valid, fold.test)] == [{"train"}, {"valid"}, {"test"}]
    with pytest.raises(SplitError, match="a validation part of its own"):
        one(dataset, by="column", valid=0.1)


def test_a_given_split_that_keeps_to_time_is_ordered() -> None:
    dataset = log(sessions=True)
    late = pl.when(pl.int_range(pl.len()) < 300).then(pl.lit("train")).otherwise(pl.lit("test")).alias("split")
    timed = dataset.with_events(dataset.events.with_columns(late))
    fold = one(timed, by="column", valid="3d")
    assert fold.ordered and fold.cut == first_time(fold.test)
    assert first_time(fold.valid) > last_time(fold.train.events)
    assert fold.dropped and len(fold.before_test().events) == 300
    assert not one(dataset, by="column").ordered


def test_a_given_split_whose_final_fit_sees_later_events_is_not_ordered() -> None:
    frame = pl.DataFrame({"item_id": ["x"] * 5, "timestamp": START + np.array([0.0, 1, 2, 3, 9]) * 3600})
    frame = frame.with_columns(session_id=pl.Series(list("abcdb")), split=pl.Series(["train"] * 3 + ["test", "train"]))
    fold = one(Dataset.from_frames(frame), by="column", valid="7h")  # b straddles the validation cut
    assert (rows(fold.train.events), rows(fold.valid), rows(fold.before_test().events)) == ([0, 1], [2], [0, 1, 2, 4])
    assert not fold.ordered


def test_a_drawn_validation_part_changes_with_the_seed_and_the_fold() -> None:
    config = SplitConfig(by="column", column="cv_fold", folds=5, valid=0.1)
    drawn = [rows(make_folds(log(), config, seed)[0].valid) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_missing_column_or_value_names_the_closest() -> None:
    with pytest.raises(SplitError, match="did you mean `cv_fold`"):
        one(log(), by="column", column="cvfold")
    with pytest.raises(SplitError, match="`split` has no value 'tset'; did you mean `test`"):
        one(log(), by="column", test_values=("tset",))


@pytest.mark.parametrize(("column", "folds"), [("cv_fold", 3), ("timestamp", 1), ("event_type", 1)])
def test_a_column_with_another_number_of_values_makes_no_folds(column: str, folds: int) -> None:
    with pytest.raises(SplitError, match=rf"`{column}` has \d+ values; expected"):
        make_folds(log(), SplitConfig(by="column", column=column, folds=folds), 0)


def test_a_column_of_lists_makes_no_folds() -> None:
    dataset = Dataset.from_frames(pl.DataFrame({"item_id": ["x", "y"], "tags": [["a"], ["b"]]}))
    with pytest.raises(SplitError, match="holds lists"):
        one(dataset, by="column", column="tags")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test": 1.0}, 'write "1d" for days'),
        ({"test": "7 days"}, 'such as "7d" or "36h"; got \'7 days\''),
        ({"test": "0d"}, "`test` must be a share"),
        ({"test": 0.6, "valid": 0.5}, "leave nothing to train on"),
        ({"by": "user", "test": "7d"}, 'is a duration; `by` = "user" needs a share'),
        ({"by": "random", "valid": "7d"}, "needs a share"),
        ({"by": "time", "folds": 5}, '`folds` has no effect on `by` = "time"'),
        ({"by": "user", "n": 2}, '`n` has no effect on `by` = "user": leave it out, or use "last"'),
        ({"by": "last", "test": 0.2}, "`test` has no effect"),
        ({"by": "random", "folds": 5, "test": 0.2}, "leave out `test`, or `folds`"),
        ({"by": "random", "folds": 5, "repeats": 5}, "`repeats` draws it anew each time: leave one out"),
        ({"by": "random", "repeats": 0}, "`repeats` of SplitConfig must be at least 1"),
        ({"by": "time", "repeats": 5}, '`repeats` has no effect on `by` = "time": leave it out, or use "random"'),
        ({"by": "column", "folds": 5, "repeats": 2}, '`repeats` has no effect on `by` = "column"'),
        ({"by": "random", "folds": 0}, "`folds` of SplitConfig must be at least 1"),
        ({"by": "user", "fold_in": 1.0}, "`fold_in` must be below 1"),
        ({"by": "user", "fold_in": 0.0}, "`fold_in` of SplitConfig must be above 0"),
        ({"by": "column", "train_values": ("a",)}, "need `test_values`"),
        ({"by": "column", "test_values": ("a",), "train_values": ("a",)}, "one part only"),
        ({"by": "column", "test_values": ("a",), "folds": 2}, "leave out `folds`"),
        ({"by": "column", "test_values": ("a",), "valid_values": ("b",), "valid": 0.1}, "both name a validation part"),
    ],
)
def test_settings_that_do_not_fit_together_say_what_to_do(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SplitConfig(**settings)
    assert message in str(caught.value)


def test_settings_round_trip_through_a_recipe() -> None:
    config = SplitConfig(by="column", column="cv_fold", test_values=("1",), valid="2d")
    assert from_dict(SplitConfig, to_dict(config)) == config
    assert from_dict(SplitConfig, {"test": "7d"}).test == "7d"


def test_rows_keep_their_number_when_a_part_is_split_again() -> None:
    dataset = log()
    inner = one(one(dataset, by="random", test=0.5).train, by="random", test=0.5)
    items = dataset.events["item_id"].to_list()
    assert inner.test["item_id"].to_list() == [items[r] for r in inner.test["row"]]


def test_a_column_named_row_is_refused() -> None:
    dataset = Dataset.from_frames(pl.DataFrame({"item_id": ["x"] * 4, "row": range(4), "timestamp": np.arange(4.0)}))
    with pytest.raises(SplitError, match="rename that column"):
        one(dataset)


def test_an_empty_dataset_cannot_be_split() -> None:
    for by in ("time", "last", "user", "random", "column"):
        with pytest.raises(SplitError):
            one(log().with_events(log().events.clear()), by=by)


def test_durations_and_moments_read_as_people_write_them() -> None:
    assert [seconds_of(t, "test") for t in ("45s", "90m", "1.5h", "7d", "2w", "30 min")] == [
        45, 5400, 5400, 604800, 1209600, 1800,
    ]  # fmt: skip
    assert day(1795219200.0) == "21 Nov 2026 00:00 UTC"
    assert day(1795219207.0) == "21 Nov 2026 00:00:07 UTC"
    assert day(1e18) == "time 1e+18"


def test_the_sentence_tells_the_split_in_plain_words() -> None:
    times = 1795219200.0 + DAY * np.arange(10)
    dataset = Dataset.from_frames(pl.DataFrame({"item_id": ["x"] * 10, "timestamp": times}))
    assert one(dataset, test="2d").sentence == "train before 28 Nov 2026 00:00 UTC, test from then on"
    assert one(dataset, test="2d", valid="1d").sentence == (
        "train before 26 Nov 2026 00:00 UTC, validation until 28 Nov 2026 00:00 UTC, test from then on"
    )
