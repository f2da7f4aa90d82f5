"""Lines: a metric by epoch, and a metric by how often the target item was seen in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rankine.evaluation.report.axes import Axis, spread
from rankine.evaluation.report.comparison import Comparison
from rankine.evaluation.report.results import Curve, Metric, Model
from rankine.evaluation.report.svg import NARROW, WIDE, Drawing, Entry, Plot, fitted, key, text_width
from rankine.evaluation.report.words import decimal, integer

MOST_SERIES = 4
BASELINES = ("neighbourhood", "popularity")
BASELINES = ("neighbourhood", "popularity")
WARMTHS = 5  # colours from cold to warm


@dataclass(frozen=True)
class _End:
    """What is written at the end of a line that ends at height `y`."""

    mark: int
    x: float
    y: float
    label: str
    note: str = ""


def learning(models: Sequence[Model], metric: Metric, digits: int) -> Plot:
    """The validation curve of each model, with a mark at the epoch that was kept."""
    curves = [(m, m.curve) for m in models if m.curve is not None]
    legend = tuple(Entry(key(m.mark), m.label, _best_note(c, digits)) for m, c in curves)
    return Plot(_learning(curves, metric, digits, WIDE), _learning(curves, metric, digits, NARROW), (), legend)


def temperature(models: Sequence[Model], metric: Metric) -> Plot:
    """The metric of each model by bucket, from never seen to seen often, with intervals."""
    legend = tuple(Entry(key(m.mark), m.label) for m in models)
    return Plot(_temperature(models, metric, WIDE), _temperature(models, metric, NARROW), (), legend)


def shown_by_temperature(comparison: Comparison) -> list[Model]:
    """At most four models: the best, the best baselines, the best for the coldest items; then the next best."""
    known = [m for m in comparison.models if any(b.estimate for b in m.buckets)]
    sign = 1 if comparison.primary.lower_is_better else -1
    cold = [
        (sign * first.estimate.mean, i) for i, m in enumerate(known) if (first := m.buckets[0]).estimate is not None
    ]
    wanted = [known[0]] if known else []
    wanted += [known[min(cold)[1]]] if cold else []
    wanted += [
        next(m for m in known if m.baseline == kind) for kind in BASELINES if kind in {m.baseline for m in known}
    ]
    wanted += known
    names = list(dict.fromkeys(m.name for m in wanted))[:MOST_SERIES]
    return [m for m in known if m.name in names]


def _learning(curves: Sequence[tuple[Model, Curve]], metric: Metric, digits: int, width: int) -> Markup:
    wide = width == WIDE
    height = max(300, 60 + 32 * len(curves)) if wide else 250
    bottom, right = height - 38, width - (_label_room(curves, digits) if wide else 12)
    values = [v for _, c in curves for v in c.values]
    drawing = Drawing(width, height, f"{metric.title} on the validation part by epoch.")
    y = Axis.over(values, bottom, 14, n=5)
    left = _grid(drawing, y, right)
    epochs = [e for _, c in curves for e in c.epochs]
    x = Axis.whole(min(epochs), max(epochs), left, right, n=6 if wide else 4)
    for tick in _epoch_ticks(x):
        drawing.text("ax mid", x.at(tick), bottom + 17, f"{tick:.0f}")
    drawing.text("ax mid", (left + right) / 2, bottom + 33, "epoch")
    for model, curve in curves:
        drawing.curve(
            f"ln s{model.mark}", [(x.at(e), y.at(v)) for e, v in zip(curve.epochs, curve.values, strict=True)]
        )
    for model, curve in curves:
        epoch = curve.best if curve.best is not None and curve.at(curve.best) is not None else curve.epochs[-1]
        drawing.mark(model.mark, x.at(epoch), y.at(curve.at(epoch) or 0.0), 5.5)
    if wide:
        ends = [_End(m.mark, x.at(c.epochs[-1]), y.at(c.values[-1]), m.label, _best_note(c, digits)) for m, c in curves]
        _end_labels(drawing, ends, right + 20, bottom)
    return drawing.markup()


def _temperature(models: Sequence[Model], metric: Metric, width: int) -> Markup:
    wide = width == WIDE
    room = min(max(text_width(m.label, bold=True) for m in models) + 34, WIDE * 0.36) if wide else 6
    height, right = 320, width - room
    bottom = height - 62
    values = [end for m in models for b in m.buckets if b.estimate for end in b.estimate.span]
    drawing = Drawing(
        width, height, f"{metric.title} by how many training events the target item had, with 95 % intervals."
    )
    y = Axis.over(values, bottom, 12, n=5, zero=wants_zero(values))
    left = _grid(drawing, y, right)
    buckets = max((m.buckets for m in models), key=len)
    slot = (right - left) / len(buckets)
    for i, bucket in enumerate(buckets):
        middle = left + slot * (i + 0.5)
        drawing.rect(f"fh{min(i + 1, WARMTHS)}", left + slot * i + 1, bottom + 4, slot - 2, 5, 1)
        drawing.text("mid", middle, bottom + 24, bucket.name.replace("+", "\u00a0+"))
        drawing.text("ax mid", middle, bottom + 40, integer(bucket.n) + (" targets" if wide else ""))
    said = "events of the target item in training" if wide else "targets, by their events in training"
    drawing.text("ax mid", (left + right) / 2, bottom + 58, said)
    step = min(9.0, slot / (len(models) + 2))
    ends = []
    for i, model in enumerate(models):
        shift = left + slot / 2 + (i - (len(models) - 1) / 2) * step
        ends += _series(drawing, model, shift, slot, y)
    if wide:
        _end_labels(drawing, ends, right + 14, bottom)
    return drawing.markup()


def _series(drawing: Drawing, model: Model, shift: float, slot: float, y: Axis) -> list[_End]:
    known = [(shift + slot * i, b.estimate) for i, b in enumerate(model.buckets) if b.estimate is not None]
    drawing.curve(f"ln soft s{model.mark}", [(x, y.at(e.mean)) for x, e in known])
    for x, value in known:
        if value.width:
            drawing.line(f"wk s{model.mark}", x, y.at(value.span[0]), x, y.at(value.span[1]))
        drawing.mark(model.mark, x, y.at(value.mean), 5)
    return [_End(model.mark, x, y.at(e.mean), model.label) for x, e in known[-1:]]


def wants_zero(values: Sequence[float]) -> bool:
    """Whether an axis over these values should begin at zero: it would anyhow begin near it."""
    return min(values, default=0) >= 0 and min(values, default=0) < 0.4 * max(values, default=0)


def _grid(drawing: Drawing, y: Axis, right: float) -> float:
    """Draws the horizontal lines with their numbers; returns where the plot begins."""
    left = max(text_width(y.label(tick)) for tick in y.ticks) + 12
    for tick in y.ticks:
        drawing.line("axis" if tick == y.ticks[0] else "gl", left, y.at(tick), right, y.at(tick))
        drawing.text("ax end", left - 8, y.at(tick) + 4, y.label(tick))
    return left


def _epoch_ticks(x: Axis) -> list[float]:
    """The first epoch, and the round ones that do not stand beside it."""
    return [x.low, *(t for t in x.ticks if t - x.low > x.step * 0.5)]


def _label_room(curves: Sequence[tuple[Model, Curve]], digits: int) -> float:
    widths = [max(text_width(m.label, bold=True), text_width(_best_note(c, digits))) for m, c in curves]
    return min(max(widths) + 46, WIDE * 0.36)


def _best_note(curve: Curve, digits: int) -> str:
    value = None if curve.best is None else curve.at(curve.best)
    return "" if value is None else f"best {decimal(value, digits)} at {curve.best}"


def _end_labels(drawing: Drawing, ends: Sequence[_End], x: float, bottom: float) -> None:
    gap = 32.0 if any(e.note for e in ends) else 18.0
    room = drawing.width - x - 12
    for end, y in zip(ends, spread([e.y for e in ends], gap, 14, bottom - gap / 2), strict=True):
        if abs(y - end.y) > 3 or x - end.x > 24:
            drawing.line("lead", end.x + 5, end.y, x - 8, y)
        drawing.mark(end.mark, x, y, 4.5, "")
        drawing.text("lab", x + 10, y + 4, fitted(end.label, room, bold=True), end.label)
        if end.note:
            drawing.text("ax", x + 10, y + 18, end.note)
