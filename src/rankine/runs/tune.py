"""The search: every model of a recipe gets the same number of trials, judged on the validation part; the test stays unseen.

The search folder: study.sqlite (all trials), trials.parquet (the same as a table), tuned.toml (the recipe with what was best).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankine.config import to_dict
from rankine.data.split import make_folds
from rankine.errors import ConfigError, ModelError, RankineError, closest
from rankine.evaluation.metrics import MetricName
from rankine.features.events import EventArrays
from rankine.models import MODELS
from rankine.models.tuning import Choice, Range, Value
from rankine.progress import track
from rankine.recommender import can_stop, fit_arrays, new_model
from rankine.runs.learn import Watch
from rankine.runs.prepare import Validation, check_models, validation
from rankine.runs.recipe import Recipe, model_name
from rankine.runs.source import Source, open_source
from rankine.runs.study import Study, StudyFile, Trial, Tried
from rankine.runs.tuned import Winner, merged, write_trials, write_tuned

MOST_CASES = 10_000  # validation questions that a trial is judged by
STUDY = "study.sqlite"


@dataclass(frozen=True)
class Candidate:
    """A model of the recipe, the settings that the recipe fixes, and its study."""

    key: str
    settings: Mapping[str, Any]
    study: Study

    def budget(self, n_trials: int) -> int:
        """How many trials it gets: one where there is nothing to search."""
        return n_trials if self.study.space else 1

    def try_once(self, bench: Validation) -> Tried:
        """One more trial. Raises RankineError where the starting point fails; another one that fails is a trial like any."""
        trial = self.study.ask()
        before = self.study.seen(trial.settings)
        if before is not None:
            return self.study.tell(trial, before.state, before.value, epochs=before.epochs, error=before.error)
        start = time.perf_counter()
        try:
            value, epochs = self._value(trial, bench)
        except RankineError as error:
            if not trial.number:
                raise
            return self.study.tell(trial, "failed", seconds=time.perf_counter() - start, error=str(error))
        return self.study.tell(
            trial, "pruned" if trial.pruned else "complete", value, epochs=epochs, seconds=time.perf_counter() - start
        )

    def _value(self, trial: Trial, bench: Validation) -> tuple[float, int | None]:
        """What the settings reach, and for a model with a curve the epoch where it was best, unless epochs follow a schedule."""
        watch = Watch(self.key, bench, trial.report)
        settings = merged(self.settings, trial.settings)
        fitted = fit_arrays(
            self.key, bench.encoder, bench.data, settings, seed=bench.seed, monitor=watch, validate=watch.validate
        )
        if not watch.epochs:
            return bench.value(self.key, fitted.model), None
        if fitted.model.scheduled:
            return watch.values[-1], None
        value = watch.values[watch.epochs.index(watch.best)]
        return value, None if can_stop(fitted.model) else watch.best


def tune(
    recipe: Recipe,
    values: Mapping[str, Any],
    *,
    root: Path | None = None,
    out: Path | None = None,
    only: Sequence[str] = (),
    n_trials: int = 30,
    timeout_s: float | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Winner]:
    """Search the settings that the recipe leaves open, go on with a search that was stopped, and write down what was best.

    values: the recipe as it was read; only: keys of the models to tune (all); say: is told what the search goes on from.
    After `timeout_s` seconds no round (one trial of each model) is begun. Raises RankineError before any trial.
    """
    if n_trials < 1:
        raise ConfigError(f"`--trials` must be at least 1; got {n_trials}")
    keys = chosen(recipe, only)
    folder = out or Path("runs") / f"{recipe.name}.tune"
    check_folder(folder)
    bench = make_bench(recipe, open_source(recipe, root))
    folder.mkdir(parents=True, exist_ok=True)
    with StudyFile(folder / STUDY) as file:
        candidates = [candidate(key, recipe, bench, file) for key in keys]
        for sentence in resumed(candidates, n_trials):
            say(sentence)
        search(candidates, bench, n_trials, timeout_s)
        winners = [Winner(c.key, c.study) for c in candidates]
        write_trials(winners, folder / "trials.parquet")
        write_tuned(values, recipe, winners, folder / "tuned.toml")
    return winners


def chosen(recipe: Recipe, only: Sequence[str]) -> list[str]:
    """The keys of the models to tune, in the order of the recipe. Raises ConfigError for one that it has not."""
    for key in only:
        if key not in recipe.models:
            raise ConfigError(f"recipe `{recipe.name}` has no model `{key}`{closest(key, recipe.models)}")
    return [key for key in recipe.models if not only or key in only]


def check_folder(folder: Path) -> None:
    """Raise ConfigError where a search cannot go."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / STUDY).is_file())):
        raise ConfigError(f"`{folder}` exists and holds no search: choose another name with --out")


def make_bench(recipe: Recipe, source: Source) -> Validation:
    """The first fold's training and validation part. Raises ConfigError where there is no validation part."""
    fold = make_folds(source.dataset, recipe.split, recipe.seed)[0]
    if not len(fold.valid):
        raise ConfigError(f"recipe `{recipe.name}` has no validation part to tune on: add `valid = 0.1` to its `split`")
    bench = validation(recipe, fold, source, MOST_CASES)
    if not len(bench.cases):
        raise ConfigError(
            f"the validation part of recipe `{recipe.name}` asks nothing: make `valid` under [split] larger"
        )
    check_models(recipe, bench.data)
    return bench


def candidate(key: str, recipe: Recipe, bench: Validation, file: StudyFile) -> Candidate:
    """A model of the recipe with its study, as it was left or new."""
    fixed = recipe.models[key]
    config = new_model(model_name(key), fixed).config
    space = open_settings(key, fixed, bench.data)
    facts = {
        "data": recipe.data, "sessions": to_dict(recipe.sessions), "split": to_dict(recipe.split),
        "evaluate": to_dict(recipe.evaluate), "seed": recipe.seed, "settings": to_dict(config),
        "ranges": {name: str(span) for name, span in space.items()},
        "number of events": len(bench.data), "number of questions": len(bench.cases),
    }  # fmt: skip
    study = file.study(
        key,
        space,
        {name: getattr(config, name) for name in space},
        facts=facts,
        seed=recipe.seed,
        maximise=higher_is_better(bench.metric),
        warm_up=getattr(config, "epochs", 0) // 4,
    )
    return Candidate(key, fixed, study)


def open_settings(key: str, fixed: Mapping[str, Any], data: EventArrays) -> dict[str, Range]:
    """What may be searched of a model: what its class declares, the recipe leaves open and the data allows."""
    found: dict[str, Range] = {}
    for name, span in MODELS[model_name(key)].tuning.items():
        if name in fixed:
            continue
        if isinstance(span, Choice):
            span = Choice(tuple(value for value in span.options if _fits(key, {**fixed, name: value}, data)))
            if len(span.options) < 2:
                continue
        found[name] = span
    return found


def _fits(key: str, settings: Mapping[str, Value], data: EventArrays) -> bool:
    try:
        new_model(model_name(key), settings).needs.check(data, key)
    except ModelError:
        return False
    return True


def search(candidates: Sequence[Candidate], bench: Validation, n_trials: int, timeout_s: float | None) -> None:
    """Round by round one trial of every model that is behind, so that all have equally many whenever it ends."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    todo = [(number, c) for number in range(n_trials) for c in candidates
            if len(c.study.tried) <= number < c.budget(n_trials)]  # fmt: skip
    for _ in track(_until(deadline, todo, bench), f"tuning, {n_trials} trials each", total=len(todo)):
        pass


def _until(deadline: float | None, todo: Sequence[tuple[int, Candidate]], bench: Validation) -> Iterator[Tried]:
    """The trials; a round that has begun is finished, and so is the first."""
    last = None
    for number, one in todo:
        if deadline is not None and number and number != last and time.monotonic() > deadline:
            return
        last = number
        yield one.try_once(bench)


def resumed(candidates: Sequence[Candidate], n_trials: int) -> Iterator[str]:
    """What is there already, in words."""
    done = {c.key: len(c.study.tried) for c in candidates if c.study.tried}
    if done:
        counts = ", ".join(f"{c.key} {done[c.key]} of {c.budget(n_trials)}" for c in candidates if c.key in done)
        yield f"Going on with the search that was found; trials done: {counts}."


def higher_is_better(metric: str) -> bool:
    """The direction of a metric by its name."""
    return MetricName.parse(metric).metric.higher_is_better
