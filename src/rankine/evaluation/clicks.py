"""Clicks: predicted probabilities beside what came, and the figures and curves that are read off them.

Log loss and accuracy have a value per case. AUC and its like have none: they are figures of the whole, so each is prepared once
and then recomputed for any weighting of the units that are resampled together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankine.arrays import Array, Float
from rankine.errors import ScoreError
from rankine.kernels.ranks import auc_of_draws, groups_of_equals
from rankine.kernels.resampling import weighted_sums

Values = NDArray[np.float64]
Figure = Callable[[Values], Values]
"""From how often each unit counts in each of R draws, [U, R], to the figure of each draw, [R]; NaN where it has none."""


SURE = 11.5
"""Log-odds of 1e-5: what a histogram tells apart no further."""


@dataclass(frozen=True)
class Clicks:
    """B shown items: predicted probability float32 [B], whether each was taken, bool [B], and whom it counts for, int64 [B]."""

    probability: Float
    label: Array
    unit_idx: Array

    def __len__(self) -> int:
        return len(self.label)


def logloss(probability: Array, label: Array) -> Values:
    """-log of the probability given to the label that came, probabilities clipped at 1e-7; per row."""
    p = np.clip(finite(probability), 1e-7, 1 - 1e-7)
    return np.asarray(-np.where(np.asarray(label) > 0.5, np.log(p), np.log1p(-p)), np.float64)


def accuracy(probability: Array, label: Array) -> Values:
    """1 where a probability of at least one half met a label of 1, or a lower one a label of 0; per row."""
    return np.asarray((finite(probability) >= 0.5) == (np.asarray(label) > 0.5), np.float64)


def auc(clicks: Clicks, n_units: int) -> Figure:
    """Chance that an item that was taken is predicted above one that was left, equal predictions counting one half."""
    order = np.argsort(clicks.probability, kind="stable")
    ends = groups_of_equals(clicks.probability[order])
    return lambda weights: auc_of_draws(clicks.unit_idx[order], clicks.label[order], ends, weights)


def gauc(clicks: Clicks, n_units: int) -> Figure:
    """Mean of the units' own AUC, weighted by their cases; units with labels of one kind only are left out.

    Source: Zhu et al. 2017, Optimized cost per click in Taobao display advertising, eq. 20.
    """
    values, counts = unit_aucs(clicks, n_units)
    return ratio(np.where(counts > 0, values, 0) * counts, counts)


def calibration_error(clicks: Clicks, n_units: int) -> Figure:
    """Mean gap between predicted and observed share over ten bins of equal count; the bins are those of all cases."""
    place = bins_of(clicks.probability, 10)
    gap = clicks.probability.astype(np.float64) - clicks.label
    gaps = np.stack([np.bincount(clicks.unit_idx, gap * (place == b), n_units) for b in range(10)])
    counts = np.bincount(clicks.unit_idx, minlength=n_units).astype(np.float64)
    amounts = np.concatenate([gaps, counts[None]])

    def figure(weights: Values) -> Values:
        sums = weighted_sums(amounts, weights)
        return _over(np.abs(sums[:-1]).sum(0), sums[-1])

    return figure


def normalised_entropy(clicks: Clicks, n_units: int) -> Figure:
    """Log loss over that of predicting the share of the cases for all of them. Source: He et al. 2014, eq. 1."""
    columns = (logloss(clicks.probability, clicks.label), clicks.label, np.ones(len(clicks)))
    amounts = np.stack([np.bincount(clicks.unit_idx, column, n_units) for column in columns])

    def figure(weights: Values) -> Values:
        losses, taken, total = weighted_sums(amounts, weights)
        share = _over(taken, total)
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -(share * np.log(share) + (1 - share) * np.log1p(-share))
        return _over(_over(losses, total), entropy)

    return figure


def ratio(above: Array, below: Array) -> Figure:
    """The sum over the units of one amount over that of another; both [U]."""
    amounts = np.stack([above, below])
    return lambda weights: _over(*weighted_sums(amounts, weights))


def unit_aucs(clicks: Clicks, n_units: int) -> tuple[Values, Values]:
    """AUC of each unit, NaN where its labels are all the same, and its number of cases, 0 there; float64 [U]."""
    unit, p = clicks.unit_idx, clicks.probability
    order = np.lexsort((p, unit))
    positive = clicks.label[order]
    ends = groups_of_equals(p[order], unit[order])
    starts = np.concatenate([[0], ends[:-1]])
    rank = np.repeat((starts + ends + 1) / 2, ends - starts)  # among all cases; equals share the mean of their ranks
    n_cases = np.bincount(unit, minlength=n_units).astype(np.float64)
    rank -= np.concatenate([[0], np.cumsum(n_cases)[:-1]])[unit[order]]
    n_positive = np.bincount(unit, clicks.label, n_units)
    pairs = n_positive * (n_cases - n_positive)
    wins = np.bincount(unit[order][positive], rank[positive], n_units) - n_positive * (n_positive + 1) / 2
    return _over(wins, pairs), np.where(pairs > 0, n_cases, 0)


@dataclass(frozen=True)
class Calibration:
    """Predictions in bins of equal count: mean prediction, share of positives and rows per bin; `error` is their weighted gap."""

    predicted: Values
    observed: Values
    count: Array
    error: float


def calibration(probability: Array, label: Array, n_bins: int = 10) -> Calibration:
    """How probabilities compare with what came. Source: expected calibration error over equal-count bins."""
    p, y = finite(probability), np.asarray(label, np.float64)
    place = bins_of(p, n_bins)
    count = np.bincount(place)
    used = np.flatnonzero(count)
    count = count[used]
    predicted, observed = np.bincount(place, p)[used] / count, np.bincount(place, y)[used] / count
    return Calibration(predicted, observed, count, float((np.abs(predicted - observed) * count).sum() / count.sum()))


@dataclass(frozen=True)
class Histogram:
    """How predictions spread: bin borders float64 [n_bins + 1], and rows per bin of what was left and what was taken, int64 [n_bins]."""

    edges: Values
    left: Array
    taken: Array


def histogram(probability: Array, label: Array, n_bins: int = 48) -> Histogram:
    """Rows per bin of equal width on the scale of log-odds, by what came; the outermost bins hold what lies 1e-5 from 0 and from 1."""
    p, y = finite(probability), np.asarray(label) > 0.5
    inner = 1 / (1 + np.exp(-np.linspace(-SURE, SURE, n_bins - 1)))
    edges = np.concatenate([[0.0], inner, [1.0]])
    return Histogram(edges, np.histogram(p[~y], edges)[0], np.histogram(p[y], edges)[0])


def bins_of(predicted: Array, n_bins: int) -> Array:
    """The bin of each prediction, int64 [B]: as many rows in each as can be, equal predictions always in the same one."""
    below = np.searchsorted(np.sort(predicted), predicted)
    return np.asarray(below * n_bins // max(len(predicted), 1), np.int64)


def finite(predicted: Array) -> Values:
    """The predictions as float64. Raises ScoreError where one is NaN or infinite."""
    values = np.asarray(predicted, np.float64)
    if not np.isfinite(values).all():
        raise ScoreError(f"{int((~np.isfinite(values)).sum())} of {len(values)} predictions are NaN or infinite")
    return values


def _over(above: Values, below: Values) -> Values:
    """The quotient, NaN where there is nothing to divide by."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0))
