from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.base import Model
from rankine.models.factorization.rating_als import RatingALS, RatingALSConfig
from rankine.random import stream

CONFIG = RatingALSConfig(embedding_dim=4, epochs=3, l2=0.05, bias_l2=2.0)
Arrays = np.ndarray[Any, Any]


def ratings(log: EventArrays) -> list[tuple[int, int, float]]:
    assert log.value is not None
    rows = zip(log.user_idx.tolist(), log.item_idx.tolist(), log.value.tolist(), strict=True)
    return [(u, i, r) for u, i, r in rows if u < log.n_users and r == r]


def slow_side(rows: list[tuple[int, int, float]], n: int, fixed: Arrays, bias: Arrays) -> tuple[Arrays, Arrays]:
    """Dense normal equations of every row with ratings (row, other, value minus mean)."""
    dim = fixed.shape[1]
    vectors, biases = np.zeros((n, dim)), np.zeros(n)
    for row in {r for r, _, _ in rows}:
        seen = np.array([np.append(fixed[c], 1.0) for r, c, _ in rows if r == row])
        gaps = np.array([v - bias[c] for r, c, v in rows if r == row])
        penalty = np.diag([CONFIG.l2 * len(gaps)] * dim + [CONFIG.bias_l2])
        solved = np.linalg.solve(seen.T @ seen + penalty, seen.T @ gaps)
        vectors[row], biases[row] = solved[:dim], solved[dim]
    return vectors, biases


def test_each_sweep_solves_the_normal_equations_of_both_sides(log: EventArrays) -> None:
    model = RatingALS(CONFIG)
    model.solve(log, seed=9)
    assert log.value is not None
    mean = float(log.value.mean())  # of all ratings, those of visitors without a name too
    rows = [(u, i, r - mean) for u, i, r in ratings(log)]
    q = stream(9, "init").normal(0, CONFIG.init_sd, (log.n_items + 1, CONFIG.embedding_dim))
    b_item = np.zeros(log.n_items + 1)
    for _ in range(CONFIG.epochs):
        p, b_user = slow_side(rows, log.n_users + 1, q, b_item)
        q, b_item = slow_side([(i, u, r) for u, i, r in rows], log.n_items + 1, p, b_user)
    for found, expected in (
        (model.user_factors, p),
        (model.item_factors, q),
        (model.user_bias, b_user),
        (model.item_bias, b_item),
    ):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)


def test_the_loss_is_the_objective_and_never_rises(log: EventArrays) -> None:
    curve: list[tuple[float, float]] = []

    def watch(epoch: int, model: Model, **values: float) -> bool:
        assert isinstance(model, RatingALS)
        total, rows = 0.0, ratings(log)
        for u, i, r in rows:
            p, q = model.user_factors[u].astype(float), model.item_factors[i].astype(float)
            total += (r - model.mean[0] - model.user_bias[u] - model.item_bias[i] - p @ q) ** 2
            total += model.config.l2 * (p @ p + q @ q)  # once per rating: frequency-weighted
        total += model.config.bias_l2 * ((model.user_bias**2).sum() + (model.item_bias**2).sum())
        curve.append((values["loss"], total / len(rows)))
        return False

    RatingALS(RatingALSConfig(embedding_dim=6, epochs=12, l2=0.02)).solve(log, monitor=watch)
    losses = [loss for loss, _ in curve]
    np.testing.assert_allclose(losses, [objective for _, objective in curve], rtol=1e-5)
    assert all(after <= before * (1 + 1e-6) for before, after in itertools.pairwise(losses))
    assert losses[-1] < 0.98 * losses[0]


def test_a_rating_is_mean_plus_biases_plus_product(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = RatingALS(CONFIG)
    model.solve(log)

    def slow(u: int, i: int) -> float:
        product = model.user_factors[u].astype(float) @ model.item_factors[i]
        return float(model.mean[0] + model.user_bias[u] + model.item_bias[i] + product)

    rated = model.rate(np.array([0, 7, 12, 3], np.int32), np.array([1, 13, 4, 15], np.int32))
    np.testing.assert_allclose(rated, [slow(u, i) for u, i in ((0, 1), (7, 13), (12, 4), (3, 15))], rtol=1e-5)
    np.testing.assert_allclose(model.score(ask([[]], users=[7]))[0], [slow(7, i) for i in range(15)], rtol=1e-5)
    assert model.evidence(ask([[4], []], users=[12, 3])).tolist() == [False, True]


def test_rows_without_a_rating_are_zero(log: EventArrays) -> None:
    model = RatingALS(CONFIG)
    model.solve(log)
    assert not model.user_factors[12].any()
    assert not model.item_factors[14:].any()
    assert not model.item_bias[14:].any()
    assert model.user_bias[12] == 0


def test_ratings_of_nobody_known_are_an_error(log: EventArrays) -> None:
    with pytest.raises(ModelError, match="nothing to train on: no rating comes from a known user"):
        RatingALS().solve(replace(log, user_idx=np.full_like(log.user_idx, log.n_users)))
