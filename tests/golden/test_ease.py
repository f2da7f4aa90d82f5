from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.arrays import CSR
from rankine.data.dataset import Dataset
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.linear import ease
from rankine.models.linear.ease import EASE, EASEConfig
from rankine.recommender import Recommender, fit


def taken(log: EventArrays) -> np.ndarray[Any, Any]:
    """Who took what as 0/1, dense float64 [n_baskets, n_items]."""
    baskets, dense = log.baskets, np.zeros((log.baskets.n_rows, log.n_items))
    for row in range(baskets.n_rows):
        dense[row, baskets.row(row)[0]] = 1
    return dense


def test_weights_are_the_constrained_ridge_of_every_item(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = EASE(EASEConfig(l2=3.0))
    model.solve(log)
    assert isinstance(model.weights, np.ndarray)
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


def test_kept_neighbours_are_the_largest_weights_of_each_item(log: EventArrays, ask: Callable[..., Queries]) -> None:
    whole, few = EASE(EASEConfig(l2=3.0)), EASE(EASEConfig(l2=3.0, neighbours=4))
    for model in (whole, few):
        model.solve(log)
    assert isinstance(whole.weights, np.ndarray) and isinstance(few.weights, CSR)
    expected = whole.weights.copy()
    for column in expected.T:
        column[np.argsort(-np.abs(column), kind="stable")[4:]] = 0
    np.testing.assert_allclose(few.score(ask([[2], [5, 9]])), [expected[2], expected[5] + expected[9]], atol=1e-6)
    items, weights = few.similar(2)
    np.testing.assert_array_equal(items, np.flatnonzero(expected[2]))
    np.testing.assert_allclose(weights, expected[2, items], atol=1e-6)


def test_a_large_catalogue_is_kept_sparse_unless_asked_otherwise(
    log: EventArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ease, "DENSE_ITEMS", log.n_items - 1)
    asked, left = EASE(EASEConfig(neighbours=0)), EASE()
    for model in (asked, left):
        model.solve(log)
    assert isinstance(asked.weights, np.ndarray) and isinstance(left.weights, CSR)


def test_new_events_count_at_once_for_known_users_and_for_strangers(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    users, items = rng.integers(0, 30, 400), rng.geometric(0.1, 400) % 20
    events = pl.DataFrame({"user_id": [f"u{u}" for u in users.tolist()], "item_id": [f"i{i}" for i in items.tolist()]})
    for settings in ({"l2": 5.0}, {"l2": 5.0, "neighbours": 6}):
        fitted = fit("ease", Dataset.from_frames(events), settings)
        fitted.save(tmp_path / "saved")
        model = Recommender.load(tmp_path / "saved")
        before, now = model.recommend("u3", ["i1", "i2"], k=20), model.recommend("u3", ["i1", "i2", "i7"], k=20)
        assert before != now
        assert now == model.recommend(None, ["i1", "i2", "i7"], k=20) == fitted.recommend("x", ["i7", "i2", "i1"], k=20)


def test_a_singular_system_names_the_setting(log: EventArrays) -> None:
    everything = np.ones(log.n_users, np.int32)
    twins = replace(
        log, user_idx=np.tile(np.arange(log.n_users, dtype=np.int32), 2), item_idx=np.concatenate([everything, 2 * everything]),
        weight=np.ones(2 * log.n_users, np.float32), session_idx=None,
    )  # fmt: skip
    with pytest.raises(ModelError, match="raise `l2`, now 1e-12"):
        EASE(EASEConfig(l2=1e-12)).solve(twins)


def test_what_does_not_fit_is_refused_before_any_memory_is_taken(
    log: EventArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ease, "available_bytes", lambda: 3_200_000_000)
    many = replace(log, n_items=41_000)
    with pytest.raises(ModelError, match=r"EASE of 41,000 items and \d+ visitors needs \d\.\d GB .* 3.2 GB are free"):
        EASE(EASEConfig(neighbours=0)).solve(many)
