"""EASE: ridge regression of every item on all others, in closed form.

G = X'X, P = (G + l2 I)^-1, B_ij = -P_ij / P_jj, B_jj = 0; s_j = sum over the visitor's items i of B_ij.
Source: Steck 2019, "Embarrassingly shallow autoencoders for sparse data", equation 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from rankine import config as settings
from rankine.arrays import Array, Float, Int
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.gram import gram, mirror, sum_dense_rows
from rankine.models.base import ItemNeighbours, Monitor, SolvedModel, Source, no_monitor
from rankine.models.tuning import Real, ranges

MAX_ITEMS = 60_000  # 14 GB of float32


@dataclass(frozen=True, kw_only=True)
class EASEConfig:
    """l2: strength of the ridge, in baskets; some hundreds for a few thousand items."""

    l2: float = 300.0

    def __post_init__(self) -> None:
        settings.require(self, "l2", above=0)


class EASE(ItemNeighbours, SolvedModel):
    """A dense item-item matrix: 4 n_items^2 bytes, O(n_items^3) time."""

    Config = EASEConfig
    config: EASEConfig
    label = "EASE"
    summary = "items regressed on all others"
    mark = 2
    baseline = "neighbourhood"
    source = Source.TOGETHER
    fitted = ("weights",)
    tuning = ranges(l2=Real(1.0, 1e7, log=True))

    weights: Float  # [n_items, n_items], row = item taken, column = item scored

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        if data.n_items > MAX_ITEMS:
            raise ModelError(
                f"EASE holds n_items^2 numbers and takes at most {MAX_ITEMS:,} items; got {data.n_items:,}"
            )
        self.weights = ridge_weights(gram(data.baskets), self.config.l2)

    def score_all(self, queries: Queries) -> Float:
        return sum_dense_rows(self.weights, queries.distinct_history)

    def evidence(self, queries: Queries) -> Array:
        return np.asarray(queries.history.lengths > 0)

    def similar(self, item_idx: int) -> tuple[Int, Float]:
        return np.arange(len(self.weights), dtype=np.int32), self.weights[item_idx]


def ridge_weights(matrix: Float, l2: float) -> Float:
    """B from the Gram matrix [N, N] float32, in its memory. Raises ModelError where the system is singular."""
    matrix[np.diag_indices(len(matrix))] += l2
    upper = matrix.T  # LAPACK wants columns: the transpose of a symmetric matrix is itself, without a copy
    _, failed = lapack.spotrf(upper, lower=0, clean=0, overwrite_a=1)
    if not failed:
        _, failed = lapack.spotri(upper, lower=0, overwrite_c=1)
    if failed:
        raise ModelError(f"EASE met a singular system at item row {failed - 1}: raise `l2`, now {l2:g}")
    mirror(matrix)
    matrix /= -np.diag(matrix).copy()
    matrix[np.diag_indices(len(matrix))] = 0
    return matrix
