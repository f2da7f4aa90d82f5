"""SLIM: every item as a sparse, non-negative sum of others.

For each item j: min over w >= 0, w_j = 0 of 1/2 |x_j - X w|^2 + l1 sum(w) + l2 / 2 |w|^2; s_j = sum over the visitor's items i of W_ij.
Source: Ning & Karypis 2011, "SLIM: sparse linear methods for top-N recommender systems", equation 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.slim import slim_weights
from rankine.kernels.sparse import sum_rows, transpose
from rankine.models.base import ItemNeighbours, Monitor, SolvedModel, Source, no_monitor
from rankine.models.tuning import Real, ranges


@dataclass(frozen=True, kw_only=True)
class SLIMConfig:
    """l1, l2: in baskets. Below 1, every item that shares a basket may enter; from 1 on, pairs that share one alone stay out.

    tolerance: the descent of an item ends when no weight moves by more.
    """

    l1: float = 1.0
    l2: float = 100.0
    max_sweeps: int = 30
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        settings.require(self, "l1", at_least=0)
        settings.require(self, "l2", at_least=0)
        settings.require(self, "max_sweeps", at_least=1)
        settings.require(self, "tolerance", above=0)


class SLIM(ItemNeighbours, SolvedModel):
    """Sparse weights learned by coordinate descent; memory for them alone, a small part of what EASE takes."""

    Config = SLIMConfig
    config: SLIMConfig
    label = "SLIM"
    summary = "items as sums of few others"
    mark = 1
    baseline = "neighbourhood"
    source = Source.TOGETHER
    fitted = ("weights",)
    tuning = ranges(l1=Real(0.01, 100.0, log=True), l2=Real(1.0, 1e4, log=True))

    weights: CSR  # row = item taken, column = item scored

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        self.weights = transpose(
            slim_weights(
                data.baskets, l1=self.config.l1, l2=self.config.l2, max_sweeps=self.config.max_sweeps,
                tolerance=self.config.tolerance,
            )
        )  # fmt: skip

    def score_all(self, queries: Queries) -> Float:
        return sum_rows(self.weights, queries.distinct_history)

    def evidence(self, queries: Queries) -> Array:
        return np.asarray(queries.history.lengths > 0)

    def similar(self, item_idx: int) -> tuple[Int, Float]:
        return self.weights.row(item_idx)
