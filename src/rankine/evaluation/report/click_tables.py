"""The numbers behind the charts of click models, of sizes and of two stages."""

from __future__ import annotations

from collections.abc import Sequence

from rankine.evaluation.report.comparison import Comparison
from rankine.evaluation.report.fields import places_of
from rankine.evaluation.report.results import Metric, Model
from rankine.evaluation.report.scales import rate_label
from rankine.evaluation.report.svg import key
from rankine.evaluation.report.tables import Cell, Line, Table, metric_text, with_interval
from rankine.evaluation.report.tradeoff import Sized
from rankine.evaluation.report.words import DASH, decimal, integer, percent, places, rate

MOST_BINS = 14  # lines of the table of scores


def calibration(models: Sequence[Model]) -> Table:
    """Per bin the share that was taken, under it what was predicted."""
    bins = [m.clicks.bins if m.clicks else () for m in models]
    lines = []
    for i in range(max(map(len, bins))):
        cells = [
            Cell(rate(b[i].observed.mean), f"predicted {rate(b[i].predicted)}") if i < len(b) else Cell(DASH)
            for b in bins
        ]
        counts = {b[i].n for b in bins if i < len(b)}
        n = counts.pop() if len(counts) == 1 else None
        lines.append(Line(f"{i + 1}{f', {integer(n)} rows' if n else ''}", tuple(cells)))
    return Table("Share taken, by bin of the prediction", "Bin", tuple(m.label for m in models), tuple(lines))


def scores(models: Sequence[Model]) -> Table:
    """Shares of the taken rows by predicted probability, under each that of the left rows; neighbouring bins are joined."""
    histograms = [m.clicks.histogram for m in models if m.clicks and m.clicks.histogram]
    edges = histograms[0].edges
    step = max(1, -(-(len(edges) - 1) // MOST_BINS))
    lines = []
    for i in range(0, len(edges) - 1, step):
        part = slice(i, i + step)
        upper = edges[min(i + step, len(edges) - 1)]
        cells = [
            Cell(percent(sum(h.taken[part]), 1), f"left {percent(sum(h.left[part]), 1)}")
            if h.edges == edges
            else Cell(DASH)
            for h in histograms
        ]
        if any(sum(h.taken[part]) + sum(h.left[part]) for h in histograms):
            lines.append(Line(f"{_edge(edges[i])} to {_edge(upper)}", tuple(cells)))
    return Table(
        "Share of the taken rows, by predicted probability", "Predicted", tuple(m.label for m in models), tuple(lines)
    )


def importance(models: Sequence[Model]) -> Table:
    """AUC lost by field for every model that has fields, the fields in the order of the best model."""
    digits = max(places_of(m.drops) for m in models)
    drops = [{d.field: d for d in m.drops} for m in models]
    names = list(dict.fromkeys(name for found in drops for name in found))
    lines = [
        Line(
            name,
            tuple(
                Cell(decimal(d.mean, digits), f"\u00b1{decimal(d.deviation, digits)}")
                if (d := found.get(name))
                else Cell(DASH)
                for found in drops
            ),
        )
        for name in names
    ]
    return Table("AUC lost when a field is dealt out anew", "Field", tuple(m.label for m in models), tuple(lines))


def sizes(comparison: Comparison, found: Sized) -> Table:
    """The points of the chart of sizes, and what each loses against the best."""
    best, metric = comparison.value(found.models[0]).mean, comparison.primary
    digits = max(4, places(comparison.value(m) for m in found.models))
    most = max(found.sizes)
    lines = [
        Line(
            model.label,
            (
                Cell(integer(n)),
                Cell(percent(n / most)),
                with_interval(comparison, metric, model),
                Cell(decimal(comparison.value(model).mean - best, digits)),
            ),
            key(mark),
        )
        for model, n, mark in zip(found.models, found.sizes, found.marks, strict=True)
    ]
    columns = (found.word.capitalize(), "Share of the largest", metric.title, "Against the best")
    return Table("Quality and size", "Model", columns, tuple(lines))


def stages(comparison: Comparison) -> Table | None:
    """Models that rank what another one found: what the first stage finds is the most that the second can reach."""
    lines = []
    for model in comparison.models:
        if model.stages is None:
            continue
        for name, ceiling in model.stages.ceiling.items():
            value = model.metrics.get(name)
            reached = value.mean / ceiling.mean if value and ceiling.mean else None
            digits = places([ceiling])
            cells = (
                Cell(model.stages.first),
                Cell(integer(model.stages.candidates)),
                Cell(decimal(ceiling.mean, digits)),
                Cell(metric_text(comparison, Metric(name), model)),
                Cell(percent(reached)),
            )
            lines.append(Line(f"{model.label}, {Metric(name).text}", cells, key(model.mark)))
    columns = ("First stage", "Candidates", "Found by it", "Reached", "Share of what can be")
    return Table("Two stages", "Model", columns, tuple(lines), frozenset({0})) if lines else None


def _edge(value: float) -> str:
    return rate_label(float(f"{value:.2g}")) if value < 0.5 else rate_label(1 - float(f"{1 - value:.2g}"))
