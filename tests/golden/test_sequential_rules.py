from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.session.sequential_rules import SequentialRules, SequentialRulesConfig

WEIGHTS: dict[str, Callable[[int], float]] = {
    "same": lambda d: 1.0,
    "div": lambda d: 1 / d,
    "linear": lambda d: max(0.0, 1 - 0.1 * d),
    "quadratic": lambda d: 1 / d**2,
    "log": lambda d: 1 / math.log10(d + 1.7),
}


def slow_rules(log: EventArrays, steps: int, decay: str) -> np.ndarray[Any, Any]:
    assert log.session_idx is not None
    rules = np.zeros((log.n_items, log.n_items))
    for session in set(log.session_idx.tolist()):
        items = log.item_idx[(log.session_idx == session) & (log.weight > 0)].tolist()
        for place, item in enumerate(items):
            for distance, follower in enumerate(items[place + 1 : place + 1 + steps], start=1):
                rules[item, follower] += WEIGHTS[decay](distance)
    return rules


@pytest.mark.parametrize(("steps", "decay"), [(10, "div"), (1, "same"), (3, "quadratic"), (12, "linear"), (4, "log")])
def test_scores_are_the_rules_of_the_last_item(
    steps: int, decay: Any, log: EventArrays, ask: Callable[..., Queries], histories: list[list[int]]
) -> None:
    model = SequentialRules(SequentialRulesConfig(steps=steps, decay=decay))
    model.solve(log)
    rules = slow_rules(log, steps, decay)
    scores = model.score(ask(histories))
    for row, history in enumerate(histories):
        expected = rules[history[-1]] if history else np.zeros(log.n_items)
        np.testing.assert_allclose(scores[row], expected, rtol=2e-4)  # ties are broken within a ten thousandth


def test_only_the_session_speaks(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = SequentialRules()
    model.solve(log)
    np.testing.assert_array_equal(model.score(ask([[0, 1, 2]], session_len=[0])), np.zeros((1, log.n_items)))
    seen = model.evidence(ask([[0], [0], [14], []], session_len=[1, 0, 1, 0]))
    assert seen.tolist() == [True, False, False, False]


def test_the_best_rules_are_kept(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = SequentialRules(SequentialRulesConfig(keep=2))
    model.solve(log)
    scores = model.score(ask([[1]]))[0]
    expected = slow_rules(log, 10, "div")[1]
    assert np.flatnonzero(scores).tolist() == sorted(np.argsort(-expected, kind="stable")[:2].tolist())


def test_equal_rules_stand_in_the_order_of_popularity(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = SequentialRules(SequentialRulesConfig(steps=1, decay="same"))
    model.solve(log)
    weight = np.bincount(log.item_idx, np.maximum(log.weight, 0), minlength=log.n_items)
    rules, scores = slow_rules(log, 1, "same"), model.score(ask([[i] for i in range(log.n_items)]))
    pairs = [
        (i, a, b)
        for i in range(log.n_items)
        for a in range(log.n_items)
        for b in range(log.n_items)
        if rules[i, a] == rules[i, b] > 0 and weight[a] > weight[b]
    ]
    assert len(pairs) > 20
    assert all(scores[i, a] > scores[i, b] for i, a, b in pairs)
