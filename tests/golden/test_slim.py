from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from rankine.arrays import CSR
from rankine.data.dataset import Dataset
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.linear.slim import SLIM, SLIMConfig
from rankine.recommender import fit


def dense(matrix: CSR) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    out = np.zeros((matrix.n_rows, matrix.n_columns))
    for row in range(matrix.n_rows):
        columns, values = matrix.row(row)
        out[row, columns] = values
    return out


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 2.0), (0.7, 0.5), (3.0, 0.0)])
def test_weights_meet_the_optimality_conditions(log: EventArrays, l1: float, l2: float) -> None:
    model = SLIM(SLIMConfig(l1=l1, l2=l2, max_sweeps=5000, tolerance=1e-9))
    model.solve(log)
    W, X = dense(model.weights), dense(log.baskets)
    gradient = X.T @ (X @ W - X) + l2 * W + l1  # of column j with respect to row i
    np.fill_diagonal(gradient, 0)
    assert W.min() >= 0 and (W > 0).sum() > 10
    np.testing.assert_array_equal(np.diag(W), 0)
    np.testing.assert_allclose(gradient[W > 0], 0, atol=1e-4)
    assert gradient[W == 0].min() > -1e-4


def test_scores_are_sums_over_distinct_items(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = SLIM(SLIMConfig(l1=0.1, l2=1.0))
    model.solve(log)
    W = dense(model.weights)
    np.testing.assert_allclose(model.score(ask([[3, 1, 3]]))[0], W[3] + W[1], rtol=1e-5)


def test_new_events_count_at_once_for_known_users_and_for_strangers() -> None:
    rng = np.random.default_rng(8)
    users, items = rng.integers(0, 30, 400), rng.geometric(0.1, 400) % 20
    events = pl.DataFrame({"user_id": [f"u{u}" for u in users.tolist()], "item_id": [f"i{i}" for i in items.tolist()]})
    fitted = fit("slim", Dataset.from_frames(events), {"l1": 0.1, "l2": 5.0})
    before, now = (fitted.recommend("u3", history, k=20) for history in (["i1", "i2"], ["i1", "i2", "i7"]))
    assert before != now
    assert now == fitted.recommend(None, ["i1", "i2", "i7"], k=20) == fitted.recommend("x", ["i7", "i2", "i1"], k=20)


def test_the_descent_ends_after_max_sweeps_or_within_the_tolerance(log: EventArrays) -> None:
    exact, coarse, short = (
        SLIM(SLIMConfig(l1=0.1, l2=1.0, max_sweeps=sweeps, tolerance=tolerance))
        for sweeps, tolerance in ((5000, 1e-9), (5000, 1e-2), (1, 1e-9))
    )
    for model in (exact, coarse, short):
        model.solve(log)
    W = [dense(model.weights) for model in (exact, coarse, short)]
    assert 0 < np.abs(W[1] - W[0]).max() < 0.1 < np.abs(W[2] - W[0]).max()
