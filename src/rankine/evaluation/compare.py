"""compare: is one model better than another? Paired resampling of users or sessions, and a correction for asking many times.

Units are drawn with Poisson(1) weights, the same draw for all models, so that differences are paired. Intervals are percentiles of
the resampled figures; p-values are two-sided from the resampled standard error; Holm's step-down bounds the family-wise error.
Sources: Efron & Tibshirani 1993, ch. 13; Holm 1979.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rankine.arrays import Array
from rankine.errors import ConfigError, DataError, closest
from rankine.evaluation.clicks import Figure as Whole
from rankine.evaluation.evaluation import Evaluation
from rankine.evaluation.metrics import MetricName
from rankine.kernels.resampling import weighted_sums
from rankine.random import stream

LEVEL = 0.05
RESAMPLES = 2000
POISSON = np.repeat(np.arange(9.0), [24109, 24110, 12054, 4019, 1004, 201, 34, 4, 1])
"""Poisson(1) as 2^16 equally likely numbers: mean 1, variance 0.99997, and a draw is a look-up."""
DRAWN = 1 << 20  # weights at a time: 8 MiB
Figure = tuple[Evaluation, str]  # an evaluation and the metric that is read off it


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Pair:
    """How much `a` is above `b`, with a 95 % interval, and whether that is told apart from nothing after Holm's correction."""

    a: str
    b: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float

    @property
    def distinguishable(self) -> bool:
        """Whether the corrected test tells the two apart."""
        return self.p_holm < LEVEL


@dataclass(frozen=True)
class Comparison:
    """Models on one metric, best first: intervals, all pairs (the better one as `a`), and letters shared by those not told apart."""

    metric: str
    order: tuple[str, ...]
    intervals: Mapping[str, Interval]
    pairs: tuple[Pair, ...]
    letters: Mapping[str, str]


def compare(
    evaluations: Mapping[str, Evaluation], metric: str, *, seed: int = 0, n_resamples: int = RESAMPLES
) -> Comparison:
    """Compare models evaluated on the same cases. Raises DataError where the cases differ, ConfigError for a metric without cases."""
    _same_cases(evaluations)
    for name, evaluation in evaluations.items():
        if metric not in evaluation.resampled:
            raise ConfigError(
                f"`{metric}` has no value per case for `{name}`{closest(metric, evaluation.resampled)}: "
                "compare on one that has"
            )
    names = list(evaluations)
    means = {name: evaluations[name].mean(metric) for name in names}
    draws = dict(
        zip(names, resample([evaluations[n] for n in names], metric, seed=seed, n_resamples=n_resamples).T, strict=True)
    )
    better = MetricName.parse(metric).metric.higher_is_better
    order = sorted(names, key=lambda n: means[n], reverse=better)
    intervals = {n: Interval(means[n], *_percentiles(draws[n])) for n in names}
    raw = [(a, b, draws[a] - draws[b], means[a] - means[b]) for a, b in combinations(order, 2)]
    alone = len(next(iter(evaluations.values())).unit_names) < 2  # one user or session tells nothing apart
    p_values = [1.0 if alone else _p_value(difference, draw) for _, _, draw, difference in raw]
    corrected = holm(p_values)
    pairs = tuple(
        Pair(a, b, metric, difference, *_percentiles(draw), p, p_holm)
        for (a, b, draw, difference), p, p_holm in zip(raw, p_values, corrected, strict=True)
    )
    return Comparison(metric, tuple(order), intervals, pairs, letters(order, pairs))


def resample(evaluations: Sequence[Evaluation], metric: str, *, seed: int, n_resamples: int) -> Array:
    """Figures of the metric under resampled units, the same draw for every model, float64 [n_resamples, M]."""
    return _resample([(evaluation, metric) for evaluation in evaluations], seed, n_resamples)


def interval(evaluation: Evaluation, metric: str, *, seed: int = 0, n_resamples: int = RESAMPLES) -> Interval:
    """The figure of one model with its 95 % interval."""
    return intervals([(evaluation, metric)], seed=seed, n_resamples=n_resamples)[0]


def intervals(figures: Sequence[Figure], *, seed: int = 0, n_resamples: int = RESAMPLES) -> list[Interval]:
    """Each figure with its 95 % interval; units are drawn once for all, so the evaluations must have the same ones."""
    draws: Iterable[Array] = _resample(figures, seed, n_resamples).T if figures else []
    return [Interval(e.mean(metric), *_percentiles(draw)) for (e, metric), draw in zip(figures, draws, strict=True)]


def _resample(figures: Sequence[Figure], seed: int, n_resamples: int) -> Array:
    """The figures under resampled units, float64 [n_resamples, F]; NaN where a draw holds none of a figure's units."""
    n_units = len(figures[0][0].unit_names)
    per_case = [f for f, (evaluation, metric) in enumerate(figures) if metric in evaluation.values]
    means = _Means([figures[f] for f in per_case], n_units) if per_case else None
    wholes: dict[int, Whole] = {f: e.whole(m) for f, (e, m) in enumerate(figures) if m not in e.values}
    rng, out = stream(seed, "bootstrap"), np.empty((n_resamples, len(figures)))
    chunk = max(1, DRAWN // max(n_units, 1))
    for start in range(0, n_resamples, chunk):
        rows = slice(start, min(start + chunk, n_resamples))
        weights = POISSON[rng.integers(0, len(POISSON), (n_units, rows.stop - start), np.uint16)]
        if means is not None:
            out[rows, per_case] = means(weights)
        for f, whole in wholes.items():
            out[rows, f] = whole(weights)
    return out


class _Means:
    """The metrics that have a value per case, all figures at once."""

    def __init__(self, figures: Sequence[Figure], n_units: int) -> None:
        counts = [np.bincount(e.unit_idx, minlength=n_units).astype(np.float64) for e, _ in figures]
        sums = [np.bincount(e.unit_idx, e.values[metric], minlength=n_units) for e, metric in figures]
        self.amounts = np.stack([*counts, *sums])
        self.finish = [MetricName.parse(metric).metric.finish for _, metric in figures]

    def __call__(self, weights: Array) -> Array:
        """The figures [R, F] of R draws, weights [U, R]."""
        totals, sums = np.split(weighted_sums(self.amounts, weights), 2)
        means = np.divide(sums, totals, out=np.full_like(totals, np.nan), where=totals > 0)
        return np.stack([last_step(mean) for last_step, mean in zip(self.finish, means, strict=True)], axis=1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-corrected p-values in the order given."""
    order = np.argsort(p_values, kind="stable")
    corrected, largest = [0.0] * len(order), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p_values[index]))
        corrected[index] = largest
    return corrected


def letters(order: Sequence[str], pairs: Sequence[Pair]) -> dict[str, str]:
    """Letters per model: two models share one exactly where a run of neighbours in the order holds no distinguishable pair."""
    apart = {frozenset((p.a, p.b)) for p in pairs if p.distinguishable}
    runs: list[tuple[int, int]] = []
    for start in range(len(order)):
        end = start
        while end + 1 < len(order) and all(
            frozenset((order[i], order[end + 1])) not in apart for i in range(start, end + 1)
        ):
            end += 1
        if not runs or end > runs[-1][1]:
            runs.append((start, end))
    shared = dict.fromkeys(order, "")
    for letter, (start, end) in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", runs, strict=False):
        for name in order[start : end + 1]:
            shared[name] += letter
    return shared


def _p_value(difference: float, draws: Array) -> float:
    deviation = 0.0 if np.isnan(draws).all() else float(np.nanstd(draws))
    if deviation == 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / deviation / math.sqrt(2))


def _percentiles(draws: Array) -> tuple[float, float]:
    if np.isnan(draws).all():
        return math.nan, math.nan
    low, high = np.nanpercentile(draws, [100 * LEVEL / 2, 100 * (1 - LEVEL / 2)])
    return float(low), float(high)


def _same_cases(evaluations: Mapping[str, Evaluation]) -> None:
    first_name, first = next(iter(evaluations.items()))
    for name, other in evaluations.items():
        if not np.array_equal(other.unit_idx, first.unit_idx) or not other.unit_names.equals(first.unit_names):
            raise DataError(
                f"`{name}` and `{first_name}` were evaluated on different cases: a paired comparison needs the same"
            )
