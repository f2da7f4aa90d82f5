from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.session.markov import Markov, MarkovConfig


def slow_successors(log: EventArrays) -> Counter[tuple[int, int]]:
    assert log.session_idx is not None
    last: dict[int, int] = {}
    pairs: Counter[tuple[int, int]] = Counter()
    for session, item, weight in zip(log.session_idx.tolist(), log.item_idx.tolist(), log.weight, strict=True):
        if weight > 0:
            if session in last:
                pairs[last[session], item] += 1
            last[session] = item
    return pairs


def test_scores_count_direct_successors_of_the_last_item(
    log: EventArrays, ask: Callable[..., Queries], histories: list[list[int]]
) -> None:
    model = Markov()
    model.solve(log)
    pairs = slow_successors(log)
    scores = model.score(ask(histories))
    for row, history in enumerate(histories):
        expected = [pairs[history[-1], j] if history else 0 for j in range(log.n_items)]
        np.testing.assert_allclose(scores[row], expected, rtol=2e-4)  # ties are broken within a ten thousandth


def test_similar_items_are_the_kept_successors(log: EventArrays) -> None:
    model = Markov(MarkovConfig(keep=3))
    model.solve(log)
    items, counts = model.similar(0)
    expected = slow_successors(log)
    assert counts.tolist() == [expected[0, j] for j in items.tolist()]
    assert sorted(counts.tolist(), reverse=True) == sorted((expected[0, j] for j in range(15)), reverse=True)[:3]
