"""The loop, watched through a model of one number per item that counts what is done to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pytest
import torch

from rankine.arrays import Array, Float
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.features.rows import row_batches
from rankine.models.base import Model, Source
from rankine.models.neural import NeuralModel
from rankine.random import seed_of, stream
from rankine.training.fit import OPTIMIZERS, fit

DATA = EventArrays(
    n_users=2,
    n_items=3,
    user_idx=np.array([0, 1, 0, 1, 0], np.int32),
    item_idx=np.array([0, 1, 2, 0, 1], np.int32),
    weight=np.ones(5, np.float32),
)


@dataclass(frozen=True, kw_only=True)
class OneConfig:
    """Settings of One."""

    epochs: int = 3
    batch_size: int = 2
    learning_rate: float = 0.1
    optimizer: Literal["sgd", "adam"] = "sgd"


class One(NeuralModel):
    """loss = sum over the batch of (w_item - 1)^2 / 2."""

    Config = OneConfig
    label = "One"
    summary = "one number per item"
    source = Source.POPULAR

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.modes: list[bool] = []
        self.seen: list[list[int]] = []

    def build(self, n_users: int, n_items: int) -> None:
        self.table = torch.nn.Embedding(n_items, 1, sparse=True)

    @torch.no_grad()
    def initialise(self, data: EventArrays, generator: torch.Generator) -> None:
        self.table.weight.normal_(0, 1, generator=generator)

    def batches(self, data: EventArrays, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        return row_batches({"item": data.item_idx}, self.config.batch_size, rng)

    def loss(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        self.modes.append(self.training)
        self.seen.append(batch["item"].tolist())
        gap: torch.Tensor = self.table(batch["item"]) - 1
        return 0.5 * gap.square().sum()

    def score_all(self, queries: Queries) -> Float:
        return np.repeat(self.state()["table.weight"].T, len(queries), axis=0)

    def evidence(self, queries: Queries) -> Array:
        return np.ones(len(queries), bool)


def slow(epochs: int, rate: float = 0.1, seed: int = 4) -> tuple[np.ndarray[Any, Any], list[float]]:
    """Plain gradient descent in NumPy, and the mean loss per event of each epoch."""
    start = torch.empty(3, 1).normal_(0, 1, generator=torch.Generator().manual_seed(seed_of(seed, "init")))
    weight, rng, losses = start.numpy().astype(np.float64)[:, 0], stream(seed, "shuffle"), []
    for _ in range(epochs):
        order, total = DATA.item_idx[rng.permutation(5)], 0.0
        for first in range(0, 5, 2):
            gradient = np.zeros(3)
            for item in order[first : first + 2]:
                gradient[item] += weight[item] - 1
                total += 0.5 * (weight[item] - 1) ** 2
            weight = weight - rate * gradient
        losses.append(total / 5)
    return weight, losses


def test_the_loop_is_gradient_descent_over_shuffled_batches() -> None:
    model = One()
    losses: list[float] = []

    def watch(epoch: int, model: Model, **values: float) -> bool:
        losses.append(values["loss"])
        return False

    fit(model, DATA, seed=4, monitor=watch)
    weight, expected = slow(3)
    np.testing.assert_allclose(model.state()["table.weight"][:, 0], weight, rtol=1e-5)
    assert losses == pytest.approx(expected, rel=1e-5)


def test_the_monitor_sees_a_model_at_rest_and_may_stop_it() -> None:
    one = One()
    resting: list[bool] = []

    def stop_at_two(epoch: int, model: Model, **values: float) -> bool:
        assert model is one
        resting.append(not one.training)
        return epoch == 2

    fit(one, DATA, seed=4, monitor=stop_at_two)
    assert resting == [True, True]
    assert all(one.modes)  # each step was made in training mode
    assert not one.training
    np.testing.assert_allclose(one.state()["table.weight"][:, 0], slow(2)[0], rtol=1e-5)


def test_every_epoch_has_an_order_of_its_own() -> None:
    model = One(OneConfig(epochs=6, batch_size=5))
    fit(model, DATA, seed=1)
    assert all(sorted(order) == sorted(DATA.item_idx.tolist()) for order in model.seen)
    assert len({tuple(order) for order in model.seen}) > 2


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_optimiser_comes_closer(optimizer: Any) -> None:
    model = One(OneConfig(epochs=60, optimizer=optimizer))
    fit(model, DATA, seed=2)
    np.testing.assert_allclose(model.state()["table.weight"], 1, atol=0.05)


def test_a_fitted_model_may_be_fitted_again_from_the_start() -> None:
    model, once = One(), One()
    fit(once, DATA, seed=4)
    fit(model, DATA, seed=9)
    fit(model, DATA, seed=4)
    assert np.array_equal(model.state()["table.weight"], once.state()["table.weight"])


def test_nothing_to_train_on_is_an_error() -> None:
    empty = replace(DATA, user_idx=DATA.user_idx[:0], item_idx=DATA.item_idx[:0], weight=DATA.weight[:0])
    with pytest.raises(ModelError, match="One got nothing to train on"):
        fit(One(), empty)


def test_the_state_goes_there_and_back() -> None:
    model, other = One(), One()
    fit(model, DATA, seed=4)
    other.load_state(model.state())
    assert (other.n_users, other.n_items) == (2, 3)
    assert np.array_equal(other.state()["table.weight"], model.state()["table.weight"])
    assert not other.training
    before = other.state()["table.weight"].copy()
    fit(model, DATA, seed=5)
    assert np.array_equal(other.state()["table.weight"], before)  # it shares no memory


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"One diverged in epoch \d+: lower `learning_rate`"):
        fit(One(OneConfig(epochs=200, learning_rate=1e6)), DATA)
