"""What drawings of lines share: the horizontal grid, and labels at the ends of the lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rankine.evaluation.report.axes import Axis, spread
from rankine.evaluation.report.svg import Drawing, fitted, text_width


@dataclass(frozen=True)
class End:
    """What is written at the end of a line that ends at height `y`."""

    mark: int
    x: float
    y: float
    label: str
    note: str = ""


def wants_zero(values: Sequence[float]) -> bool:
    """Whether an axis over these values should begin at zero: it would anyhow begin near it."""
    return min(values, default=0) >= 0 and min(values, default=0) < 0.4 * max(values, default=0)


def grid(drawing: Drawing, y: Axis, right: float) -> float:
    """Draws the horizontal lines with their numbers; returns where the plot begins."""
    left = max(text_width(y.label(tick)) for tick in y.ticks) + 12
    for tick in y.ticks:
        drawing.line("axis" if tick == y.ticks[0] else "gl", left, y.at(tick), right, y.at(tick))
        drawing.text("ax end", left - 8, y.at(tick) + 4, y.label(tick))
    return left


def end_labels(drawing: Drawing, ends: Sequence[End], x: float, bottom: float) -> None:
    """Writes the labels in a column at x, as close to the ends of their lines as can be, and leads from one to the other."""
    gap = 32.0 if any(e.note for e in ends) else 18.0
    room = drawing.width - x - 12
    for end, y in zip(ends, spread([e.y for e in ends], gap, 14, bottom - gap / 2), strict=True):
        if abs(y - end.y) > 3 or x - end.x > 24:
            drawing.line("lead", end.x + 5, end.y, x - 8, y)
        drawing.mark(end.mark, x, y, 4.5, "")
        drawing.text("lab", x + 10, y + 4, fitted(end.label, room, bold=True), end.label)
        if end.note:
            drawing.text("ax", x + 10, y + 18, end.note)
