"""Accuracy against the popularity of what is shown."""

from __future__ import annotations

from collections.abc import Sequence

from rankine.evaluation.report.axes import Axis
from rankine.evaluation.report.comparison import Comparison
from rankine.evaluation.report.curves import wants_zero
from rankine.evaluation.report.placement import Box, Found, Point, place_labels
from rankine.evaluation.report.results import Model
from rankine.evaluation.report.svg import NARROW, WIDE, Drawing, Entry, Plot, fitted, key, text_width
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
    points = [(x.at(m.popularity or 0.0), y.at(comparison.value(m).mean)) for m in models]
    boxes = []
    for model, (at, height) in zip(models, points, strict=True):
        high, low = sorted(y.at(v) for v in comparison.value(model).span)
        if low != high:
            drawing.line(f"wk s{model.mark}", at, low, at, high)
        boxes.append(Box(at - 8, min(high, height - 8), at + 8, max(low, height + 8)))
    places_found = place_labels(_widths(comparison, models, width), points, boxes, Box(left + 2, 0, width, bottom - 2))
    _leads(drawing, points, places_found)
    for model, (at, height) in reversed(list(zip(models, points, strict=True))):
        drawing.mark(model.mark, at, height, 5.5)
    return drawing, _labels(drawing, comparison, models, points, places_found)


def _axes(drawing: Drawing, x: Axis, y: Axis) -> None:
    for tick in y.ticks:
        drawing.line("axis" if tick == y.ticks[0] else "gl", x.start, y.at(tick), x.end, y.at(tick))
        drawing.text("ax end", x.start - 8, y.at(tick) + 4, y.label(tick))
    for tick in x.ticks:
        at_end = x.at(tick) + 20 > drawing.width
        at = drawing.width if at_end else x.at(tick)
        drawing.text("ax end" if at_end else "ax mid", at, y.start + 18, f"{round(tick * 100, 1):g}{NBSP}%")
    drawing.text("ax mid", (x.start + x.end) / 2, y.start + 38, "mean popularity of what is shown, percentile")


def _shown(label: str, width: float) -> str:
    return fitted(label, width * 0.4, bold=True)


def _widths(comparison: Comparison, models: Sequence[Model], width: float) -> list[float]:
    size = 14.0 if width == NARROW else 13.0
    return [text_width(_shown(m.label, width), size, m in comparison.highlighted) for m in models]


def _leads(drawing: Drawing, points: Sequence[Point], found: Found) -> None:
    for point, place in zip(points, found, strict=True):
        if place is not None and place.lead:
            drawing.line("lead", *point, *place.box.nearest(point))


def _labels(
    drawing: Drawing,
    comparison: Comparison,
    models: Sequence[Model],
    points: Sequence[Point],
    found: Found,
) -> tuple[Entry, ...]:
    """Writes the labels that have a place; returns the others for a legend."""
    left_out = []
    for model, point, place in zip(models, points, found, strict=True):
        if place is None:
            left_out.append(Entry(key(model.mark), model.label))
            continue
        weight = "lab " if model in comparison.highlighted else ""
        anchor, at = _anchor(point, place.box)
        drawing.text(
            f"{weight}halo{anchor}", at, place.box.bottom - 3.5, _shown(model.label, drawing.width), model.label
        )
    return tuple(left_out)


def _anchor(point: Point, box: Box) -> tuple[str, float]:
    if box.left >= point[0]:
        return "", box.left
    return (" end", box.right) if box.right <= point[0] else (" mid", (box.left + box.right) / 2)


def _spoken(comparison: Comparison, models: Sequence[Model]) -> str:
    digits = places(comparison.value(m) for m in models)
    each = ((m.label, decimal(comparison.value(m).mean, digits), percent(m.popularity)) for m in models)
    said = ", ".join(f"{label} {value} at {popular}" for label, value, popular in each)
    return f"{comparison.primary.title} against mean popularity of what is shown: {said}."
