from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.base import Model
from rankine.models.factorization.als import ALS, ALSConfig
from rankine.random import stream

Matrix = np.ndarray[Any, Any]
CONFIG = ALSConfig(embedding_dim=4, epochs=1, unobserved_weight=0.3, l2=0.02, nu=0.8, solver="cholesky")


def weights_of(log: EventArrays, config: ALSConfig) -> Matrix:
    """w_ui, dense; users without a name are nobody in particular."""
    w = np.zeros((log.n_users + 1, log.n_items))
    np.add.at(w, (log.user_idx, log.item_idx), log.weight)
    w = np.maximum(w[:-1], 0)
    return w if config.weights == "events" else (w > 0).astype(float)


def slow_half(w: Matrix, fixed: Matrix, config: ALSConfig) -> Matrix:
    """x_u = (a0 Y'Y + sum_i w_ui y_i y_i' + l_u I)^-1 sum_i w_ui y_i, l_u = l2 (w_u + a0 n)^nu; 0 for an empty row."""
    out = np.zeros((len(w), fixed.shape[1]))
    for u, row in enumerate(w):
        penalty = config.l2 * (row.sum() + config.unobserved_weight * len(row)) ** config.nu
        left = (
            config.unobserved_weight * fixed.T @ fixed
            + fixed.T @ np.diag(row) @ fixed
            + penalty * np.eye(fixed.shape[1])
        )
        out[u] = np.linalg.solve(left, fixed.T @ row)
    return out


def start_items(config: ALSConfig, log: EventArrays, seed: int) -> Matrix:
    rng, sd = stream(seed, "init"), config.init_sd / config.embedding_dim**0.5
    rng.standard_normal((log.n_users, config.embedding_dim), np.float32)  # users come first
    return sd * rng.standard_normal((log.n_items, config.embedding_dim), np.float32).astype(np.float64)


def fit(log: EventArrays, config: ALSConfig, seed: int = 3) -> ALS:
    model = ALS(config)
    model.solve(log, seed=seed)
    return model


@pytest.mark.parametrize("weights", ["binary", "events"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_exact_sweeps_are_the_dense_closed_form(weights: Any, epochs: int, log: EventArrays) -> None:
    config = ALSConfig(**{**vars(CONFIG), "weights": weights, "epochs": epochs})
    model, w, y = fit(log, config), weights_of(log, config), start_items(config, log, seed=3)
    for _ in range(epochs):
        x = slow_half(w, y, config)
        y = slow_half(w.T, x, config)
    np.testing.assert_allclose(model.user_factors, x, rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(model.item_factors, y, rtol=2e-3, atol=2e-5)


def test_conjugate_gradients_reach_the_exact_solution(log: EventArrays) -> None:
    exact = fit(log, ALSConfig(**{**vars(CONFIG), "epochs": 40}))
    steps = fit(log, ALSConfig(**{**vars(CONFIG), "epochs": 40, "solver": "cg", "cg_steps": 3}))
    np.testing.assert_allclose(
        steps.user_factors @ steps.item_factors.T, exact.user_factors @ exact.item_factors.T, rtol=0.02, atol=2e-3
    )


@pytest.mark.parametrize("weights", ["binary", "events"])
def test_a_history_is_folded_in_by_the_formula_of_training(
    weights: Any, log: EventArrays, ask: Callable[..., Queries]
) -> None:
    config = ALSConfig(**{**vars(CONFIG), "weights": weights, "epochs": 2})
    model = fit(log, config)
    w = weights_of(log, config)
    histories = [np.flatnonzero(row).tolist() for row in w]
    found = model.query_vectors(
        ask(histories, weights=[row[i] for row, h in zip(w, histories, strict=True) for i in h])
    )
    np.testing.assert_allclose(found, slow_half(w, model.item_factors.astype(np.float64), config), rtol=2e-3, atol=2e-5)


def test_a_repeated_item_of_a_history_counts_once_or_by_its_weights(
    log: EventArrays, ask: Callable[..., Queries]
) -> None:
    binary, events = (fit(log, ALSConfig(**{**vars(CONFIG), "weights": w})) for w in ("binary", "events"))
    repeated, once = ask([[3, 5, 3]], weights=[1, 2, 4]), ask([[3, 5]], weights=[5, 2])
    np.testing.assert_array_equal(binary.score(repeated), binary.score(ask([[3, 5]])))
    np.testing.assert_allclose(events.score(repeated), events.score(once), rtol=1e-6)


def test_who_has_no_history_gets_the_trained_vector_or_none(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fit(log, CONFIG)
    queries = ask([[], [], [2]], users=[4, 12, 12])
    np.testing.assert_allclose(model.score(queries)[0], model.item_factors @ model.user_factors[4], rtol=1e-5)
    assert not model.score(queries)[1].any()
    assert model.evidence(queries).tolist() == [True, False, True]


def test_the_notation_of_2008_gives_the_same_rankings(log: EventArrays, ask: Callable[..., Queries]) -> None:
    """c = 1 + w / a0 and lambda = l / a0 give x (1 + a0), so each user's items stand in the same order."""
    model, a0 = fit(log, CONFIG), CONFIG.unobserved_weight
    w, y = weights_of(log, CONFIG), model.item_factors.astype(np.float64)
    found = model.query_vectors(ask([np.flatnonzero(row).tolist() for row in w]))
    for row, vector in zip(w, found, strict=True):
        c, p = 1 + row / a0, (row > 0).astype(float)
        penalty = CONFIG.l2 * (row.sum() + a0 * len(row)) ** CONFIG.nu / a0
        hu = np.linalg.solve(y.T @ np.diag(c) @ y + penalty * np.eye(4), y.T @ np.diag(c) @ p)
        np.testing.assert_allclose((1 + a0) * vector, hu, rtol=2e-3, atol=2e-5)


def test_the_loss_is_the_one_of_the_docstring_and_falls(log: EventArrays) -> None:
    losses, models = [], []

    def watch(epoch: int, model: Model, **values: float) -> bool:
        losses.append(values["loss"])
        models.append(model.state())
        return False

    config = ALSConfig(**{**vars(CONFIG), "epochs": 5})
    ALS(config).solve(log, seed=1, monitor=watch)
    w, a0 = weights_of(log, config), config.unobserved_weight
    x, y = (models[-1][name].astype(np.float64) for name in ("user_factors", "item_factors"))
    scores = x @ y.T
    penalty = sum(
        config.l2 * (row.sum() + a0 * len(row)) ** config.nu * vector @ vector
        for side, factors in ((w, x), (w.T, y))
        for row, vector in zip(side, factors, strict=True)
    )
    expected = (w * (scores - 1) ** 2).sum() + a0 * (scores**2).sum() + penalty
    assert losses[-1] * np.count_nonzero(w) == pytest.approx(expected, rel=1e-4)
    assert all(later < earlier for earlier, later in itertools.pairwise(losses))
