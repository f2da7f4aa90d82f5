"""Quality against size: the primary metric by how many parameters a model has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rankine.evaluation.report.axes import Axis
from rankine.evaluation.report.comparison import Comparison
from rankine.evaluation.report.placement import Box
from rankine.evaluation.report.results import OTHER_MARK, Model
from rankine.evaluation.report.scales import Scale, size_label, sizes
from rankine.evaluation.report.spots import Spot, draw_spots
from rankine.evaluation.report.svg import NARROW, WIDE, Drawing, Entry, Plot, text_width
from rankine.evaluation.report.words import decimal, integer, places

HEIGHT = 330
WORTH = 1.5  # sizes that differ by less make no picture


@dataclass(frozen=True)
class Sized:
    """The models that have a size, what it counts, and the mark of each: variants of one kind share one and are joined by a line."""

    models: tuple[Model, ...]
    sizes: tuple[int, ...]
    word: str
    marks: tuple[int, ...]
    lines: tuple[tuple[int, ...], ...]


def sized(comparison: Comparison) -> Sized | None:
    """By all parameters if they differ by half or more, else by those of tables if they do, else `None`."""
    for word, of in (("parameters", _parameters), ("table parameters", _table_parameters)):
        found = [(m, n) for m in comparison.scored if (n := of(m))]
        counts = [n for _, n in found]
        if len(found) > 1 and max(counts) > WORTH * min(counts):
            models = tuple(m for m, _ in found)
            return Sized(models, tuple(counts), word, *_kinds(models, counts))
    return None


def tradeoff(comparison: Comparison, found: Sized) -> Plot:
    """The primary metric with interval (y) against the size (x, by powers of ten)."""
    wide, narrow = (_draw(comparison, found, width) for width in (WIDE, NARROW))
    return Plot(wide[0].markup(), narrow[0].markup(), wide[1], narrow[1])


def _kinds(models: Sequence[Model], counts: Sequence[int]) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """The mark of each model, and which of them a line joins: `deepfm bloom.5` and `deepfm bloom.25` are of one kind.

    Where one model has several kinds of variants, each kind takes a mark of its own.
    """
    kinds = [_kind(m.name) for m in models]
    several = {base for base, _ in kinds if len({k for k in kinds if k[0] == base and k[1]}) > 1}
    whole = {m.mark for m, kind in zip(models, kinds, strict=True) if not kind[1]}
    free = [mark for mark in range(1, OTHER_MARK) if mark not in whole]
    own = {
        kind: free[i] for i, kind in enumerate(sorted({k for k in kinds if k[1] and k[0] in several})) if i < len(free)
    }
    marks = tuple(own.get(kind, m.mark) for kind, m in zip(kinds, models, strict=True))
    lines = []
    for kind in dict.fromkeys(kinds):
        same = [i for i, k in enumerate(kinds) if k == kind or (k == (kind[0], "") and kind[1])]
        if kind[1] and len(same) > 1:
            lines.append(tuple(sorted(same, key=lambda i: counts[i])))
    return marks, tuple(lines)


def _kind(name: str) -> tuple[str, str]:
    """The model, and what kind of variant it is: the letters of the word behind its name."""
    base, _, variant = name.partition(" ")
    return base, re.split(r"[\d.]", variant)[0].strip("-_ ")


def _draw(comparison: Comparison, found: Sized, width: int) -> tuple[Drawing, tuple[Entry, ...]]:
    drawing = Drawing(width, HEIGHT, _spoken(comparison, found))
    bottom, right = HEIGHT - 46, width - 16
    y = Axis.over([end for m in found.models for end in comparison.value(m).span], bottom, 16, n=5)
    left = max(text_width(y.label(tick)) for tick in y.ticks) + 12
    low, high = min(found.sizes), max(found.sizes)
    x = sizes(low / (high / low) ** 0.06, high * (high / low) ** 0.06, left, right)
    _axes(drawing, x, y, found.word)
    points = [(x.at(n), y.at(comparison.value(m).mean)) for m, n in zip(found.models, found.sizes, strict=True)]
    for line in found.lines:
        drawing.curve(f"ln soft s{found.marks[line[0]]}", [points[i] for i in line])
    spots = [
        Spot(
            at,
            height,
            _whisker(comparison, m, y),
            mark,
            _short(m, found),
            m in comparison.highlighted,
            f"{integer(n)} {found.word}",
        )
        for (at, height), m, mark, n in zip(points, found.models, found.marks, found.sizes, strict=True)
    ]
    shunned = [step for line in found.lines for step in _steps([points[i] for i in line])]
    return drawing, draw_spots(drawing, spots, Box(left + 2, 0, width, bottom - 2), shunned)


def _whisker(comparison: Comparison, model: Model, y: Axis) -> tuple[float, float]:
    low, high = comparison.value(model).span
    return y.at(low), y.at(high)


def _short(model: Model, found: Sized) -> str:
    """The label, for a variant without the name of its model where that one stands beside it."""
    base = next((m.label for m in found.models if m.name == _kind(model.name)[0]), None)
    return model.label.removeprefix(f"{base}, ") if base else model.label


def _steps(line: Sequence[tuple[float, float]]) -> list[Box]:
    """Small boxes along a line, which labels shun."""
    found = []
    for (x0, y0), (x1, y1) in pairwise(line):
        n = max(1, int((x1 - x0) / 5))
        centres = [(x0 + (x1 - x0) * i / n, y0 + (y1 - y0) * i / n) for i in range(3, n - 2)]
        found += [Box(x - 1, y - 1, x + 1, y + 1) for x, y in centres]
    return found


def _axes(drawing: Drawing, x: Scale, y: Axis, word: str) -> None:
    for tick in y.ticks:
        drawing.line("axis" if tick == y.ticks[0] else "gl", x.start, y.at(tick), x.end, y.at(tick))
        drawing.text("ax end", x.start - 8, y.at(tick) + 4, y.label(tick))
    for size in x.ticks(56):
        drawing.line("gl", x.at(size), y.start, x.at(size), y.start + 4)
        drawing.text("ax mid", min(x.at(size), drawing.width - 16), y.start + 18, size_label(size))
    drawing.text("ax mid", (x.start + x.end) / 2, y.start + 38, f"{word}, by powers of ten")


def _spoken(comparison: Comparison, found: Sized) -> str:
    digits = places(comparison.value(m) for m in found.models)
    each = zip(found.models, found.sizes, strict=True)
    said = ", ".join(f"{m.label} {decimal(comparison.value(m).mean, digits)} with {integer(n)}" for m, n in each)
    return f"{comparison.primary.title} against {found.word}: {said}."


def _table_parameters(model: Model) -> int | None:
    return model.table_parameters


def _parameters(model: Model) -> int | None:
    return model.n_parameters
