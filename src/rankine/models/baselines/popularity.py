"""Popularity: what everybody takes, lately, or in this context.

Overall: s_i = sum of event weights of item i (of the last `recent_days`).
In context c_1 .. c_n: s_i = log p_i + sum_c log(p(i | c) / p_i), p(i | c) = (n_ci + m p_i) / (n_c + m), m = `smoothing`,
p_i = (n_i + 1) / sum_j (n_j + 1): naive Bayes over the context columns; a value never seen leaves its term out.
Source: naive Bayes with the m-estimate of Cestnik 1990.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rankine import config as settings
from rankine.arrays import Array, Float
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.base import Monitor, Needs, SolvedModel, Source, no_monitor
from rankine.models.tuning import choice, ranges

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class PopularityConfig:
    """recent_days: only events of the last days count; context: columns to condition on; smoothing: m above, in events."""

    recent_days: float | None = None
    context: tuple[str, ...] = ()
    smoothing: float = 100.0

    def __post_init__(self) -> None:
        settings.require(self, "recent_days", above=0)
        settings.require(self, "smoothing", above=0)


class Popularity(SolvedModel):
    """The same ranking for everybody in the same context."""

    Config = PopularityConfig
    config: PopularityConfig
    label = "Popularity"
    summary = "what most visitors take"
    mark = 8
    baseline = "popularity"
    tuning = ranges(recent_days=choice(None, 0.5, 1.0, 2.0, 4.0, 7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0))

    counts: Float

    def __init__(self, config: PopularityConfig | None = None) -> None:
        super().__init__(config)
        self.lift: dict[str, Float] = {}

    @property
    def needs(self) -> Needs:
        return Needs(timestamps=self.config.recent_days is not None, context=self.config.context)

    @property
    def source(self) -> Source:
        return Source.CONTEXT if self.config.context else Source.POPULAR

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        keep = data.weight > 0
        if self.config.recent_days is not None and data.timestamp is not None and len(data):
            keep &= data.timestamp >= np.fmax.reduce(data.timestamp) - self.config.recent_days * DAY_S
        item, weight = data.item_idx[keep], data.weight[keep].astype(np.float64)
        counts = np.bincount(item, weight, minlength=data.n_items)
        self.counts = counts.astype(np.float32)
        share = (counts + 1) / (counts + 1).sum()
        for name in self.config.context:
            size, m = data.context_sizes[name], self.config.smoothing
            cell = data.context[name][keep].astype(np.int64) * data.n_items + item
            table = np.bincount(cell, weight, minlength=(size + 1) * data.n_items).reshape(size + 1, data.n_items)
            table[size] = 0  # a value never seen says nothing
            smoothed = (table + m * share) / (table.sum(1, keepdims=True) + m)
            self.lift[name] = np.log(smoothed / share).astype(np.float32)

    def score_all(self, queries: Queries) -> Float:
        if not self.config.context:
            return np.repeat(self.counts[None], len(queries), axis=0)
        scores = np.repeat(np.log(self.counts + 1)[None], len(queries), axis=0)
        for name in self.config.context:
            scores += self.lift[name][self._rows(queries, name)]
        return scores

    def evidence(self, queries: Queries) -> Array:
        known = np.ones(len(queries), bool)
        for name in self.config.context:
            known &= self._rows(queries, name) < len(self.lift[name]) - 1
        return known

    def _rows(self, queries: Queries, name: str) -> Array:
        unknown = len(self.lift[name]) - 1
        return queries.context.get(name, np.full(len(queries), unknown))

    fitted = ("counts",)

    def state(self) -> dict[str, Array]:
        return super().state() | {f"lift.{name}": table for name, table in self.lift.items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        super().load_state(state)
        self.lift = {name: state[f"lift.{name}"] for name in self.config.context}
