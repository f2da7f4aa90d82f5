"""Session popularity: what was taken most often in this session, then what everybody takes.

s_i = n_i(session) + p_i, with p_i in [0, 1) the item's share of the most popular item's weight.
Source: S-POP of Hidasi et al. 2016, with ties broken by overall popularity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine.arrays import Array, Float
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.base import Monitor, SolvedModel, Source, no_monitor


@dataclass(frozen=True, kw_only=True)
class SessionPopularityConfig:
    """Nothing to set."""


class SessionPopularity(SolvedModel):
    """Counts of the present session over overall popularity."""

    Config = SessionPopularityConfig
    label = "Session popularity"
    summary = "seen again in this session"
    mark = 8
    baseline = "popularity"
    source = Source.SESSION
    fitted = ("share",)

    share: Float

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        counts = np.bincount(data.item_idx, np.maximum(data.weight, 0), minlength=data.n_items)
        self.share = (counts / (counts.max(initial=0) + 1)).astype(np.float32)

    def score_all(self, queries: Queries) -> Float:
        scores = np.repeat(self.share[None], len(queries), axis=0)
        session = queries.session
        np.add.at(scores, (session.row_of_value(), session.values), np.float32(1))
        return scores

    def evidence(self, queries: Queries) -> Array:
        return np.asarray(queries.session_len > 0)
