"""From an experiment to what is written down: the content of metrics.json, which the report draws."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from rankine import __version__
from rankine.arrays import Array
from rankine.evaluation.compare import Comparison, Interval, compare, interval
from rankine.evaluation.evaluate import Evaluation
from rankine.evaluation.metrics import MetricName
from rankine.runs.examples import examples
from rankine.runs.experiment import Experiment, Fitted

BUCKETS = (("0", 0, 0), ("1 to 4", 1, 4), ("5 to 19", 5, 19), ("20 to 99", 20, 99), ("100 +", 100, None))
"""How warm a target is: its events before the test."""

QUESTIONS = {
    "next_item": "After every event of a test session: which item comes next? All items are ranked; ties count against the model.",
    "user_items": "For every user with test events: which items? All items not taken before are ranked; ties count against the model.",
    "candidates": "For every test user the held-out item among given negatives: a sampled metric, only for comparison with papers.",
    "ratings": "The value of every test event, predictions clipped to the range of the training values.",
}


def results(experiment: Experiment, comparison: Comparison, command: str) -> dict[str, Any]:
    """Everything the report shows, as plain values."""
    recipe = experiment.recipe
    return {
        "run": {
            "name": recipe.name, "title": recipe.title, "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": recipe.seed, "seconds": round(experiment.seconds, 2), "command": command,
            "versions": versions(), "cores": os.cpu_count(),
        },
        "data": data_card(experiment),
        "split": split_card(experiment),
        "protocol": {
            "sentence": QUESTIONS[recipe.evaluate.protocol], "unit": experiment.cases.unit, "primary": comparison.metric,
            "metrics": list(recipe.evaluate.names), "n_unknown_targets": int(experiment.cases.counts.get("unknown_targets", 0)),
        },
        "models": [model_card(experiment.models[key], comparison, recipe.seed) for key in comparison.order],
        "pairs": [
            {"a": p.a, "b": p.b, "metric": p.metric, "difference": p.difference, "low": p.low, "high": p.high, "p": p.p,
             "p_holm": p.p_holm, "distinguishable": p.distinguishable}
            for p in comparison.pairs
        ],
        "oracle": None if experiment.oracle is None else {m: experiment.oracle.mean(m) for m in experiment.oracle.values},
        "examples": examples(experiment, comparison),
        "checks": [*({"ok": c.ok, "text": c.text} for c in experiment.checks), *limits(experiment)],
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
        "name": dataset.name, "n_events": len(events), "n_users": events["user_id"].drop_nulls().n_unique(),
        "n_items": events["item_id"].drop_nulls().n_unique(),
        "n_sessions": events["session_id"].n_unique() if dataset.has_sessions else None,
        "anonymous_share": anonymous / max(len(events), 1) if anonymous else None,
        "first": _time(events, "min"), "last": _time(events, "max"),
        "read": sum(c["read"] for c in source.counts.values()) or len(events),
        "rejected": sum(c["rejected"] for c in source.counts.values()),
        "description": experiment.recipe.title or None,
    }


def split_card(experiment: Experiment) -> dict[str, Any]:
    """What came before, what judged, and how many questions that gave."""
    fold, cases = experiment.folds[0], experiment.cases

    def part(events: pl.DataFrame) -> dict[str, Any]:
        return {"n_events": len(events), "first": _time(events, "min"), "last": _time(events, "max")}

    return {
        "by": experiment.recipe.split.by, "sentence": fold.sentence, "n_folds": len(experiment.folds),
        "train": part(fold.train.events), "valid": part(fold.valid) if len(fold.valid) else None,
        "test": {**part(fold.test), "n_cases": experiment.n_cases, "n_units": cases.n_units, "unit": cases.unit},
    }


def model_card(fitted: Fitted, comparison: Comparison, seed: int) -> dict[str, Any]:
    """One model: its figures with intervals, times, learning curve and accuracy by warmth of the target."""
    evaluation, model = fitted.evaluation, fitted.model
    variant = fitted.key.partition(" ")[2]
    figures = {m: vars(comparison.intervals[fitted.key] if m == comparison.metric else interval(evaluation, m, seed=seed))
               for m in evaluation.values}
    totals = {m: vars(Interval(value, value, value)) for m, value in evaluation.totals.items()}
    return {
        "name": fitted.key, "label": f"{model.label}, {variant}" if variant else model.label, "summary": model.summary,
        "mark": model.mark, "baseline": model.baseline, "letter": comparison.letters[fitted.key],
        "metrics": {**figures, **totals}, "popularity": evaluation.popularity, "fit_s": round(fitted.fit_s, 3),
        "score_ms": round(1000 * evaluation.seconds / max(len(evaluation.unit_idx), 1), 4), "curve": fitted.curve,
        "settings": dict(fitted.settings), "by_temperature": by_temperature(evaluation, comparison.metric, seed),
    }


def by_temperature(evaluation: Evaluation, metric: str, seed: int) -> list[dict[str, Any]] | None:
    """The metric for targets with few and with many training events; None where cases have several targets or values."""
    counts = evaluation.target_counts
    if counts is None or evaluation.unit != "session":
        return None
    rows = []
    for name, low, high in BUCKETS:
        inside = np.flatnonzero((counts >= low) & (counts <= (np.inf if high is None else high)))
        figure = interval(_part(evaluation, inside, metric), metric, seed=seed, n_resamples=500) if len(inside) else None
        rows.append({"bucket": name, "n": len(inside), **(vars(figure) if figure else {"mean": None, "low": None, "high": None})})
    return rows


def expectations(experiment: Experiment) -> list[dict[str, Any]]:
    """The published figures of the recipe beside the ones reached."""
    rows = []
    for e in experiment.recipe.expectations:
        value = experiment.models[e.model].evaluation.mean(e.metric)
        rows.append({"recipe": experiment.recipe.name, "model": e.model, "metric": e.metric, "value": round(value, 5),
                     "published": e.value, "tolerance": e.tolerance, "source": e.source, "ok": e.ok(value)})
    return rows


def limits(experiment: Experiment) -> list[dict[str, Any]]:
    """What the figures do not say, in the form of checks."""
    counts, recipe = experiment.cases.counts, experiment.recipe
    found = {fitted.model.baseline for fitted in experiment.models.values()}
    notes = [{"ok": True, "text": "No score was infinite or not a number."}]
    unknown = counts.get("unknown_targets", 0)
    if unknown:
        share = unknown / max(len(experiment.cases), 1)
        notes.append({"ok": False, "text": f"{unknown:,} targets ({share:.1%}) were never seen in training. They count as misses."})
    if counts.get("dropped_unknown_events"):
        notes.append({"ok": False, "text": f"{counts['dropped_unknown_events']:,} test events of items never seen in training "
                                           "were left out before counting; a service could not do that."})
    if recipe.evaluate.protocol != "ratings":
        notes += [{"ok": False, "text": f"No {kind} baseline is part of this comparison: add one to say what the others are worth."}
                  for kind in ("popularity", "neighbourhood") if kind not in found]
    notes += [{"ok": True, "text": f"{what}: {count:,} events left out of the split, counted."}
              for what, count in experiment.folds[0].dropped.items() if count]
    if experiment.oracle is not None:
        notes.append({"ok": False, "text": "A generated shop has planted taste. Do not expect these values on your data."})
    return notes + [{"ok": True, "text": note} for note in experiment.source.notes]


def per_unit(experiment: Experiment) -> pl.DataFrame:
    """One row per model and user or session: number of cases and mean of every metric over them."""
    frames = []
    for key, fitted in experiment.models.items():
        evaluation = fitted.evaluation
        n_units = len(evaluation.unit_names)
        count = np.bincount(evaluation.unit_idx, minlength=n_units)
        means = {m: np.bincount(evaluation.unit_idx, v, minlength=n_units) / np.maximum(count, 1)
                 for m, v in _named(evaluation.values).items()}
        frames.append(pl.DataFrame({"model": [key] * n_units, evaluation.unit: evaluation.unit_names, "n_cases": count, **means}))
    return pl.concat(frames)


def _named(values: Mapping[str, Array]) -> dict[str, Array]:
    """Per-case values under a name that says what they are: the squared errors behind an rmse are not an rmse."""
    return {("squared_error" if MetricName.parse(m).base == "rmse" else m): v for m, v in values.items()}


def _part(evaluation: Evaluation, rows: Array, metric: str) -> Evaluation:
    return Evaluation(values={metric: evaluation.values[metric][rows]}, totals={}, unit_idx=evaluation.unit_idx[rows],
                      unit_names=evaluation.unit_names, unit=evaluation.unit, seconds=0.0)


def _time(events: pl.DataFrame, which: str) -> float | None:
    if "timestamp" not in events.columns or not len(events):
        return None
    value = getattr(events["timestamp"], which)()
    return None if value is None else float(value)
