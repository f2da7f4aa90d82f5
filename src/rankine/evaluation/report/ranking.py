"""The comparison table: a letter, the primary metric with its interval drawn, and the two next metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rankine.evaluation.report.charts import whisker, whisker_axis, whisker_scale
from rankine.evaluation.report.comparison import LOGGED, Comparison
from rankine.evaluation.report.results import Metric, Model
from rankine.evaluation.report.tables import COUNTS, column, metric_text, other_metrics, over_seeds
from rankine.evaluation.report.words import decimal, interval, milliseconds, places


@dataclass(frozen=True)
class Ranked:
    """One model of the comparison table."""

    model: Model
    letter: str
    leads: bool
    starts_group: bool
    value: str
    interval: str
    seeds: str
    whisker: Markup
    extra: tuple[str, ...]
    line: str


@dataclass(frozen=True)
class Ranking:
    """The comparison table."""

    metric: str
    scale: Markup
    extra: tuple[str, ...]
    rows: tuple[Ranked, ...]


def ranking(comparison: Comparison, listed: Sequence[str]) -> Ranking:
    """All models best first: the primary metric, its interval and the two next metrics, in the order of `listed`."""
    axis = whisker_axis(comparison)
    digits = places(comparison.value(m) for m in comparison.scored)
    others = other_metrics(comparison, listed)
    shown = _two_of(others)
    leaders = comparison.highlighted
    found: list[Ranked] = []
    for model in comparison.models:
        value = model.metrics.get(comparison.primary.name)
        held = comparison.reference.value if comparison.reference else None
        before = found[-1].letter if found else model.letter
        found.append(
            Ranked(
                model=model,
                letter=model.letter,
                leads=model in leaders,
                starts_group=not set(model.letter) & set(before) and bool(model.letter or before),
                value=decimal(value.mean if value else None, digits),
                interval=interval(value, digits),
                seeds=_seeds(comparison.primary, model),
                whisker=whisker(value, axis, digits, held, model in leaders) if value else Markup(""),
                extra=tuple(metric_text(comparison, m, model) for m in shown),
                line=_phone_line(comparison, model, others, interval(value, digits)),
            )
        )
    return Ranking(comparison.primary.title, whisker_scale(axis), tuple(column(m) for m in shown), tuple(found))


def _two_of(metrics: Sequence[Metric]) -> list[Metric]:
    """The first metric and the coverage, or on how many rows an estimate rests; or the first two."""
    covers = [m for m in metrics if m.base in ("coverage", *COUNTS)][:1]
    others = [m for m in metrics if m.base not in ("coverage", LOGGED, *COUNTS)]
    return [*others[: 2 - len(covers)], *covers]


def _phone_line(comparison: Comparison, model: Model, metrics: Sequence[Metric], bounds: str) -> str:
    """What the narrow table says under the whisker."""
    said = [
        f"{m.title} {metric_text(comparison, m, model)}"
        for m in metrics
        if m.base not in ("coverage", LOGGED) and m.name in model.metrics
    ][:2]
    said += [
        f"covers {metric_text(comparison, m, model)}"
        for m in metrics
        if m.base == "coverage" and m.name in model.metrics
    ][:1]
    said += [f"scores in {milliseconds(model.score_ms)}"] if model.score_ms is not None else []
    first = ", ".join(part for part in (bounds, _seeds(comparison.primary, model)) if part)
    return ". ".join(part for part in (first, ", ".join(said)) if part)


def _seeds(metric: Metric, model: Model) -> str:
    deviation = over_seeds(metric, model)
    return f"{deviation}, {model.seeds.n}\u00a0seeds" if deviation and model.seeds else ""
