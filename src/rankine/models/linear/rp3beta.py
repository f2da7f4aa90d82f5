"""RP3 beta: where a random walk of three steps ends, popular ends counting less.

W_ij = sum over baskets u of (1 / n_i)^alpha (1 / n_u)^alpha / n_j^beta; s_j = sum over the visitor's items i of W_ij.
Source: Paudel et al. 2017, "Updatable, accurate, diverse and scalable recommendations for interactive applications". Here
each j keeps the i whose walks reach it most, so that a popular j is not on everybody's list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.sparse import sum_rows, transpose
from rankine.kernels.walk import walk_similarities
from rankine.models.base import ItemNeighbours, Monitor, SolvedModel, Source, no_monitor
from rankine.models.tuning import Real, Whole, ranges


@dataclass(frozen=True, kw_only=True)
class RP3BetaConfig:
    """alpha: 1 is the plain walk; beta: 0 leaves popular items as they are; neighbours: how many items can lead to an item
    (0 = all)."""

    alpha: float = 0.6
    beta: float = 0.3
    neighbours: int = 300

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "neighbours"):
            settings.require(self, name, at_least=0)


class RP3Beta(ItemNeighbours, SolvedModel):
    """Transition weights of the walk, summed over what the visitor took."""

    Config = RP3BetaConfig
    config: RP3BetaConfig
    label = "RP3 beta"
    summary = "three steps over the graph"
    mark = 5
    baseline = "neighbourhood"
    source = Source.TOGETHER
    fitted = ("weights",)
    tuning = ranges(alpha=Real(0.0, 2.0), beta=Real(0.0, 2.0), neighbours=Whole(5, 1000, log=True))

    weights: CSR  # row = item taken, column = item scored

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        self.weights = transpose(
            walk_similarities(
                transpose(data.baskets), alpha=self.config.alpha, beta=self.config.beta, keep=self.config.neighbours
            )
        )

    def score_all(self, queries: Queries) -> Float:
        return sum_rows(self.weights, queries.distinct_history)

    def evidence(self, queries: Queries) -> Array:
        return np.asarray(queries.history.lengths > 0)

    def similar(self, item_idx: int) -> tuple[Int, Float]:
        return self.weights.row(item_idx)
