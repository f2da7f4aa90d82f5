from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rankine.errors import ConfigError, ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.base import Model
from rankine.models.factorization.als import ALS, ALSConfig
from rankine.random import stream

Matrix = np.ndarray[Any, Any]
A0 = 0.3
CONFIG = ALSConfig(embedding_dim=4, epochs=1, unobserved_weight=A0, l2=0.02, nu=0.8, solver="cholesky")


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
        penalty = config.l2 * (row.sum() + A0 * len(row)) ** config.nu
        left = A0 * fixed.T @ fixed + fixed.T @ np.diag(row) @ fixed + penalty * np.eye(fixed.shape[1])
        out[u] = np.linalg.solve(left, fixed.T @ row)
    return out


def start_items(config: ALSConfig, log: EventArrays, seed: int) -> Matrix:
    rng, sd = stream(seed, "init"), config.init_sd / config.embedding_dim**0.5
    rng.standard_normal((log.n_users, config.embedding_dim), np.float32)  # users come first
    items: Matrix = sd * rng.standard_normal((log.n_items, config.embedding_dim), np.float32).astype(np.float64)
    return items


def fit(log: EventArrays, config: ALSConfig, seed: int = 3) -> ALS:
    model = ALS(config)
    model.solve(log, seed=seed)
    return model


@pytest.mark.parametrize("weights", ["binary", "events"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_exact_sweeps_are_the_dense_closed_form(weights: Any, epochs: int, log: EventArrays) -> None:
    config = replace(CONFIG, weights=weights, epochs=epochs)
    model, w, y = fit(log, config), weights_of(log, config), start_items(config, log, seed=3)
    for _ in range(epochs):
        x = slow_half(w, y, config)
        y = slow_half(w.T, x, config)
    np.testing.assert_allclose(model.user_factors, x, rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(model.item_factors, y, rtol=2e-3, atol=2e-5)


def test_conjugate_gradients_reach_the_exact_solution(log: EventArrays) -> None:
    exact = fit(log, replace(CONFIG, epochs=40))
    steps = fit(log, replace(CONFIG, epochs=40, solver="cg", cg_steps=3))
    np.testing.assert_allclose(
        steps.user_factors @ steps.item_factors.T, exact.user_factors @ exact.item_factors.T, rtol=0.02, atol=2e-3
    )


@pytest.mark.parametrize("weights", ["binary", "events"])
def test_a_history_is_folded_in_by_the_formula_of_training(
    weights: Any, log: EventArrays, ask: Callable[..., Queries]
) -> None:
    config = replace(CONFIG, weights=weights, epochs=2)
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
    binary, events = (fit(log, replace(CONFIG, weights=w)) for w in ("binary", "events"))
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
    model, a0 = fit(log, CONFIG), A0
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

    config = replace(CONFIG, epochs=5)
    ALS(config).solve(log, seed=1, monitor=watch)
    w, a0 = weights_of(log, config), A0
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


@pytest.mark.parametrize("epochs", [1, 3])
def test_settings_given_as_confidences_fit_what_was_fitted_in_2008(log: EventArrays, epochs: int) -> None:
    """min sum_ui c_ui (p_ui - x_u . y_i)^2 + lambda (|X|^2 + |Y|^2), c = 1 + alpha p: vectors (1 + a0)^1/2 times ours."""
    alpha, penalty = 4.0, 0.9
    config = ALSConfig.of_confidences(
        alpha=alpha, regularization=penalty, embedding_dim=4, epochs=epochs, solver="cholesky"
    )
    p, scale = weights_of(log, config), (1 + 1 / alpha) ** 0.5
    y = scale * start_items(config, log, seed=3)

    def half(p: Matrix, fixed: Matrix) -> Matrix:
        rows = [(fixed.T * (1 + alpha * row)) for row in p]
        return np.array([np.linalg.solve(a @ fixed + penalty * np.eye(4), a @ row)
                         for a, row in zip(rows, p, strict=True)])  # fmt: skip

    for _ in range(epochs):
        x = half(p, y)
        y = half(p.T, x)
    model = fit(log, config)
    np.testing.assert_allclose(scale * model.user_factors, x, rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(scale * model.item_factors, y, rtol=2e-3, atol=2e-5)


def test_confidences_say_what_they_cannot_be_given_with() -> None:
    with pytest.raises(ConfigError, match="`alpha` must be above 0; got 0"):
        ALSConfig.of_confidences(alpha=0, regularization=1)
    with pytest.raises(ConfigError, match="`l2` follows from `alpha` and `regularization`: leave it out"):
        ALSConfig.of_confidences(alpha=1, regularization=1, l2=0.1)


def test_all_pairs_weigh_a_multiple_of_the_observed_ones(log: EventArrays, ask: Callable[..., Queries]) -> None:
    """So weights in another unit change nothing but themselves."""
    config = replace(CONFIG, unobserved_weight=None, unobserved_ratio=5.0, weights="events", nu=1.0)
    model = fit(log, config)
    w = weights_of(log, config)
    assert model.alpha0[0] * w.size == pytest.approx(5 * w.sum())
    other = fit(replace(log, weight=10 * log.weight), config)
    np.testing.assert_allclose(other.item_factors, model.item_factors, rtol=1e-3, atol=1e-5)
    loaded = ALS(config)
    loaded.load_state(model.state())
    queries = ask([[2, 5]], weights=[1, 3])
    np.testing.assert_array_equal(loaded.score(queries), model.score(queries))


# new events without a new fit


def later(log: EventArrays, pairs: list[tuple[int, int]], n_users: int = 12, n_items: int = 15) -> EventArrays:
    """The log and these events of weight 2 after it."""
    users, items = np.array(pairs, np.int32).reshape(-1, 2).T
    named = np.where(log.user_idx < log.n_users, log.user_idx, n_users)
    return EventArrays(
        n_users=n_users,
        n_items=n_items,
        user_idx=np.concatenate([named, users]).astype(np.int32),
        item_idx=np.concatenate([log.item_idx, items]),
        weight=np.concatenate([log.weight, np.full(len(pairs), 2, np.float32)]),
    )


def rows(*idx: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array(idx, np.int32)


@pytest.mark.parametrize("weights", ["binary", "events"])
@pytest.mark.parametrize("solver", ["cholesky", "cg", "ials++"])
def test_an_update_solves_the_touched_users_then_the_touched_items_and_nothing_else(
    weights: Any, solver: Any, log: EventArrays
) -> None:
    """User 12 and item 15 are new; the new item is in nobody's vector until it has one of its own."""
    config = replace(CONFIG, weights=weights, solver=solver, epochs=2)
    model = fit(log, config)
    x, y = model.user_factors.astype(np.float64), model.item_factors.astype(np.float64)
    before = model.state()
    data = later(log, [(3, 14), (12, 15), (12, 2), (4, 15)], n_users=13, n_items=16)
    model.update(data, rows(3, 4, 12, 4), rows(15, 14, 2))
    w = weights_of(data, config)
    x, y = np.vstack([x, np.zeros((1, 4))]), np.vstack([y, np.zeros((1, 4))])
    users, items = [3, 4, 12], [2, 14, 15]
    x[users] = slow_half(w, y, config)[users]
    y[items] = slow_half(w.T, x, config)[items]
    np.testing.assert_allclose(model.user_factors, x, rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(model.item_factors, y, rtol=2e-3, atol=2e-5)
    for name, touched in (("user_factors", users), ("item_factors", items)):
        kept = np.setdiff1d(np.arange(len(before[name])), touched)
        assert np.array_equal(model.state()[name][kept], before[name][kept])
    assert model.item_factors[15].any()


def test_an_update_is_in_the_next_answer(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model, fresh = fit(log, CONFIG), ALS(CONFIG)
    queries = ask([[14], [2, 3]])
    before = model.score(queries)
    model.update(later(log, [(u, 14) for u in range(6)]), rows(*range(6)), rows(14))
    assert not before[0].any()
    assert model.score(queries)[0, 14] > 0
    fresh.load_state(model.state())
    np.testing.assert_array_equal(fresh.score(queries), model.score(queries))


def test_an_update_of_nothing_changes_nothing(log: EventArrays) -> None:
    model = fit(log, CONFIG)
    before = model.state()
    model.update(log, rows(), rows())
    assert all(np.array_equal(array, before[name]) for name, array in model.state().items())


def test_an_update_that_does_not_fit_the_model_says_so(log: EventArrays) -> None:
    model = fit(log, CONFIG)
    with pytest.raises(ValueError, match=r"`users` must lie in 0 \.\. 11; got 12"):
        model.update(log, rows(12), rows())
    with pytest.raises(ValueError, match=r"`items` must lie in 0 \.\. 14; got -1"):
        model.update(log, rows(), rows(-1))
    with pytest.raises(ValueError, match="`data` must hold all 15 rows that the model knows; got 14"):
        model.update(replace(log, n_items=14), rows(), rows())


# bad input

SOLVERS = pytest.mark.parametrize("solver", ["cholesky", "cg", "ials++"])


@SOLVERS
def test_who_took_nothing_and_what_nobody_took_stand_at_zero(solver: Any, log: EventArrays) -> None:
    """Item 14 is never taken, and returns outweigh what user 0 took."""
    weight = np.where(log.user_idx == 0, -1, np.abs(log.weight)).astype(np.float32)
    model = fit(replace(log, weight=weight), replace(CONFIG, solver=solver, epochs=3))
    assert not model.item_factors[14].any()
    assert not model.user_factors[0].any()
    assert model.user_factors[1:].any(1).all()


@SOLVERS
def test_more_factors_than_users_and_items_are_no_matter(solver: Any, log: EventArrays) -> None:
    wide = replace(CONFIG, solver=solver, epochs=200, cg_steps=10, embedding_dim=40)
    model, w = fit(log, wide), weights_of(log, wide)
    y = model.item_factors.astype(np.float64)
    np.testing.assert_allclose(model.user_factors @ y.T, slow_half(w, y, wide) @ y.T, rtol=0.02, atol=2e-3)


@SOLVERS
def test_events_of_nobody_known_leave_zeros(solver: Any, log: EventArrays) -> None:
    model = fit(replace(log, user_idx=np.full_like(log.user_idx, 12)), ALSConfig(solver=solver, embedding_dim=3))
    assert not model.user_factors.any()
    assert not model.item_factors.any()


@pytest.mark.parametrize("weight", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_is_an_error_that_names_the_event(weight: float, log: EventArrays) -> None:
    weights = log.weight.copy()
    weights[7] = weight
    for config in (CONFIG, replace(CONFIG, weights="events")):
        with pytest.raises(ModelError, match=f"weights of events must be finite; that of event 7 is {weight}"):
            fit(replace(log, weight=weights), config)
        with pytest.raises(ModelError, match="event 7"):
            fit(log, config).update(replace(log, weight=weights), rows(1), rows())


def test_a_request_with_weights_below_zero_or_none_counts_what_is_left(
    log: EventArrays, ask: Callable[..., Queries]
) -> None:
    model = fit(log, CONFIG)
    odd, plain = ask([[3, 5, 7]], weights=[1, -2, np.nan]), ask([[3]])
    np.testing.assert_array_equal(model.score(odd), model.score(plain))


def test_next_to_no_penalty_is_an_error_of_the_exact_solvers_and_finite_for_the_other(log: EventArrays) -> None:
    tiny = replace(CONFIG, unobserved_weight=1e-30, l2=1e-30, embedding_dim=14)
    for solver in ("cholesky", "ials++"):
        with pytest.raises(ModelError, match="no single solution: raise `l2` or `unobserved_weight`"):
            fit(log, replace(tiny, solver=solver))
    assert np.isfinite(fit(log, replace(tiny, solver="cg", epochs=5)).item_factors).all()


@pytest.mark.parametrize("name", ["l2", "unobserved_weight", "unobserved_ratio", "init_sd", "embedding_dim", "block"])
def test_settings_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"`{name}` of ALSConfig must be"):
        replace(CONFIG, **{name: 0})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="`nu` of ALSConfig must be at least 0"):
        ALSConfig(nu=-0.1)
