"""Splits by user, at random and by a given column: they let a model see other users' future, and serve comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from rankine.arrays import Array
from rankine.data.split_time import DROPPED, FOLD_IN, TEST, TRAIN, VALID, Amount, Plan, by_time, day
from rankine.data.vocab import Vocab
from rankine.errors import SplitError, closest
from rankine.random import stream

PART_OF_NAME = {"train": TRAIN, "valid": VALID, "validation": VALID, "test": TEST}
MAX_COLUMN_FOLDS = 100


def leave_last(events: pl.DataFrame, n: int, with_valid: bool) -> Plan:
    """The last `n` events of each user for test, the one before for validation; users with too few train only."""
    _need_users(events)
    _, rank, count = _within_user(events, None)
    named, left, held = events["user_id"].is_not_null().to_numpy(), count - rank, n + with_valid
    enough = named & (count > held)
    part = np.where(enough & (left <= n), TEST, np.where(enough & (left <= held), VALID, TRAIN))
    short = events.filter(pl.Series(named & ~enough))["user_id"].n_unique()
    sentence = f"test on the last {'event' if n == 1 else f'{n} events'} of each user"
    sentence += ", validation on the one before" if with_valid else ""
    sentence += ", train on the rest"
    sentence += "" if "timestamp" in events.columns else "; in the order of the file"
    sentence += f"; {short:,} users with fewer than {held + 1} events train only" if short else ""
    return Plan(part, "last", sentence)


def hold_out_users(events: pl.DataFrame, test: float, valid: float | None, fold_in: float, seed: int) -> Plan:
    """Held-out users: the first `fold_in` of their events are known, the rest (one at least) is to be predicted.

    Shares are of the users with two events or more. Without timestamps the known part is drawn at random.
    """
    _need_users(events)
    users = events.drop_nulls("user_id").group_by("user_id", maintain_order=True).len().filter(pl.col("len") > 1)
    n_test, n_valid = (0 if share is None else max(1, round(share * len(users))) for share in (test, valid))
    place = stream(seed, "split users").permutation(len(users))
    part_of_user = pl.Series("part", np.where(place < n_test, TEST, np.where(place < n_test + n_valid, VALID, TRAIN)))
    parts = events.select("user_id").join(users.with_columns(part_of_user), "user_id", "left", maintain_order="left")
    part = parts["part"].fill_null(TRAIN).to_numpy()
    has_time = "timestamp" in events.columns
    _, rank, count = _within_user(events, None if has_time else stream(seed, "fold in"))
    n_target = np.maximum(1, np.floor((1 - fold_in) * count + 1e-9))
    known = (part != TRAIN) & (rank < np.maximum(1, count - n_target))
    sentence = f"test on {percent(test)} of the users"
    sentence += f", validation on {percent(valid)}" if valid is not None else ""
    sentence += f", train on the others; {'the first' if has_time else 'a random'} {percent(fold_in)}"
    sentence += f" of a held-out user's events are known (seed {seed})"
    return Plan(np.where(known, FOLD_IN, part), "user", sentence, rejoins=known & (part == VALID))


def at_random(
    events: pl.DataFrame, test: float, valid: float | None, per_user: bool, repeats: int, seed: int
) -> Iterator[Plan]:
    """A random share of all events, or of each user's, who then keep at least one event in train; drawn `repeats` times."""
    n = len(events)
    for draw in range(repeats):
        rng = stream(seed, "split", *([draw] if draw else []))  # the first is that of a single draw
        rank, count = _within_user(events, rng)[1:] if per_user else (rng.permutation(n), np.full(n, n))
        n_test = np.minimum(np.round(test * count), count - 1)
        n_valid = np.minimum(np.round((valid or 0.0) * count), count - 1 - n_test)
        part = np.where(rank < n_test, TEST, np.where(rank < n_test + n_valid, VALID, TRAIN))
        sentence = f"test on a random {percent(test)} of {'the events of each user' if per_user else 'the events'}"
        sentence += f", validation on {percent(valid)}" if valid is not None else ""
        name = f"draw {draw + 1} of {repeats}" if repeats > 1 else "random"
        said = f"{name}, seed {seed}" if repeats > 1 else f"seed {seed}"
        yield Plan(part, name, f"{sentence}, train on the rest ({said})")


def k_folds(events: pl.DataFrame, folds: int, valid: float | None, per_user: bool, seed: int) -> Iterator[Plan]:
    """Each event once in test, at random; with `per_user` each user's events are spread evenly over the folds."""
    rng = stream(seed, "split")
    place = _within_user(events, rng)[0] if per_user else rng.permutation(len(events))
    for fold in range(folds):
        sentence = f"test on random fold {fold + 1} of {folds}, train on the others (seed {seed})"
        plan = Plan(np.where(place % folds == fold, TEST, TRAIN), f"fold {fold + 1} of {folds}", sentence)
        yield carve_valid(plan, events, valid, seed, fold)


def by_column(
    events: pl.DataFrame,
    column: str,
    values: Sequence[tuple[str, ...]],
    folds: int,
    valid: Amount | None,
    seed: int,
) -> Iterator[Plan]:
    """Given folds: `values` are those of train, valid and test; all empty: each value of the column once in test.

    A column that says `train`, `valid` and `test` itself needs no values.
    """
    text = _column_text(events, column)
    found = sorted(text.drop_nulls().unique().to_list(), key=lambda v: (len(v), v))
    if not any(values) and folds == 1 and "test" in found and set(found) <= PART_OF_NAME.keys():
        values = [tuple(v for v in found if PART_OF_NAME[v] == part) for part in (TRAIN, VALID, TEST)]
    if any(values):
        choices = [tuple(values)]
    else:
        _check_folds(column, len(found), folds)
        choices = [((), (), (value,)) for value in found]
    for fold, choice in enumerate(choices):
        plan = carve_valid(_given(text, column, choice, found), events, valid, seed, fold)
        plan.cut = _moment_of_order(plan, events)
        plan.ordered = plan.cut is not None
        yield plan


def carve_valid(plan: Plan, events: pl.DataFrame, valid: Amount | None, seed: int, fold: int) -> Plan:
    """The plan with a validation part out of its train part: a share of all events at random, a duration by time."""
    rows = np.flatnonzero(plan.part == TRAIN)
    if valid is None:
        return plan
    if (plan.part == VALID).any():
        raise SplitError(f"{plan.name} has a validation part of its own: leave out `valid`")
    if isinstance(valid, str):
        inner = by_time(events[rows], valid, None)
        plan.part[rows[inner.part == TEST]] = VALID
        plan.part[rows[inner.part == DROPPED]] = DROPPED
        plan.rejoins[rows[inner.part == DROPPED]] = True
        plan.dropped.update(inner.dropped)
        plan.sentence += f"; validation on the training events from {day(inner.cut or 0.0)} on"
        return plan
    n_valid = min(round(valid * len(events)), len(rows))
    plan.part[stream(seed, "valid", fold).choice(rows, n_valid, replace=False)] = VALID
    plan.sentence += f"; validation on {percent(valid)} of all events, drawn from the training ones"
    return plan


def percent(share: float) -> str:
    """A share in words: `12.5%`."""
    return f"{100 * share:g}%"


def _within_user(events: pl.DataFrame, rng: np.random.Generator | None) -> tuple[Array, Array, Array]:
    """For each event, int64 [n]: its place when sorted by user, its rank within the user, the user's number of events.

    Within a user the order is that of the table, or drawn by `rng`. Events without a user count as one user's.
    """
    column = events["user_id"]
    users, n = Vocab.of(column).index(column), len(column)
    within = np.arange(n) if rng is None else rng.permutation(n)
    order = np.argsort(users * np.int64(n) + within)
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    count = np.bincount(users)
    return place, place - (np.cumsum(count) - count)[users], count[users]


def _given(text: pl.Series, column: str, values: Sequence[tuple[str, ...]], found: list[str]) -> Plan:
    train, valid, test = values
    for value in (*train, *valid, *test):
        if value not in found:
            raise SplitError(f"`{column}` has no value {value!r}{closest(value, found[:20])}")
    part = np.full(len(text), DROPPED if train else TRAIN)
    for code, group in ((TRAIN, train), (VALID, valid), (TEST, test)):
        part[text.is_in(list(group)).fill_null(False).to_numpy()] = code
    part[text.is_null().to_numpy()] = DROPPED
    between = f", validation where it is {_listed(valid)}" if valid else ""
    learned = f"where it is {_listed(train)}" if train else "on the rest"
    sentence = f"test where `{column}` is {_listed(test)}{between}, train {learned}"
    plan = Plan(part, f"{column} {_listed(test)}", sentence)
    plan.drop(plan.part == DROPPED, f"events whose `{column}` names no part")
    return plan


def _moment_of_order(plan: Plan, events: pl.DataFrame) -> float | None:
    """Time of the first test event if nothing that is learned from happened later, else None."""
    if "timestamp" not in events.columns:
        return None
    times = events["timestamp"].fill_null(np.nan).to_numpy()
    learned, test = times[np.isin(plan.part, (TRAIN, VALID)) | plan.rejoins], times[plan.part == TEST]
    in_order = len(learned) > 0 and len(test) > 0 and learned.max() <= test.min()  # a NaN makes it False
    return float(test.min()) if in_order else None


def _check_folds(column: str, n_values: int, folds: int) -> None:
    if not 2 <= n_values <= MAX_COLUMN_FOLDS:
        wanted = f"2 to {MAX_COLUMN_FOLDS} values"
    elif folds not in (1, n_values):
        wanted = f"{folds} values, as `folds` says"
    else:
        return
    raise SplitError(f"`{column}` has {n_values} values; expected {wanted}: give `test_values`, or another column")


def _column_text(events: pl.DataFrame, column: str) -> pl.Series:
    """The column as text; whole numbers without a decimal point, as they are written in a recipe."""
    if column not in events.columns:
        raise SplitError(f"events have no column `{column}` to split by{closest(column, events.columns)}")
    values = events[column]
    if values.dtype.is_nested():
        raise SplitError(f"`{column}` holds lists; expected one value per event to split by")
    if values.dtype.is_float() and (values.drop_nulls() % 1 == 0).all():
        values = values.cast(pl.Int64)
    return values.cast(pl.String)


def _need_users(events: pl.DataFrame) -> None:
    if events["user_id"].null_count() == len(events):
        raise SplitError('a split by user needs `user_id`; no event names one: use `by` = "time" or "session_time"')


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values[:5]) + (f" and {len(values) - 5} more" if len(values) > 5 else "")
