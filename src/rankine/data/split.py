"""Splits: which events a model learns from, which choose its settings, which judge it.

The default is one moment for everybody. The other ways exist for comparison with papers and say so in the fold's
`sentence` and in the audit. No event is lost: train, valid, test, fold_in and dropped add up to the dataset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

import numpy as np
import polars as pl

from rankine.arrays import Array
from rankine.config import require
from rankine.data import split_rules as rules
from rankine.data.dataset import Dataset
from rankine.data.split_time import FOLD_IN, TEST, TRAIN, VALID, Amount, Plan, by_session_end, by_time, seconds_of
from rankine.data.vocab import Vocab
from rankine.errors import ConfigError, SplitError

ROW = "row"
_TIMED = ("time", "session_time")
_USED_BY: dict[str, tuple[str, ...]] = {
    "test": (*_TIMED, "user", "random"),
    "folds": ("random", "column"),
    "repeats": ("random",),
    "n": ("last",),
    "fold_in": ("user",),
    "column": ("column",),
    "train_values": ("column",),
    "valid_values": ("column",),
    "test_values": ("column",),
    "per_user": ("random",),
    "min_session_length": (*_TIMED, "column"),
}


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """How to split, and by how much.

    test, valid: a share of all events (of the users for "user"), or a duration such as "7d" or "36h" counted back from
    the last event. For "last" any `valid` means the one event before. For "column" and with `folds` a share is drawn
    from the training events at random, and a duration (by column) takes their end.
    folds: "random": every event once in test; "column": must equal the number of values. repeats: as many folds, each an
    independent draw of `test` and `valid`.
    min_session_length: sessions with fewer events within a part are dropped from it and counted.
    """

    by: Literal["time", "session_time", "last", "user", "random", "column"] = "time"
    test: float | str = 0.1
    valid: float | str | None = None
    folds: int = 1
    repeats: int = 1
    n: int = 1
    fold_in: float = 0.8
    column: str = "split"
    train_values: tuple[str, ...] = ()
    valid_values: tuple[str, ...] = ()
    test_values: tuple[str, ...] = ()
    per_user: bool = False
    min_session_length: int = 1

    def __post_init__(self) -> None:
        self._check_used()
        for name in ("folds", "repeats", "n", "min_session_length"):
            require(self, name, at_least=1)
        require(self, "fold_in", above=0)
        if self.fold_in >= 1:
            raise ConfigError(f"`fold_in` must be below 1; got {self.fold_in!r}: some events must be left to predict")
        self._check_amount("test", self.test, durations=self.by in _TIMED)
        if self.valid is not None and self.by != "last":
            self._check_amount("valid", self.valid, durations=self.by in (*_TIMED, "column"))
        shares = [a for a in (self.test, self.valid) if not isinstance(a, str) and a is not None]
        if self.by not in ("last", "column") and self.folds == 1 and sum(shares) >= 1:
            raise ConfigError(f"`test` {self.test} + `valid` {self.valid} leave nothing to train on: stay below 1")
        self._check_values()

    def _check_used(self) -> None:
        for entry in fields(self):
            ways = _USED_BY.get(entry.name, (self.by,))
            if self.by not in ways and getattr(self, entry.name) != entry.default:
                allowed = " or ".join(f'"{way}"' for way in ways)
                raise ConfigError(f'`{entry.name}` has no effect on `by` = "{self.by}": leave it out, or use {allowed}')

    def _check_amount(self, name: str, amount: Amount, durations: bool) -> None:
        if not isinstance(amount, str):
            if not 0 < amount < 1:
                raise ConfigError(f'`{name}` must lie between 0 and 1; got {amount!r}: write "{amount:g}d" for days')
            return
        seconds_of(amount, name)
        if not durations:
            raise ConfigError(f'`{name}` = "{amount}" is a duration; `by` = "{self.by}" needs a share such as 0.1')

    def _check_values(self) -> None:
        if self.folds > 1 and self.repeats > 1:
            raise ConfigError(
                "`folds` takes every event once for test, `repeats` draws it anew each time: leave one out"
            )
        if self.by == "random" and self.folds > 1 and self.test != type(self).test:
            raise ConfigError("`folds` takes every event once for test: leave out `test`, or `folds`")
        given = (*self.train_values, *self.valid_values, *self.test_values)
        if given and not self.test_values:
            raise ConfigError("`train_values` and `valid_values` need `test_values` beside them")
        if given and self.folds > 1:
            raise ConfigError("`test_values` makes one fold: leave out `folds`, or the values")
        if len(set(given)) < len(given):
            raise ConfigError(f"a value can stand for one part only; got {', '.join(map(repr, given))}")
        if self.valid_values and self.valid is not None:
            raise ConfigError("`valid` and `valid_values` both name a validation part: leave one out")


@dataclass(frozen=True)
class Fold:
    """One split of a dataset. Every frame carries `row`, the position of the event in the dataset's table.

    train: the training events; valid, test: events; fold_in: the known events of held-out users, valid and test ones.
    sentence: the split in words. ordered: no test event can be older than a training event. cut: where test starts,
    Unix seconds. dropped: reason -> number of events in no part.
    rejoins: events before the test in neither train nor valid that the final fit may see, such as the later part
    of a session that straddles the validation cut; those that were dropped are counted in `dropped` too.
    """

    train: Dataset
    valid: pl.DataFrame
    test: pl.DataFrame
    fold_in: pl.DataFrame | None = None
    name: str = "fold"
    sentence: str = ""
    ordered: bool = False
    cut: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    rejoins: pl.DataFrame | None = None

    def before_test(self) -> Dataset:
        """Everything that may be learned from before the test, in order: what the final fit sees."""
        parts = [self.train.events, self.valid, *([] if self.rejoins is None else [self.rejoins])]
        return self.train.with_events(pl.concat(parts).sort(ROW))


def make_folds(dataset: Dataset, config: SplitConfig, seed: int) -> list[Fold]:
    """The folds of the dataset, one unless `config` asks for more. Raises SplitError where a part would be empty.

    The column of given folds stops being context. Rows keep their number when a part is split again.
    """
    if ROW in dataset.schema.events:
        raise SplitError(f"`{ROW}` is the name of the row number here: rename that column of the events")
    if ROW not in dataset.events.columns:
        numbers = pl.Series(ROW, np.arange(len(dataset.events), dtype=np.int64))
        dataset = dataset.with_events(dataset.events.with_columns(numbers))
    if config.by == "column":
        kinds = {name: kind for name, kind in dataset.schema.events.items() if name != config.column}
        dataset = replace(dataset, schema=replace(dataset.schema, events=kinds))
    return [_fold(dataset, plan, config) for plan in _plans(dataset.events, config, seed)]


def _plans(events: pl.DataFrame, config: SplitConfig, seed: int) -> Iterable[Plan]:
    test, valid = config.test, config.valid
    if config.by == "column":
        values = (config.train_values, config.valid_values, config.test_values)
        return rules.by_column(events, config.column, values, config.folds, valid, seed)
    if config.by in _TIMED:
        return [(by_time if config.by == "time" else by_session_end)(events, test, valid)]
    if config.by == "last":
        return [rules.leave_last(events, config.n, valid is not None)]
    share, valid_share = float(test), None if valid is None else float(valid)
    if config.by == "user":
        return [rules.hold_out_users(events, share, valid_share, config.fold_in, seed)]
    if config.folds > 1:
        return rules.k_folds(events, config.folds, valid_share, config.per_user, seed)
    return rules.at_random(events, share, valid_share, config.per_user, config.repeats, seed)


def _fold(dataset: Dataset, plan: Plan, config: SplitConfig) -> Fold:
    if config.min_session_length > 1:
        _drop_short_sessions(dataset, plan, config.min_session_length)
    events = dataset.events
    train, valid, test, fold_in = (events.filter(pl.Series(plan.part == p)) for p in (TRAIN, VALID, TEST, FOLD_IN))
    wanted = {"train": train, "test": test}
    if config.valid is not None or config.valid_values:
        wanted["valid"] = valid
    for name, part in wanted.items():
        if not len(part):
            lost = "".join(f"; dropped {n} {reason}" for reason, n in plan.dropped.items())
            how = f"{plan.sentence}{lost}"
            raise SplitError(f"the {name} part of {len(events)} events is empty ({how}): change the sizes or `by`")
    return Fold(
        train=dataset.with_events(train),
        valid=valid,
        test=test,
        fold_in=fold_in if config.by == "user" else None,
        name=plan.name,
        sentence=plan.sentence,
        ordered=plan.ordered,
        cut=plan.cut,
        dropped=plan.dropped,
        rejoins=events.filter(pl.Series(plan.rejoins)) if plan.rejoins.any() else None,
    )


def _drop_short_sessions(dataset: Dataset, plan: Plan, at_least: int) -> None:
    """Drop sessions that are short within a part; the final fit judges them by all that it sees of them."""
    if not dataset.has_sessions:
        raise SplitError("`min_session_length` needs `session_id`: call `with_sessions` first, or leave it out")
    column = dataset.events["session_id"]
    vocab = Vocab.of(column)
    sessions = vocab.index(column)

    def short(rows: Array) -> Array:
        size = np.bincount(sessions[rows], minlength=vocab.n_rows)
        size[vocab.unknown] = 1  # an event without a session stands alone
        return rows & (size[sessions] < at_least)

    seen = np.isin(plan.part, (TRAIN, VALID)) | plan.rejoins
    seen &= ~short(seen)
    for part in (TRAIN, VALID, TEST):
        plan.drop(short(plan.part == part), f"events of sessions with fewer than {at_least} events in their part")
    plan.rejoins = seen & ~np.isin(plan.part, (TRAIN, VALID))
