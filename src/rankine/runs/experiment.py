"""The experiment: split, audit, fit every model on the same events, ask every model the same questions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rankine.data.audit import Check
from rankine.data.split import Fold, make_folds
from rankine.evaluation.cases import Cases
from rankine.evaluation.evaluation import Evaluation, pool
from rankine.models import MODELS
from rankine.models.base import Model
from rankine.recommender import Recommender
from rankine.runs.judge import judge
from rankine.runs.learn import Learned, learn
from rankine.runs.oracle import ask_oracle, forecasts
from rankine.runs.prepare import Prepared, Validation, prepare, validation
from rankine.runs.recipe import RANKING, Recipe, model_name
from rankine.runs.source import Source
from rankine.runs.stages import put_together, stages_card

CURVE_CASES = 2000  # validation cases that a learning curve is drawn from
CURVE_ROWS = 200_000  # the same where a case is one row


@dataclass
class Fitted:
    """One model of the recipe over all folds and seeds; `recommender` and `settings` are those of the first seed in the last fold.

    curve: the first one, its `others` from other seeds; stages: who finds and who ranks, where it is two models.
    """

    key: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    fit_s: float = 0.0
    curve: dict[str, Any] | None = None
    stages: dict[str, Any] | None = None
    recommender: Recommender | None = None

    @property
    def model(self) -> Model:
        """The fitted model of the last fold."""
        assert self.recommender is not None
        return self.recommender.model

    @cached_property
    def evaluation(self) -> Evaluation:
        """All folds as one; ask once the last is done."""
        return pool(self.evaluations)

    def take_in(self, learned: list[Learned]) -> None:
        """Keep what one fold gave, a fit for each seed."""
        first = learned[0]
        self.recommender, self.settings = first.recommender, first.settings
        self.fit_s += sum(fit.seconds for fit in learned) / len(learned)
        if self.curve is None and first.curve is not None:
            others = [fit.curve for fit in learned[1:] if fit.curve is not None]
            self.curve = {**first.curve, "others": others} if others else first.curve


@dataclass
class Experiment:
    """What an experiment found: one Fitted per model, the folds, the cases of the last fold, the checks, the oracle's evaluation."""

    recipe: Recipe
    source: Source
    folds: list[Fold]
    models: dict[str, Fitted]
    cases: Cases
    n_cases: int
    n_targets: int
    checks: list[Check]
    oracle: Evaluation | None = None
    seconds: float = 0.0


def run_experiment(recipe: Recipe, source: Source) -> Experiment:
    """Run a recipe on its data. Raises LeakError where the audit finds one, ConfigError and ModelError before any fit."""
    start = time.perf_counter()
    folds = make_folds(source.dataset, recipe.split, recipe.seed)
    models = {key: Fitted(key) for key in recipe.keys}
    ready = [prepare(recipe, fold, source) for fold in folds]  # everything is checked before anything is fitted
    checks = ready[0].checks + [check for part in ready[1:] for check in part.checks if not check.ok]
    oracles = []
    for part in ready:
        run_fold(models, recipe, part, source)
        if source.oracle is not None and forecasts(recipe):
            oracles.append(ask_oracle(source, part.encoder, part.data, part.cases, recipe))
    return Experiment(
        recipe, source, folds, models, ready[-1].cases, sum(len(part.cases) for part in ready),
        sum(len(part.cases.targets.values) for part in ready), checks, pool(oracles) if oracles else None,
        time.perf_counter() - start,
    )  # fmt: skip


def run_fold(models: Mapping[str, Fitted], recipe: Recipe, part: Prepared, source: Source) -> None:
    """Fit every model to one fold from every seed, ask each every case, and keep what came out."""
    valid = watched(recipe, part, source)
    learned: dict[str, list[Learned]] = {}
    for key in recipe.models:
        fits = [learn(key, recipe, part, valid, seed) for seed in recipe.seeds]
        learned[key] = fits
        models[key].take_in(fits)
        evaluations = [judge(fit.recommender.model, part.cases, recipe.evaluate, part.data, key) for fit in fits]
        models[key].evaluations.append(pool(evaluations, same_cases=True))
    for key in recipe.stages:
        run_stages(models[key], recipe, part, learned)


def run_stages(fitted: Fitted, recipe: Recipe, part: Prepared, learned: Mapping[str, list[Learned]]) -> None:
    """Judge two models of the same seed one behind the other, for every seed."""
    key, evaluations = fitted.key, []
    hidden = part.cases.exclude is not None
    for n in range(recipe.fits):
        models = {name: fits[n].recommender for name, fits in learned.items()}
        two = put_together(key, recipe, models, hide_history=hidden)
        evaluations.append(judge(two.model, part.cases, recipe.evaluate, part.data, key))
        if not n:
            fitted.recommender, fitted.stages = two, stages_card(key, recipe, two.model, part.cases)
    fitted.settings = {"candidates": recipe.stages[key].candidates}
    fitted.evaluations.append(pool(evaluations, same_cases=True))


def watched(recipe: Recipe, part: Prepared, source: Source) -> Validation | None:
    """The validation part, where there is one and some model has epochs to choose."""
    if not len(part.fold.valid) or not any(MODELS[model_name(key)].iterative for key in recipe.models):
        return None
    most = CURVE_CASES if recipe.evaluate.protocol in (*RANKING, "ratings") else CURVE_ROWS
    return validation(recipe, part.fold, source, most, None if recipe.evaluate.refit else part)
