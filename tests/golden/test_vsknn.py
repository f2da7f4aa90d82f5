from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.session.vsknn import VSKNN, VSKNNConfig


def weight_of(decay: str, position: int, length: int) -> float:
    """Weight of the item at a position (1 = first) of a session."""
    back = length - position
    return {
        "same": 1.0,
        "div": position / length,
        "linear": max(0.0, 1 - 0.1 * back),
        "quadratic": (position / length) ** 2,
        "log": 1 / math.log10(back + 1.7),
    }[decay]


def decay_of(decay: str, step: int) -> float:
    return {
        "same": 1.0,
        "div": 1 / step,
        "linear": max(0.0, 1 - 0.1 * step),
        "quadratic": 1 / step**2,
        "log": 1 / math.log10(step + 1.7),
    }[decay]


def slow_scores(log: EventArrays, session: list[int], config: VSKNNConfig) -> list[float]:
    assert log.session_idx is not None
    assert log.timestamp is not None
    past: dict[int, tuple[float, int, set[int]]] = {}
    for row in range(len(log)):
        if log.weight[row] > 0:
            key = int(log.session_idx[row])
            items = past[key][2] if key in past else set()
            past[key] = (float(log.timestamp[row]), key, items | {int(log.item_idx[row])})
    place = {item: p for p, item in enumerate(session, start=1)}  # a repeated item counts at its last place
    weight = {item: weight_of(config.position_weights, p, len(session)) for item, p in place.items()}
    sharing = sorted((s for s in past.values() if s[2] & place.keys()), reverse=True)[: config.sample_size]
    found = []
    for age, (_, _, items) in enumerate(sharing):
        shared = items & place.keys()
        likeness = sum(weight[i] for i in shared)
        if config.similarity == "cosine":
            likeness /= math.sqrt(sum(w * w for w in weight.values())) * math.sqrt(len(items))
        else:
            likeness /= len(place)
        step = len(session) - max(place[i] for i in shared) + 1
        found.append((-likeness, age, step, items))
    scores = [0.0] * log.n_items
    holders = [sum(i in s[2] for s in past.values()) for i in range(log.n_items)]
    for negative, _, step, items in sorted(found)[: config.neighbours]:
        for j in items:
            idf = math.log(len(past) / holders[j])
            scores[j] += -negative * decay_of(config.score_decay, step) * (1 + config.idf_weight * idf)
    return scores


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"neighbours": 5, "sample_size": 12},
        {"position_weights": "same", "score_decay": "same", "similarity": "cosine", "neighbours": 7},
        {"position_weights": "linear", "score_decay": "linear", "idf_weight": 2.0},
        {"position_weights": "log", "score_decay": "div", "similarity": "cosine"},
        {"position_weights": "div", "score_decay": "log", "idf_weight": 10.0, "sample_size": 20},
    ],
    ids=str,
)
def test_scores_are_the_votes_of_the_nearest_sessions(
    settings: dict[str, Any], log: EventArrays, ask: Callable[..., Queries], histories: list[list[int]]
) -> None:
    config = VSKNNConfig(**settings)
    model = VSKNN(config)
    model.solve(log)
    scores = model.score(ask(histories))
    for row, history in enumerate(histories):
        np.testing.assert_allclose(scores[row], slow_scores(log, history, config), rtol=2e-4, atol=1e-7)


def test_only_the_session_speaks_and_only_of_items_in_a_past_one(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = VSKNN()
    model.solve(log)
    queries = ask([[0, 1], [0, 1], [14], [], [14, 2]], session_len=[1, 0, 1, 0, 2])
    np.testing.assert_allclose(model.score(queries)[0], slow_scores(log, [1], model.config), rtol=2e-4)
    assert model.evidence(queries).tolist() == [True, False, False, False, True]
