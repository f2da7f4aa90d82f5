from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.session.session_popularity import SessionPopularity


def test_scores_count_the_session_and_break_ties_by_popularity(
    log: EventArrays, ask: Callable[..., Queries], histories: list[list[int]]
) -> None:
    model = SessionPopularity()
    model.solve(log)
    weight = [0.0] * log.n_items
    for item, w in zip(log.item_idx, log.weight, strict=True):
        weight[item] += max(float(w), 0.0)
    lengths = [len(h) // 2 for h in histories]
    scores = model.score(ask(histories, session_len=lengths))
    for row, (history, n) in enumerate(zip(histories, lengths, strict=True)):
        session = history[len(history) - n :]
        expected = [session.count(i) + weight[i] / (max(weight) + 1) for i in range(log.n_items)]
        np.testing.assert_allclose(scores[row], expected, rtol=1e-6)


def test_popularity_never_outweighs_a_visit(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = SessionPopularity()
    model.solve(log)
    scores = model.score(ask([[13]]))[0]  # among the rarest
    assert scores.argmax() == 13
    assert (model.score(ask([[]])) < 1).all()
    assert model.evidence(ask([[], [1], [1]], session_len=[0, 0, 1])).tolist() == [False, False, True]
