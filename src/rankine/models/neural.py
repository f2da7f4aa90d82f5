"""The contract of what is trained by gradients: it states its parameters, its batches and its loss; training does the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from rankine.arrays import Array
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.models.base import Model
from rankine.nn.hidden import Precision
from rankine.nn.optim import OPTIMIZERS, RowOptimizer


class Network(torch.nn.Module, ABC):
    """What the training loop trains: a neural model, or the network that learns the arrays of another model.

    It has a `label`, the name that people read. Its Config has `epochs`, `learning_rate` and `optimizer`; it may have `patience`,
    `drop_epochs`, `clip_norm` (the norm over all parameters that a gradient is cut to) and `precision`. mean_loss: whether `loss` is
    the mean over the batch, not the sum.
    """

    config: Any
    mean_loss: ClassVar[bool] = False
    precision: Precision = "fp32"

    @abstractmethod
    def prepare(self, data: EventArrays, generator: torch.Generator) -> None:
        """Create the parameters and draw their first values."""

    @abstractmethod
    def batches(self, data: EventArrays, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        """The batches of one epoch, columns of equal length."""

    @abstractmethod
    def loss(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The scalar to minimise."""

    @abstractmethod
    def learned(self) -> Model:
        """The model with what has been learned so far."""

    def optimizers(self) -> list[RowOptimizer]:
        """What moves the parameters, each optimiser its own."""
        return [OPTIMIZERS[self.config.optimizer](self.parameters(), self.config.learning_rate)]

    def forerunner(self) -> Network | None:
        """A network that is trained to the same events first, for this one to follow; None where it starts by itself."""
        return None

    def follow(self, forerunner: Network) -> None:
        """Start from what the forerunner learned."""

    def finish(self) -> None:
        """Training is over: let go of what only it needed."""

    def multiply_in(self, precision: Precision) -> None:
        """Tell every layer that has a `precision` in which numbers to multiply."""
        for layer in self.modules():
            if hasattr(layer, "precision"):
                layer.precision = precision  # type: ignore[assignment]

    def setting(self, name: str, default: Any) -> Any:
        """A setting of the loop, where the Config has it."""
        return getattr(self.config, name, default)


class NeuralModel(Model, Network):
    """A model with parameters."""

    iterative: ClassVar[bool] = True

    def __init__(self, config: Any | None = None) -> None:
        torch.nn.Module.__init__(self)
        Model.__init__(self, config)

    @abstractmethod
    def build(self, n_users: int, n_items: int) -> None:
        """Create the parameters, values still to be drawn or loaded."""

    @abstractmethod
    def initialise(self, data: EventArrays, generator: torch.Generator) -> None:
        """Draw the first values of the parameters."""

    def network(self) -> Network:
        return self

    def prepare(self, data: EventArrays, generator: torch.Generator) -> None:
        self.set_sizes(data.n_users, data.n_items)
        self.initialise(data, generator)

    def learned(self) -> Model:
        return self

    def state(self) -> dict[str, Array]:
        if not hasattr(self, "n_users"):
            raise ModelError("the model is not fitted: call `solve` or `fit` first")
        sizes = {"n_users": np.array([self.n_users]), "n_items": np.array([self.n_items])}
        return sizes | {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        self.set_sizes(int(state["n_users"][0]), int(state["n_items"][0]))
        values = {
            name: torch.from_numpy(np.array(a)) for name, a in state.items() if name not in ("n_users", "n_items")
        }
        self.load_state_dict(values)
        self.eval()

    def set_sizes(self, n_users: int, n_items: int) -> None:
        """Fix the numbers of users and items and create the parameters."""
        self.n_users, self.n_items = n_users, n_items
        self.build(n_users, n_items)
