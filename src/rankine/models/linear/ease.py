"""EASE: ridge regression of every item on all others, in closed form.

G = X'X, P = (G + l2 I)^-1, B_ij = -P_ij / P_jj, B_jj = 0; s_j = sum over the visitor's items i of B_ij.
Where B is too large to hold, only the entries of largest magnitude in each column stay; what they are does not change.
Source: Steck 2019, "Embarrassingly shallow autoencoders for sparse data", equation 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.gram import sum_dense_rows
from rankine.kernels.ridge import ridge_bytes, ridge_weights
from rankine.kernels.sparse import sum_rows
from rankine.memory import available_bytes
from rankine.models.base import ItemNeighbours, Monitor, SolvedModel, Source, no_monitor
from rankine.models.tuning import Real, ranges

DENSE_ITEMS = 10_000  # 400 MB
KEPT = 1000
GB = 1e9


@dataclass(frozen=True, kw_only=True)
class EASEConfig:
    """l2: strength of the ridge, in baskets; some hundreds for a few thousand items.

    neighbours: the weights that are kept for each item, 0 = all; where left out, all of up to 10,000 items and else 1,000.
    """

    l2: float = 300.0
    neighbours: int | None = None

    def __post_init__(self) -> None:
        settings.require(self, "l2", above=0)
        settings.require(self, "neighbours", at_least=0)


class EASE(ItemNeighbours, SolvedModel):
    """Weights between items: 4 n_items^2 bytes, or 8 for each that is kept.

    Fitting takes time cubic and memory square in the fewer of items and baskets.
    """

    Config = EASEConfig
    config: EASEConfig
    label = "EASE"
    summary = "items regressed on all others"
    mark = 2
    baseline = "neighbourhood"
    source = Source.TOGETHER
    fitted = ("weights",)
    tuning = ranges(l2=Real(1.0, 1e7, log=True))

    weights: Float | CSR  # [n_items, n_items], row = item taken, column = item scored

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        keep = self.config.neighbours
        if keep is None:
            keep = 0 if data.n_items <= DENSE_ITEMS else KEPT
        need, left = ridge_bytes(data.n_items, data.baskets.n_rows, keep), available_bytes()
        if need > left:
            raise ModelError(
                f"EASE of {data.n_items:,} items and {data.baskets.n_rows:,} visitors needs {need / GB:.1f} GB of memory and"
                f" {left / GB:.1f} GB are free: set a lower `neighbours` or take a model with sparse weights"
            )
        try:
            self.weights = ridge_weights(data.baskets, self.config.l2, keep=keep)
        except np.linalg.LinAlgError:
            raise ModelError(f"EASE met a singular system: raise `l2`, now {self.config.l2:g}") from None

    def score_all(self, queries: Queries) -> Float:
        if isinstance(self.weights, CSR):
            return sum_rows(self.weights, queries.distinct_history)
        return sum_dense_rows(self.weights, queries.distinct_history)

    def evidence(self, queries: Queries) -> Array:
        return np.asarray(queries.history.lengths > 0)

    def similar(self, item_idx: int) -> tuple[Int, Float]:
        if isinstance(self.weights, CSR):
            return self.weights.row(item_idx)
        return np.arange(len(self.weights), dtype=np.int32), self.weights[item_idx]
