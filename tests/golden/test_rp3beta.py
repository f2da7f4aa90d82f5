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


def test_only_the_largest_weights_of_an_item_stay(log: EventArrays, ask: Callable[..., Queries]) -> None:
    full, cut = (RP3Beta(RP3BetaConfig(neighbours=n)) for n in (0, 3))
    for model in (full, cut):
        model.solve(log)
    whole, kept = full.score(ask([[4]]))[0], cut.score(ask([[4]]))[0]
    np.testing.assert_allclose(np.sort(kept)[-3:], np.sort(whole)[-3:])
    assert (kept > 0).sum() == 3
