"""Two stages: one model finds candidates among all items, another one ranks them.

The candidates stand above all others, in the order of the second model; behind them the others, in that of the first. So every item
has a place, and figures of the whole ranking are those that a service with these two stages would reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rankine import config as settings
from rankine.arrays import Array, Float, Int, Ragged
from rankine.features.queries import Queries
from rankine.kernels.ranks import top_k
from rankine.kernels.topk import Products
from rankine.models.base import Model, Needs, Source


@dataclass(frozen=True, kw_only=True)
class TwoStageConfig:
    """candidates: how many items the first model finds; hide_history: items of the history are not among them."""

    candidates: int = 200
    hide_history: bool = False

    def __post_init__(self) -> None:
        settings.require(self, "candidates", at_least=1)


class TwoStage(Model):
    """Two fitted models over the same items, one behind the other."""

    Config = TwoStageConfig
    config: TwoStageConfig
    summary = "found by one, ranked by another"

    def __init__(self, first: Model, second: Model, config: TwoStageConfig | None = None) -> None:
        super().__init__(config)
        self.first, self.second = first, second
        self.label = f"{second.label} after {first.label}"  # type: ignore[misc]
        self.mark = second.mark  # type: ignore[misc]

    @property
    def needs(self) -> Needs:
        return self.second.needs

    @property
    def source(self) -> Source:
        return max(self.first.source, self.second.source)

    def evidence(self, queries: Queries) -> Array:
        return self.first.evidence(queries)

    @cached_property
    def _found(self) -> Any:
        return self.first.scorer()

    def candidates(self, queries: Queries) -> Int:
        """What the first model finds, best first, int32 [B, C], -1 where there are fewer."""
        hidden = queries.distinct_history if self.config.hide_history else None
        return top_k(self._found(queries), min(self.config.candidates, queries.n_items), hidden)[0]

    def score_all(self, queries: Queries) -> Float:
        scores = self._found(queries)
        hidden = queries.distinct_history if self.config.hide_history else None
        found = top_k(scores, min(self.config.candidates, queries.n_items), hidden)[0]
        whole = np.array(scores.written() if isinstance(scores, Products) else scores, np.float32)
        for row, items in enumerate(found):
            items = items[items >= 0]
            if len(items):
                own = self.second.score(queries.take(slice(row, row + 1)), items)[0]
                whole[row, items] = above(whole[row], own)
        return whole

    def rank(self, query: Queries, k: int, hidden: Int) -> tuple[Int, Float]:
        """The k best items of one request without the hidden ones, and their scores: the second model sees the candidates only.

        Places behind the candidates go to what the first model found next, with its scores.
        """
        n = min(max(self.config.candidates, k), query.n_items)
        items, scores = (part[0] for part in top_k(self._found(query), n, Ragged.from_rows([np.sort(hidden)])))
        items, scores = items[items >= 0], scores[items >= 0]
        head = items[: self.config.candidates]
        own = self.second.score(query, head)[0] if len(head) else scores[:0]
        order = np.lexsort((np.arange(len(head)), -own))
        rest = slice(self.config.candidates, None)
        return np.concatenate([head[order], items[rest]])[:k], np.concatenate([own[order], scores[rest]])[:k]

    def state(self) -> dict[str, Array]:
        parts = {"first": self.first.state(), "second": self.second.state()}
        return {f"{name}.{key}": value for name, state in parts.items() for key, value in state.items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        for name, model in (("first", self.first), ("second", self.second)):
            own = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
            model.load_state(own)


def above(scores: Float, own: Float) -> Float:
    """Scores in the order of `own` [C], equal ones staying equal, above all of `scores` [N]; a step is at least one."""
    top = float(scores.max())
    place = np.unique(own, return_inverse=True)[1] + 1
    step = max(1.0, 4 * float(np.spacing(np.float32(abs(top) + len(own)))))
    return (top + step * place).astype(np.float32)
