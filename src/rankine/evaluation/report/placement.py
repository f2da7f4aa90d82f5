"""Where labels stand so that they cover neither marks nor each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LINE = 15.0  # height of a label
REACH = (11.0, 22.0, 36.0, 54.0, 76.0)  # how far from its mark a label may stand; a line leads to all but the first
AROUND = ((1, 0), (-1, 0), (0, -1), (0, 1), (0.75, -0.75), (-0.75, -0.75), (0.75, 0.75), (-0.75, 0.75),
          (0.3, -1), (-0.3, -1), (0.3, 1), (-0.3, 1))  # fmt: skip
ROUNDS = 6
SLACK = 1.0  # square pixels that may overlap
TOUCH = 100.0  # what a pixel of overlap costs, in pixels of distance

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle of the drawing."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Area that the two share."""
        if self.left >= other.right or other.left >= self.right or self.top >= other.bottom or other.top >= self.bottom:
            return 0.0
        width = min(self.right, other.right) - max(self.left, other.left)
        return width * (min(self.bottom, other.bottom) - max(self.top, other.top))

    def inside(self, other: Box) -> bool:
        """Whether this one lies within the other."""
        return (self.left >= other.left and self.right <= other.right
                and self.top >= other.top and self.bottom <= other.bottom)  # fmt: skip

    def nearest(self, point: Point) -> Point:
        """The point of this box that is closest to the given one."""
        return min(max(point[0], self.left), self.right), min(max(point[1], self.top), self.bottom)


@dataclass(frozen=True)
class Place:
    """A place for a label: its box, the steps of the line that leads to it, a box around both, its distance."""

    box: Box
    lead: tuple[Box, ...]
    hull: Box
    cost: float

    def conflict(self, other: Place) -> float:
        """Area in which this label or its line meets the other label or its line."""
        if not self.hull.overlap(other.hull):
            return 0.0
        return covers((self.box, *self.lead), (other.box,)) + covers(other.lead, (self.box,))


Found = list[Place | None]


def place_labels(widths: Sequence[float], points: Sequence[Point], marks: Sequence[Box], bounds: Box) -> Found:
    """A place for each label beside its point, or `None` where every place would cover a mark or another label.

    Each takes the cheapest place in turn, then may move while the others stand still, until none does.
    """
    each = zip(points, widths, strict=True)
    options = [_options(i, point, width, marks, bounds) for i, (point, width) in enumerate(each)]
    chosen: Found = [None] * len(points)
    for _ in range(ROUNDS):
        before = list(chosen)
        for i, places in enumerate(options):
            chosen[i] = _cheapest(places, [other for j, other in enumerate(chosen) if other is not None and j != i])
        if chosen == before:
            break
    return _without_conflicts(chosen)


def covers(parts: Sequence[Box], boxes: Sequence[Box]) -> float:
    """Area of the boxes that the parts cover."""
    return sum(part.overlap(box) for box in boxes for part in parts)


def _options(index: int, point: Point, width: float, marks: Sequence[Box], bounds: Box) -> list[Place]:
    """Every place that leaves the marks free, nearest first; a line may cross the mark it starts from."""
    others = [*marks[:index], *marks[index + 1 :]]
    found = []
    for box, distance, reach in _around(point, width):
        if not box.inside(bounds) or covers((box,), marks) > SLACK:
            continue
        lead = _steps(point, box.nearest(point)) if reach > REACH[0] else ()
        if covers(lead, others) <= SLACK:
            found.append(Place(box, lead, _hull((box, *lead)), distance))
    return sorted(found, key=lambda place: place.cost)


def _hull(parts: Sequence[Box]) -> Box:
    """The box around all of them."""
    left, top = min(p.left for p in parts), min(p.top for p in parts)
    return Box(left, top, max(p.right for p in parts), max(p.bottom for p in parts))


def _around(point: Point, width: float) -> Iterator[tuple[Box, float, float]]:
    x, y = point
    for reach in REACH:
        for n, (dx, dy) in enumerate(AROUND):
            left = x + dx * reach if dx > 0 else x + dx * reach - width if dx < 0 else x - width / 2
            middle = y + dy * (reach + LINE / 2)
            yield Box(left, middle - LINE / 2, left + width, middle + LINE / 2), reach + n * 0.5, reach


def _steps(start: Point, end: Point) -> tuple[Box, ...]:
    """Small boxes along a line, from outside of the mark at its start."""
    length = math.dist(start, end)
    ways = [at / length for at in range(10, int(length), 3)]
    centres = [(start[0] + (end[0] - start[0]) * w, start[1] + (end[1] - start[1]) * w) for w in ways]
    return tuple(Box(x - 1, y - 1, x + 1, y + 1) for x, y in centres)


def _cheapest(places: Sequence[Place], others: Sequence[Place]) -> Place | None:
    """The place with the least cost and conflict together; `places` come cheapest first."""
    best, least = None, math.inf
    for place in places:
        if place.cost >= least:
            break
        total = place.cost + TOUCH * sum(place.conflict(other) for other in others)
        if total < least:
            best, least = place, total
    return best


def _without_conflicts(chosen: Found) -> Found:
    """The places that cover nothing; of two that meet, the first."""
    kept: Found = []
    for place in chosen:
        free = place is not None and sum(place.conflict(k) for k in kept if k is not None) <= SLACK
        kept.append(place if free else None)
    return kept
