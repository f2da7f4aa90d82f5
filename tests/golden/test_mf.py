from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.factorization.als import ALS, ALSConfig
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


# what was taken, under each loss

IMPLICIT = ("logistic", "bpr", "bpr_sigmoid", "warp", "all_pairs")


def implicit(log: EventArrays, loss: str, **settings: Any) -> MF:
    model = MF(MFConfig(**{"loss": loss, "embedding_dim": 4, "epochs": 3, "batch_size": 16, **settings}))
    fit(model, replace(log, value=None), seed=SEED)
    return model


@pytest.mark.parametrize("loss", IMPLICIT)
def test_what_was_taken_needs_no_values(log: EventArrays, loss: str) -> None:
    assert not implicit(log, loss).needs.values
    assert MF().needs.values


def slow_pair_loss(loss: str, s: float, others: list[float], n_items: int) -> float:
    if loss == "logistic":
        return float(np.log1p(np.exp(-s)) + np.log1p(np.exp(others)).sum())
    if loss == "warp":
        first = next((place for place, other in enumerate(others) if 1 - s + other > 0), None)
        return 0.0 if first is None else np.log((n_items - 1) // (first + 1)) * (1 - s + others[first])
    gaps = s - np.array(others)
    return float((np.log1p(np.exp(-gaps)) if loss == "bpr" else 1 / (1 + np.exp(gaps))).mean())


@pytest.mark.parametrize("loss", IMPLICIT[:-1])
def test_a_batch_costs_its_pairs_and_the_rows_that_it_touches(log: EventArrays, loss: str) -> None:
    model = implicit(log, loss, n_negatives=2, l2=0.3)
    state, users, items, negatives = model.state(), [0, 3, 3], [2, 5, 1], [[4, 9], [0, 4], [7, 7]]
    p, q = state["user_factors.weight"].astype(float), state["item_factors.weight"].astype(float)
    b_user, b_item = state["user_bias.weight"][:, 0].astype(float), state["item_bias.weight"][:, 0].astype(float)
    expected, per_user = 0.0, 3 if loss == "logistic" else 1
    for u, i, others in zip(users, items, negatives, strict=True):
        s, *rest = (b_user[u] + b_item[j] + p[u] @ q[j] for j in (i, *others))
        expected += slow_pair_loss(loss, s, rest, log.n_items)
        expected += 0.15 * (
            per_user * (p[u] @ p[u] + b_user[u] ** 2) + sum(q[j] @ q[j] + b_item[j] ** 2 for j in (i, *others))
        )
    batch = {"user": torch.tensor(users), "item": torch.tensor(items), "negative": torch.tensor(negatives)}
    assert float(model.loss(batch).detach()) == pytest.approx(expected, rel=1e-5)


def test_shared_negatives_count_as_much_as_each_its_own(log: EventArrays) -> None:
    own, shared = implicit(log, "logistic", n_negatives=4), implicit(log, "logistic", n_negatives=4, shared_negatives=2)
    shared.load_state(own.state())
    users, items = torch.tensor([0, 3, 3]), torch.tensor([2, 5, 1])
    each = {"user": users, "item": items, "negative": torch.tensor([[4, 9, 4, 9]] * 3)}
    same = {"user": users, "item": items, "negative": torch.tensor([[4, 9]])}
    assert float(shared.loss(same).detach()) == pytest.approx(float(own.loss(each).detach()), rel=1e-6)


def test_negatives_of_the_batch_are_corrected_for_popularity(log: EventArrays) -> None:
    model = implicit(log, "logistic", negatives="in_batch", n_negatives=2, l2=0.0)
    counts = np.bincount(log.interactions.indices, minlength=log.n_items)
    batch = next(model.batches(log, np.random.default_rng(1)))
    excess = np.log(log.n_items * counts[batch["item"]] / counts.sum())
    np.testing.assert_allclose(batch["log_excess"], excess, rtol=1e-5)
    users, items = batch["user"], batch["item"]
    scores = np.array([model.rate(np.full_like(items, u), items) for u in users]) - excess
    expected = np.log1p(np.exp(-np.diag(scores))).sum() + 2 / len(items) * np.log1p(np.exp(scores)).sum()
    assert float(model.loss({k: torch.from_numpy(v) for k, v in batch.items()}).detach()) == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize("loss", ["bpr", "warp"])
def test_negatives_to_rank_were_not_taken_in_training(log: EventArrays, loss: str) -> None:
    model = implicit(log, loss, n_negatives=3)
    taken = log.interactions
    for batch in model.batches(log, np.random.default_rng(1)):
        for u, drawn in zip(batch["user"], batch["negative"], strict=True):
            assert len(taken.row(u)[0]) > 7 or not set(drawn) & set(taken.row(u)[0])


@pytest.mark.parametrize("loss", IMPLICIT)
def test_a_known_user_has_the_trained_vector_and_a_stranger_the_history(
    log: EventArrays, ask: Callable[..., Queries], loss: str
) -> None:
    model = implicit(log, loss, epochs=20, learning_rate=0.02)
    queries = ask([[], [2, 5], []], users=[3, 12, 12])
    known, folded, nobody = model.score(queries)
    np.testing.assert_allclose(
        known, model.rate(np.full(15, 3, np.int32), np.arange(15, dtype=np.int32)), rtol=1e-4, atol=1e-6
    )
    lifted = folded - nobody
    assert lifted[[2, 5]].mean() > lifted.mean()
    assert model.evidence(queries).tolist() == [True, True, False]


def test_probabilities_are_those_of_all_pairs_not_of_the_sample() -> None:
    """One taste: every user takes each item with a chance of its own, whatever the number of negatives."""
    rng = np.random.default_rng(3)
    chance = np.linspace(0.02, 0.3, 25)
    user, item = np.nonzero(rng.random((600, 25)) < chance)
    log = EventArrays(n_users=600, n_items=25, user_idx=user.astype(np.int32), item_idx=item.astype(np.int32),
                      weight=np.ones(len(user), np.float32))  # fmt: skip
    true = np.bincount(item, minlength=25) / 600
    settings = {"embedding_dim": 1, "epochs": 12, "batch_size": 64, "learning_rate": 0.01, "l2": 0.0, "n_negatives": 8}
    for negatives in ("uniform", "popularity"):
        model = implicit(log, "logistic", **{**settings, "negatives": negatives})
        pairs = np.repeat(np.arange(600, dtype=np.int32), 25), np.tile(np.arange(25, dtype=np.int32), 600)
        found = model.probability(*pairs).reshape(600, 25).mean(0)
        assert np.corrcoef(found, true)[0, 1] > 0.95, negatives
        assert abs(found.mean() / true.mean() - 1) < 0.15, negatives
    with pytest.raises(ModelError, match="`loss` = `bpr` learns no probability"):
        implicit(log, "bpr", **settings).probability(*pairs)


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
    model = implicit(log, "all_pairs", **shared, epochs=500, batch_size=len(user), learning_rate=0.01, optimizer="adam")
    p, q = (model.state()[f"{side}_factors.weight"][:-1] for side in ("user", "item"))
    taus = [kendalltau(a, b).statistic for a, b in zip(p @ q.T, exact.user_factors @ exact.item_factors.T, strict=True)
            if a.any()]  # fmt: skip
    assert len(taus) > 450
    assert np.mean(taus) >= 0.99
