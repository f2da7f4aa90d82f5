"""Dots with intervals on a scale that does not begin at zero, for metrics whose zero means nothing."""

from __future__ import annotations

from markupsafe import Markup

from rankine.evaluation.report.axes import Axis
from rankine.evaluation.report.charts import whisker_axis
from rankine.evaluation.report.comparison import Comparison
from rankine.evaluation.report.results import Model
from rankine.evaluation.report.svg import NARROW, WIDE, Drawing, Plot, fitted, text_width
from rankine.evaluation.report.words import decimal, places


def dots(comparison: Comparison) -> Plot:
    """The primary metric of every model with its interval, best first; a hollow dot for each seed, an arrow for one far off."""
    return Plot(_draw(comparison, WIDE), _draw(comparison, NARROW))


def scale(comparison: Comparison, start: float = 0, end: float = 1) -> Axis:
    """The stretch that is drawn: where the models are, without a few far behind."""
    near = whisker_axis(comparison)
    inside = [
        e for m in comparison.scored for e in (*comparison.value(m).span, *_seeds(comparison, m)) if near.holds(e)
    ]
    return Axis.over(inside, start, end, n=5)


def _seeds(comparison: Comparison, model: Model) -> tuple[float, ...]:
    """The figures of each seed, where they are not all the same."""
    values = model.seeds.values.get(comparison.primary.name, ()) if model.seeds else ()
    return values if len(set(values)) > 1 else ()


def _draw(comparison: Comparison, width: int) -> Markup:
    models, digits = comparison.scored, places(comparison.value(m) for m in comparison.scored)
    wide = width == WIDE
    row = 29 if wide else 40
    left = min(max(text_width(m.label, bold=True) for m in models), WIDE * 0.34) + 22 if wide else 12.0
    drawing = Drawing(width, 6 + row * len(models) + 26, _spoken(comparison, digits))
    bottom, x = drawing.height - 22, scale(comparison, left, width - 66)
    for tick in x.ticks:
        drawing.line("gl", x.at(tick), 4, x.at(tick), bottom)
        drawing.text("ax mid", max(x.at(tick), text_width(x.label(tick)) / 2), bottom + 16, x.label(tick))
    for i, model in enumerate(models):
        y = 6 + row * (i + 0.5) + (0 if wide else 7)
        weight = "lab " if model in comparison.highlighted else ""
        if wide:
            drawing.text(f"{weight}end", left - 20, y + 4, fitted(model.label, left - 22, bold=True), model.label)
        else:
            drawing.text(f"{weight}halo", 4, y - 11, fitted(model.label, NARROW - 8, 14, bold=True), model.label)
        _dot(drawing, x, comparison, model, y, digits)
    return drawing.markup()


def _dot(drawing: Drawing, x: Axis, comparison: Comparison, model: Model, y: float, digits: int) -> None:
    value, css = comparison.value(model), " a" if model in comparison.highlighted else ""
    text = decimal(value.mean, digits)
    if not x.holds(value.mean):
        below = value.mean < x.low
        at, said = (x.start, f"\u25c4 {text}") if below else (x.end, f"{text} \u25ba")
        drawing.text("lab halo" if below else "lab halo end", at, y + 4, said)
        return
    low, high = (x.at(x.nearest(end)) for end in value.span)
    if value.width:
        drawing.across(f"wk{css}", low, high, y)
    for seed in _seeds(comparison, model):
        if x.holds(seed):
            drawing.circle("hollow", x.at(seed), y + 9, 2.5)
    drawing.circle(f"wk-dot{css}", x.at(value.mean), y, 4.5)
    drawing.text("lab halo", high + 10, y + 4, text)


def _spoken(comparison: Comparison, digits: int) -> str:
    said = [f"{m.label} {decimal(comparison.value(m).mean, digits)}" for m in comparison.scored]
    return f"{comparison.primary.title} with intervals, best first: {', '.join(said)}."
