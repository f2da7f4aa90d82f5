"""What click models with hidden layers share."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from rankine.models.ctr.base import CTRModel
from rankine.nn.mlp import MLP


class DeepModel(CTRModel):
    """A click model whose last layer is that of hidden layers."""

    mlp: MLP

    @property
    def intercept(self) -> nn.Parameter:
        assert self.mlp.last is not None
        return self.mlp.last.bias

    def deep_part(self, n_inputs: int, *, out: Literal[1] | None = 1) -> MLP:
        """Hidden layers on `n_inputs` numbers."""
        c = self.config
        return MLP(
            n_inputs, c.hidden_dims, batch_norm=c.batch_norm, dropout=c.dropout, activation=c.activation, out=out
        )

    def deep(self, x: Tensor) -> Tensor:
        """One number per row [B] from the hidden layers, of x [B, n_inputs]."""
        found: Tensor = self.mlp(x)
        return found

    @property
    def n_vector_numbers(self) -> int:
        """How many numbers the vectors of all fields have."""
        return self.embedding.n_fields * self.embedding.table.dim
