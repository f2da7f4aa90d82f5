"""Calibration: the share that was taken against the probability that was predicted, in bins of equal count."""

from __future__ import annotations

from collections.abc import Sequence

from rankine.evaluation.report.panels import MOST, Panel, bottom_axis, panels
from rankine.evaluation.report.results import Model
from rankine.evaluation.report.scales import Scale, rate_label, rates
from rankine.evaluation.report.svg import Drawing, Plot, text_width
from rankine.evaluation.report.words import NBSP, points, rate

ACROSS, UP = 50.0, 18.0  # pixels between ticks


def shown(models: Sequence[Model]) -> list[Model]:
    """The models that are drawn: the first eight that have bins."""
    return [m for m in models if m.clicks is not None and m.clicks.bins][:MOST]


def scale(models: Sequence[Model]) -> tuple[Scale, bool]:
    """The axis of both directions, and whether it is drawn by square root."""
    bins = [b for m in models if m.clicks for b in m.clicks.bins]
    return rates([v for b in bins for v in (b.predicted, *b.observed.span)])


def calibration(models: Sequence[Model]) -> Plot:
    """One panel per model, the diagonal where every prediction comes true."""
    axis, _ = scale(models)
    left = max(text_width(rate_label(t)) for t in axis.over(0, 200).ticks(UP)) + 10

    def paint(drawing: Drawing, panel: Panel, model: Model) -> None:
        _paint(drawing, panel, model, axis)

    return panels(models, paint, [_note(m) for m in models], _spoken(models), ratio=1.0, left=left, foot="predicted")


def _paint(drawing: Drawing, panel: Panel, model: Model, axis: Scale) -> None:
    x, y = axis.over(panel.left, panel.right), axis.over(panel.bottom, panel.top)
    across = x.ticks(ACROSS)
    for tick in across:
        drawing.line("axis" if tick == 0 else "gl", x.at(tick), panel.bottom, x.at(tick), panel.top)
    for tick in y.ticks(UP):
        drawing.line("axis" if tick == 0 else "gl", panel.left, y.at(tick), panel.right, y.at(tick))
        if panel.first:
            drawing.text("ax end", panel.left - 7, y.at(tick) + 4, rate_label(tick))
    bottom_axis(drawing, panel, x, across, rate_label)
    drawing.line("ref", panel.left, panel.bottom, panel.right, panel.top)
    bins = model.clicks.bins if model.clicks else ()
    drawing.curve(f"ln soft s{model.mark}", [(x.at(b.predicted), y.at(b.observed.mean)) for b in bins])
    for b in bins:
        at = x.at(b.predicted)
        if b.observed.width:
            drawing.line(f"wk s{model.mark}", at, y.at(b.observed.span[0]), at, y.at(b.observed.span[1]))
        said = f"predicted {rate(b.predicted)}, taken {rate(b.observed.mean)}{f' of {b.n:,} rows' if b.n else ''}"
        drawing.mark(model.mark, at, y.at(b.observed.mean), 4.0, said=said)


def _note(model: Model) -> str:
    error = model.clicks.error if model.clicks else None
    return "" if error is None else f"off by {points(error)}{NBSP}points"


def _spoken(models: Sequence[Model]) -> str:
    said = [f"{m.label} {_note(m)}".rstrip() for m in models]
    return f"Share of rows that were taken against the predicted probability, by model: {', '.join(said)}."
