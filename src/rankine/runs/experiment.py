"""The experiment: split, audit, fit every model on the same events, ask every model the same questions."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from rankine.arrays import Array, Float
from rankine.data import audit
from rankine.data.audit import Check
from rankine.data.dataset import Dataset
from rankine.data.split import ROW, Fold, make_folds
from rankine.data.synthetic.oracle import CONTEXT
from rankine.errors import ConfigError, closest
from rankine.evaluation import cases as build
from rankine.evaluation.cases import Cases
from rankine.evaluation.evaluate import Evaluation, evaluate_ranking, evaluate_ratings, pool
from rankine.evaluation.metrics import METRICS, MetricName
from rankine.features.encode import Encoder
from rankine.features.events import EventArrays
from rankine.models import MODELS
from rankine.models.base import Model, RatingModel
from rankine.random import stream
from rankine.recommender import Recommender, fit_arrays, new_model
from rankine.runs.recipe import CandidatesConfig, Recipe, model_name
from rankine.runs.source import Source

CURVE_CASES = 2000  # validation cases that a learning curve is drawn from


@dataclass
class Fitted:
    """One model of the recipe over all folds; `recommender` is that of the last fold."""

    key: str
    settings: Mapping[str, Any]
    evaluations: list[Evaluation] = field(default_factory=list)
    fit_s: float = 0.0
    curve: dict[str, Any] | None = None
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


@dataclass
class Experiment:
    """What an experiment found: one Fitted per model, the folds, the cases of the last fold, the checks, the oracle's evaluation."""

    recipe: Recipe
    source: Source
    folds: list[Fold]
    models: dict[str, Fitted]
    cases: Cases
    n_cases: int
    checks: list[Check]
    oracle: Evaluation | None = None
    seconds: float = 0.0


def run_experiment(recipe: Recipe, source: Source) -> Experiment:
    """Run a recipe on its data. Raises LeakError where the audit finds one, ConfigError and ModelError before any fit."""
    start = time.perf_counter()
    folds = make_folds(source.dataset, recipe.split, recipe.seed)
    models = {key: Fitted(key, settings) for key, settings in recipe.models.items()}
    checks: list[Check] = []
    oracles = []
    n_cases = 0
    for number, fold in enumerate(folds):
        before = fold.before_test()
        encoder = Encoder.fit(before, collapse_repeats=recipe.sessions.collapse_repeats)
        data = encoder.events(before.events)
        check_models(recipe, data)
        cases = make_cases(recipe, encoder, known_events(before, fold), fold.test, source)
        n_cases += len(cases)
        found = check_fold(fold, before, encoder, cases)
        checks = checks or found
        for fitted in models.values():
            fit_and_evaluate(fitted, recipe, fold, encoder, data, cases, draw_curve=number == 0, source=source)
        if source.oracle is not None and forecasts(recipe):
            oracles.append(ask_oracle(source, encoder, data, cases, recipe))
    return Experiment(recipe, source, folds, models, cases, n_cases, checks, pool(oracles) if oracles else None,
                      time.perf_counter() - start)


def check_models(recipe: Recipe, data: EventArrays) -> None:
    """Raise ModelError or ConfigError for a model that cannot be fitted to these events or asked these questions."""
    for key, settings in recipe.models.items():
        model = new_model(model_name(key), settings)
        model.needs.check(data, f"`{key}`")
        if recipe.evaluate.protocol == "ratings" and not isinstance(model, RatingModel):
            raise ConfigError(f"`{key}` predicts no ratings: the protocol `ratings` compares models that do")


def known_events(before: Dataset, fold: Fold) -> pl.DataFrame:
    """What a service would know when it is asked: the events fitted to, and the given part of held-out users."""
    if fold.fold_in is None:
        return before.events
    return pl.concat([before.events, fold.fold_in.join(before.events, on=ROW, how="anti")], how="diagonal").sort(ROW)


def make_cases(recipe: Recipe, encoder: Encoder, before: pl.DataFrame, test: pl.DataFrame, source: Source, *,
               rank_lists: bool = True) -> Cases:
    """The questions of the recipe's protocol about the events `test`; without `rank_lists` over all items always."""
    settings = recipe.evaluate
    drop = settings.unknown_targets == "drop"
    if settings.protocol == "next_item":
        cases = build.next_item(encoder, before, test, drop_unknown=drop, first=settings.first)
    elif settings.protocol == "ratings":
        cases = build.ratings(encoder, test)
    else:
        cases = build.user_items(encoder, before, test, drop_unknown=drop, exclude_seen=settings.exclude_seen)
    if settings.candidates is not None and rank_lists:
        cases = build.candidates(cases, encoder, read_candidates(settings.candidates, source))
    if settings.max_cases is not None and len(cases) > settings.max_cases:
        keep = stream(recipe.seed, "split", "cases").choice(len(cases), settings.max_cases, replace=False)
        cases = cases.take(np.sort(keep))
        unknown = int((cases.targets.values == len(encoder.items)).sum())
        cases = dataclasses.replace(cases, counts={**cases.counts, "unknown_targets": unknown})
    return cases


def read_candidates(settings: CandidatesConfig, source: Source) -> pl.DataFrame:
    """The candidate lists of [evaluate.candidates]: user_id and negatives. Raises ConfigError."""
    if source.folder is None:
        raise ConfigError("candidate lists are read from the data folder: [data] needs a `path`")
    path = source.folder / settings.file
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError):
        raise ConfigError(f"`{path}` is no Parquet file that can be read: [evaluate.candidates] needs one") from None
    for column in (settings.user, settings.negatives):
        if column not in frame.columns:
            raise ConfigError(f"`{path.name}` has no column `{column}`{closest(column, frame.columns)}")
    return frame.select(pl.col(settings.user).cast(pl.String).alias("user_id"),
                        pl.col(settings.negatives).cast(pl.List(pl.String)).alias("negatives"))


def check_fold(fold: Fold, before: Dataset, encoder: Encoder, cases: Cases) -> list[Check]:
    """The audit: every check on this fold. Raises LeakError naming those that failed."""
    checks = [audit.check_order(fold), audit.check_duplicates(fold),
              audit.check_fitted_on("the encoder", encoder.fitted_on, before.events)]
    for what, vocab, column, table in (("the item vocabulary", encoder.items, "item_id", before.items),
                                       ("the user vocabulary", encoder.users, "user_id", before.users)):
        known = before.events[column].drop_nulls()
        table_ids = table[column] if column in table.columns else pl.Series(dtype=pl.String)
        checks.append(audit.check_vocabulary(vocab.ids, known, table_ids, what))
    if cases.history_rows is not None and cases.target_rows is not None:
        timed = fold.ordered and cases.history_times is not None
        times = (cases.history_times, cases.queries.timestamp, cases.target_times) if timed else (None, None, None)
        checks += audit.check_queries(cases.history_rows, cases.target_rows, *times)
    checks += audit.check_context(before.events, list(before.schema.context))
    return audit.audit(checks)


def fit_and_evaluate(fitted: Fitted, recipe: Recipe, fold: Fold, encoder: Encoder, data: EventArrays, cases: Cases, *,
                     draw_curve: bool, source: Source) -> None:
    """Fit one model of the recipe on everything before the test events, ask it every case, and keep what came out."""
    name, settings = model_name(fitted.key), dict(fitted.settings)
    if draw_curve and MODELS[name].iterative and len(fold.valid):
        fitted.curve = learning_curve(name, settings, recipe, fold, source)
        if fitted.curve["best"] and hasattr(MODELS[name].Config(), "epochs"):
            settings["epochs"] = fitted.curve["best"]
    fitted.settings = settings
    warm_up(name, encoder, data, settings, cases, recipe)
    start = time.perf_counter()
    fitted.recommender = fit_arrays(fitted.key, encoder, data, settings, seed=recipe.seed)
    fitted.fit_s += time.perf_counter() - start
    fitted.evaluations.append(judge(fitted.recommender, cases, recipe.evaluate.names, data, fitted.key))


def judge(recommender: Recommender, cases: Cases, metrics: tuple[str, ...], data: EventArrays, description: str) -> Evaluation:
    """One fitted model on all cases."""
    model = recommender.model
    if cases.values is not None:
        assert isinstance(model, RatingModel) and data.value is not None
        values = data.ratings[2]
        clip = (float(values.min()), float(values.max()))
        return evaluate_ratings(model.rate, cases, metrics, clip)
    return evaluate_ranking(model.score, cases, metrics, item_counts(data), description)


def item_counts(data: EventArrays) -> Array:
    """Positive training events per item, int64 [N]."""
    return np.bincount(data.item_idx[data.weight > 0], minlength=data.n_items)


def warm_up(name: str, encoder: Encoder, data: EventArrays, settings: Mapping[str, Any], cases: Cases,
            recipe: Recipe) -> None:
    """Fit to a handful of events and answer one case first, so that compile time is in nobody's figures."""
    useful = (data.weight > 0) & (data.user_idx < data.n_users)
    if data.value is not None:
        useful &= np.isfinite(data.value)
    rows = np.sort(np.argsort(~useful, kind="stable")[:64])
    few = dataclasses.replace(
        data, user_idx=data.user_idx[rows], item_idx=data.item_idx[rows], weight=data.weight[rows],
        value=None if data.value is None else data.value[rows],
        timestamp=None if data.timestamp is None else data.timestamp[rows],
        session_idx=None if data.session_idx is None else data.session_idx[rows],
        context={column: values[rows] for column, values in data.context.items()},
    )
    short = {**settings, "epochs": 1} if "epochs" in {f.name for f in dataclasses.fields(MODELS[name].Config)} else settings
    fitted = fit_arrays(name, encoder, few, short)
    judge(fitted, cases.take(np.arange(1)), recipe.evaluate.names, data, name)


def learning_curve(name: str, settings: Mapping[str, Any], recipe: Recipe, fold: Fold, source: Source) -> dict[str, Any]:
    """The deciding metric on the validation events after each epoch, and the epoch that was best (1-based)."""
    metric = recipe.evaluate.names[0]
    encoder = Encoder.fit(fold.train, collapse_repeats=recipe.sessions.collapse_repeats)
    data = encoder.events(fold.train.events)
    cases = make_cases(recipe, encoder, known_events(fold.train, fold), fold.valid, source, rank_lists=False)
    if len(cases) > CURVE_CASES:
        cases = cases.take(np.sort(stream(recipe.seed, "split", "curve").choice(len(cases), CURVE_CASES, replace=False)))
    epochs: list[int] = []
    values: list[float] = []

    def watch(epoch: int, model: Model, **_: float) -> bool:
        epochs.append(epoch)
        values.append(judge(Recommender(name, model, encoder), cases, (metric,), data, name).mean(metric))
        return False

    fit_arrays(name, encoder, data, settings, seed=recipe.seed, monitor=watch)
    pick = np.argmax if MetricName.parse(metric).metric.higher_is_better else np.argmin
    return {"metric": metric, "epochs": epochs, "values": values, "best": epochs[int(pick(values))]}


def forecasts(recipe: Recipe) -> bool:
    """Whether the recipe asks what an oracle knows: the next different item of a session."""
    return recipe.evaluate.protocol == "next_item" and recipe.sessions.collapse_repeats


def ask_oracle(source: Source, encoder: Encoder, data: EventArrays, cases: Cases, recipe: Recipe) -> Evaluation:
    """The generator's own probabilities on the same cases: what no model can beat in the long run."""
    assert source.oracle is not None and cases.target_rows is not None
    rows = cases.target_rows.values
    frame = source.dataset.events[rows]
    order = pl.Series(source.dataset.items["item_id"])
    columns = encoder.items.index(order)
    score = oracle_score(source, encoder, frame, columns, cases)
    metrics = tuple(m for m in recipe.evaluate.names if METRICS[MetricName.parse(m).base].family == "rank")
    return evaluate_ranking(score, cases, metrics, item_counts(data), "oracle")


def oracle_score(source: Source, encoder: Encoder, frame: pl.DataFrame, columns: Array, cases: Cases) -> Callable[..., Float]:
    """A scorer that asks the oracle about consecutive blocks of the cases."""
    place = 0

    def score(queries: Any) -> Float:
        nonlocal place
        part = frame[place : place + len(queries)]
        place += len(queries)
        histories = [encoder.items.names(items) for items in queries.session]
        context: dict[str, Sequence[str]] = {c: part[c].to_list() for c in CONTEXT}
        assert source.oracle is not None
        probability = source.oracle.score(part["user_id"].to_list(), histories, part["timestamp"].to_numpy(), context)
        scores = np.zeros((len(queries), len(encoder.items) + 1), np.float32)
        scores[:, columns] = probability
        return scores[:, :-1]

    return score
