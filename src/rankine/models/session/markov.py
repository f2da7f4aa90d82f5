"""Markov: what came right after the last item.

s_j = number of times j came directly after the last item in a training session, equal counts in the order of overall popularity.
Source: the first-order Markov chain (MC) of Ludewig & Jannach 2018: sequential rules of one step.
"""

from __future__ import annotations

from dataclasses import dataclass

from rankine import config as settings
from rankine.features.events import EventArrays
from rankine.models.base import Monitor, no_monitor
from rankine.models.session.sequential_rules import SequentialRules
from rankine.models.tuning import ranges


@dataclass(frozen=True, kw_only=True)
class MarkovConfig:
    """keep: successors kept per item (0 = all)."""

    keep: int = 0

    def __post_init__(self) -> None:
        settings.require(self, "keep", at_least=0)


class Markov(SequentialRules):
    """Counts of direct successors."""

    Config = MarkovConfig  # type: ignore[assignment]
    config: MarkovConfig  # type: ignore[assignment]
    label = "Markov chain"
    summary = "right after the last item"
    mark = 7
    tuning = ranges()

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        self._learn(data, 1, "same", self.config.keep)
