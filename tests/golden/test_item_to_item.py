from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.baselines.item_to_item import ItemToItem, ItemToItemConfig


def slow_baskets(log: EventArrays) -> list[set[int]]:
    """What each user took, and each session of a visitor without a name."""
    assert log.session_idx is not None
    baskets: dict[tuple[str, int], set[int]] = {}
    for user, session, item, weight in zip(log.user_idx, log.session_idx, log.item_idx, log.weight, strict=True):
        if weight > 0:
            key = ("user", int(user)) if user < log.n_users else ("session", int(session))
            baskets.setdefault(key, set()).add(int(item))
    return list(baskets.values())


def slow_similarity(log: EventArrays, config: ItemToItemConfig) -> np.ndarray[Any, Any]:
    baskets, n = slow_baskets(log), log.n_items
    held = [sum(i in b for b in baskets) for i in range(n)]
    total = sum(map(len, baskets))
    sim = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            both = sum(i in b and j in b for b in baskets)
            if i == j or both < config.min_support:
                continue
            if config.similarity == "cosine":
                sim[i, j] = both / (math.sqrt(held[i] * held[j]) + config.shrink)
            elif config.similarity == "conditional":
                sim[i, j] = both / (held[i] * held[j] ** config.exponent)
            else:
                chance = sum(1 - (1 - held[i] / total) ** (len(b) - 1) for b in baskets if j in b)
                sim[i, j] = max((both - chance) / math.sqrt(chance), 0)
    if config.neighbours:
        for kept in sim if config.similarity == "conditional" else sim.T:
            kept[np.argsort(-kept, kind="stable")[config.neighbours :]] = 0
    return sim


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"similarity": "cosine"},
        {"similarity": "cosine", "shrink": 3.0, "min_support": 1},
        {"similarity": "conditional", "exponent": 0.3},
        {"similarity": "conditional", "exponent": 0.3, "neighbours": 3},
        {"similarity": "cosine", "neighbours": 4, "min_support": 4},
        {"neighbours": 0, "last": 2},
    ],
    ids=str,
)
def test_scores_are_sums_of_similarities_to_the_history(
    settings: dict[str, Any], log: EventArrays, ask: Callable[..., Queries], histories: list[list[int]]
) -> None:
    config = ItemToItemConfig(**settings)
    model = ItemToItem(config)
    model.solve(log)
    sim = slow_similarity(log, config)
    scores = model.score(ask(histories))
    for row, history in enumerate(histories):
        expected = sum((sim[i] for i in set(history[-config.last :])), np.zeros(log.n_items))
        np.testing.assert_allclose(scores[row], expected, rtol=1e-5, atol=1e-6)


def test_all_of_a_history_counts_and_each_item_once_whoever_asks(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = ItemToItem()
    model.solve(log)
    one, two, three = model.score(ask([[2], [5], [9]]))
    scores = model.score(ask([[2, 5, 2], [9, 2, 5], [2, 5]], users=[12, 4, 4], weights=[1, 5, 3, 1, 1, 1, 2, 1]))
    np.testing.assert_allclose(scores, [one + two, one + two + three, one + two], rtol=1e-6)


def test_evidence_is_an_item_with_neighbours_among_those_that_speak(
    log: EventArrays, ask: Callable[..., Queries]
) -> None:
    model = ItemToItem(ItemToItemConfig(last=1))
    model.solve(log)
    assert model.evidence(ask([[], [14], [0], [14, 0], [0, 14]])).tolist() == [False, False, True, True, False]


def test_similar_items_are_its_neighbours(log: EventArrays) -> None:
    model = ItemToItem()
    model.solve(log)
    items, likeness = model.similar(2)
    expected = slow_similarity(log, model.config)[2]
    assert sorted(items.tolist()) == np.flatnonzero(expected).tolist()
    np.testing.assert_allclose(likeness, expected[items], rtol=1e-6)
