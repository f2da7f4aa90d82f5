"""Planted data whose right answer is known: a model that looks at it must beat one that does not, by a margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.evaluation.cases import Cases, next_item, ratings, user_items
from rankine.evaluation.evaluate import evaluate_ranking, evaluate_ratings
from rankine.features.encode import Encoder
from rankine.models.base import RatingModel
from rankine.recommender import Recommender, fit_arrays

START = 1_760_000_000.0


class Planted:
    """Training and test events, and the figure that a model reaches on them."""

    def __init__(self, columns: Mapping[str, Any], is_test: np.ndarray[Any, Any], kind: str) -> None:
        self.dataset = Dataset.from_frames(pl.DataFrame(columns))
        train, test = (self.dataset.events.filter(pl.Series(part)) for part in (~is_test, is_test))
        self.encoder = Encoder.fit(self.dataset.with_events(train))
        self.data = self.encoder.events(train)
        if kind == "ratings":
            self.cases: Cases = ratings(self.encoder, test)
        else:
            self.cases = (user_items if kind == "user_items" else next_item)(self.encoder, train, test)

    def figure(self, name: str, metric: str, **settings: Any) -> float:
        recommender = fit_arrays(name, self.encoder, self.data, settings, seed=1)
        return self.judge(recommender, metric)

    def judge(self, recommender: Recommender, metric: str) -> float:
        model = recommender.model
        if self.cases.values is not None:
            assert isinstance(model, RatingModel)
            return evaluate_ratings(model.rate, self.cases, [metric]).mean(metric)
        counts = np.bincount(self.data.item_idx, minlength=self.data.n_items)
        return evaluate_ranking(model.score, self.cases, [metric], counts).mean(metric)


@pytest.fixture(scope="module")
def checkerboard() -> Planted:
    """Two groups of users, each with 30 items of its own: 10 of them before the test and 4 after, drawn evenly."""
    rng = np.random.default_rng(2)
    items = np.stack([rng.permutation(30)[:14] + 30 * (u % 2) for u in range(80)])
    users = np.repeat(np.arange(80), 14)
    is_test = np.tile(np.arange(14) >= 10, 80)
    return Planted({"user_id": users, "item_id": items.ravel()}, is_test, "user_items")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("als", {"embedding_dim": 2, "epochs": 8}),
        ("als", {"embedding_dim": 2, "epochs": 4, "solver": "cholesky", "weights": "events"}),
        ("bpr", {"embedding_dim": 4, "epochs": 60, "n_candidates": 1}),
        ("bpr", {"embedding_dim": 4, "epochs": 150, "loss": "sigmoid", "n_candidates": 1}),
        ("item_to_item", {}),
        ("item_to_item", {"similarity": "conditional"}),
        ("item_to_item", {"similarity": "excess"}),
        ("logistic_mf", {"embedding_dim": 4, "l2": 0.1}),
        *(
            ("mf", {"loss": loss, "embedding_dim": 4, "epochs": 80, "learning_rate": 0.05, "l2": 0.02, "init_sd": 0.1})
            for loss in ("logistic", "bpr", "bpr_sigmoid")
        ),
        (
            "mf",
            {
                "loss": "warp",
                "embedding_dim": 2,
                "epochs": 30,
                "batch_size": 32,
                "learning_rate": 0.01,
                "l2": 0.1,
                "n_negatives": 8,
            },
        ),
        (
            "mf",
            {
                "loss": "all_pairs",
                "embedding_dim": 2,
                "epochs": 60,
                "learning_rate": 0.01,
                "optimizer": "adam",
                "l2": 0.003,
            },
        ),
    ],
)
def test_models_of_taste_find_the_own_side_of_a_checkerboard(
    checkerboard: Planted, name: str, settings: dict[str, Any]
) -> None:
    reached, popular = (
        checkerboard.figure(name, "recall@20", **settings),
        checkerboard.figure("popularity", "recall@20"),
    )
    assert popular < 0.55  # 20 of 50 items, half of them on the wrong side
    assert reached > popular + 0.4
    assert reached > 0.95  # 20 places for 20 items of the own side


@pytest.fixture(scope="module")
def circle() -> Planted:
    """Sessions that walk a circle of 40 items one step at a time, and jump somewhere one time in ten."""
    rng = np.random.default_rng(6)
    n, length = 600, 6
    steps = np.where(rng.random((n, length)) < 0.9, 1, rng.integers(0, 40, (n, length)))
    items = np.cumsum(steps, axis=1) % 40
    items = (items + rng.integers(0, 40, (n, 1))) % 40
    session = np.repeat(np.arange(n), length)
    columns = {"item_id": items.ravel(), "session_id": session, "timestamp": START + 60.0 * np.arange(n * length)}
    return Planted(columns, session >= 480, "next_item")


@pytest.mark.parametrize(
    ("name", "settings", "metric", "at_least"),
    [
        ("markov", {}, "recall@1", 0.85),
        ("sequential_rules", {}, "recall@1", 0.85),
        ("vsknn", {}, "recall@5", 0.75),
        ("vsknn", {"position_weights": "same", "score_decay": "same", "similarity": "cosine"}, "recall@5", 0.6),
    ],
)
def test_session_models_find_the_next_item_of_a_circle(
    circle: Planted, name: str, settings: dict[str, Any], metric: str, at_least: float
) -> None:
    reached, popular = circle.figure(name, metric, **settings), circle.figure("popularity", metric)
    assert popular < 0.2
    assert reached > popular + 0.4
    assert reached > at_least


def test_session_popularity_finds_what_is_taken_again() -> None:
    rng = np.random.default_rng(8)
    favourites = rng.integers(0, 100, (400, 2))
    items = np.take_along_axis(favourites, rng.integers(0, 2, (400, 6)), axis=1)
    session = np.repeat(np.arange(400), 6)
    columns = {"item_id": items.ravel(), "session_id": session, "timestamp": START + 60.0 * np.arange(2400)}
    planted = Planted(columns, session >= 300, "next_item")
    reached, popular = planted.figure("session_popularity", "recall@2"), planted.figure("popularity", "recall@2")
    assert popular < 0.1
    assert reached > popular + 0.6


def test_popularity_in_context_finds_what_a_device_takes() -> None:
    rng = np.random.default_rng(9)
    device = rng.integers(0, 2, 1500)
    item = rng.integers(0, 20, 1500) + 20 * device
    columns = {
        "item_id": item,
        "session_id": np.arange(1500) // 3,
        "timestamp": START + 60.0 * np.arange(1500),
        "device": np.array(["phone", "laptop"])[device],
    }
    planted = Planted(columns, np.arange(1500) >= 1200, "next_item")
    reached = planted.figure("popularity", "recall@20", context=["device"], smoothing=10.0)
    assert reached > 0.95
    assert reached > planted.figure("popularity", "recall@20") + 0.3


def test_recent_popularity_follows_a_change_of_season() -> None:
    rng = np.random.default_rng(10)
    day = np.sort(rng.integers(0, 30, 2000))
    item = rng.integers(0, 20, 2000) + np.where(day >= 25, 20, 0)
    columns = {"item_id": item, "session_id": np.arange(2000) // 4, "timestamp": START + 86_400.0 * day}
    planted = Planted(columns, day >= 28, "next_item")
    reached = planted.figure("popularity", "recall@20", recent_days=2.0)
    assert reached > 0.9
    assert reached > planted.figure("popularity", "recall@20") + 0.8


def rated(kind: str, noise: float = 0.3) -> Planted:
    """Half of all ratings of 60 users for 50 items, a tenth of it to predict: additive, or of two tastes as well."""
    rng = np.random.default_rng(12)
    user, item = (axis.ravel() for axis in np.meshgrid(np.arange(60), np.arange(50), indexing="ij"))
    value = 3 + rng.normal(0, 0.6, 60)[user] + rng.normal(0, 0.6, 50)[item] + rng.normal(0, noise, len(user))
    if kind == "low rank":
        value += np.sum(rng.normal(0, 0.8, (60, 2))[user] * rng.normal(0, 0.8, (50, 2))[item], axis=1)
    part = rng.random(len(user))
    keep = part < 0.5
    columns = {"user_id": user[keep], "item_id": item[keep], "value": value[keep]}
    return Planted(columns, part[keep] < 0.05, "ratings")


def test_bias_finds_additive_ratings() -> None:
    planted = rated("additive")
    assert planted.cases.values is not None
    constant = float(np.std(planted.cases.values))
    reached = planted.figure("bias", "rmse", reg_user=1.0, reg_item=1.0)
    assert reached < constant - 0.4
    assert reached < 0.3 * 1.15  # the noise, and what 25 ratings a user leave open


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.03, "batch_size": 64},
        {"learning_rate": 0.02, "optimizer": "adam"},
    ],
    ids=["sgd", "adam"],
)
def test_mf_finds_ratings_of_low_rank(settings: dict[str, Any]) -> None:
    planted = rated("low rank")
    reached = planted.figure("mf", "rmse", embedding_dim=4, epochs=40, l2=0.05, **settings)
    assert reached < planted.figure("bias", "rmse", reg_user=1.0, reg_item=1.0) - 0.3
    assert reached < 0.3 * 1.6
