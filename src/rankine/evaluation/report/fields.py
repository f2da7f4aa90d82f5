"""Permutation importance: what a model loses when one field is dealt out anew among the rows."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from rankine.evaluation.report.axes import Axis
from rankine.evaluation.report.clicks import Drop
from rankine.evaluation.report.results import Model
from rankine.evaluation.report.svg import NARROW, WIDE, Drawing, Plot, fitted, text_width
from rankine.evaluation.report.words import decimal, difference_places

MOST = 15  # fields drawn
SPECK = 0.02  # share of the largest drop


def fields(model: Model) -> Plot:
    """Bars from zero, the field that costs most first, with the deviation over the deals."""
    drops = model.drops[:MOST]
    digits = places_of(drops)
    return Plot(_draw(model, drops, digits, WIDE), _draw(model, drops, digits, NARROW))


def places_of(drops: Sequence[Drop]) -> int:
    """Decimals that show the larger half of the drops."""
    largest = sorted((abs(d.mean) for d in drops), reverse=True)
    return min(difference_places(largest[: max(1, len(largest) // 2)], 3), 4)


def _draw(model: Model, drops: Sequence[Drop], digits: int, width: int) -> Markup:
    wide = width == WIDE
    row, height = (27, 16) if wide else (40, 12)
    names = max(text_width(d.field) for d in drops)
    left = min(names, WIDE * 0.34) + 12 if wide else 4.0
    drawing = Drawing(width, 6 + row * len(drops) + 40, _spoken(model, drops, digits))
    bottom = drawing.height - 40
    x = _axis(drops, left, width - 58)
    for tick in x.ticks:
        drawing.line("axis" if abs(tick) < x.step / 2 else "gl", x.at(tick), 4, x.at(tick), bottom)
        drawing.text("ax" if x.at(tick) < 20 else "ax mid", x.at(tick), bottom + 16, x.label(tick))
    drawing.text("ax mid", (left + width - 58) / 2, bottom + 34, "AUC lost")
    for i, drop in enumerate(drops):
        y = 6 + row * (i + 0.5) + (0 if wide else 7)
        if wide:
            drawing.text("end", left - 10, y + 4, fitted(drop.field, left - 12), drop.field)
        else:
            drawing.text("halo", 4, y - 11, fitted(drop.field, NARROW - 8, 14), drop.field)
        _bar(drawing, x, drop, y, height, digits)
    return drawing.markup()


def _axis(drops: Sequence[Drop], left: float, right: float) -> Axis:
    """From zero, or from below where fields cost less than nothing by more than a speck."""
    low, high = min(d.mean - d.deviation for d in drops), max(d.mean + d.deviation for d in drops)
    return Axis.over([high, *([low] if low < -SPECK * high else [])], left, right, zero=True)


def _bar(drawing: Drawing, x: Axis, drop: Drop, y: float, height: float, digits: int) -> None:
    zero, end = sorted((x.at(0.0), x.at(x.nearest(drop.mean))))
    low, high = x.at(x.nearest(drop.mean - drop.deviation)), x.at(drop.mean + drop.deviation)
    drawing.rect("facc", zero, y - height / 2, end - zero, height)
    if high - low > 3:
        drawing.line("wk-under", low, y, high, y)
        drawing.across("wk", low, high, y)
    drawing.text("lab halo", max(high, end) + 8, y + 4, decimal(drop.mean, digits))


def _spoken(model: Model, drops: Sequence[Drop], digits: int) -> str:
    said = ", ".join(f"{d.field} {decimal(d.mean, digits)}" for d in drops)
    return f"AUC that {model.label} loses when one field is dealt out anew, largest first: {said}."
