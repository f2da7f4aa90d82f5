"""A search on disk: what was tried of each model, in one SQLite file, and what to try next.

Trials are drawn in memory and written once they are finished: whatever interrupts a search costs the trial it was at.
What is drawn depends on the seed and the finished trials alone, so an interruption does not change what follows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rankine.errors import ConfigError
from rankine.models.tuning import Choice, Range, Real, Value
from rankine.random import seed_of

try:
    import optuna
except ImportError:
    raise ConfigError('a search needs optuna, which is not installed: `pip install "rankine[tune]"`') from None

MAGIC = b"SQLite format 3\0"
N_RANDOM = 10  # trials before the sampler (TPE) learns from them
N_BEFORE_PRUNING = 5  # finished trials that a curve is compared with at the least
State: TypeAlias = Literal["complete", "pruned", "failed"]
optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Tried:
    """One finished trial. `epochs` is where a model with a curve was best, `error` why a failed one failed."""

    number: int
    settings: Mapping[str, Value]
    state: State
    value: float | None = None
    epochs: int | None = None
    seconds: float = 0.0
    error: str | None = None


class Trial:
    """Settings to try."""

    def __init__(self, drawn: optuna.Trial, space: Mapping[str, Range]) -> None:
        self.drawn = drawn
        self.number = drawn.number
        self.settings = {name: span.tried(drawn.params[name]) for name, span in space.items()}
        self.pruned = False

    def report(self, epoch: int, value: float) -> bool:
        """Take note of the value after an epoch; True where most finished trials were better by then."""
        self.drawn.report(value, epoch)
        self.pruned = self.drawn.should_prune()
        return self.pruned


class Study:
    """The trials of one model: 0 is the starting point, the others are drawn (TPE). `warm_up`: epochs without pruning."""

    def __init__(
        self, kept: optuna.Study, space: Mapping[str, Range], start: Mapping[str, Value], seed: int, warm_up: int
    ) -> None:
        self.space, self.start, self.seed = space, start, seed
        self._kept = kept
        pruner = optuna.pruners.MedianPruner(n_startup_trials=N_BEFORE_PRUNING, n_warmup_steps=warm_up)
        self._drawn = optuna.create_study(direction=kept.direction, pruner=pruner)
        finished = kept.get_trials(deepcopy=False)
        self._drawn.add_trials(finished)
        self.tried = [_read(trial) for trial in finished]

    def ask(self) -> Trial:
        """The next settings to try."""
        number = len(self.tried)
        if not number:
            self._drawn.enqueue_trial(dict(self.start))
        seed = seed_of(self.seed, "tune", self._kept.study_name, number) % 2**32
        self._drawn.sampler = optuna.samplers.TPESampler(n_startup_trials=N_RANDOM, multivariate=True, seed=seed)
        return Trial(self._drawn.ask({name: _distribution(span) for name, span in self.space.items()}), self.space)

    def tell(
        self,
        trial: Trial,
        state: State,
        value: float | None = None,
        *,
        epochs: int | None = None,
        seconds: float = 0.0,
        error: str | None = None,
    ) -> Tried:
        """Write down what came of a trial."""
        done = Tried(len(self.tried), trial.settings, state, value, epochs, seconds, error)
        trial.drawn.set_user_attr("tried", {k: v for k, v in vars(done).items() if k != "number"})
        states = optuna.trial.TrialState
        found = {"complete": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[state]
        self._kept.add_trial(self._drawn.tell(trial.drawn, value if state == "complete" else None, found))
        self.tried.append(done)
        return done

    def seen(self, settings: Mapping[str, Value]) -> Tried | None:
        """The trial that tried these settings already."""
        return next((tried for tried in self.tried if tried.settings == settings), None)

    @property
    def best(self) -> Tried:
        """The best complete trial, the first of equal ones. Raises ConfigError where none is complete."""
        complete = [tried for tried in self.tried if tried.state == "complete"]
        if not complete:
            raise ConfigError(f"no trial of `{self._kept.study_name}` has been finished: tune it first")
        sign = -1 if self._kept.direction == optuna.study.StudyDirection.MAXIMIZE else 1
        return min(complete, key=lambda tried: sign * (tried.value or 0.0))


class StudyFile:
    """The studies of one search in an SQLite file. Raises ConfigError for a file that is something else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not _starts_with(path, MAGIC):
            raise ConfigError(f"`{path}` is no SQLite file: move it away, or choose another folder with --out")
        try:
            self._storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": self._connect})
        except RuntimeError:
            raise ConfigError(
                f"`{path}` was written by another version of optuna: tune in another folder with --out"
            ) from None

    def _connect(self) -> sqlite3.Connection:
        """A connection that does not wait for the disk at every step of a trial; a power cut costs the last ones, not the file."""
        connection = sqlite3.connect(self.path, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def __enter__(self) -> StudyFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._storage.remove_session()
        self._storage.engine.dispose()

    def study(
        self,
        name: str,
        space: Mapping[str, Range],
        start: Mapping[str, Value],
        *,
        facts: Mapping[str, Any],
        seed: int,
        maximise: bool,
        warm_up: int = 0,
    ) -> Study:
        """The study of a model, new or as it was left. Raises ConfigError where it was made under other `facts`."""
        direction = optuna.study.StudyDirection.MAXIMIZE if maximise else optuna.study.StudyDirection.MINIMIZE
        kept = optuna.create_study(storage=self._storage, study_name=name, direction=direction, load_if_exists=True)
        plain = json.loads(json.dumps(facts, default=str))
        known = kept.user_attrs.get("facts")
        if known is None:
            kept.set_user_attr("facts", plain)
        elif known != plain:
            what = ", ".join(f"`{key}`" for key in sorted({*known, *plain}) if known.get(key) != plain.get(key))
            raise ConfigError(
                f"`{self.path}` holds trials of `{name}` with another {what}, which cannot be compared: "
                "choose another folder with --out, or move this one away"
            )
        return Study(kept, space, start, seed, warm_up)


def _distribution(span: Range) -> optuna.distributions.BaseDistribution:
    if isinstance(span, Choice):
        return optuna.distributions.CategoricalDistribution(span.options)
    if isinstance(span, Real):
        return optuna.distributions.FloatDistribution(span.low, span.high, log=span.log)
    return optuna.distributions.IntDistribution(span.low, span.high, log=span.log)


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _read(trial: optuna.trial.FrozenTrial) -> Tried:
    return Tried(number=trial.number, **trial.user_attrs["tried"])
