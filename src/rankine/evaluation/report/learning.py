"""Lines by epoch: the metric on the validation part, and below it the training loss where it was kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from rankine.evaluation.report.axes import Axis, nice_step
from rankine.evaluation.report.lines import End, end_labels, grid
from rankine.evaluation.report.results import Curve, Metric, Model
from rankine.evaluation.report.svg import NARROW, WIDE, Drawing, Entry, Plot, key, text_width
from rankine.evaluation.report.words import decimal

Curves = Sequence[tuple[Model, Curve]]
LOSS = 120  # height of the plot of losses
FAR = 3.0  # epochs further from the best than this, in distances of the better two thirds, are cut off


def learning(models: Sequence[Model], metric: Metric, places: int) -> Plot:
    """The validation curve of each model, with a mark at the epoch that was kept and a ring where the learning rate was lowered."""
    curves = [(m, m.curve) for m in models if m.curve is not None]
    legend = tuple(Entry(key(m.mark), m.label, _best_note(c, places)) for m, c in curves)
    return Plot(_draw(curves, metric, places, WIDE), _draw(curves, metric, places, NARROW), (), legend)


def digits(curves: Sequence[Curve]) -> int:
    """Decimals that tell the best epochs of these curves apart, three or four."""
    values = [v for c in curves for v in c.values]
    bests = [round(v, 3) for c in curves if c.best is not None and (v := c.at(c.best)) is not None]
    return 3 if max(map(abs, values)) >= 0.1 and len(set(bests)) == len(bests) else 4


def window(curves: Sequence[Curve]) -> float | None:
    """Where the drawing of the metric is cut, so that the first epochs do not flatten all others; `None` where it holds all.

    The better two thirds of every curve stay on it.
    """
    values = [v for c in curves for v in c.values]
    if any(c.metric.lower_is_better for c in curves):
        cut, best, worst = max(map(_cut, curves)), min(values), max(values)
    else:
        cut, best, worst = min(map(_cut, curves)), max(values), min(values)
    return cut if abs(worst - best) > 2 * abs(cut - best) > 0 else None


def _cut(curve: Curve) -> float:
    ranked = sorted(curve.values, reverse=curve.metric.lower_is_better)
    return ranked[-1] + FAR * (ranked[len(ranked) // 3] - ranked[-1])


def edge(curves: Sequence[Curve]) -> str | None:
    """The end of the axis that values were cut at, as it is written there; `None` where none were."""
    axis = _metric_axis(curves, 1.0)
    low = any(c.metric.lower_is_better for c in curves)
    return None if window(curves) is None else axis.label(axis.high if low else axis.low)


def _draw(curves: Curves, metric: Metric, places: int, width: int) -> Markup:
    wide, losses = width == WIDE, any(c.loss for _, c in curves)
    above = max(300.0, 60.0 + 32 * len(curves)) if wide else 250.0
    drawing = Drawing(width, above + (LOSS + 30 if losses else 0), _spoken(curves, metric))
    bottom, right = above - 38.0, width - (_label_room(curves, places) if wide else 12)
    y = _metric_axis([c for _, c in curves], bottom)
    left = grid(drawing, y, right)
    x = _epochs(curves, left, right, 6 if wide else 4)
    for model, curve in curves:
        for other in curve.others:
            _line(drawing, f"ln faint s{model.mark}", other, x, y)
    for model, curve in curves:
        _line(drawing, f"ln s{model.mark}", list(zip(curve.epochs, curve.values, strict=True)), x, y)
    for model, curve in curves:
        _marks(drawing, model, curve, x, y, places)
    if losses:
        bottom = _losses(drawing, curves, x, above, right)
    for tick in _epoch_ticks(x):
        drawing.text("ax mid", x.at(tick), bottom + 17, f"{tick:.0f}")
    drawing.text("ax mid", (left + right) / 2, bottom + 33, "epoch")
    if wide:
        ends = [
            End(m.mark, x.at(c.epochs[-1]), y.at(y.nearest(c.values[-1])), m.label, _best_note(c, places))
            for m, c in curves
        ]
        end_labels(drawing, ends, right + 20, above - 38)
    return drawing.markup()


def _marks(drawing: Drawing, model: Model, curve: Curve, x: Axis, y: Axis, places: int) -> None:
    """Rings where the learning rate was lowered, and the mark at the epoch that was kept."""
    for epoch in curve.drops:
        if (value := curve.at(epoch)) is not None and y.holds(value):
            drawing.circle(
                f"ring s{model.mark}", x.at(epoch), y.at(value), 4.5, f"{model.label}: lower rate after epoch {epoch}"
            )
    kept = curve.best if curve.best is not None and curve.at(curve.best) is not None else curve.epochs[-1]
    value = y.nearest(curve.at(kept) or 0.0)
    said = f"{model.label}: epoch {kept}, {decimal(value, places)}"
    drawing.mark(model.mark, x.at(kept), y.at(value), 5.5, said=said)


def _losses(drawing: Drawing, curves: Curves, x: Axis, above: float, right: float) -> float:
    """Draws the training loss of each model on the same epochs; returns the pixel of its lowest line."""
    bottom = above - 8 + LOSS
    known = [v for _, c in curves for v in c.loss if v is not None]
    y = Axis.over(known, bottom, above + 10, n=3)
    for tick in y.ticks:
        drawing.line("axis" if tick == y.ticks[0] else "gl", x.start, y.at(tick), right, y.at(tick))
        drawing.text("ax end", x.start - 8, y.at(tick) + 4, y.label(tick))
    drawing.text("ax", x.start, above - 6, "training loss")
    for model, curve in curves:
        line = [(x.at(e), y.at(v)) for e, v in zip(curve.epochs, curve.loss, strict=False) if v is not None]
        if line:
            drawing.curve(f"ln s{model.mark}", line)
            drawing.mark(model.mark, *line[-1], 3.5)
    return bottom


def _epochs(curves: Curves, left: float, right: float, n: int) -> Axis:
    every = [e for _, c in curves for e in (*c.epochs, *(e for other in c.others for e, _ in other))]
    return Axis.whole(min(every), max(every), left, right, n=n)


def _metric_axis(curves: Sequence[Curve], bottom: float) -> Axis:
    """From the cut, or the worst value, to the best."""
    cut = window(curves)
    values = [v for c in curves for v in (*c.values, *(v for other in c.others for _, v in other))]
    if cut is None:
        return Axis.over(values, bottom, 14, n=5)
    ahead = [v for v in values if (v < cut) == curves[0].metric.lower_is_better]
    step = nice_step(max(ahead) - min(ahead), 5)
    if curves[0].metric.lower_is_better:
        return Axis(math.floor(min(ahead) / step) * step, math.ceil(cut / step) * step, bottom, 14, step)
    return Axis(math.floor(cut / step) * step, math.ceil(max(ahead) / step) * step, bottom, 14, step)


def _line(drawing: Drawing, css: str, points: Sequence[tuple[int, float]], x: Axis, y: Axis) -> None:
    """The line through the points, as far as it lies on the axis."""
    piece: list[tuple[float, float]] = []
    for (e0, v0), (e1, v1) in zip(points, [*points[1:], points[-1]], strict=True):
        if y.holds(v0):
            piece.append((x.at(e0), y.at(v0)))
        if y.holds(v0) != y.holds(v1):  # where it crosses the edge
            edge = y.low if min(v0, v1) < y.low else y.high
            piece.append((x.at(e0 + (e1 - e0) * (edge - v0) / (v1 - v0)), y.at(edge)))
            if not y.holds(v1):
                drawing.curve(css, piece)
                piece = []
    if piece:
        drawing.curve(css, piece)


def _epoch_ticks(x: Axis) -> list[float]:
    """The first epoch, and the round ones that do not stand beside it."""
    return [x.low, *(t for t in x.ticks if t - x.low > x.step * 0.5)]


def _label_room(curves: Curves, places: int) -> float:
    widths = [max(text_width(m.label, bold=True), text_width(_best_note(c, places))) for m, c in curves]
    return min(max(widths) + 46, WIDE * 0.36)


def _best_note(curve: Curve, places: int) -> str:
    value = None if curve.best is None else curve.at(curve.best)
    return "" if value is None else f"best {decimal(value, places)} at {curve.best}"


def _spoken(curves: Curves, metric: Metric) -> str:
    loss = ", and the training loss" if any(c.loss for _, c in curves) else ""
    return f"{metric.title} on the validation part by epoch{loss}."
