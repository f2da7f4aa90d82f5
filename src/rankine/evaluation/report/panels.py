"""Small multiples: the same plot once per model, side by side on the same axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rankine.evaluation.report.results import Model
from rankine.evaluation.report.scales import Scale
from rankine.evaluation.report.svg import NARROW, WIDE, Drawing, Plot, fitted, text_width

MOST = 8  # models drawn
GAP = 22.0
HEAD = 42.0  # a name and a note above each panel
FOOT = 22.0  # the numbers of the axis below the last panel of a column


@dataclass(frozen=True)
class Panel:
    """A place on the drawing for the plot of one model, its axis of x, and whether it stands at the left and lowest in its column."""

    left: float
    top: float
    width: float
    height: float
    first: bool
    lowest: bool

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height


Painter = Callable[[Drawing, Panel, Model], None]


def panels(
    models: Sequence[Model], paint: Painter, notes: Sequence[str], spoken: str, *, ratio: float, left: float, foot: str
) -> Plot:
    """Both drawings: each panel `ratio` times as high as wide, `left` pixels for the numbers at its left, `foot` below all."""
    wide, narrow = (_draw(models, paint, notes, spoken, ratio, left, foot, width) for width in (WIDE, NARROW))
    return Plot(wide, narrow)


def _draw(
    models: Sequence[Model],
    paint: Painter,
    notes: Sequence[str],
    spoken: str,
    ratio: float,
    left: float,
    foot: str,
    width: int,
) -> Markup:
    places = _places(len(models), width, ratio, left)
    drawing = Drawing(width, places[-1].bottom + FOOT + 20, spoken)
    for model, note, panel in zip(models, notes, places, strict=True):
        drawing.mark(model.mark, panel.left + 5, panel.top - 31, 4.6, "")
        name = fitted(model.label, panel.width + GAP - 20, bold=True)
        drawing.text("lab", panel.left + 15, panel.top - 26.5, name, model.label)
        drawing.text("ax", panel.left, panel.top - 9, note)
        paint(drawing, panel, model)
    right = max(p.right for p in places)
    drawing.text("ax mid", (left + right) / 2, drawing.height - 4, foot)
    return drawing.markup()


def _places(n: int, width: int, ratio: float, left: float) -> list[Panel]:
    """Rows of at most four panels (two on narrow places), as evenly filled as can be."""
    most = 4 if width == WIDE else 2
    n_rows = -(-n // most)
    columns = max(-(-n // n_rows), 2)
    across = (width - left - 8 - GAP * (columns - 1)) / columns
    down = across * ratio + HEAD + (GAP - 12)
    return [
        Panel(
            left + (i % columns) * (across + GAP),
            HEAD + (i // columns) * down,
            across,
            across * ratio,
            i % columns == 0,
            i + columns >= n,
        )
        for i in range(n)
    ]


def bottom_axis(
    drawing: Drawing, panel: Panel, x: Scale, ticks: Sequence[float], label: Callable[[float], str]
) -> None:
    """The numbers below the panels that stand lowest."""
    for tick in ticks if panel.lowest else ():
        at = x.at(tick)
        half = text_width(label(tick)) / 2
        drawing.text(
            "ax mid", min(max(at, panel.left + half - 8), panel.right + 8 - half), panel.bottom + 16, label(tick)
        )
