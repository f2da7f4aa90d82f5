from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.factorization.bias import Bias, BiasConfig


def slow_biases(log: EventArrays, config: BiasConfig) -> tuple[float, list[float], list[float]]:
    assert log.value is not None
    rows = [
        (u, i, float(r))
        for u, i, r in zip(log.user_idx.tolist(), log.item_idx.tolist(), log.value, strict=True)
        if r == r
    ]
    mean = sum(r for _, _, r in rows) / len(rows)
    b_user, b_item = [0.0] * (log.n_users + 1), [0.0] * (log.n_items + 1)
    for _ in range(config.epochs):
        for i in range(log.n_items):
            gaps = [r - mean - b_user[u] for u, j, r in rows if j == i]
            b_item[i] = sum(gaps) / (config.reg_item + len(gaps)) if gaps else 0.0
        for u in range(log.n_users):  # the visitor without a name has no bias
            gaps = [r - mean - b_item[i] for v, i, r in rows if v == u]
            b_user[u] = sum(gaps) / (config.reg_user + len(gaps)) if gaps else 0.0
    return mean, b_user, b_item


@pytest.mark.parametrize(
    "config", [BiasConfig(), BiasConfig(epochs=1, reg_user=2.0, reg_item=0.5), BiasConfig(reg_user=0, reg_item=0)]
)
def test_each_sweep_is_the_closed_form_of_one_side(config: BiasConfig, log: EventArrays) -> None:
    model = Bias(config)
    model.solve(log)
    mean, b_user, b_item = slow_biases(log, config)
    np.testing.assert_allclose(model.mean, [mean], rtol=1e-6)
    np.testing.assert_allclose(model.user_bias, b_user, atol=1e-6)
    np.testing.assert_allclose(model.item_bias, b_item, atol=1e-6)


def test_a_rating_is_mean_plus_biases(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = Bias()
    model.solve(log)
    mean, b_user, b_item = slow_biases(log, model.config)
    rated = model.rate(np.array([0, 5, 12, 12], np.int32), np.array([3, 15, 3, 15], np.int32))
    np.testing.assert_allclose(
        rated, [mean + b_user[0] + b_item[3], mean + b_user[5], mean + b_item[3], mean], rtol=1e-6
    )
    np.testing.assert_allclose(
        model.score(ask([[]], users=[5]))[0], [mean + b_user[5] + b for b in b_item[:-1]], rtol=1e-6
    )


def test_events_without_a_value_are_no_ratings(log: EventArrays) -> None:
    assert log.value is not None
    some = np.where(np.arange(len(log)) % 3 == 0, np.nan, log.value).astype(np.float32)
    model = Bias()
    model.solve(replace(log, value=some))
    mean, b_user, _ = slow_biases(replace(log, value=some), model.config)
    np.testing.assert_allclose(model.mean, [mean], rtol=1e-6)
    np.testing.assert_allclose(model.user_bias, b_user, atol=1e-6)
