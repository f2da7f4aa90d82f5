"""Intervals beside one another: a whisker for each row of the table, and bars from zero."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from rankine.evaluation.report.axes import Axis
from rankine.evaluation.report.comparison import Comparison
from rankine.evaluation.report.results import Model
from rankine.evaluation.report.svg import NARROW, WIDE, Drawing, Plot, fitted, text_width
from rankine.evaluation.report.values import Estimate
from rankine.evaluation.report.words import decimal, places

FAR = 0.4  # a model further from the next one than this share of the whole range is drawn as an arrow
ROW_HEIGHT = 26


def whisker_axis(comparison: Comparison) -> Axis:
    """The axis shared by all whiskers, in percent of the width.

    A few models far behind are left off, so that the intervals of the rest can be told apart; so is a far oracle.
    """
    spans = [comparison.value(m).span for m in comparison.scored]
    low, high = _ends(_without_stragglers(spans))
    room = (high - low) or abs(high) * 0.1 or 1.0
    held = comparison.reference
    if held is not None and low - room <= held.value <= high + room:
        low, high = min(low, held.value), max(high, held.value)
    room = ((high - low) or room) * 0.06
    return Axis.between(max(low - room, 0.0) if low >= 0 else low - room, high + room, 8, 92, n=4)


def whisker_scale(axis: Axis) -> Markup:
    """The numbers of the axis, for the head of the column."""
    drawing = Drawing(None, 18, None, "whisker")
    for tick in axis.ticks:
        drawing.text("ax mid", axis.at(tick), 13, axis.label(tick))
    return drawing.markup()


def whisker(value: Estimate, axis: Axis, digits: int, reference: float | None, leads: bool) -> Markup:
    """One interval on the shared axis; an arrow with the number where it lies outside."""
    drawing = Drawing(None, ROW_HEIGHT, None, "whisker")
    for tick in axis.ticks:
        drawing.line("gl", axis.at(tick), 0, axis.at(tick), ROW_HEIGHT)
    if reference is not None and axis.holds(reference):
        drawing.line("ref", axis.at(reference), 0, axis.at(reference), ROW_HEIGHT)
    middle, css = ROW_HEIGHT / 2, " a" if leads else ""
    if not axis.holds(value.mean):
        left = value.mean < axis.low
        text = decimal(value.mean, digits)
        drawing.text(
            "lab halo" if left else "lab halo end",
            0 if left else 100,
            middle + 4,
            f"\u25c4 {text}" if left else f"{text} \u25ba",
        )
        return drawing.markup()
    if value.width:
        low, high = (axis.at(axis.nearest(end)) for end in value.span)
        drawing.across(f"wk{css}", low, high, middle)
    drawing.circle(f"wk-dot{css}", axis.at(value.mean), middle, 4)
    return drawing.markup()


def bars(comparison: Comparison) -> Plot:
    """The primary metric of every model as bars from zero with whiskers, best first; the leaders stand out."""
    digits = places(comparison.value(m) for m in comparison.scored)
    return Plot(_wide_bars(comparison, digits), _narrow_bars(comparison, digits))


def _wide_bars(comparison: Comparison, digits: int) -> Markup:
    models = comparison.scored
    names = max(text_width(m.label, bold=True) for m in models)
    left = min(names, WIDE * 0.34) + 12
    top = 24 if comparison.reference is not None else 6
    drawing = Drawing(WIDE, top + 29 * len(models) + 26, _spoken(comparison, digits))
    axis = _frame(drawing, comparison, left, WIDE - 62, top, digits)
    for i, model in enumerate(models):
        y = top + 29 * i + 14.5
        css = "lab end" if model in comparison.highlighted else "end"
        drawing.text(css, left - 10, y + 4, fitted(model.label, left - 12, bold=True), model.label)
        _bar(drawing, axis, comparison, model, y, 18, digits)
    return drawing.markup()


def _narrow_bars(comparison: Comparison, digits: int) -> Markup:
    models = comparison.scored
    top = 24 if comparison.reference is not None else 4
    drawing = Drawing(NARROW, top + 40 * len(models) + 24, _spoken(comparison, digits))
    axis = _frame(drawing, comparison, 4, NARROW - 58, top, digits)
    for i, model in enumerate(models):
        y = top + 40 * i + 27
        css = "lab halo" if model in comparison.highlighted else "halo"
        drawing.text(css, 4, y - 11, fitted(model.label, NARROW - 8, 14, bold=True), model.label)
        _bar(drawing, axis, comparison, model, y, 12, digits)
    return drawing.markup()


def _frame(drawing: Drawing, comparison: Comparison, left: float, right: float, top: float, digits: int) -> Axis:
    held = comparison.reference
    ends = [end for m in comparison.scored for end in comparison.value(m).span]
    axis = Axis.over(
        [*ends, *([] if held is None else [held.value])], left, right, n=5 if drawing.width == WIDE else 4, zero=True
    )
    bottom = drawing.height - 22
    for tick in axis.ticks:
        drawing.line("gl", axis.at(tick), top, axis.at(tick), bottom)
        drawing.text("ax" if axis.at(tick) < 20 else "ax mid", axis.at(tick), bottom + 16, axis.label(tick))
    if held is not None:
        x, said = axis.at(held.value), f"{held.label} {decimal(held.value, digits)}"
        drawing.line("ref", x, top - 4, x, bottom)
        room = text_width(said) / 2
        css, x = (
            ("ax", left)
            if x - room < left
            else ("ax end", drawing.width - 2)
            if x + room > drawing.width
            else ("ax mid", x)
        )
        drawing.text(css, x, top - 10, said)
    return axis


def _bar(
    drawing: Drawing, axis: Axis, comparison: Comparison, model: Model, y: float, height: float, digits: int
) -> None:
    value = comparison.value(model)
    zero, end = axis.at(0.0), axis.at(value.mean)
    low, high = (axis.at(v) for v in value.span)
    drawing.rect(
        "facc" if model in comparison.highlighted else "fbar", min(zero, end), y - height / 2, abs(end - zero), height
    )
    if value.width:
        drawing.line("wk-under", low, y, high, y)
        drawing.across("wk", low, high, y)
    drawing.text("lab halo", max(high, end, zero) + 8, y + 4, decimal(value.mean, digits))


def _spoken(comparison: Comparison, digits: int) -> str:
    said = [f"{m.label} {decimal(comparison.value(m).mean, digits)}" for m in comparison.scored]
    return f"{comparison.primary.title} from zero, best first: {', '.join(said)}."


def _without_stragglers(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    kept, most = list(spans), max(len(spans) // 4, int(len(spans) > 2))
    for _ in range(most):
        low, high = _ends(kept)
        (near_low, near_high), (far_low, far_high) = kept[-2], kept[-1]
        if max(near_low - far_high, far_low - near_high) <= FAR * (high - low):
            break
        kept.pop()
    return kept


def _ends(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min((s[0] for s in spans), default=0.0), max((s[1] for s in spans), default=1.0)
