"""The network that learns the factors of MF in steps of whole batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from rankine.arrays import Array, Float
from rankine.features.events import EventArrays
from rankine.models.base import Model
from rankine.models.factorization.framings import Parts, framing_of
from rankine.models.neural import Network

if TYPE_CHECKING:
    from rankine.models.factorization.mf import MF


class FactorNetwork(Network):
    """Embeddings and biases of users and items; what is learned goes into the arrays of `model`."""

    def __init__(self, model: MF) -> None:
        super().__init__()
        self.model, self.config, self.label = model, model.config, model.label
        self.framing = framing_of(model.config)

    def prepare(self, data: EventArrays, generator: torch.Generator) -> None:
        self.n_users, self.n_items = data.n_users, data.n_items
        pairs, self.mean = self.model.prepare(data)
        users, items = self.model.first_factors(pairs, np.random.default_rng(generator.initial_seed()))
        self.user_factors, self.item_factors = _embedding(users), _embedding(items)
        self.user_bias, self.item_bias = (_embedding(np.zeros((len(f), 1), np.float32)) for f in (users, items))

    def batches(self, data: EventArrays, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        return self.framing.batches(data, rng)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        total: Tensor = self.framing.loss(self, batch)
        return total

    def users(self, idx: Tensor) -> Parts:
        """Factors [..., D] and bias [...] of users."""
        return self.user_factors(idx), self.user_bias(idx).squeeze(-1)

    def items(self, idx: Tensor) -> Parts:
        """Factors [..., D] and bias [...] of items."""
        return self.item_factors(idx), self.item_bias(idx).squeeze(-1)

    def learned(self) -> Model:
        tables = (self.user_factors, self.user_bias, self.item_factors, self.item_bias)
        user, user_bias, item, item_bias = (table.weight.detach().numpy() for table in tables)
        self.model.take(user, user_bias[:, 0], item, item_bias[:, 0], self.mean)
        return self.model


def _embedding(values: Float) -> nn.Embedding:
    n_rows, dim = values.shape
    return nn.Embedding(n_rows, dim, sparse=True, _weight=torch.from_numpy(values))
