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

from rankine.arrays import Array, Float, Ragged
from rankine.data import audit
from rankine.data.audit import Check
from rankine.data.dataset import Dataset
from rankine.data.split import ROW, Fold, make_folds
from rankine.data.synthetic.oracle import CONTEXT
from rankine.errors import ConfigError, ModelError, closest
from rankine.evaluation import cases as build
from rankine.evaluation.cases import Cases
from rankine.evaluation.evaluate import Evaluation, evaluate_ranking, evaluate_ratings, pool
from rankine.evaluation.metrics import METRICS, MetricName
from rankine.features.encode import Encoder
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.ranks import target_ranks, top_k
from rankine.models import MODELS
from rankine.models.base import Model, RatingModel
from rankine.models.base import Source as Evidence
from rankine.random import stream
from rankine.recommender import Recommender, fit_arrays, fit_model, new_model
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
    n_targets: int
    checks: list[Check]
    oracle: Evaluation | None = None
    seconds: float = 0.0


def run_experiment(recipe: Recipe, source: Source) -> Experiment:
    """Run a recipe on its data. Raises LeakError where the audit finds one, ConfigError and ModelError before any fit."""
    start = time.perf_counter()
    folds = make_folds(source.dataset, recipe.split, recipe.seed)
    models = {key: Fitted(key, settings) for key, settings in recipe.models.items()}
    ready = [prepare(recipe, fold, source) for fold in folds]  # everything is checked before anything is fitted
    checks = ready[0].checks + [check for part in ready[1:] for check in part.checks if not check.ok]
    oracles = []
    for part in ready:
        for fitted in models.values():
            fit_and_evaluate(fitted, recipe, part, source)
        if source.oracle is not None and forecasts(recipe):
            oracles.append(ask_oracle(source, part.encoder, part.data, part.cases, recipe))
    return Experiment(
        recipe, source, folds, models, ready[-1].cases, sum(len(part.cases) for part in ready),
        sum(len(part.cases.targets.values) for part in ready), checks, pool(oracles) if oracles else None,
        time.perf_counter() - start,
    )  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """A fold, encoded: what models are fitted to, the questions, and what the audit found."""

    fold: Fold
    encoder: Encoder
    data: EventArrays
    cases: Cases
    checks: list[Check]


def prepare(recipe: Recipe, fold: Fold, source: Source) -> Prepared:
    """Encode a fold, build its cases and audit it. Raises LeakError, ConfigError and ModelError."""
    before = fold.before_test()
    encoder = Encoder.fit(before, collapse_repeats=recipe.sessions.collapse_repeats)
    data = encoder.events(before.events)
    check_models(recipe, data)
    cases = make_cases(recipe, encoder, known_events(before, fold), fold.test, source)
    return Prepared(fold, encoder, data, cases, check_fold(fold, before, encoder, cases))


def check_models(recipe: Recipe, data: EventArrays) -> None:
    """Raise ModelError or ConfigError for a model that cannot be fitted to these events or asked these questions."""
    for key, settings in recipe.models.items():
        model = new_model(model_name(key), settings)
        model.needs.check(data, f"`{key}`")
        if recipe.evaluate.protocol == "ratings" and not isinstance(model, RatingModel):
            raise ConfigError(f"`{key}` predicts no ratings: the protocol `ratings` compares models that do")
        if recipe.evaluate.protocol in ("user_items", "candidates") and model.source is Evidence.SESSION:
            raise ConfigError(
                f"`{key}` answers from the present session, and `{recipe.evaluate.protocol}` has none: "
                "ask `next_item`, or leave it out"
            )


def known_events(before: Dataset, fold: Fold) -> pl.DataFrame:
    """What a service would know when it is asked: the events fitted to, and the given part of held-out users."""
    if fold.fold_in is None:
        return before.events
    return pl.concat([before.events, fold.fold_in.join(before.events, on=ROW, how="anti")], how="diagonal").sort(ROW)


def make_cases(
    recipe: Recipe,
    encoder: Encoder,
    before: pl.DataFrame,
    test: pl.DataFrame,
    source: Source,
    *,
    rank_lists: bool = True,
) -> Cases:
    """The questions of the recipe's protocol about the events `test`; without `rank_lists` over all items always."""
    settings = recipe.evaluate
    drop = settings.unknown_targets == "drop"
    if settings.protocol == "next_item":
        cases = build.next_item(encoder, before, test, drop_unknown=drop, first=settings.first)
    elif settings.protocol == "ratings":
        cases = build.ratings(encoder, test)
    else:
        given = settings.candidates is not None and rank_lists
        exclude_seen = settings.exclude_seen and not given  # a given list is ranked as it is
        cases = build.user_items(encoder, before, test, drop_unknown=drop, exclude_seen=exclude_seen)
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
    return frame.select(
        pl.col(settings.user).cast(pl.String).alias("user_id"),
        pl.col(settings.negatives).cast(pl.List(pl.String)).alias("negatives"),
    )


def check_fold(fold: Fold, before: Dataset, encoder: Encoder, cases: Cases) -> list[Check]:
    """The audit: every check on this fold. Raises LeakError naming those that failed."""
    checks = [
        audit.check_order(fold),
        audit.check_duplicates(fold),
        audit.check_fitted_on("the encoder", encoder.fitted_on, before.events),
    ]
    for what, vocab, column, table in (
        ("the item vocabulary", encoder.items, "item_id", before.items),
        ("the user vocabulary", encoder.users, "user_id", before.users),
    ):
        known = before.events[column].drop_nulls()
        table_ids = table[column] if column in table.columns else pl.Series(dtype=pl.String)
        checks.append(audit.check_vocabulary(vocab.ids, known, table_ids, what))
    if cases.history_rows is not None and cases.target_rows is not None:
        timed = fold.ordered and cases.history_times is not None
        times = (cases.history_times, cases.queries.timestamp, cases.target_times) if timed else (None, None, None)
        checks += audit.check_queries(cases.history_rows, cases.target_rows, *times)
    checks.append(audit.check_sessions(before.events))
    checks += audit.check_context(before.events, list(before.schema.context))
    return audit.audit(checks)


def fit_and_evaluate(fitted: Fitted, recipe: Recipe, part: Prepared, source: Source) -> None:
    """Fit one model of the recipe on everything before the test events, ask it every case, and keep what came out.

    A model with epochs takes as many as were best on the validation events of this very fold, unless they follow a schedule.
    """
    name, settings = model_name(fitted.key), dict(recipe.models[fitted.key])
    if MODELS[name].iterative and len(part.fold.valid):
        curve = learning_curve(name, settings, recipe, part.fold, source)
        if not new_model(name, settings).scheduled:
            settings["epochs"] = curve["best"]
        fitted.curve = fitted.curve or curve
    fitted.settings = settings
    warm_up(name, part.data, settings)
    start = time.perf_counter()
    fitted.recommender = fit_arrays(fitted.key, part.encoder, part.data, settings, seed=recipe.seed)
    fitted.fit_s += time.perf_counter() - start
    fitted.evaluations.append(judge(fitted.recommender, part.cases, recipe.evaluate.names, part.data, fitted.key))


def judge(
    recommender: Recommender, cases: Cases, metrics: tuple[str, ...], data: EventArrays, description: str
) -> Evaluation:
    """One fitted model on all cases."""
    model = recommender.model
    if cases.values is not None:
        assert isinstance(model, RatingModel) and data.value is not None
        values = data.ratings[2]
        clip = (float(values.min()), float(values.max()))
        return evaluate_ratings(model.rate, cases, metrics, clip)
    return evaluate_ranking(model.scorer(), cases, metrics, item_counts(data), description)


def item_counts(data: EventArrays) -> Array:
    """Positive training events per item, int64 [N]."""
    return np.bincount(data.item_idx[data.weight > 0], minlength=data.n_items)


def warm_up(name: str, data: EventArrays, settings: Mapping[str, Any]) -> None:
    """Fit to a handful of events and answer one request first, so that compile time is in nobody's figures."""
    few = sample(data)
    model = new_model(name, {**settings, "epochs": 1} if "epochs" in _settings_of(name) else settings)
    try:
        fit_model(model, few)
    except ModelError:
        return  # too few events for this model: the first fit compiles
    history = Ragged.from_rows([few.item_idx[:2]])
    query = Queries(
        user_idx=few.user_idx[:1], history=history, history_weight=np.ones(2, np.float32), session_len=np.array([2]),
        timestamp=np.array([np.nan]), n_users=few.n_users, n_items=few.n_items,
        context={column: values[:1] for column, values in few.context.items()},
    )  # fmt: skip
    scores = model.scorer()(query)
    target_ranks(scores, Ragged.from_rows([[0]]))
    top_k(scores, 1)


def sample(data: EventArrays) -> EventArrays:
    """At most 64 events that say something, over the users and items they name."""
    useful = (data.weight > 0) & (data.user_idx < data.n_users)
    if data.value is not None:
        useful &= np.isfinite(data.value)
    rows = np.sort(np.argsort(~useful, kind="stable")[:64])
    users, user_idx = np.unique(data.user_idx[rows], return_inverse=True)
    items, item_idx = np.unique(data.item_idx[rows], return_inverse=True)

    def part(values: Array | None) -> Array | None:
        return None if values is None else values[rows]

    return dataclasses.replace(
        data, n_users=len(users), n_items=len(items), user_idx=user_idx.astype(np.int32),
        item_idx=item_idx.astype(np.int32), weight=data.weight[rows], value=part(data.value),
        timestamp=part(data.timestamp), session_idx=part(data.session_idx),
        context={column: values[rows] for column, values in data.context.items()},
    )  # fmt: skip


def _settings_of(name: str) -> set[str]:
    return {f.name for f in dataclasses.fields(MODELS[name].Config)}


def learning_curve(
    name: str, settings: Mapping[str, Any], recipe: Recipe, fold: Fold, source: Source
) -> dict[str, Any]:
    """The deciding metric on the validation events after each epoch, and the epoch that was best (1-based)."""
    metric = recipe.evaluate.names[0]
    encoder, data, cases = validation(recipe, fold, source, CURVE_CASES)
    epochs: list[int] = []
    values: list[float] = []

    def watch(epoch: int, model: Model, **_: float) -> bool:
        epochs.append(epoch)
        values.append(judge(Recommender(name, model, encoder), cases, (metric,), data, name).mean(metric))
        return False

    fit_arrays(name, encoder, data, settings, seed=recipe.seed, monitor=watch)
    pick = np.argmax if MetricName.parse(metric).metric.higher_is_better else np.argmin
    return {"metric": metric, "epochs": epochs, "values": values, "best": epochs[int(pick(values))]}


def validation(recipe: Recipe, fold: Fold, source: Source, most: int) -> tuple[Encoder, EventArrays, Cases]:
    """The training events, encoded, and the questions about the validation events, at most so many; no test event is looked at."""
    encoder = Encoder.fit(fold.train, collapse_repeats=recipe.sessions.collapse_repeats)
    data = encoder.events(fold.train.events)
    cases = make_cases(recipe, encoder, known_events(fold.train, fold), fold.valid, source, rank_lists=False)
    if len(cases) > most:
        cases = cases.take(np.sort(stream(recipe.seed, "split", "curve").choice(len(cases), most, replace=False)))
    return encoder, data, cases


def forecasts(recipe: Recipe) -> bool:
    """Whether the recipe asks what an oracle knows: the next different item of a session."""
    whole = recipe.sessions.min_support == recipe.sessions.min_length == 1
    return recipe.evaluate.protocol == "next_item" and recipe.sessions.collapse_repeats and whole


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


def oracle_score(
    source: Source, encoder: Encoder, frame: pl.DataFrame, columns: Array, cases: Cases
) -> Callable[..., Float]:
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
