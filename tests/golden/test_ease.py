from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.linear.ease import EASE, EASEConfig, ridge_weights


def taken(log: EventArrays) -> np.ndarray[Any, Any]:
    """Who took what as 0/1, dense float64 [n_baskets, n_items]."""
    baskets, dense = log.baskets, np.zeros((log.baskets.n_rows, log.n_items))
    for row in range(baskets.n_rows):
        dense[row, baskets.row(row)[0]] = 1
    return dense


def test_weights_are_the_constrained_ridge_of_every_item(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = EASE(EASEConfig(l2=3.0))
    model.solve(log)
    X = taken(log)
    for j in range(log.n_items):  # ridge regression of column j on the other columns, one at a time
        others = [i for i in range(log.n_items) if i != j]
        A = X[:, others]
        expected = np.linalg.solve(A.T @ A + 3.0 * np.eye(len(others)), A.T @ X[:, j])
        np.testing.assert_allclose(model.weights[others, j], expected, atol=2e-5)
    np.testing.assert_array_equal(np.diag(model.weights), 0)
    scores = model.score(ask([[2, 5, 2], []]))
    np.testing.assert_allclose(scores[0], model.weights[2] + model.weights[5], rtol=1e-6)  # a repeat says nothing new
    np.testing.assert_array_equal(scores[1], 0)


def test_a_singular_system_names_the_setting() -> None:
    with pytest.raises(ModelError, match="raise `l2`"):
        ridge_weights(np.full((3, 3), -5.0, np.float32), 1.0)


def test_too_many_items_are_refused_before_any_memory_is_taken(
    log: EventArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rankine.models.linear.ease.MAX_ITEMS", 10)
    with pytest.raises(ModelError, match="takes at most 10 items; got 15"):
        EASE().solve(log)
