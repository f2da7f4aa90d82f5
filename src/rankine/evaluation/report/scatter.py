"""Accuracy against the popularity of what is shown."""

from __future__ import annotations

from collections.abc import Sequence

from rankine.evaluation.report.axes import Axis
from rankine.evaluation.report.comparison import Comparison
from rankine.evaluation.report.lines import wants_zero
from rankine.evaluation.report.placement import Box
from rankine.evaluation.report.results import Model
from rankine.evaluation.report.spots import Spot, draw_spots
from rankine.evaluation.report.svg import NARROW, WIDE, Drawing, Entry, Plot, text_width
from rankine.evaluation.report.words import NBSP, decimal, percent, places

HEIGHT = 330


def accuracy_popularity(comparison: Comparison, models: Sequence[Model]) -> Plot:
    """The primary metric with interval (y) against the mean popularity percentile of what each model shows (x)."""
    wide, wide_legend = _draw(comparison, models, WIDE)
    narrow, narrow_legend = _draw(comparison, models, NARROW)
    return Plot(wide.markup(), narrow.markup(), wide_legend, narrow_legend)


def _draw(comparison: Comparison, models: Sequence[Model], width: int) -> tuple[Drawing, tuple[Entry, ...]]:
    drawing = Drawing(width, HEIGHT, _spoken(comparison, models))
    bottom, right = HEIGHT - 46, width - 14
    ends = [end for m in models for end in comparison.value(m).span]
    y = Axis.over(ends, bottom, 16, n=4, zero=wants_zero(ends))
    left = max(text_width(y.label(tick)) for tick in y.ticks) + 12
    x = Axis.over([m.popularity or 0.0 for m in models], left, right, n=6)
    _axes(drawing, x, y)
    spots = [_spot(comparison, m, x, y) for m in models]
    return drawing, draw_spots(drawing, spots, Box(left + 2, 0, width, bottom - 2))


def _spot(comparison: Comparison, model: Model, x: Axis, y: Axis) -> Spot:
    value, popular = comparison.value(model), model.popularity or 0.0
    whisker = (y.at(value.span[0]), y.at(value.span[1]))
    return Spot(x.at(popular), y.at(value.mean), whisker, model.mark, model.label, model in comparison.highlighted)


def _axes(drawing: Drawing, x: Axis, y: Axis) -> None:
    for tick in y.ticks:
        drawing.line("axis" if tick == y.ticks[0] else "gl", x.start, y.at(tick), x.end, y.at(tick))
        drawing.text("ax end", x.start - 8, y.at(tick) + 4, y.label(tick))
    for tick in x.ticks:
        at_end = x.at(tick) + 20 > drawing.width
        at = drawing.width if at_end else x.at(tick)
        drawing.text("ax end" if at_end else "ax mid", at, y.start + 18, f"{round(tick * 100, 1):g}{NBSP}%")
    drawing.text("ax mid", (x.start + x.end) / 2, y.start + 38, "mean popularity of what is shown, percentile")


def _spoken(comparison: Comparison, models: Sequence[Model]) -> str:
    digits = places(comparison.value(m) for m in models)
    each = ((m.label, decimal(comparison.value(m).mean, digits), percent(m.popularity)) for m in models)
    said = ", ".join(f"{label} {value} at {popular}" for label, value, popular in each)
    return f"{comparison.primary.title} against mean popularity of what is shown: {said}."
