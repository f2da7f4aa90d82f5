from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.logistic import ascend_rows, padded_rows
from rankine.kernels.sparse import transpose
from rankine.models.factorization.logistic_mf import LogisticMF, LogisticMFConfig
from rankine.random import seed_of


def fitted(log: EventArrays, **settings: object) -> LogisticMF:
    model = LogisticMF(LogisticMFConfig(**{"embedding_dim": 4, "epochs": 3, **settings}))  # type: ignore[arg-type]
    model.solve(log, seed=9)
    return model


def test_an_epoch_moves_users_and_then_items(log: EventArrays) -> None:
    one, two = fitted(log, epochs=1, confidence=0.5), fitted(log, epochs=2, confidence=0.5)
    start = LogisticMF(one.config)
    taken = start._weighted(log.interactions)
    np.testing.assert_allclose(taken.data, 1 + 0.5 * log.interactions.data)
    users, items = one.user_factors.copy(), one.item_factors.copy()
    squares = [np.zeros_like(users), np.zeros_like(items)]
    steps = {"learning_rate": 0.3, "l2": 0.6, "n_negatives": 30}
    assert (users[:, -1] == 1).all()
    assert (items[:, -2] == 1).all()
    from_zero = ascend_rows(
        taken, padded_rows(items), users, squares[0], held=5, seed=seed_of(9, "negatives", "users", 2), **steps
    )
    ascend_rows(
        transpose(taken),
        padded_rows(users),
        items,
        squares[1],
        held=4,
        seed=seed_of(9, "negatives", "items", 2),
        **steps,
    )
    assert np.isfinite(from_zero)
    same_way = np.sign(users - one.user_factors) == np.sign(two.user_factors - one.user_factors)
    assert same_way[:, :-1].mean() > 0.99  # the sums of squares only shorten the steps


def test_a_score_is_the_logit(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fitted(log)
    users, items = np.array([3, 5], np.int32), np.array([2, 9], np.int32)
    scores = model.score(ask([[], []], users=[3, 5]))
    expected = 1 / (1 + np.exp(-scores[[0, 1], items].astype(float)))
    np.testing.assert_allclose(model.probability(users, items), expected, rtol=1e-5)


def test_the_history_of_a_stranger_lifts_its_items(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fitted(log, epochs=30, l2=0.05)
    for item in (0, 5, 9):
        nobody, somebody = model.score(ask([[], [item]]))
        lifted = somebody - nobody
        assert lifted[item] > lifted.mean()


def test_folding_in_depends_on_the_own_history_only(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fitted(log)
    together, alone = model.query_vectors(ask([[1, 2], [], [4, 7]])), model.query_vectors(ask([[4, 7]]))
    np.testing.assert_allclose(together[2], alone[0], rtol=1e-6)
    assert not together[1, :-1].any()


def test_the_loss_falls(log: EventArrays) -> None:
    losses: list[float] = []
    LogisticMF(LogisticMFConfig(embedding_dim=4, epochs=15, l2=0.01)).solve(
        log,
        monitor=lambda epoch, model, **values: losses.append(values["loss"]) or False,  # type: ignore[func-returns-value]
    )
    assert losses[-1] < losses[0]
    assert losses[-1] == pytest.approx(min(losses), rel=0.1)
