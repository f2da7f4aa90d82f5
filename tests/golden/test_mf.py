from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.factorization.mf import MF, MFConfig
from rankine.random import seed_of, stream
from rankine.training.fit import fit

State = dict[str, np.ndarray[Any, Any]]
SEED = 17


def start_of(log: EventArrays, config: MFConfig) -> State:
    """The parameters before the first step, float64."""
    model = MF(config)
    model.set_sizes(log.n_users, log.n_items)
    model.initialise(log, torch.Generator().manual_seed(seed_of(SEED, "init")))
    return {name: array.astype(np.float64) for name, array in model.state().items()}


def slow_sgd(state: State, rating: tuple[int, int, float], rate: float, l2: float) -> None:
    """One step for one rating, in place: e = r - mu - b_u - b_i - p_u . q_i; x += rate (e dx - l2 x)."""
    user, item, value = rating
    p, q = state["user_factors.weight"][user].copy(), state["item_factors.weight"][item].copy()
    b_user, b_item = state["user_bias.weight"][user].copy(), state["item_bias.weight"][item].copy()
    error = value - (state["mean"][0] + b_user[0] + b_item[0] + p @ q)
    state["user_bias.weight"][user] += rate * (error - l2 * b_user)
    state["item_bias.weight"][item] += rate * (error - l2 * b_item)
    state["user_factors.weight"][user] += rate * (error * q - l2 * p)
    state["item_factors.weight"][item] += rate * (error * p - l2 * q)


def assert_equal_states(found: State, expected: State) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-6, err_msg=name)


def ratings(log: EventArrays) -> list[tuple[int, int, float]]:
    assert log.value is not None
    rows = zip(log.user_idx.tolist(), log.item_idx.tolist(), log.value.tolist(), strict=True)
    return [(u, i, r) for u, i, r in rows if u < log.n_users]


def test_one_rating_at_a_time_is_plain_sgd(log: EventArrays) -> None:
    config = MFConfig(embedding_dim=5, epochs=2, batch_size=1, learning_rate=0.03, l2=0.1)
    model = MF(config)
    fit(model, log, seed=SEED)
    state, rows, shuffle = start_of(log, config), ratings(log), stream(SEED, "shuffle")
    for _ in range(config.epochs):
        for row in shuffle.permutation(len(rows)):
            slow_sgd(state, rows[row], config.learning_rate, config.l2)
    assert_equal_states(model.state(), state)


def test_a_batch_moves_each_row_by_the_sum_of_its_ratings(log: EventArrays) -> None:
    config = MFConfig(embedding_dim=3, epochs=1, batch_size=100_000, learning_rate=0.002)
    model = MF(config)
    fit(model, log, seed=SEED)
    start, moved = start_of(log, config), start_of(log, config)
    for row in ratings(log):
        alone = {name: array.copy() for name, array in start.items()}
        slow_sgd(alone, row, config.learning_rate, config.l2)
        for name in moved:
            moved[name] += alone[name] - start[name]
    assert_equal_states(model.state(), moved)


def test_the_loss_is_half_the_squared_error_and_penalty(log: EventArrays) -> None:
    config = MFConfig(embedding_dim=4, l2=0.3)
    model = MF(config)
    model.set_sizes(log.n_users, log.n_items)
    model.initialise(log, torch.Generator().manual_seed(1))
    state, expected = model.state(), 0.0
    batch = ratings(log)[:7]
    for u, i, r in batch:
        p, q = state["user_factors.weight"][u].astype(float), state["item_factors.weight"][i].astype(float)
        b_user, b_item = state["user_bias.weight"][u, 0], state["item_bias.weight"][i, 0]
        error = r - (state["mean"][0] + b_user + b_item + p @ q)
        expected += 0.5 * (error**2 + config.l2 * (b_user**2 + b_item**2 + p @ p + q @ q))
    columns = zip(("user", "item", "value"), zip(*batch, strict=True), strict=True)
    loss = model.loss({name: torch.tensor(values) for name, values in columns})
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_adam_first_moves_every_touched_number_by_the_learning_rate(log: EventArrays) -> None:
    users, items = np.array([0, 1], np.int32), np.array([2, 3], np.int32)
    two = replace(log, user_idx=users, item_idx=items, value=np.array([5.0, 1.0], np.float32))
    config = MFConfig(embedding_dim=4, epochs=1, batch_size=2, learning_rate=0.01, optimizer="adam")
    model = MF(config)
    fit(model, two, seed=SEED)
    start, found = start_of(two, config), model.state()
    for name, rows in (("user_factors.weight", [0, 1]), ("item_factors.weight", [2, 3]), ("user_bias.weight", [0, 1])):
        moved = np.abs(found[name] - start[name])
        np.testing.assert_allclose(moved[rows], 0.01, rtol=1e-3)
        assert moved.sum() == pytest.approx(0.01 * moved[rows].size, rel=1e-3)  # no other row


def test_a_rating_is_mean_plus_biases_plus_product(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = MF(MFConfig(embedding_dim=4, epochs=2))
    fit(model, log, seed=SEED)
    state = model.state()
    base = state["mean"][0]
    p, q = state["user_factors.weight"], state["item_factors.weight"]
    b_user, b_item = state["user_bias.weight"][:, 0], state["item_bias.weight"][:, 0]
    expected = [
        base + b_user[u] + b_item[i] + p[u].astype(float) @ q[i] for u, i in ((0, 1), (7, 13), (12, 4), (3, 15))
    ]
    rated = model.rate(np.array([0, 7, 12, 3], np.int32), np.array([1, 13, 4, 15], np.int32))
    np.testing.assert_allclose(rated, expected, rtol=1e-5)
    np.testing.assert_allclose(
        model.score(ask([[]], users=[7]))[0], base + b_user[7] + b_item[:-1] + q[:-1] @ p[7], rtol=1e-5
    )


def test_rows_without_a_rating_stay_zero(log: EventArrays) -> None:
    assert (log.user_idx == log.n_users).any()  # visitors without a name rate too, but are nobody in particular
    model = MF(MFConfig(embedding_dim=4, epochs=2))
    fit(model, log, seed=SEED)
    state = model.state()
    for name, row in (
        ("user_factors.weight", 12),
        ("user_bias.weight", 12),
        ("item_factors.weight", 14),
        ("item_factors.weight", 15),
    ):
        assert not state[name][row].any(), name


def test_the_mean_is_that_of_the_events_with_a_value(log: EventArrays) -> None:
    assert log.value is not None
    some = np.where(np.arange(len(log)) % 3 == 0, np.nan, log.value).astype(np.float32)
    model = MF(MFConfig(embedding_dim=2, epochs=1))
    fit(model, replace(log, value=some), seed=SEED)
    assert model.state()["mean"][0] == pytest.approx(np.nanmean(some), rel=1e-6)
    assert all(np.isfinite(array).all() for array in model.state().values())


def test_ratings_of_nobody_known_are_an_error(log: EventArrays) -> None:
    with pytest.raises(ModelError, match="nothing to train on: no event of a known user"):
        fit(MF(), replace(log, user_idx=np.full_like(log.user_idx, log.n_users)))
