from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.linear.rp3beta import RP3Beta, RP3BetaConfig


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (0.7, 0.4), (1.5, 1.0)])
def test_weights_are_three_steps_of_a_walk(
    log: EventArrays, ask: Callable[..., Queries], alpha: float, beta: float
) -> None:
    model = RP3Beta(RP3BetaConfig(alpha=alpha, beta=beta, neighbours=0))
    model.solve(log)
    X = np.zeros((log.baskets.n_rows, log.n_items))
    for row in range(log.baskets.n_rows):
        X[row, log.baskets.row(row)[0]] = 1
    n_i, n_u = np.maximum(X.sum(0), 1), np.maximum(X.sum(1), 1)
    expected = (X / n_i**alpha).T @ (X / n_u[:, None] ** alpha) / n_i**beta
    np.fill_diagonal(expected, 0)
    found = model.score(ask([[i] for i in range(log.n_items)]))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    histories = [log.baskets.row(row)[0].tolist() for row in range(log.baskets.n_rows)]
    np.testing.assert_allclose(model.score(ask(histories)), X @ expected, rtol=1e-4, atol=1e-6)


def test_all_of_a_history_counts_and_each_item_once_whoever_asks(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = RP3Beta()
    model.solve(log)
    one, two, three = model.score(ask([[2], [5], [9]]))
    scores = model.score(ask([[2, 5, 2], [9, 2, 5], [2, 5]], users=[12, 4, 4], weights=[1, 5, 3, 1, 1, 1, 2, 1]))
    np.testing.assert_allclose(scores, [one + two, one + two + three, one + two], rtol=1e-6)


def test_only_the_largest_weights_of_an_item_stay(log: EventArrays, ask: Callable[..., Queries]) -> None:
    full, cut = (RP3Beta(RP3BetaConfig(neighbours=n)) for n in (0, 3))
    for model in (full, cut):
        model.solve(log)
    whole, kept = (model.score(ask([[i] for i in range(log.n_items)])) for model in (full, cut))
    for item in range(log.n_items - 1):
        np.testing.assert_allclose(np.sort(kept[:, item])[-3:], np.sort(whole[:, item])[-3:])
        assert (kept[:, item] > 0).sum() == 3
