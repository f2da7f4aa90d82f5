"""Score histograms: which probabilities a model gives to rows that were taken, and to rows that were left."""

from __future__ import annotations

from collections.abc import Sequence

from rankine.evaluation.report.clicks import Histogram
from rankine.evaluation.report.panels import MOST, Panel, bottom_axis, panels
from rankine.evaluation.report.results import Model
from rankine.evaluation.report.scales import Scale, odds, rate_label
from rankine.evaluation.report.svg import Drawing, Plot, Point, text_width
from rankine.evaluation.report.words import NBSP, rate

GAP = 52.0  # pixels between ticks
FEW = 0.001  # bins with less than this share of either kind, for all models, are not worth the room


def shown(models: Sequence[Model]) -> list[Model]:
    """The models that are drawn: the first eight that have a histogram."""
    return [m for m in models if m.clicks is not None and m.clicks.histogram is not None][:MOST]


def scores(models: Sequence[Model]) -> Plot:
    """One panel per model: taken rows upwards, left rows downwards, each kind as an outline of the same area."""
    found = [m.clicks.histogram for m in models if m.clicks and m.clicks.histogram]
    axis = _range(found)

    def paint(drawing: Drawing, panel: Panel, model: Model) -> None:
        if model.clicks and model.clicks.histogram:
            _paint(drawing, panel, model.mark, model.clicks.histogram, axis)

    left = text_width("taken") + 10
    return panels(
        models,
        paint,
        [_note(m) for m in models],
        _spoken(models),
        ratio=0.8,
        left=left,
        foot="predicted probability, by log-odds",
    )


def _range(found: Sequence[Histogram]) -> Scale:
    """From the first to the last bin that holds something of any model."""
    held = [
        (h.edges[i], h.edges[i + 1]) for h in found for i in range(len(h.taken)) if max(h.taken[i], h.left[i]) >= FEW
    ]
    inner = [edge for h in found for edge in h.edges if 0 < edge < 1]
    low = max(min((a for a, _ in held), default=0.0), min(inner) / 3)
    high = min(max((b for _, b in held), default=1.0), 1 - (1 - max(inner)) / 3)
    return odds(low, high)


def _highest(histogram: Histogram) -> float:
    """The share that fills half of a panel: the largest but for the outermost bins, which hold all that lies beyond."""
    inner = [*histogram.taken[1:-1], *histogram.left[1:-1]]
    return max(inner, default=0.0) or 1.0


def _paint(drawing: Drawing, panel: Panel, mark: int, histogram: Histogram, axis: Scale) -> None:
    x, middle = axis.over(panel.left, panel.right), panel.top + panel.height / 2
    room = panel.height / 2 - 2
    ticks = x.ticks(GAP)
    for tick in ticks:
        drawing.line("gl", x.at(tick), panel.top, x.at(tick), panel.bottom)
    most = _highest(histogram)
    for css, shares, way in ((f"f{mark} area", histogram.taken, -room), ("fbar area", histogram.left, room)):
        drawing.polygon(css, _outline(histogram.edges, [min(share / most, 1.0) * way for share in shares], x, middle))
    drawing.line("axis", panel.left, middle, panel.right, middle)
    if panel.first:
        drawing.text("ax end", panel.left - 7, middle - 8, "taken")
        drawing.text("ax end", panel.left - 7, middle + 17, "left")
    bottom_axis(drawing, panel, x, ticks, rate_label)


def _outline(edges: Sequence[float], heights: Sequence[float], x: Scale, base: float) -> list[Point]:
    """The steps of a histogram, closed along its base."""
    steps = [(x.at(edge), base + height) for i, height in enumerate(heights) for edge in edges[i : i + 2]]
    return [(x.at(edges[0]), base), *steps, (x.at(edges[-1]), base)]


def _note(model: Model) -> str:
    median = model.clicks.median if model.clicks else None
    return "" if median is None else f"median{NBSP}{rate(median)}"


def _spoken(models: Sequence[Model]) -> str:
    said = [f"{m.label}: {_note(m)}" if _note(m) else m.label for m in models]
    return f"Predicted probabilities of rows that were taken and of rows that were left, by model. {'; '.join(said)}."
