"""Metrics: from the ranks of the targets, or from predictions beside the truth, to one value per case.

Some have no value per case: figures of the whole such as AUC.
Ranks start at 1. `ranks` is Ragged [B], the rank of every target of a case; a target that can not be found has a rank above any k.
Names are spelled `recall@20`, `rmse`, or `hr@10 optimistic` for ranks in which ties favour the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rankine.arrays import Array, Ragged
from rankine.errors import ConfigError, closest
from rankine.evaluation import clicks, offpolicy
from rankine.evaluation.clicks import Figure, Values, finite


def hits(ranks: Ragged, k: int) -> Values:
    """Number of targets among the first k, per case."""
    return _per_case(ranks, (ranks.values <= k).astype(np.float64))


def recall(ranks: Ragged, k: int) -> Values:
    """Share of the targets among the first k."""
    return np.asarray(hits(ranks, k) / ranks.lengths)


def precision(ranks: Ragged, k: int) -> Values:
    """Share of the first k places that hold a target."""
    return hits(ranks, k) / k


def hr(ranks: Ragged, k: int) -> Values:
    """1 where any target is among the first k."""
    return (hits(ranks, k) > 0).astype(np.float64)


def mrr(ranks: Ragged, k: int) -> Values:
    """1 / rank of the best placed target, 0 where none is among the first k."""
    reciprocal = np.where(ranks.values <= k, 1.0 / ranks.values, 0.0)
    best = np.zeros(len(ranks))
    np.maximum.at(best, ranks.row_of_value(), reciprocal)
    return best


def ndcg(ranks: Ragged, k: int) -> Values:
    """Discounted gain 1 / log2(rank + 1) of the targets among the first k, over the best reachable with as many targets."""
    gains = np.where(ranks.values <= k, 1.0 / np.log2(ranks.values + 1.0), 0.0)
    ideal = np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))
    return np.asarray(_per_case(ranks, gains) / ideal[np.minimum(ranks.lengths, k) - 1])


def map_(ranks: Ragged, k: int) -> Values:
    """Mean over the targets of the precision at their place, 0 for those below place k."""
    rows = ranks.row_of_value()
    order = np.lexsort((ranks.values, rows))
    place = np.arange(len(order)) - ranks.offsets[:-1][rows] + 1  # how many targets stand at or above this one
    sorted_ranks = ranks.values[order]
    gains = np.where(sorted_ranks <= k, place / sorted_ranks, 0.0)
    return _per_case(ranks, gains) / ranks.lengths


def squared_error(predicted: Array, truth: Array) -> Values:
    """(prediction - truth)^2, per row."""
    return np.asarray((finite(predicted) - truth) ** 2, np.float64)


def absolute_error(predicted: Array, truth: Array) -> Values:
    """|prediction - truth|, per row."""
    return np.abs(finite(predicted) - np.asarray(truth, np.float64))


@dataclass(frozen=True)
class Metric:
    """A metric by name: what it is computed from, and whether more is better. `finish` turns the mean over cases into the figure.

    whole: prepares the figure of all cases, for a metric without a value per case, from what is judged and the number of units.
    """

    family: str  # "rank", "list", "rating", "binary" for values of 0 and 1, or "policy" for a log with propensities
    higher_is_better: bool
    per_case: Callable[..., Values] | None = None
    finish: Callable[[Array], Array] = np.positive
    whole: Callable[..., Figure] | None = None


METRICS: dict[str, Metric] = {
    "recall": Metric("rank", True, recall),
    "precision": Metric("rank", True, precision),
    "hr": Metric("rank", True, hr),
    "mrr": Metric("rank", True, mrr),
    "ndcg": Metric("rank", True, ndcg),
    "map": Metric("rank", True, map_),
    "coverage": Metric("list", True),
    "novelty": Metric("list", True),
    "rmse": Metric("rating", False, squared_error, np.sqrt),
    "mae": Metric("rating", False, absolute_error),
    "auc": Metric("binary", True, whole=clicks.auc),
    "gauc": Metric("binary", True, whole=clicks.gauc),
    "logloss": Metric("binary", False, clicks.logloss),
    "normalised_entropy": Metric("binary", False, whole=clicks.normalised_entropy),
    "calibration": Metric("binary", False, whole=clicks.calibration_error),
    "accuracy": Metric("binary", True, clicks.accuracy),
    "ips": Metric("policy", True, offpolicy.ips),
    "snips": Metric("policy", True, whole=offpolicy.snips),
    "click_rate": Metric("policy", True, offpolicy.click_rate),
    "matched": Metric("policy", True, offpolicy.matched),
    "effective_rows": Metric("policy", True, whole=offpolicy.effective_rows),
}


@dataclass(frozen=True)
class MetricName:
    """A metric as written in a recipe: its base name, list length (0 where it has none) and tie rule."""

    base: str
    k: int = 0
    optimistic: bool = False

    @classmethod
    def parse(cls, text: str) -> MetricName:
        """`recall@20`, `rmse` or `hr@10 optimistic`. Raises ConfigError naming the closest metric."""
        match = re.fullmatch(r"([a-z_]+)(?:@(\d+))?( optimistic)?", text)
        if match is None or match[1] not in METRICS:
            raise ConfigError(f"unknown metric {text!r}{closest(text.split('@')[0], METRICS)}")
        base, k = match[1], int(match[2] or 0)
        if (METRICS[base].family not in ("rank", "list")) == bool(k):
            expected = f"`{base}`" if k else f"`{base}@20`"
            raise ConfigError(f"metric {text!r} should be written {expected}")
        if match[3] and METRICS[base].family != "rank":
            raise ConfigError(f"metric {text!r} has no ties to favour: write `{text.removesuffix(match[3])}`")
        return cls(base, k, bool(match[3]))

    @property
    def metric(self) -> Metric:
        """The metric behind the name."""
        return METRICS[self.base]

    def __str__(self) -> str:
        at = f"@{self.k}" if self.k else ""
        return f"{self.base}{at}{' optimistic' if self.optimistic else ''}"


def novelty_of(share: Array) -> Values:
    """Surprise of being shown an item, -log2 of its share of the training events (those without an event count as half an event)."""
    floor = 0.5 * share[share > 0].min(initial=1.0)
    return np.asarray(-np.log2(np.maximum(share, floor)), np.float64)


def _per_case(ranks: Ragged, gains: Values) -> Values:
    return np.asarray(np.bincount(ranks.row_of_value(), gains, minlength=len(ranks)), np.float64)
