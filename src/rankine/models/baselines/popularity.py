"""Popularity: what everybody takes, lately, or in this context.

Overall: s_i = sum of event weights of item i (of the last `recent_days`).
In context c_1 .. c_n: s_i = log p_i + sum_c log(p(i | c) / p_i), p(i | c) = (n_ci + m p_i) / (n_c + m), m = `smoothing`,
p_i = (n_i + 1) / sum_j (n_j + 1): naive Bayes over the context columns; a value never seen leaves its term out.

How likely an item is taken when it is shown: r_i = (taken_i + a r) / (shown_i + a), a = `prior`, r = (taken + 1) / (shown + 2) over all
items, and r itself for an item not known. In context: logit r_i + sum_c (logit r_ci - logit r_i),
r_ci = (taken_ci + m r_i) / (shown_ci + m).
A log without impressions does not say how often an item was shown: there it is how likely the next event is about the item, p_i
or softmax(s)_i. Rankings are by what was taken in either case: an item shown twice and taken once is not the best there is.
Source: naive Bayes with the m-estimate of Cestnik 1990.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rankine import config as settings
from rankine.arrays import Array, Float, Int
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.base import ClickModel, Monitor, Needs, SolvedModel, Source, no_monitor
from rankine.models.tuning import choice, ranges

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class PopularityConfig:
    """recent_days: only the last days count; context: columns to condition on; smoothing: m above, in events; prior: a, in impressions."""

    recent_days: float | None = None
    context: tuple[str, ...] = ()
    smoothing: float = 100.0
    prior: float = 20.0

    def __post_init__(self) -> None:
        settings.require(self, "recent_days", above=0)
        settings.require(self, "smoothing", above=0)
        settings.require(self, "prior", above=0)


class Popularity(SolvedModel, ClickModel):
    """The same ranking for everybody in the same context."""

    Config = PopularityConfig
    config: PopularityConfig
    label = "Popularity"
    summary = "what most visitors take"
    mark = 8
    baseline = "popularity"
    tuning = ranges(recent_days=choice(None, 0.5, 1.0, 2.0, 4.0, 7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0))

    counts: Float
    rate: Float  # [N + 1], the last for an item not known

    def __init__(self, config: PopularityConfig | None = None) -> None:
        super().__init__(config)
        self.lift: dict[str, Float] = {}
        self.shift: dict[str, Float] = {}  # what a context adds to the log-odds of a click; empty without impressions

    @property
    def needs(self) -> Needs:
        return Needs(timestamps=self.config.recent_days is not None, context=self.config.context)

    @property
    def source(self) -> Source:
        return Source.CONTEXT if self.config.context else Source.POPULAR

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        recent = np.ones(len(data), bool)
        if self.config.recent_days is not None and data.timestamp is not None and len(data):
            recent &= data.timestamp >= np.fmax.reduce(data.timestamp) - self.config.recent_days * DAY_S
        keep = recent & (data.weight > 0)
        item, weight = data.item_idx[keep], data.weight[keep].astype(np.float64)
        counts = np.bincount(item, weight, minlength=data.n_items)
        self.counts = counts.astype(np.float32)
        share = (counts + 1) / (counts + 1).sum()
        for name in self.config.context:
            size, m = data.context_sizes[name], self.config.smoothing
            table = _cells(data.context[name][keep], size, item, data.n_items, weight)
            smoothed = (table + m * share) / (table.sum(1, keepdims=True) + m)
            self.lift[name] = np.log(smoothed / share).astype(np.float32)
        self.rate = np.append(share, share.min(initial=1.0)).astype(np.float32)
        if data.shown is not None and (data.shown & recent).any():
            self._solve_rates(data, np.flatnonzero(data.shown & recent))

    def _solve_rates(self, data: EventArrays, rows: Array) -> None:
        """How often items were taken of the times they were shown."""
        item, taken, n = data.item_idx[rows], (data.weight[rows] > 0).astype(np.float64), data.n_items + 1
        overall = (taken.sum() + 1) / (len(rows) + 2)
        rate = _smoothed(np.bincount(item, taken, n), np.bincount(item, minlength=n), overall, self.config.prior)
        for name in self.config.context:
            size, value = data.context_sizes[name], data.context[name][rows]
            times_taken, times_shown = (_cells(value, size, item, n, w) for w in (taken, np.ones(len(rows))))
            inside = _smoothed(times_taken, times_shown, rate, self.config.smoothing)
            self.shift[name] = (_logit(inside) - _logit(rate)).astype(np.float32)
        self.rate = rate.astype(np.float32)

    def probability(self, queries: Queries, item_idx: Int) -> Float:
        if not self.config.context:
            return self.rate[item_idx]
        if not self.shift:
            return self._next_event(queries, item_idx)
        odds = _logit(self.rate)[item_idx]
        for name, shift in self.shift.items():
            odds += shift[self._rows(queries, name), item_idx]
        return np.asarray(1 / (1 + np.exp(-odds)), np.float32)

    def _next_event(self, queries: Queries, item_idx: Int) -> Float:
        """Naive Bayes as probabilities, float32 [B]."""
        scores, known = self.score_all(queries), item_idx < len(self.counts)
        likely = np.exp(scores - scores.max(1, keepdims=True))
        share = likely[np.arange(len(item_idx)), np.where(known, item_idx, 0)] / likely.sum(1)
        return np.asarray(np.where(known, share, self.rate[-1]), np.float32)

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

    fitted = ("counts", "rate")

    def state(self) -> dict[str, Array]:
        tables = {"lift": self.lift, "shift": self.shift}
        return super().state() | {f"{what}.{name}": t for what, found in tables.items() for name, t in found.items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        super().load_state(state)
        self.lift = {name: state[f"lift.{name}"] for name in self.config.context}
        self.shift = {name: state[f"shift.{name}"] for name in self.config.context if f"shift.{name}" in state}


def _cells(value: Int, size: int, item: Int, n_items: int, weight: Array) -> Array:
    """Summed weights by context value and item [size + 1, n_items]; a value never seen says nothing."""
    cell = value.astype(np.int64) * n_items + item
    table = np.bincount(cell, weight, minlength=(size + 1) * n_items).reshape(size + 1, n_items)
    table[size] = 0
    return table


def _smoothed(taken: Array, shown: Array, expected: Array | float, prior: float) -> Array:
    return np.asarray((taken + prior * expected) / (shown + prior))


def _logit(probability: Array) -> Array:
    return np.log(probability) - np.log1p(-probability)
