"""A small SVG drawing: classes only, no styles; numbers are pixels of the drawing, text is escaped."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

NARROW, WIDE = 320, 700  # widths that every chart is drawn for; the page shows the one that fits
TEXT = 13.0  # text size that room is kept for; the page shows 12 to 13 px
ELLIPSIS = "\u2026"

Point = tuple[float, float]


def text_width(text: str, size: float = TEXT, bold: bool = False) -> float:
    """About how wide a text is in a common sans-serif face, erring on the wide side."""
    units = sum(_advance(c) for c in text)
    return units * size * (1.07 if bold else 1.0)


def fitted(text: str, width: float, size: float = TEXT, bold: bool = False) -> str:
    """The text, cut with an ellipsis where it is wider than `width`."""
    if text_width(text, size, bold) <= width:
        return text
    kept = text
    while kept and text_width(kept + ELLIPSIS, size, bold) > width:
        kept = kept[:-1]
    return kept.rstrip() + ELLIPSIS


class Drawing:
    """Collects the parts of one SVG; `label` is the sentence a screen reader says, `None` for a mere decoration.

    Without a width the drawing fills its place: x is then in percent, and only lines, circles and texts can be drawn.
    """

    def __init__(self, width: float | None, height: float, label: str | None, css: str = "fit") -> None:
        self.width = 100.0 if width is None else width
        self.height = height
        self._x = px if width is not None else percent
        spoken = (
            Markup('role="img" aria-label="{}"').format(label) if label is not None else Markup('aria-hidden="true"')
        )
        size = Markup('viewBox="0 0 {0} {1}" width="{0}" height="{1}"').format(px(self.width), px(height))
        fluid = Markup('width="100%" height="{}"').format(px(height))
        self._parts = [Markup('<svg class="{}" {} {}>').format(css, fluid if width is None else size, spoken)]

    def line(self, css: str, x1: float, y1: float, x2: float, y2: float) -> None:
        x = self._x
        self._add('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>', css, x(x1), px(y1), x(x2), px(y2))

    def rect(self, css: str, x: float, y: float, width: float, height: float, radius: float = 2) -> None:
        shape = '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="{}"/>'
        self._add(shape, css, px(x), px(y), px(max(width, 0)), px(height), px(radius))

    def circle(self, css: str, x: float, y: float, radius: float, said: str = "") -> None:
        """A circle; `said` is shown where a pointer rests on it."""
        shape = (
            '<circle class="{}" cx="{}" cy="{}" r="{}">{}</circle>'
            if said
            else '<circle class="{}" cx="{}" cy="{}" r="{}"/>'
        )
        self._add(shape, css, self._x(x), px(y), px(radius), _title(said))

    def polygon(self, css: str, points: Sequence[Point], said: str = "") -> None:
        """A closed shape; `said` is shown where a pointer rests on it."""
        shape = '<polygon class="{}" points="{}">{}</polygon>' if said else '<polygon class="{}" points="{}"/>'
        self._add(shape, css, " ".join(f"{px(x)},{px(y)}" for x, y in points), _title(said))

    def curve(self, css: str, points: Sequence[Point]) -> None:
        self._add('<path class="{}" d="M{}"/>', css, "L".join(f"{px(x)},{px(y)}" for x, y in points))

    def text(self, css: str, x: float, y: float, text: str, full: str | None = None) -> None:
        """A text with its baseline at y; `full` is what it stands for where it was cut."""
        title = _title(full if full is not None and full != text else "")
        self._add('<text class="{}" x="{}" y="{}">{}{}</text>', css, self._x(x), px(y), title, text)

    def across(self, css: str, low: float, high: float, y: float) -> None:
        """A whisker from x = low to x = high with caps."""
        self.line(css, low, y, high, y)
        self.line(css, low, y - 4, low, y + 4)
        self.line(css, high, y - 4, high, y + 4)

    def mark(self, kind: int, x: float, y: float, size: float = 5.0, css: str = "mk", said: str = "") -> None:
        """The mark of a series, 1 to 8, in its colour and shape."""
        css = f"f{kind} {css}".rstrip()
        if kind == 1:
            self.circle(css, x, y, size, said)
        else:
            self.polygon(css, [(x + dx * size, y + dy * size) for dx, dy in SHAPES[kind]()], said)

    def markup(self) -> Markup:
        """The drawing as an `<svg>` element."""
        return Markup("").join([*self._parts, Markup("</svg>")])

    def _add(self, template: str, *values: object) -> None:
        self._parts.append(Markup(template).format(*values))


@dataclass(frozen=True)
class Entry:
    """One line of a legend outside the plot."""

    key: Markup
    label: str
    note: str = ""


@dataclass(frozen=True)
class Plot:
    """One chart drawn for wide and for narrow places; the legends hold what could not be said in the plot."""

    wide: Markup
    narrow: Markup
    wide_legend: tuple[Entry, ...] = ()
    narrow_legend: tuple[Entry, ...] = ()


def key(kind: int) -> Markup:
    """The mark of a series alone, for a legend or a table."""
    drawing = Drawing(12, 12, None, "key")
    drawing.mark(kind, 6, 6, 4.6, "")
    return drawing.markup()


def px(value: float) -> str:
    """A pixel with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def percent(value: float) -> str:
    """A place in percent of the width."""
    return f"{value:.2f}".rstrip("0").removesuffix(".") + "%"


def _title(text: str) -> Markup:
    return Markup("<title>{}</title>").format(text) if text else Markup("")


def _regular(n: int, turn: float, scale: float) -> Callable[[], list[Point]]:
    angles = [math.radians(turn + 360 * i / n) for i in range(n)]
    return lambda: [(scale * math.cos(a), scale * math.sin(a)) for a in angles]


def _cross(turn: float) -> Callable[[], list[Point]]:
    arm, thick = 1.15, 0.42
    corner = [(-thick, -arm), (thick, -arm), (thick, -thick), (arm, -thick), (arm, thick), (thick, thick)]
    outline = corner + [(-x, -y) for x, y in corner]
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return lambda: [(c * x - s * y, s * x + c * y) for x, y in outline]


SHAPES: dict[int, Callable[[], list[Point]]] = {
    2: _regular(4, 45, 1.25),
    3: _regular(3, -90, 1.22),
    4: _regular(4, 0, 1.3),
    5: _regular(3, 90, 1.22),
    6: _regular(6, 0, 1.12),
    7: _cross(0),
    8: _cross(45),
}


def _advance(character: str) -> float:
    if character in "iljtfrI.,:;|!'()[]- ":
        return 0.34
    if character in "mwMW@%":
        return 0.9
    return 0.7 if character.isupper() else 1.0 if ord(character) > 0x2E80 else 0.56
