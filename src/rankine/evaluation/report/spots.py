"""Marks with whiskers and labels on a drawing of two axes; labels that find no place go to a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rankine.evaluation.report.placement import Box, Place, Point, place_labels
from rankine.evaluation.report.svg import NARROW, Drawing, Entry, fitted, key, text_width


@dataclass(frozen=True)
class Spot:
    """One mark: where it stands, how far its whisker reaches up and down, how it looks, what is written beside it."""

    x: float
    y: float
    whisker: tuple[float, float]
    mark: int
    label: str
    bold: bool
    said: str = ""


def draw_spots(drawing: Drawing, spots: Sequence[Spot], bounds: Box, shunned: Sequence[Box] = ()) -> tuple[Entry, ...]:
    """Draws the spots, the first on top, their labels off all marks and off what is `shunned`; returns what goes to the legend."""
    points = [(s.x, s.y) for s in spots]
    boxes = []
    for s in spots:
        high, low = sorted(s.whisker)
        if low != high:
            drawing.line(f"wk s{s.mark}", s.x, low, s.x, high)
        boxes.append(Box(s.x - 8, min(high, s.y - 8), s.x + 8, max(low, s.y + 8)))
    size = 14.0 if drawing.width == NARROW else 13.0
    widths = [text_width(_shown(s, drawing), size, s.bold) for s in spots]
    found = place_labels(widths, points, [*boxes, *shunned], bounds)
    for point, place in zip(points, found, strict=True):
        if place is not None and place.lead:
            drawing.line("lead", *point, *place.box.nearest(point))
    for s in reversed(spots):
        drawing.mark(s.mark, s.x, s.y, 5.5, said=s.said)
    for s, place in zip(spots, found, strict=True):
        if place is not None:
            _write(drawing, s, place)
    return tuple(Entry(key(s.mark), s.label) for s, place in zip(spots, found, strict=True) if place is None)


def _write(drawing: Drawing, spot: Spot, place: Place) -> None:
    anchor, at = _anchor((spot.x, spot.y), place.box)
    css = f"{'lab ' if spot.bold else ''}halo{anchor}"
    drawing.text(css, at, place.box.bottom - 3.5, _shown(spot, drawing), spot.label)


def _shown(spot: Spot, drawing: Drawing) -> str:
    return fitted(spot.label, drawing.width * 0.4, bold=True)


def _anchor(point: Point, box: Box) -> tuple[str, float]:
    if box.left >= point[0]:
        return "", box.left
    return (" end", box.right) if box.right <= point[0] else (" mid", (box.left + box.right) / 2)
