from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.base import Model
from rankine.models.factorization.svdpp import SVDpp, SVDppConfig

CONFIG = SVDppConfig(embedding_dim=5, epochs=4, learning_rate=0.03, init_sd=0.3)
Arrays = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def model(log: EventArrays) -> SVDpp:
    model = SVDpp(CONFIG)
    model.solve(log, seed=3)
    return model


def slow_score(model: SVDpp, user: Arrays, b_user: float, item: int) -> float:
    return float(model.mean[0] + b_user + model.item_bias[item] + user.astype(float) @ model.item_factors[item])


def test_a_rating_is_mean_plus_biases_plus_product(model: SVDpp, ask: Callable[..., Queries]) -> None:
    pairs = [(0, 3), (5, 15), (12, 4), (12, 15)]
    rated = model.rate(*(np.array(column, np.int32) for column in zip(*pairs, strict=True)))
    expected = [slow_score(model, model.user_factors[u], model.user_bias[u], i) for u, i in pairs]
    np.testing.assert_allclose(rated, expected, rtol=1e-5)
    row = [slow_score(model, model.user_factors[5], model.user_bias[5], i) for i in range(15)]
    np.testing.assert_allclose(model.score(ask([[2, 4]], users=[5]))[0], row, rtol=1e-5)


def test_a_stranger_is_what_their_history_says(model: SVDpp, ask: Callable[..., Queries]) -> None:
    taste = (model.rated_factors[2] + model.rated_factors[4] + model.rated_factors[7]) / np.sqrt(3)
    expected = [slow_score(model, taste, 0.0, i) for i in range(15)]
    np.testing.assert_allclose(model.score(ask([[4, 2, 7, 2]]))[0], expected, rtol=1e-5)
    nothing_known = model.score(ask([[]]))[0]
    np.testing.assert_allclose(nothing_known, model.mean + model.item_bias[:-1], rtol=1e-6)
    assert model.evidence(ask([[4], [], []], users=[12, 12, 3])).tolist() == [True, False, True]


def test_a_known_vector_holds_the_items_rated_in_training(log: EventArrays, monkeypatch: pytest.MonkeyPatch) -> None:
    assert log.value is not None
    some = np.where(np.arange(len(log)) % 3 == 0, np.nan, log.value).astype(np.float32)
    kept: dict[str, Arrays] = {}

    def spy(self: SVDpp, factors: Any, rated_factors: Arrays, rated: Any) -> None:
        kept["p"] = factors.user[:, : CONFIG.embedding_dim].copy()
        take(self, factors, rated_factors, rated)

    take = SVDpp._take
    monkeypatch.setattr(SVDpp, "_take", spy)
    model = SVDpp(CONFIG)
    model.solve(replace(log, value=some))
    for u in range(log.n_users):
        near = sorted({int(i) for v, i, r in zip(log.user_idx, log.item_idx, some, strict=True) if v == u and r == r})
        y = model.rated_factors[near].astype(float).sum(0) / np.sqrt(len(near))
        np.testing.assert_allclose(model.user_factors[u], kept["p"][u] + y, rtol=1e-5, atol=1e-6)
    assert model.mean[0] == pytest.approx(np.nanmean(some), rel=1e-6)


def test_rows_without_a_rating_stay_zero(model: SVDpp) -> None:
    assert not model.user_factors[12].any()
    assert not model.item_factors[14:].any()
    assert not model.rated_factors[14].any()
    assert model.user_bias[12] == 0
    assert not model.item_bias[14:].any()


def test_the_loss_falls(log: EventArrays) -> None:
    losses: list[float] = []

    def watch(epoch: int, model: Model, **values: float) -> bool:
        losses.append(values["loss"])
        return False

    SVDpp(SVDppConfig(embedding_dim=8, epochs=10)).solve(log, monitor=watch)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.99 * losses[0]


def test_a_seed_decides_everything(log: EventArrays, model: SVDpp) -> None:
    again, other = SVDpp(CONFIG), SVDpp(CONFIG)
    again.solve(log, seed=3)
    other.solve(log, seed=4)
    assert np.array_equal(again.user_factors, model.user_factors)
    assert not np.array_equal(other.user_factors, model.user_factors)


def test_steps_that_are_too_long_are_an_error(log: EventArrays) -> None:
    with pytest.raises(ModelError, match=r"diverged in epoch \d+: lower `learning_rate`"):
        SVDpp(SVDppConfig(learning_rate=5.0, epochs=50)).solve(log)


def test_ratings_of_nobody_known_are_an_error(log: EventArrays) -> None:
    with pytest.raises(ModelError, match="nothing to train on: no rating comes from a known user"):
        SVDpp().solve(replace(log, user_idx=np.full_like(log.user_idx, log.n_users)))
