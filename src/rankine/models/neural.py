"""The contract of a model trained by gradients: it states its parameters, its batches and its loss; training does the rest."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from rankine.arrays import Array
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.models.base import Model


class NeuralModel(Model, torch.nn.Module):
    """A model with parameters.

    Its Config has `epochs`, `learning_rate` and `optimizer`.
    """

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

    @abstractmethod
    def batches(self, data: EventArrays, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        """The batches of one epoch, columns of equal length."""

    @abstractmethod
    def loss(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The scalar to minimise."""

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
