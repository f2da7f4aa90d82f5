"""Lines: a metric by how often the target item was seen in training."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from rankine.evaluation.report.axes import Axis
from rankine.evaluation.report.comparison import Comparison
from rankine.evaluation.report.lines import End, end_labels, grid, wants_zero
from rankine.evaluation.report.results import Metric, Model
from rankine.evaluation.report.svg import NARROW, WIDE, Drawing, Entry, Plot, key, text_width
from rankine.evaluation.report.words import integer

MOST_SERIES = 4
BASELINES = ("neighbourhood", "popularity")
WARMTHS = 5  # colours from cold to warm


def temperature(models: Sequence[Model], metric: Metric) -> Plot:
    """The metric of each model by bucket, from never seen to seen often, with intervals."""
    legend = tuple(Entry(key(m.mark), m.label) for m in models)
    return Plot(_temperature(models, metric, WIDE), _temperature(models, metric, NARROW), (), legend)


def shown_by_temperature(comparison: Comparison) -> list[Model]:
    """At most four models: the best, the best baselines, the best for the coldest items; then the next best."""
    known = [m for m in comparison.models if any(b.estimate for b in m.buckets)]
    sign = 1 if comparison.primary.lower_is_better else -1
    cold = [
        (sign * first.estimate.mean, i) for i, m in enumerate(known) if (first := m.buckets[0]).estimate is not None
    ]
    wanted = [known[0]] if known else []
    wanted += [known[min(cold)[1]]] if cold else []
    wanted += [
        next(m for m in known if m.baseline == kind) for kind in BASELINES if kind in {m.baseline for m in known}
    ]
    wanted += known
    names = list(dict.fromkeys(m.name for m in wanted))[:MOST_SERIES]
    return [m for m in known if m.name in names]


def _temperature(models: Sequence[Model], metric: Metric, width: int) -> Markup:
    wide = width == WIDE
    room = min(max(text_width(m.label, bold=True) for m in models) + 34, WIDE * 0.36) if wide else 6
    height, right = 320, width - room
    bottom = height - 62
    values = [end for m in models for b in m.buckets if b.estimate for end in b.estimate.span]
    drawing = Drawing(
        width, height, f"{metric.title} by how many training events the target item had, with 95 % intervals."
    )
    y = Axis.over(values, bottom, 12, n=5, zero=wants_zero(values))
    left = grid(drawing, y, right)
    buckets = max((m.buckets for m in models), key=len)
    slot = (right - left) / len(buckets)
    for i, bucket in enumerate(buckets):
        middle = left + slot * (i + 0.5)
        drawing.rect(f"fh{min(i + 1, WARMTHS)}", left + slot * i + 1, bottom + 4, slot - 2, 5, 1)
        drawing.text("mid", middle, bottom + 24, bucket.name.replace("+", "\u00a0+"))
        drawing.text("ax mid", middle, bottom + 40, integer(bucket.n) + (" targets" if wide else ""))
    said = "events of the target item in training" if wide else "targets, by their events in training"
    drawing.text("ax mid", (left + right) / 2, bottom + 58, said)
    step = min(9.0, slot / (len(models) + 2))
    ends = []
    for i, model in enumerate(models):
        shift = left + slot / 2 + (i - (len(models) - 1) / 2) * step
        ends += _series(drawing, model, shift, slot, y)
    if wide:
        end_labels(drawing, ends, right + 14, bottom)
    return drawing.markup()


def _series(drawing: Drawing, model: Model, shift: float, slot: float, y: Axis) -> list[End]:
    known = [(shift + slot * i, b.estimate) for i, b in enumerate(model.buckets) if b.estimate is not None]
    drawing.curve(f"ln soft s{model.mark}", [(x, y.at(e.mean)) for x, e in known])
    for x, value in known:
        if value.width:
            drawing.line(f"wk s{model.mark}", x, y.at(value.span[0]), x, y.at(value.span[1]))
        drawing.mark(model.mark, x, y.at(value.mean), 5)
    return [End(model.mark, x, y.at(e.mean), model.label) for x, e in known[-1:]]
