"""The numbers behind the charts, as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankine.evaluation.report.axes import step_places
from rankine.evaluation.report.comparison import Comparison
from rankine.evaluation.report.results import Curve, Metric, Model
from rankine.evaluation.report.svg import key
from rankine.evaluation.report.values import Estimate, number, rows
from rankine.evaluation.report.words import (
    DASH,
    NBSP,
    decimal,
    difference_places,
    duration,
    integer,
    interval,
    milliseconds,
    percent,
    places,
    probability,
    share,
    signed,
)

MOST_EPOCHS = 10
COUNTS = frozenset({"effective_rows"})  # metrics that count something
SHARES = frozenset({"matched"})  # metrics that are a share of the rows
FACTS: tuple[tuple[str, Callable[[Model], float | None]], ...] = (
    ("Trained rows per s", lambda m: m.rows_per_s),
    ("Parameters", lambda m: m.n_parameters),
    ("Table parameters", lambda m: m.table_parameters),
    ("Tuning trials", lambda m: m.trials),
)


@dataclass(frozen=True)
class Cell:
    """One number with what stands under it; `state` is `ok` or `off` for a verdict."""

    text: str
    note: str = ""
    state: str = ""


@dataclass(frozen=True)
class Line:
    """One row: what it is about, and its cells."""

    label: str
    cells: tuple[Cell, ...]
    key: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first column names the row; `words` are the columns that hold text."""

    caption: str
    first: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    words: frozenset[int] = frozenset()


def every_metric(comparison: Comparison, listed: Sequence[str]) -> Table:
    """All metrics of all models with their intervals, and what they cost."""
    metrics = [comparison.primary, *other_metrics(comparison, listed)]
    costs = [m for m in comparison.models if m.fit_s is not None or m.score_ms is not None]
    facts = [fact for fact in FACTS if any(fact[1](m) is not None for m in comparison.models)]
    lines = []
    for model in comparison.models:
        cells = [with_interval(comparison, m, model) for m in metrics]
        cells += [Cell(duration(model.fit_s)), Cell(milliseconds(model.score_ms))] if costs else []
        cells += [Cell(integer(value(model))) for _, value in facts]
        lines.append(Line(model.label, tuple(cells), key(model.mark)))
    columns = [column(m) for m in metrics] + (["Training", "One answer"] if costs else [])
    return Table("Every metric, with 95 % intervals", "Model", (*columns, *(title for title, _ in facts)), tuple(lines))


def tested_pairs(comparison: Comparison) -> Table | None:
    """Every tested difference with its interval and the corrected probability."""
    labels = {m.name: m.label for m in comparison.models}
    several = len({pair.metric for pair in comparison.pairs}) > 1
    lines = []
    ordered = sorted(comparison.pairs, key=lambda pair: pair.metric != comparison.primary.name)
    for pair in ordered:
        metric, value = Metric(pair.metric), pair.difference
        digits = difference_places([value.mean], _metric_places(comparison, metric))
        better = pair.a if (value.mean > 0) != metric.lower_is_better else pair.b
        verdict = f"{labels.get(better, better)} is better" if pair.distinguishable else "not distinguishable"
        cells = [
            Cell(signed(value.mean, digits)),
            Cell(_signed_interval(value, digits)),
            Cell(probability(pair.p_holm)),
            Cell(verdict),
        ]
        cells += [Cell(metric.text)] if several else []
        lines.append(Line(f"{labels.get(pair.a, pair.a)} against {labels.get(pair.b, pair.b)}", tuple(cells)))
    columns = ("Difference", "95 % interval", "p, corrected", "Verdict", *(["Metric"] if several else []))
    return Table("Tests between models", "Models", columns, tuple(lines), frozenset({3, 4})) if lines else None


def epochs(models: Sequence[Model], digits: int) -> Table:
    """The values behind the learning curves: every epoch, or about ten of them and the best ones."""
    curves = [(m, m.curve) for m in models if m.curve is not None]
    every = sorted({e for _, c in curves for e in c.epochs})
    step = max(1, -(-len(every) // MOST_EPOCHS))
    shown = sorted({*every[::step], every[-1], *(c.best for _, c in curves if c.best in every and c.best is not None)})
    lines = []
    for epoch in shown:
        cells = [_at_epoch(c, epoch, digits) for _, c in curves]
        lines.append(Line(str(epoch), tuple(cells)))
    return Table("The curves as numbers", "Epoch", tuple(m.label for m, _ in curves), tuple(lines))


def _at_epoch(curve: Curve, epoch: int, digits: int) -> Cell:
    """The value of one epoch, with the training loss under it."""
    value = curve.at(epoch)
    if value is None:
        return Cell(_why_missing(curve.epochs, epoch))
    loss = dict(zip(curve.epochs, curve.loss, strict=False)).get(epoch)
    return Cell(decimal(value, digits), "" if loss is None else f"loss {decimal(loss, 4)}")


def popularity(comparison: Comparison, models: Sequence[Model]) -> Table:
    """The points of the popularity chart."""
    lines = [
        Line(m.label, (with_interval(comparison, comparison.primary, m), Cell(percent(m.popularity))), key(m.mark))
        for m in models
    ]
    return Table(
        "Accuracy and popularity",
        "Model",
        (comparison.primary.title, "Mean popularity shown, percentile"),
        tuple(lines),
    )


def temperature(models: Sequence[Model]) -> Table:
    """The values of every model by bucket, under the number of targets in each."""
    buckets = max((m.buckets for m in models), key=len)
    digits = places(b.estimate for m in models for b in m.buckets if b.estimate)
    lines = [Line("Targets", tuple(Cell(integer(b.n)) for b in buckets))]
    for model in models:
        values = [b.estimate for b in model.buckets] + [None] * (len(buckets) - len(model.buckets))
        cells = tuple(Cell(decimal(v.mean if v else None, digits), interval(v, digits)) for v in values)
        lines.append(Line(model.label, cells, key(model.mark)))
    columns = tuple(b.name.replace("+", f"{NBSP}+") for b in buckets)
    return Table("By events of the target in training", "Events in training", columns, tuple(lines))


def published(results: Mapping[str, Any], comparison: Comparison) -> Table | None:
    """What was measured beside what was published, and whether the two agree within the tolerance."""
    labels, figures = {m.name: m.label for m in comparison.models}, rows(results, "expect")
    stated = [number(row.get(k)) for row in figures for k in ("published", "tolerance")]
    digits = min(6, max([3, *(step_places(v) for v in stated if v is not None)]))
    lines = []
    for row in figures:
        ours, theirs, tolerance = (number(row.get(k)) for k in ("value", "published", "tolerance"))
        off = None if ours is None or theirs is None else ours - theirs
        verdict = Cell("within tolerance", state="ok") if row.get("ok") else Cell("off", state="off")
        cells = (
            Cell(decimal(ours, digits)),
            Cell(decimal(theirs, digits)),
            Cell(signed(off, digits)),
            Cell(DASH if tolerance is None else f"\u00b1{decimal(tolerance, digits)}"),
            verdict,
            Cell(str(row.get("source") or "")),
        )
        name = str(row.get("model"))
        lines.append(Line(f"{labels.get(name, name)}, {Metric(str(row.get('metric'))).text}", cells))
    columns = ("Here", "Published", "Difference", "Tolerance", "Verdict", "Source")
    return Table("Published figures", "Figure", columns, tuple(lines), frozenset({4, 5})) if lines else None


def metric_text(comparison: Comparison, metric: Metric, model: Model) -> str:
    """The mean of a metric in the decimals of its column; coverage as a share."""
    value = model.metrics.get(metric.name)
    mean = value.mean if value else None
    if metric.base == "coverage":
        largest = max((m.metrics[metric.name].mean for m in comparison.models if metric.name in m.metrics), default=1.0)
        return percent(mean, 0 if largest >= 0.1 else 1)
    if metric.base in COUNTS:
        return integer(mean)
    if metric.base in SHARES:
        return share(mean)
    return decimal(mean, _metric_places(comparison, metric))


def with_interval(comparison: Comparison, metric: Metric, model: Model) -> Cell:
    """A metric of a model above its interval, and above its deviation where it is a mean over seeds."""
    bounds = (
        ""
        if metric.base in {"coverage", *COUNTS, *SHARES}
        else interval(model.metrics.get(metric.name), _metric_places(comparison, metric))
    )
    return Cell(
        metric_text(comparison, metric, model), "; ".join(part for part in (bounds, over_seeds(metric, model)) if part)
    )


def over_seeds(metric: Metric, model: Model) -> str:
    """How much a figure moves with the seed: `sd 0.0002`; empty where it does not, or there was one."""
    deviation = model.seeds.deviation(metric.name) if model.seeds else None
    if not deviation:
        return ""
    return f"sd{NBSP}{decimal(deviation, difference_places([deviation], 4))}"


def _metric_places(comparison: Comparison, metric: Metric) -> int:
    return places(m.metrics[metric.name] for m in comparison.models if metric.name in m.metrics)


def other_metrics(comparison: Comparison, listed: Sequence[str]) -> list[Metric]:
    """The metrics beside the primary one, in the order of `listed`, then as the models have them."""
    known = list(dict.fromkeys([*listed, *(name for m in comparison.models for name in m.metrics)]))
    present = {name for m in comparison.models for name in m.metrics}
    return [Metric(name) for name in known if name in present and name != comparison.primary.name]


def column(metric: Metric) -> str:
    """The head of a column."""
    return "Coverage" if metric.base == "coverage" else metric.title


def _signed_interval(value: Estimate, digits: int) -> str:
    if value.low is None or value.high is None:
        return DASH
    return f"{signed(value.low, digits)} to {signed(value.high, digits)}"


def _why_missing(known: Sequence[int], epoch: int) -> str:
    return "stopped" if epoch > known[-1] else DASH
