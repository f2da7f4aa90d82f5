"""Item to item: who took this also took that.

s_j = sum over the visitor's items i of sim(i, j), with N_ij the baskets (users, anonymous sessions) that hold both:
cosine N_ij / (sqrt(N_i N_j) + shrink); conditional N_ij / (N_i N_j^exponent);
excess (N_ij - E_ij) / sqrt(E_ij), E_ij = sum over baskets c of j of 1 - (1 - P_i)^|c|: what heavy buyers give by chance.
Sources: Linden, Smith, York 2003; Smith & Linden 2017. Here each j keeps the i that say most for it, so that a popular j
needs more than its popularity; with "conditional", which compares the j of one i, each i keeps its best j as in the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int, Ragged
from rankine.features.events import EventArrays, positive
from rankine.features.queries import Queries
from rankine.kernels.cocounts import score_items, similarities
from rankine.kernels.sparse import transpose
from rankine.models.base import ItemNeighbours, Monitor, SolvedModel, Source, no_monitor
from rankine.models.tuning import Real, Whole, choice, ranges


@dataclass(frozen=True, kw_only=True)
class ItemToItemConfig:
    """neighbours: how many are kept per item (0 = all); min_support: baskets that a pair must share;
    last: how many of the latest events speak (0 = all)."""

    similarity: Literal["cosine", "conditional", "excess"] = "excess"
    neighbours: int = 1000
    min_support: int = 2
    shrink: float = 0.0
    exponent: float = 0.5
    last: int = 0

    def __post_init__(self) -> None:
        for name in ("neighbours", "shrink", "exponent", "last"):
            settings.require(self, name, at_least=0)
        settings.require(self, "min_support", at_least=1)


class ItemToItem(ItemNeighbours, SolvedModel):
    """Sums of similarities to the distinct items that the visitor took; negative excess counts as none."""

    Config = ItemToItemConfig
    config: ItemToItemConfig
    label = "Item to item"
    summary = "taken by the same visitors"
    mark = 4
    baseline = "neighbourhood"
    source = Source.TOGETHER
    fitted = ("neighbours",)
    tuning = ranges(
        similarity=choice("cosine", "conditional", "excess"), neighbours=Whole(5, 1000, log=True),
        min_support=Whole(1, 10), shrink=Real(0.0, 1000.0), exponent=Real(0.0, 1.0), last=choice(0, 1, 2, 5, 10, 20),
    )  # fmt: skip

    neighbours: CSR  # row = item taken, column = item scored

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        found = similarities(
            transpose(data.baskets), measure=self.config.similarity, keep=self.config.neighbours,
            min_support=self.config.min_support, shrink=self.config.shrink, exponent=self.config.exponent,
        )  # fmt: skip
        self.neighbours = found if self.config.similarity == "conditional" else transpose(positive(found))

    def score_all(self, queries: Queries) -> Float:
        return score_items(self.neighbours, self._speaking(queries))

    def evidence(self, queries: Queries) -> Array:
        history, has_neighbours = self._speaking(queries), np.diff(self.neighbours.indptr) > 0
        return np.bincount(history.row_of_value(), has_neighbours[history.values], minlength=len(queries)) > 0

    def _speaking(self, queries: Queries) -> Ragged:
        if self.config.last:
            queries = replace(queries, history=queries.history.tail(self.config.last))
        return queries.distinct_history

    def similar(self, item_idx: int) -> tuple[Int, Float]:
        return self.neighbours.row(item_idx)
