"""Evaluation: what one model reached on the cases, and several of them pooled into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from rankine.arrays import Array, Int
from rankine.data.vocab import Vocab
from rankine.evaluation.clicks import Clicks, Figure, Values
from rankine.evaluation.metrics import MetricName
from rankine.evaluation.offpolicy import Matched

Judged = Clicks | Matched
"""What figures without a value per case are computed from."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One model on the cases: per metric one float64 value per case, or one figure for the whole where it has no cases (coverage).

    shown: the top items of each case, int32 [B, K], -1 where there are fewer; popularity: mean percentile of shown items, 0 to 1.
    judged: what AUC and its like are computed from, one for each fold and each fit; their figure is the mean of these.
    clicks: predictions to draw, of the first fit. fits: the figures of each fit where the model was fitted from several seeds.
    """

    values: Mapping[str, Values]
    totals: Mapping[str, float]
    unit_idx: Array
    unit_names: pl.Series
    unit: str
    seconds: float
    shown: Int | None = None
    popularity: float | None = None
    target_counts: Array | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    judged: tuple[Judged, ...] = ()
    clicks: Clicks | None = None
    fits: tuple[Mapping[str, float], ...] = ()

    def mean(self, metric: str) -> float:
        """The figure of a metric over all cases."""
        if metric in self.totals:
            return self.totals[metric]
        return float(MetricName.parse(metric).metric.finish(np.asarray(np.mean(self.values[metric]))))

    @property
    def figures(self) -> dict[str, float]:
        """Every metric and its figure."""
        return {metric: self.mean(metric) for metric in (*self.values, *self.totals)}

    @property
    def resampled(self) -> tuple[str, ...]:
        """The metrics that have a figure for any weighting of the units, and so an interval and a test."""
        wholes = [m for m in self.totals if self.judged and MetricName.parse(m).metric.whole is not None]
        return (*self.values, *wholes)

    def whole(self, metric: str) -> Figure:
        """A metric of `totals` for any weighting of the units: the mean of the folds and fits."""
        prepare = MetricName.parse(metric).metric.whole
        assert prepare is not None and self.judged
        figures = [prepare(part, len(self.unit_names)) for part in self.judged]
        return lambda weights: np.mean([figure(weights) for figure in figures], axis=0)


def pool(parts: Sequence[Evaluation], *, same_cases: bool = False) -> Evaluation:
    """Several evaluations as one: of folds, cases behind one another and units of the same name joined; of fits, on the same cases.

    same_cases: each is another fit of one model; the value of a case is the mean over the fits, whose own figures are kept.
    Figures without a value per case are the mean of the parts.
    """
    if len(parts) == 1:
        return parts[0]
    return _fits(parts) if same_cases else _folds(parts)


def _fits(parts: Sequence[Evaluation]) -> Evaluation:
    """One model fitted several times, on the same cases."""
    first = parts[0]
    if any(not np.array_equal(p.unit_idx, first.unit_idx) for p in parts):
        raise ValueError("fits of one model must be judged on the same cases")
    return replace(
        first,
        values={m: np.mean([p.values[m] for p in parts], axis=0) for m in first.values},
        totals=_mean_totals(parts),
        seconds=float(np.mean([p.seconds for p in parts])),
        popularity=_mean_popularity(parts),
        judged=tuple(part for p in parts for part in p.judged),
        fits=tuple(p.figures for p in parts),
    )


def _folds(parts: Sequence[Evaluation]) -> Evaluation:
    """The folds of a split, each with cases of its own."""
    first = parts[0]
    joined = Vocab.of(*(p.unit_names.gather(p.unit_idx) for p in parts))
    numbers = [joined.index(p.unit_names).astype(np.int64) for p in parts]
    moved = [
        [replace(part, unit_idx=number[part.unit_idx]) for part in p.judged]
        for p, number in zip(parts, numbers, strict=True)
    ]
    return Evaluation(
        values={m: np.concatenate([p.values[m] for p in parts]) for m in first.values},
        totals=_mean_totals(parts),
        unit_idx=np.concatenate([number[p.unit_idx] for p, number in zip(parts, numbers, strict=True)]),
        unit_names=joined.ids,
        unit=first.unit,
        seconds=sum(p.seconds for p in parts),
        popularity=_mean_popularity(parts),
        target_counts=None
        if first.target_counts is None
        else np.concatenate([np.asarray(p.target_counts) for p in parts]),
        counts={key: sum(p.counts.get(key, 0) for p in parts) for key in first.counts},
        judged=tuple(part for folds in moved for part in folds),
        clicks=_all_clicks(parts, numbers),
        fits=tuple(
            {m: float(np.mean([figures[m] for figures in same])) for m in same[0]}
            for same in zip(*(p.fits for p in parts), strict=True)
        ),
    )


def _mean_totals(parts: Sequence[Evaluation]) -> dict[str, float]:
    return {m: float(np.mean([p.totals[m] for p in parts])) for m in parts[0].totals}


def _mean_popularity(parts: Sequence[Evaluation]) -> float | None:
    return None if parts[0].popularity is None else float(np.mean([p.popularity for p in parts]))


def _all_clicks(parts: Sequence[Evaluation], numbers: Sequence[Array]) -> Clicks | None:
    """The predictions of all folds behind one another."""
    found = [(p.clicks, number) for p, number in zip(parts, numbers, strict=True) if p.clicks is not None]
    if not found:
        return None
    return Clicks(
        np.concatenate([clicks.probability for clicks, _ in found]),
        np.concatenate([clicks.label for clicks, _ in found]),
        np.concatenate([number[clicks.unit_idx] for clicks, number in found]),
    )
