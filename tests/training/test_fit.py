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
from rankine.models.neural import Network, NeuralModel
from rankine.nn.optim import FTRL, OPTIMIZERS, SGD, RowOptimizer
from rankine.random import seed_of, stream
from rankine.training.fit import fit

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
    optimizer: Literal["sgd", "adam", "adagrad", "ftrl"] = "sgd"
    patience: int = 2
    drop_epochs: tuple[int, ...] = ()
    clip_norm: float | None = None
    precision: str = "fp32"


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
    rate = {"adagrad": 1.0, "ftrl": 2.0}.get(optimizer, 0.1)
    model = One(OneConfig(epochs=60, optimizer=optimizer, learning_rate=rate))
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


class Watched(One):
    """Keeps the learning rate of each epoch, and says how good it is in each: as told."""

    def __init__(self, figures: list[float], **settings: Any) -> None:
        super().__init__(OneConfig(**settings))
        self.figures = iter(figures)
        self.rates: list[float] = []
        self.weights: list[Float] = []

    def optimizers(self) -> list[RowOptimizer]:
        self.moving = super().optimizers()
        return self.moving

    def batches(self, data: EventArrays, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        self.rates.append(self.moving[0].param_groups[0]["lr"])
        return super().batches(data, rng)

    def judge(self, model: Model) -> float:
        assert model is self
        assert not self.training
        self.weights.append(self.state()["table.weight"].copy())
        return next(self.figures)


def test_epochs_without_gain_lower_the_rate_and_then_stop() -> None:
    model = Watched([0.5, 0.6, 0.6, 0.7, 0.7, 0.69, 0.71], epochs=7)
    done = fit(model, DATA, seed=4, validate=model.judge)
    assert model.rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.001])  # two strikes in a row: no seventh epoch
    assert (done.epochs, done.best_epoch, done.drop_epochs) == (6, 4, (3, 5, 6))
    assert done.figures == (0.5, 0.6, 0.6, 0.7, 0.7, 0.69)
    assert np.array_equal(model.state()["table.weight"], model.weights[3])  # the best weights are back
    assert not np.array_equal(model.weights[3], model.weights[5])


def test_a_gain_too_small_to_count_is_none_and_the_rate_has_a_floor() -> None:
    model = Watched([0.5 + 1e-8 * n for n in range(9)], epochs=9, patience=20, learning_rate=3e-5)
    done = fit(model, DATA, validate=model.judge)
    assert model.rates[:5] == pytest.approx([3e-5, 3e-5, 3e-6, 1e-6, 1e-6])
    assert done.best_epoch == 1


def test_a_schedule_is_repeated_without_validation() -> None:
    model = Watched([0.5, 0.6, 0.6, 0.7, 0.7, 0.69], epochs=6)
    done = fit(model, DATA, seed=4, validate=model.judge)
    assert done.schedule == {"epochs": 4, "drop_epochs": (3,)}
    again = Watched([], **done.schedule)
    repeated = fit(again, DATA, seed=4)
    assert again.rates == pytest.approx([0.1, 0.1, 0.1, 0.01])
    assert np.array_equal(again.state()["table.weight"], model.state()["table.weight"])
    assert (repeated.best_epoch, repeated.drop_epochs, repeated.figures) == (4, (3,), ())


def test_the_monitor_hears_of_validation_too() -> None:
    model, heard = Watched([0.5, 0.6], epochs=2), []

    def listen(epoch: int, model: Model, **values: float) -> bool:
        heard.append(values["validation"])
        return False

    fit(model, DATA, validate=model.judge, monitor=listen)
    assert heard == [0.5, 0.6]


def test_a_validation_figure_that_is_no_number_is_an_error() -> None:
    model = Watched([0.5, float("nan")])
    with pytest.raises(ModelError, match="figure of One after epoch 2 must be a number; got nan"):
        fit(model, DATA, validate=model.judge)


def test_what_was_done_is_reported() -> None:
    done = fit(One(), DATA, seed=4)
    assert done.losses == pytest.approx(slow(3)[1], rel=1e-5)
    assert (done.epochs, done.best_epoch, done.n_rows, done.precision) == (3, 3, 15, "fp32")
    assert done.rows_per_s == pytest.approx(15 / done.seconds)


class Mean(One):
    """The same with the mean loss of a batch."""

    mean_loss = True

    def loss(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return super().loss(batch) / len(batch["item"])


def test_losses_are_reported_per_row_whatever_the_network_minimises() -> None:
    settings = OneConfig(epochs=1, learning_rate=1e-12)
    losses = [fit(make(settings), DATA, seed=4).losses[0] for make in (One, Mean)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_optimisers_know_how_many_rows_a_mean_is_of() -> None:
    settings = OneConfig(epochs=3, optimizer="ftrl", learning_rate=0.5)
    one, mean = One(settings), Mean(settings)
    fit(one, DATA, seed=4)
    fit(mean, DATA, seed=4)
    np.testing.assert_allclose(mean.state()["table.weight"], one.state()["table.weight"], rtol=1e-5)


def test_gradients_are_cut_to_a_joint_norm() -> None:
    model = Watched([], epochs=1, batch_size=5, clip_norm=0.3)
    fit(model, DATA, seed=4)
    start = slow(0)[0]
    moved = model.state()["table.weight"][:, 0] - start
    assert np.linalg.norm(moved) == pytest.approx(0.1 * 0.3, rel=1e-4)


class Two(One):
    """Half of the loss each by a table of its own, each table by an optimiser of its own."""

    def build(self, n_users: int, n_items: int) -> None:
        super().build(n_users, n_items)
        self.other = torch.nn.Embedding(n_items, 1, sparse=True)

    def initialise(self, data: EventArrays, generator: torch.Generator) -> None:
        torch.nn.init.zeros_(self.table.weight)
        torch.nn.init.zeros_(self.other.weight)

    def optimizers(self) -> list[RowOptimizer]:
        return [SGD(self.table.parameters(), 0.1), FTRL(self.other.parameters(), 0.1, l1=100.0)]

    def loss(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        both = self.table(batch["item"]) + self.other(batch["item"])
        return 0.5 * (both - 1).square().sum()


def test_two_optimisers_share_one_loss() -> None:
    model = Two(OneConfig(epochs=60))
    fit(model, DATA)
    np.testing.assert_allclose(model.state()["table.weight"], 1, atol=0.05)
    assert not model.state()["other.weight"].any()  # so large an l1 holds it at zero


def test_layers_are_told_the_precision() -> None:
    model = One(OneConfig(epochs=1, precision="bf16"))
    assert fit(model, DATA).precision == "bf16"
    assert model.precision == "bf16"


class Second(One):
    """Starts from what One has learned."""

    def forerunner(self) -> Network:
        return One(OneConfig(epochs=2))

    def follow(self, forerunner: Network) -> None:
        self.table.load_state_dict(forerunner.table.state_dict())  # type: ignore[union-attr, operator]


def test_a_forerunner_is_trained_first() -> None:
    model, first = Second(OneConfig(epochs=1, learning_rate=1e-12)), One(OneConfig(epochs=2))
    fit(model, DATA, seed=4)
    fit(first, DATA, seed=4)
    np.testing.assert_allclose(model.state()["table.weight"], first.state()["table.weight"], rtol=1e-6)
