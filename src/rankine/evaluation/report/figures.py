"""The figures of the report: a finding, a caption, a drawing, and the numbers behind it; `None` where there is nothing to draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rankine.evaluation.report import (
    calibration,
    charts,
    click_tables,
    dots,
    fields,
    findings,
    learning,
    scatter,
    scores,
    tables,
    temperature,
    tradeoff,
)
from rankine.evaluation.report.comparison import Comparison
from rankine.evaluation.report.results import Metric, Model
from rankine.evaluation.report.svg import Plot
from rankine.evaluation.report.tables import Table
from rankine.evaluation.report.words import NBSP


@dataclass(frozen=True)
class Figure:
    """A chart: what was found, what is drawn, the drawing, and the numbers behind it."""

    finding: str
    caption: str
    plot: Plot
    numbers: Table | None = None


def of_primary(comparison: Comparison) -> Figure | None:
    """The primary metric of all models: bars from zero, or dots on a stated stretch for a metric whose zero means nothing."""
    scored, title = comparison.scored, comparison.primary.title
    if not scored or not any(abs(end) > 0 for m in scored for end in comparison.value(m).span):
        return None
    whiskers = f"95{NBSP}% intervals" if any(comparison.value(m).width for m in scored) else ""
    if comparison.primary.from_zero:
        caption = f"{title}, bars from zero{f', whiskers: {whiskers}' if whiskers else ''}."
        return Figure(findings.bars(comparison), caption, charts.bars(comparison))
    return Figure(findings.bars(comparison), _dots_caption(comparison, whiskers), dots.dots(comparison))


def _dots_caption(comparison: Comparison, whiskers: str) -> str:
    axis, title = dots.scale(comparison), comparison.primary.title
    low, high = axis.label(axis.low), axis.label(axis.high)
    text = f"{title}{f', {whiskers}' if whiskers else ''}. The scale runs from {low} to {high}, not from zero"
    text += "; guessing gives 0.5." if comparison.primary.base in ("auc", "gauc") else "."
    seeds = {m.seeds.n for m in comparison.scored if m.seeds}
    return text + (f" Small rings: the {max(seeds)} fits from different seeds." if seeds else "")


def learnt(comparison: Comparison) -> list[Figure]:
    """One chart for each metric that curves were kept for."""
    by_metric: dict[Metric, list[Model]] = {}
    for model in comparison.models:
        if model.curve is not None:
            by_metric.setdefault(model.curve.metric, []).append(model)
    return [_learnt(metric, models) for metric, models in by_metric.items()]


def _learnt(metric: Metric, models: list[Model]) -> Figure:
    curves = [m.curve for m in models if m.curve]
    digits = learning.digits(curves)
    caption = f"{metric.title} on the validation part, by epoch. The mark is the epoch that was kept."
    if any(c.drops for c in curves):
        caption += " Ring: the learning rate was lowered after this epoch."
    if any(c.others for c in curves):
        caption += " Faint: fits from other seeds."
    if (edge := learning.edge(curves)) is not None:
        caption += f" Values {'above' if metric.lower_is_better else 'below'} {edge} are not drawn."
    if any(c.loss for c in curves):
        caption += " Below: the mean training loss of each epoch."
    return Figure(
        findings.learning(models), caption, learning.learning(models, metric, digits), tables.epochs(models, digits)
    )


def popularity(comparison: Comparison) -> dict[str, Any] | None:
    """The primary metric against the popularity of what is shown, and how to read it."""
    models = [m for m in comparison.scored if m.popularity is not None]
    if not models:
        return None
    good = "Low" if comparison.primary.lower_is_better else "High"
    caption = f"{comparison.primary.title} with interval, against the mean popularity of what is shown."
    plot, numbers = scatter.accuracy_popularity(comparison, models), tables.popularity(comparison, models)
    figure = Figure(findings.popularity(comparison, models), caption, plot, numbers)
    return {"text": f"{good} and left is good: accurate without showing everybody the same items.", "figure": figure}


def by_temperature(comparison: Comparison) -> Figure | None:
    """The primary metric by how often the target was seen in training."""
    every = [m for m in comparison.models if any(b.estimate for b in m.buckets)]
    shown = temperature.shown_by_temperature(comparison)
    if not shown:
        return None
    caption = f"{comparison.primary.title} with 95{NBSP}% intervals, from cold to warm." + _drawn_of(shown, every)
    plot = temperature.temperature(shown, comparison.primary)
    return Figure(findings.temperature(comparison, shown), caption, plot, tables.temperature(every))


def probabilities(comparison: Comparison) -> list[Figure]:
    """How predicted probabilities compare with what came, and how they spread."""
    found = []
    every = [m for m in comparison.models if m.clicks is not None and m.clicks.bins]
    if drawn := calibration.shown(every):
        by_root = calibration.scale(drawn)[1]
        caption = "Each mark: a tenth of the test rows, equal predictions together. Across: their mean prediction; up: the share"
        caption += " that was taken"
        caption += (
            f", with its 95{NBSP}% interval as if rows were independent. On the dashed line predictions come true."
        )
        caption += " Both axes are drawn by square root, so that small rates can be told apart." if by_root else ""
        numbers = click_tables.calibration(every)
        found.append(
            Figure(
                findings.calibration(every), caption + _drawn_of(drawn, every), calibration.calibration(drawn), numbers
            )
        )
    spread = [m for m in comparison.models if m.clicks is not None and m.clicks.histogram is not None]
    if drawn := scores.shown(spread):
        caption = "Upwards: rows that were taken; downwards: rows that were left; an outline is the whole of its kind."
        caption += " The outermost bins hold all beyond. Median: of the taken rows."
        numbers = click_tables.scores(spread)
        found.append(Figure(findings.scores(spread), caption + _drawn_of(drawn, spread), scores.scores(drawn), numbers))
    return found


def importance(comparison: Comparison) -> Figure | None:
    """What the best model with fields loses when one of them is dealt out anew; the numbers hold all such models."""
    every = [m for m in comparison.models if m.drops]
    if not every:
        return None
    best, n = every[0], len(every[0].drops)
    caption = f"{best.label}: AUC lost when the values of one field are dealt out anew among the test rows."
    caption += " Whiskers: deviation over the deals." + (
        f" The first {fields.MOST} of {n} fields." if n > fields.MOST else ""
    )
    caption += f" The numbers hold all {len(every)} models." if len(every) > 1 else ""
    return Figure(findings.importance(best), caption, fields.fields(best), click_tables.importance(every))


def size(comparison: Comparison) -> Figure | None:
    """The primary metric against how large each model is, where sizes differ."""
    found = tradeoff.sized(comparison)
    if found is None:
        return None
    caption = f"{comparison.primary.title} with 95{NBSP}% intervals, against the number of {found.word}."
    caption += " Lines join variants of one kind." if found.lines else ""
    plot, numbers = tradeoff.tradeoff(comparison, found), click_tables.sizes(comparison, found)
    return Figure(findings.size(comparison, found), caption, plot, numbers)


def _drawn_of(shown: list[Model], every: list[Model]) -> str:
    return f" Drawn for {len(shown)} of {len(every)} models; the numbers hold all." if len(shown) < len(every) else ""
