"""Sequential rules: what follows an item within a few steps.

rule[i, j] = sum over the training sessions of w(d) for each i followed by j at distance d <= steps; s_j = rule[last item, j],
equal scores in the order of overall popularity.
Source: Ludewig & Jannach 2018, "Evaluation of session-based recommendation algorithms" (SR).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.decay import Decay
from rankine.kernels.rules import score_last, sequential_rules
from rankine.models.base import ItemNeighbours, Monitor, Needs, SolvedModel, Source, no_monitor
from rankine.models.ties import break_ties, popularity_order
from rankine.models.tuning import Whole, choice, ranges


@dataclass(frozen=True, kw_only=True)
class SequentialRulesConfig:
    """decay: w(d), `div` is 1 / d; keep: targets kept per item (0 = all)."""

    steps: int = 10
    decay: Decay = "div"
    keep: int = 0

    def __post_init__(self) -> None:
        settings.require(self, "steps", at_least=1)
        settings.require(self, "keep", at_least=0)


class SequentialRules(ItemNeighbours, SolvedModel):
    """The rules of the last item."""

    Config = SequentialRulesConfig
    config: SequentialRulesConfig
    label = "Sequential rules"
    summary = "what follows the last item"
    mark = 5
    baseline = "neighbourhood"
    source = Source.SESSION
    needs = Needs(sessions=True)
    fitted = ("rules", "order")
    tuning = ranges(steps=Whole(1, 30), decay=choice("same", "div", "linear", "quadratic", "log"))

    rules: CSR
    order: Float  # [N], see break_ties

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        self._learn(data, self.config.steps, self.config.decay, self.config.keep)

    def _learn(self, data: EventArrays, steps: int, decay: Decay, keep: int) -> None:
        self.rules = sequential_rules(data.sessions.items, data.n_items, steps=steps, decay=decay, keep=keep)
        self.order = popularity_order(data.item_idx, data.weight, data.n_items)

    def score_all(self, queries: Queries) -> Float:
        return break_ties(score_last(self.rules, queries.session), self.order)

    def evidence(self, queries: Queries) -> Array:
        return np.append(np.diff(self.rules.indptr) > 0, False)[queries.last_item]

    def similar(self, item_idx: int) -> tuple[Int, Float]:
        return self.rules.row(item_idx)
