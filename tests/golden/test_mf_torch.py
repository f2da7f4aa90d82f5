"""MF in steps of whole batches, by its network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from rankine.features.events import EventArrays
from rankine.kernels.sampled_sgd import LOSSES
from rankine.models.factorization.als import ALS, ALSConfig
from rankine.models.factorization.mf import MF, MFConfig
from rankine.models.factorization.network import FactorNetwork
from rankine.random import seed_of, stream
from rankine.recommender import fit_model

State = list[np.ndarray[Any, Any]]  # factors and biases of users, factors and biases of items
SEED = 17


def network(log: EventArrays, **settings: Any) -> FactorNetwork:
    """Its values still the first."""
    config = MFConfig(**{"embedding_dim": 4, "batch_size": 16, "engine": "torch", "init_sd": 0.1, **settings})
    if config.loss != "squared":
        log = replace(log, value=None)
    made: FactorNetwork = MF(config).network()
    made.prepare(log, torch.Generator().manual_seed(seed_of(SEED, "init")))
    return made


def values(made: FactorNetwork) -> State:
    tables = (made.user_factors, made.user_bias, made.item_factors, made.item_bias)
    p, b_user, q, b_item = (table.weight.detach().numpy().astype(np.float64) for table in tables)
    return [p, b_user[:, 0], q, b_item[:, 0]]


def fitted(log: EventArrays, **settings: Any) -> MF:
    model = MF(MFConfig(**{"embedding_dim": 4, "batch_size": 16, "engine": "torch", "init_sd": 0.1, **settings}))
    fit_model(model, log if model.config.loss == "squared" else replace(log, value=None), seed=SEED)
    return model


def assert_holds(model: MF, state: State, mean: float) -> None:
    p, b_user, q, b_item = state
    expected_users = np.column_stack([p, np.ones(len(p)), mean + b_user])
    expected_items = np.column_stack([q, b_item, np.ones(len(q))])
    np.testing.assert_allclose(model.user_factors[:-1], expected_users, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.item_factors[:-1], expected_items, rtol=1e-4, atol=1e-6)


def slow_sgd(state: State, mean: float, rating: tuple[int, int, float], rate: float, l2: float) -> None:
    """One step for one rating, in place."""
    p, b_user, q, b_item = state
    u, i, r = rating
    error = r - (mean + b_user[u] + b_item[i] + p[u] @ q[i])
    b_user[u] += rate * (error - l2 * b_user[u])
    b_item[i] += rate * (error - l2 * b_item[i])
    p[u], q[i] = p[u] + rate * (error * q[i] - l2 * p[u]), q[i] + rate * (error * p[u] - l2 * q[i])


def ratings(log: EventArrays) -> list[tuple[int, int, float]]:
    assert log.value is not None
    rows = zip(log.user_idx.tolist(), log.item_idx.tolist(), log.value.tolist(), strict=True)
    return [(u, i, r) for u, i, r in rows if u < log.n_users]


def test_it_starts_where_the_compiled_engine_starts(log: EventArrays) -> None:
    made = network(log)
    compiled = MF(MFConfig(embedding_dim=4, epochs=1, learning_rate=1e-12, init_sd=0.1))
    fit_model(compiled, log, seed=SEED)
    assert_holds(compiled, values(made), made.mean)


def test_one_rating_at_a_time_is_plain_sgd(log: EventArrays) -> None:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 1, "learning_rate": 0.03, "l2": 0.1}
    model, made = fitted(log, **settings), network(log, **settings)
    state, rows, shuffle = values(made), ratings(log), stream(SEED, "shuffle")
    for _ in range(2):
        for row in shuffle.permutation(len(rows)):
            slow_sgd(state, made.mean, rows[row], 0.03, 0.1)
    assert_holds(model, state, made.mean)


def test_a_batch_moves_each_row_by_the_sum_of_its_ratings(log: EventArrays) -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 100_000, "learning_rate": 0.002}
    model, made = fitted(log, **settings), network(log, **settings)
    start, moved = values(made), values(made)
    for row in ratings(log):
        alone = [array.copy() for array in start]
        slow_sgd(alone, made.mean, row, 0.002, made.config.l2)
        for total, one, first in zip(moved, alone, start, strict=True):
            total += one - first
    assert_holds(model, moved, made.mean)


def test_the_loss_is_half_the_squared_error_and_penalty(log: EventArrays) -> None:
    made = network(log, l2=0.3)
    (p, b_user, q, b_item), batch = values(made), ratings(log)[:7]
    expected = 0.0
    for u, i, r in batch:
        error = r - (made.mean + b_user[u] + b_item[i] + p[u] @ q[i])
        expected += 0.5 * (error**2 + 0.3 * (b_user[u] ** 2 + b_item[i] ** 2 + p[u] @ p[u] + q[i] @ q[i]))
    columns = zip(("user", "item", "value"), zip(*batch, strict=True), strict=True)
    loss = made.loss({name: torch.tensor(column) for name, column in columns})
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_adam_first_moves_every_touched_number_by_the_learning_rate(log: EventArrays) -> None:
    users, items = np.array([0, 1], np.int32), np.array([2, 3], np.int32)
    two = replace(log, user_idx=users, item_idx=items, value=np.array([5.0, 1.0], np.float32))
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 2, "learning_rate": 0.01, "optimizer": "adam"}
    model, (p, _, q, _) = fitted(two, **settings), values(network(two, **settings))
    for found, first, rows in ((model.user_factors, p, [0, 1]), (model.item_factors, q, [2, 3])):
        moved = np.abs(found[:-1, :4] - first)
        np.testing.assert_allclose(moved[rows], 0.01, rtol=1e-3)
        assert moved.sum() == pytest.approx(0.08, rel=1e-3)  # no other row


def slow_pair_loss(loss: str, s: float, others: list[float], n_items: int) -> float:
    if loss == "logistic":
        return float(np.log1p(np.exp(-s)) + np.log1p(np.exp(others)).sum())
    if loss == "warp":
        first = next((place for place, other in enumerate(others) if 1 - s + other > 0), None)
        return 0.0 if first is None else np.log((n_items - 1) // (first + 1)) * (1 - s + others[first])
    gaps = s - np.array(others)
    return float((np.log1p(np.exp(-gaps)) if loss == "bpr" else 1 / (1 + np.exp(gaps))).mean())


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_costs_its_pairs_and_the_rows_that_it_touches(log: EventArrays, loss: str) -> None:
    made = network(log, loss=loss, n_negatives=2, l2=0.3, init_sd=0.5)
    users, items, negatives = [0, 3, 3], [2, 5, 1], [[4, 9], [0, 4], [7, 7]]
    p, b_user, q, b_item = values(made)
    expected, per_user = 0.0, 3 if loss == "logistic" else 1
    for u, i, others in zip(users, items, negatives, strict=True):
        s, *rest = (b_user[u] + b_item[j] + p[u] @ q[j] for j in (i, *others))
        expected += slow_pair_loss(loss, s, rest, log.n_items)
        expected += 0.15 * (
            per_user * (p[u] @ p[u] + b_user[u] ** 2) + sum(q[j] @ q[j] + b_item[j] ** 2 for j in (i, *others))
        )
    batch = {"user": torch.tensor(users), "item": torch.tensor(items), "negative": torch.tensor(negatives)}
    assert float(made.loss(batch).detach()) == pytest.approx(expected, rel=1e-5)


def test_shared_negatives_count_as_much_as_each_its_own(log: EventArrays) -> None:
    own, shared = (network(log, loss="logistic", n_negatives=4, shared_negatives=n) for n in (0, 2))
    users, items = torch.tensor([0, 3, 3]), torch.tensor([2, 5, 1])
    each = {"user": users, "item": items, "negative": torch.tensor([[4, 9, 4, 9]] * 3)}
    same = {"user": users, "item": items, "negative": torch.tensor([[4, 9]])}
    assert float(shared.loss(same).detach()) == pytest.approx(float(own.loss(each).detach()), rel=1e-6)


def test_negatives_of_the_batch_are_corrected_for_popularity(log: EventArrays) -> None:
    made = network(log, loss="logistic", negatives="in_batch", n_negatives=2, l2=0.0)
    counts = np.bincount(log.interactions.indices, minlength=log.n_items)
    batch = next(made.batches(log, np.random.default_rng(1)))
    excess = np.log(log.n_items * counts[batch["item"]] / counts.sum())
    np.testing.assert_allclose(batch["log_excess"], excess, rtol=1e-5)
    p, b_user, q, b_item = values(made)
    u, i = batch["user"], batch["item"]
    scores = b_user[u][:, None] + b_item[i] + p[u] @ q[i].T - excess
    expected = np.log1p(np.exp(-np.diag(scores))).sum() + 2 / len(i) * np.log1p(np.exp(scores)).sum()
    loss = made.loss({name: torch.from_numpy(column) for name, column in batch.items()})
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", ["bpr", "warp"])
def test_negatives_to_rank_were_not_taken_in_training(log: EventArrays, loss: str) -> None:
    made, taken = network(log, loss=loss, n_negatives=3), log.interactions
    for batch in made.batches(log, np.random.default_rng(1)):
        for u, drawn in zip(batch["user"], batch["negative"], strict=True):
            assert len(taken.row(u)[0]) > 7 or not set(drawn) & set(taken.row(u)[0])


def test_all_pairs_by_gradient_ranks_as_als() -> None:
    """Kendall tau of the two rankings of 40 items, over 500 users of planted taste."""
    rng = np.random.default_rng(8)
    scores = rng.normal(0, 1, (500, 3)) @ rng.normal(0, 1, (3, 40))
    user, item = np.nonzero(scores + rng.normal(0, 0.5, scores.shape) > 1.5)
    log = EventArrays(n_users=500, n_items=40, user_idx=user.astype(np.int32), item_idx=item.astype(np.int32),
                      weight=np.ones(len(user), np.float32))  # fmt: skip
    shared = {"embedding_dim": 4, "unobserved_weight": 0.2, "l2": 0.02}
    exact = ALS(ALSConfig(**shared, epochs=100, solver="cholesky"))
    exact.solve(log, seed=1)
    model = fitted(
        log, loss="all_pairs", **shared, epochs=500, batch_size=len(user), learning_rate=0.01, optimizer="adam"
    )
    p, q = model.user_factors[:-1, :-2], model.item_factors[:-1, :-2]
    taus = [kendalltau(a, b).statistic for a, b in zip(p @ q.T, exact.user_factors @ exact.item_factors.T, strict=True)
            if a.any()]  # fmt: skip
    assert len(taus) > 450
    assert np.mean(taus) >= 0.99
