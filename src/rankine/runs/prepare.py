"""A fold made ready: encoded, its questions asked and audited, before anything is fitted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from rankine.data import audit
from rankine.data.audit import Check
from rankine.data.dataset import Dataset
from rankine.data.split import Fold
from rankine.errors import ConfigError, ScoreError
from rankine.evaluation.cases import Cases
from rankine.evaluation.metrics import MetricName
from rankine.features.config import FeaturesConfig
from rankine.features.encode import Encoder
from rankine.features.events import EventArrays
from rankine.models.base import ClickModel, Model, RatingModel
from rankine.models.base import Source as Evidence
from rankine.recommender import new_model
from rankine.runs.judge import judge
from rankine.runs.questions import draw, known_events, make_cases
from rankine.runs.recipe import EvaluateConfig, Protocol, Recipe, model_name
from rankine.runs.source import Source


@dataclass(frozen=True)
class Prepared:
    """A fold, encoded: what models are fitted to, the questions, and what the audit found."""

    fold: Fold
    encoder: Encoder
    data: EventArrays
    cases: Cases
    checks: list[Check]


@dataclass(frozen=True)
class Validation:
    """The training events of a fold, encoded, the questions about its validation events, and what decides."""

    encoder: Encoder
    data: EventArrays
    cases: Cases
    settings: EvaluateConfig
    seed: int

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.settings.names[0]

    @property
    def higher_is_better(self) -> bool:
        """The direction of the metric."""
        return MetricName.parse(self.metric).metric.higher_is_better

    def value(self, key: str, model: Model) -> float:
        """The metric of a fitted model. Raises ScoreError where it is no number."""
        value = judge(model, self.cases, self.settings, self.data, key, (self.metric,)).mean(self.metric)
        if not np.isfinite(value):
            raise ScoreError(f"`{key}` reaches {value} for `{self.metric}`: its predictions are no numbers")
        return value


def prepare(recipe: Recipe, fold: Fold, source: Source) -> Prepared:
    """Encode a fold, build its cases and audit it. Raises LeakError, ConfigError and ModelError."""
    before = fold.before_test()
    learned = before if recipe.evaluate.refit else fold.train
    encoder = fit_encoder(recipe, learned)
    data = encoder.events(learned.events)
    check_models(recipe, data)
    cases = make_cases(recipe, encoder, known_events(before, fold), fold.test, source)
    return Prepared(fold, encoder, data, cases, check_fold(fold, learned, encoder, cases))


def fit_encoder(recipe: Recipe, dataset: Dataset) -> Encoder:
    """What the models of a recipe share of the events they are fitted to."""
    return Encoder.fit(
        dataset, collapse_repeats=recipe.sessions.collapse_repeats, features=features_of(recipe, dataset)
    )


def features_of(recipe: Recipe, dataset: Dataset) -> FeaturesConfig | None:
    """The features that click models of the recipe see, None where it has none; never the propensity of a log."""
    if not any(new_model(model_name(key), settings).needs.rows for key, settings in recipe.models.items()):
        return None
    features, hidden = recipe.features or FeaturesConfig(), recipe.evaluate.propensity
    logged = recipe.evaluate.protocol == "logged" and hidden in dataset.events.columns
    return replace(features, drop=tuple(dict.fromkeys((*features.drop, hidden)))) if logged else features


def validation(recipe: Recipe, fold: Fold, source: Source, most: int, part: Prepared | None = None) -> Validation:
    """The training part and at most so many questions about the validation part; no test event is looked at.

    part: the same fold where its models learn from the training part alone, so that it is encoded already.
    """
    encoder = fit_encoder(recipe, fold.train) if part is None else part.encoder
    data = encoder.events(fold.train.events) if part is None else part.data
    cases = make_cases(recipe, encoder, known_events(fold.train, fold), fold.valid, source, rank_lists=False)
    return Validation(encoder, data, draw(cases, most, recipe.seed, "curve"), recipe.evaluate, recipe.seed)


def check_models(recipe: Recipe, data: EventArrays) -> None:
    """Raise ModelError or ConfigError for a model that cannot be fitted to these events or asked these questions."""
    for key, settings in recipe.models.items():
        model = new_model(model_name(key), settings)
        model.needs.check(data, f"`{key}`")
        _check_question(key, model, recipe.evaluate.protocol)


def _check_question(key: str, model: Model, protocol: Protocol) -> None:
    if protocol == "ratings" and not isinstance(model, RatingModel):
        raise ConfigError(f"`{key}` predicts no ratings: the protocol `ratings` compares models that do")
    if protocol == "impressions" and not isinstance(model, ClickModel):
        raise ConfigError(f"`{key}` knows no probabilities: the protocol `impressions` compares click models")
    if protocol not in ("next_item", "ratings") and model.source is Evidence.SESSION:
        raise ConfigError(
            f"`{key}` answers from the present session, and `{protocol}` has none: ask `next_item`, or leave it out"
        )


def check_fold(fold: Fold, learned: Dataset, encoder: Encoder, cases: Cases) -> list[Check]:
    """The audit: every check on this fold. Raises LeakError naming those that failed."""
    checks = [
        audit.check_order(fold),
        audit.check_duplicates(fold),
        audit.check_fitted_on("the encoder", encoder.fitted_on, learned.events),
    ]
    for what, vocab, column, table in (
        ("the item vocabulary", encoder.items, "item_id", learned.items),
        ("the user vocabulary", encoder.users, "user_id", learned.users),
    ):
        known = learned.events[column].drop_nulls()
        table_ids = table[column] if column in table.columns else pl.Series(dtype=pl.String)
        checks.append(audit.check_vocabulary(vocab.ids, known, table_ids, what))
    if cases.history_rows is not None and cases.target_rows is not None:
        timed = fold.ordered and cases.history_times is not None
        times = (cases.history_times, cases.queries.timestamp, cases.target_times) if timed else (None, None, None)
        checks += audit.check_queries(cases.history_rows, cases.target_rows, *times)
    checks.append(audit.check_sessions(learned.events))
    checks += audit.check_context(learned.events, list(learned.schema.context))
    if encoder.features is not None:
        checks.append(audit.check_constant(encoder.features.constant))
    if encoder.schema.shown(fold.test["event_type"]).any():
        checks.append(audit.check_shown_before(fold, learned.events, list(learned.schema.context)))
    if cases.propensity is not None:
        checks.append(audit.check_propensity(cases.propensity, len(encoder.items)))
    return audit.audit(checks)
