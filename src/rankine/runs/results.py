"""From an experiment to what is written down: the content of metrics.json, which the report draws."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from rankine import __version__
from rankine.arrays import Array
from rankine.evaluation.compare import Comparison, Interval, compare, intervals
from rankine.evaluation.evaluation import Evaluation
from rankine.evaluation.metrics import MetricName
from rankine.runs.click_cards import click_card, fits_card, importance_card, size_card, training_card
from rankine.runs.examples import examples
from rankine.runs.experiment import Experiment, Fitted
from rankine.runs.limits import SHOWN, counts_of, fold_word, limits, sentence

BUCKETS = (("0", 0, 0), ("1 to 4", 1, 4), ("5 to 19", 5, 19), ("20 to 99", 20, 99), ("100 +", 100, None))
"""How warm a target is: its events before the test."""
BUCKET_RESAMPLES = 500


QUESTIONS = {
    "next_item": "After every event of a test session: which item comes next? All items are ranked; ties count against the model.",
    "user_items": "For every user with test events: which items? All items not taken before are ranked; ties count against the model.",
    "event_items": "For every test event: which item, given its user and its context? All items are ranked; ties count against the model.",
    "candidates": "For every test user the held-out item among given negatives: a sampled metric, only for comparison with papers.",
    "ratings": "The value of every test event, predictions clipped to the range of the training values.",
    "impressions": "For every item that was shown in the test part: how likely is it taken?",
    "logged": "What would each model have earned? A row of the log counts by how much likelier the model shows its item.",
}


def results(experiment: Experiment, comparison: Comparison, command: str) -> dict[str, Any]:
    """Everything the report shows, as plain values."""
    recipe = experiment.recipe
    return {
        "run": {
            "name": recipe.name,
            "title": recipe.title,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": recipe.seed,
            "seconds": round(experiment.seconds, 2),
            "command": command,
            "versions": versions(),
            "cores": os.cpu_count(),
        },
        "data": data_card(experiment),
        "split": split_card(experiment),
        "protocol": {
            "name": recipe.evaluate.protocol,
            "sentence": QUESTIONS[recipe.evaluate.protocol],
            "unit": experiment.cases.unit,
            "primary": comparison.metric,
            "metrics": list(recipe.evaluate.names),
            "n_unknown_targets": counts_of(experiment).get("unknown_targets", 0),
        },
        "models": model_cards(experiment, comparison),
        "pairs": [
            {
                "a": p.a,
                "b": p.b,
                "metric": p.metric,
                "difference": p.difference,
                "low": p.low,
                "high": p.high,
                "p": p.p,
                "p_holm": p.p_holm,
                "distinguishable": p.distinguishable,
            }
            for p in comparison.pairs
        ],
        "oracle": None
        if experiment.oracle is None
        else {m: experiment.oracle.mean(m) for m in experiment.oracle.values},
        "examples": examples(experiment, comparison),
        "checks": [*({"ok": c.ok, "text": sentence(c.text)} for c in experiment.checks), *limits(experiment)],
        "expect": expectations(experiment),
    }


def compare_models(experiment: Experiment) -> Comparison:
    """The models on the deciding metric."""
    evaluations = {key: fitted.evaluation for key, fitted in experiment.models.items()}
    return compare(evaluations, experiment.recipe.evaluate.names[0], seed=experiment.recipe.seed)


def versions() -> dict[str, str]:
    """Versions of what the figures rest on."""
    from importlib.metadata import version

    packages = ("torch", "numpy", "numba", "polars")
    return {"rankine": __version__, "python": platform.python_version(), **{p: version(p) for p in packages}}


def data_card(experiment: Experiment) -> dict[str, Any]:
    """Counts of the whole dataset, and how many rows were read and rejected."""
    dataset, source = experiment.source.dataset, experiment.source
    events = dataset.events
    anonymous = events["user_id"].null_count()
    return {
        "name": dataset.name,
        "n_events": len(events),
        "n_users": events["user_id"].drop_nulls().n_unique(),
        "n_items": events["item_id"].drop_nulls().n_unique(),
        "n_sessions": events["session_id"].n_unique() if dataset.has_sessions else None,
        "anonymous_share": anonymous / max(len(events), 1) if anonymous else None,
        "first": _time(events, "min"),
        "last": _time(events, "max"),
        "read": sum(c["read"] for c in source.counts.values()) or len(events),
        "rejected": sum(c["rejected"] for c in source.counts.values()),
        "description": experiment.recipe.title or None,
    }


def split_card(experiment: Experiment) -> dict[str, Any]:
    """What came before, what judged, and how many questions that gave."""
    fold, evaluation = experiment.folds[0], next(iter(experiment.models.values())).evaluation
    labels = experiment.cases.values if experiment.recipe.evaluate.protocol in SHOWN else None

    def part(events: pl.DataFrame) -> dict[str, Any]:
        return {"n_events": len(events), "first": _time(events, "min"), "last": _time(events, "max")}

    return {
        "by": experiment.recipe.split.by,
        "sentence": sentence(fold.sentence),
        "n_folds": len(experiment.folds),
        "fold": fold_word(experiment),
        "train": part(fold.train.events),
        "valid": part(fold.valid) if len(fold.valid) else None,
        "test": {
            **part(fold.test),
            "n_cases": experiment.n_cases,
            "n_units": len(np.unique(evaluation.unit_idx)),
            "unit": evaluation.unit,
            "taken": float(np.mean(labels)) if labels is not None else None,
        },
    }


def model_cards(experiment: Experiment, comparison: Comparison) -> list[dict[str, Any]]:
    """One card per model, best first; the intervals of all figures come from the same draws of units."""
    seed, fitted = experiment.recipe.seed, [experiment.models[key] for key in comparison.order]
    wanted = [(f.key, m) for f in fitted for m in f.evaluation.resampled]
    found = intervals([(experiment.models[key].evaluation, m) for key, m in wanted], seed=seed)
    figures = dict(zip(wanted, found, strict=True))
    buckets = by_temperature([f.evaluation for f in fitted], comparison.metric, seed)
    tuned, clicks = experiment.recipe.tuned, experiment.recipe.evaluate.protocol == "impressions"
    return [
        {
            **model_card(f, comparison.letters[f.key], {m: figures[f.key, m] for m in f.evaluation.resampled}, heat),
            "importance": importance_card(f.model, experiment.cases, seed) if clicks else None,
            "trials": tuned[f.key].trials if f.key in tuned else None,
        }
        for f, heat in zip(fitted, buckets, strict=True)
    ]


def model_card(
    fitted: Fitted,
    letter: str,
    figures: Mapping[str, Interval],
    buckets: list[dict[str, Any]] | None,
) -> dict[str, Any]:
    """One model: its figures with intervals, times, learning curve and accuracy by warmth of the target."""
    evaluation, model = fitted.evaluation, fitted.model
    variant = "" if fitted.stages else fitted.key.partition(" ")[2]
    totals = {m: Interval(value, value, value) for m, value in evaluation.totals.items() if m not in figures}
    return {
        "name": fitted.key,
        "label": f"{model.label}, {variant}" if variant else model.label,
        "summary": model.summary,
        "mark": model.mark,
        "baseline": model.baseline,
        "letter": letter,
        "metrics": {m: numbers(figure) for m, figure in {**figures, **totals}.items()},
        "popularity": evaluation.popularity,
        "fit_s": round(fitted.fit_s, 3),
        "score_ms": round(1000 * evaluation.seconds / max(len(evaluation.unit_idx), 1), 6),
        "curve": fitted.curve,
        "settings": dict(fitted.settings),
        "by_temperature": buckets,
        "stages": fitted.stages,
        "training": None if fitted.recommender is None else training_card(fitted.recommender.training),
        **size_card(model),
        "fits": fits_card(evaluation),
        "clicks": click_card(evaluation.clicks),
    }


def numbers(figure: Interval) -> dict[str, float | None]:
    """A figure with its interval, null where it is no number: AUC has none in a draw without a taken row."""
    return {name: value if np.isfinite(value) else None for name, value in vars(figure).items()}


def by_temperature(evaluations: Sequence[Evaluation], metric: str, seed: int) -> list[list[dict[str, Any]] | None]:
    """Per model the metric for targets with few and many training events; None where a case has no one target."""
    rows = [_buckets(evaluation, metric) for evaluation in evaluations]
    parts = [part for buckets in rows for _, _, part in buckets or [] if part is not None]
    found = iter(intervals([(part, metric) for part in parts], seed=seed, n_resamples=BUCKET_RESAMPLES))
    none = dict.fromkeys(("mean", "low", "high"))
    return [
        None
        if buckets is None
        else [{"bucket": name, "n": n, **(none if part is None else numbers(next(found)))} for name, n, part in buckets]
        for buckets in rows
    ]


def _buckets(evaluation: Evaluation, metric: str) -> list[tuple[str, int, Evaluation | None]] | None:
    """Name, number of cases and evaluation of each bucket, None for an empty one."""
    counts = evaluation.target_counts
    if counts is None or evaluation.unit != "session":
        return None
    found = []
    for name, low, high in BUCKETS:
        rows = np.flatnonzero((counts >= low) & (counts <= (np.inf if high is None else high)))
        found.append((name, len(rows), _part(evaluation, rows, metric) if len(rows) else None))
    return found


def expectations(experiment: Experiment) -> list[dict[str, Any]]:
    """The published figures of the recipe beside the ones reached."""
    rows = []
    for e in experiment.recipe.expectations:
        value = experiment.models[e.model].evaluation.mean(e.metric)
        rows.append(
            {
                "recipe": experiment.recipe.name,
                "model": e.model,
                "metric": e.metric,
                "value": round(value, 5),
                "published": e.value,
                "tolerance": e.tolerance,
                "source": e.source,
                "ok": e.ok(value),
            }
        )
    return rows


def per_unit(experiment: Experiment) -> pl.DataFrame:
    """One row per model and user or session: number of cases and mean of every metric over them."""
    frames = []
    for key, fitted in experiment.models.items():
        evaluation = fitted.evaluation
        n_units = len(evaluation.unit_names)
        count = np.bincount(evaluation.unit_idx, minlength=n_units)
        means = {
            m: np.bincount(evaluation.unit_idx, v, minlength=n_units) / np.maximum(count, 1)
            for m, v in _named(evaluation.values).items()
        }
        frames.append(
            pl.DataFrame({"model": [key] * n_units, evaluation.unit: evaluation.unit_names, "n_cases": count, **means})
        )
    return pl.concat(frames).filter(pl.col("n_cases") > 0)


def _named(values: Mapping[str, Array]) -> dict[str, Array]:
    """Per-case values under a name that says what they are: the squared errors behind an rmse are not an rmse."""
    return {("squared_error" if MetricName.parse(m).base == "rmse" else m): v for m, v in values.items()}


def _part(evaluation: Evaluation, rows: Array, metric: str) -> Evaluation:
    return Evaluation(
        values={metric: evaluation.values[metric][rows]},
        totals={},
        unit_idx=evaluation.unit_idx[rows],
        unit_names=evaluation.unit_names,
        unit=evaluation.unit,
        seconds=0.0,
    )


def _time(events: pl.DataFrame, which: str) -> float | None:
    if "timestamp" not in events.columns or not len(events):
        return None
    value = getattr(events["timestamp"], which)()
    return None if value is None else float(value)
