"""V-SKNN: the sessions nearest to this one, later items counting more.

Candidates: the `sample_size` most recent training sessions that share an item with the present one.
sim(S) = sum over shared items of the weight of their position / number of distinct items here; the `neighbours` most similar stay.
s_j = sum over neighbours S that hold j of sim(S) decay(steps back to the latest shared item) (1 + idf_weight idf_j).
Source: Ludewig & Jannach 2018 (V-SKNN); Ludewig et al. 2019 (idf). The cosine divides by both norms;
equal scores stand in the order of overall popularity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rankine import config as settings
from rankine.arrays import Array, Float, Ragged
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.decay import Decay
from rankine.kernels.knn import SessionIndex, index_sessions, score_sessions
from rankine.models.base import Monitor, Needs, SolvedModel, Source, no_monitor
from rankine.models.ties import break_ties, popularity_order
from rankine.models.tuning import Real, Whole, choice, ranges


@dataclass(frozen=True, kw_only=True)
class VSKNNConfig:
    """Settings of V-SKNN; `same` weights, no decay and the cosine give plain SKNN."""

    neighbours: int = 100
    sample_size: int = 1000
    position_weights: Decay = "quadratic"
    score_decay: Decay = "quadratic"
    similarity: Literal["vec", "cosine"] = "vec"
    idf_weight: float = 0.0

    def __post_init__(self) -> None:
        settings.require(self, "neighbours", at_least=1)
        settings.require(self, "sample_size", at_least=1)
        settings.require(self, "idf_weight", at_least=0)


class VSKNN(SolvedModel):
    """Votes of the nearest past sessions."""

    Config = VSKNNConfig
    config: VSKNNConfig
    label = "V-SKNN"
    summary = "nearest past sessions"
    mark = 3
    baseline = "neighbourhood"
    source = Source.SESSION
    needs = Needs(sessions=True)
    fitted = ("session_items", "session_offsets", "posting_sessions", "posting_offsets", "order")
    tuning = ranges(
        neighbours=Whole(5, 1000, log=True), sample_size=Whole(100, 10_000, log=True),
        position_weights=choice("same", "div", "linear", "quadratic", "log"),
        score_decay=choice("same", "div", "linear", "quadratic", "log"),
        similarity=choice("vec", "cosine"), idf_weight=Real(0.0, 10.0),
    )  # fmt: skip

    session_items: Array
    session_offsets: Array
    posting_sessions: Array
    posting_offsets: Array
    order: Float  # [N], see break_ties

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        sessions = data.sessions
        index = index_sessions(sessions.items, sessions.end_time, data.n_items)
        self.session_items, self.session_offsets = index.sessions.values, index.sessions.offsets
        self.posting_sessions, self.posting_offsets = index.postings.values, index.postings.offsets
        self.order = popularity_order(data.item_idx, data.weight, data.n_items)

    def score_all(self, queries: Queries) -> Float:
        past = Ragged(self.session_items, self.session_offsets)
        index = SessionIndex(past, Ragged(self.posting_sessions, self.posting_offsets))
        scores = score_sessions(
            index, queries.session, n_neighbours=self.config.neighbours, sample_size=self.config.sample_size,
            position_weights=self.config.position_weights, similarity=self.config.similarity,
            score_decay=self.config.score_decay, idf_weight=self.config.idf_weight,
        )  # fmt: skip
        return break_ties(scores, self.order)

    def evidence(self, queries: Queries) -> Array:
        seen = np.append(np.diff(self.posting_offsets) > 0, False)
        session = queries.session
        return np.bincount(session.row_of_value(), seen[session.values], minlength=len(queries)) > 0
