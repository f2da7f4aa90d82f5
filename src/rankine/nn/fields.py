"""Fields of rows as vectors, and as one number: look-ups of the slots of a row, summed within each field or over all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from rankine.arrays import Array, Float
from rankine.kernels.lookups import SOME, field_sums, slot_sums
from rankine.nn.tables import Table


class FieldEmbedding(nn.Module):
    """A vector per field: the weighted sum of the table rows that its slots name.

    slot_field int64 [L]: the field of each slot, ascending from 0.
    """

    def __init__(self, table: Table, slot_field: Array | Sequence[int]) -> None:
        super().__init__()
        field = np.asarray(slot_field, np.int64)
        counts = np.bincount(field)
        if len(field) and (np.diff(field) < 0).any():
            raise ValueError("`slot_field` must ascend: the slots of a field lie together")
        self.table, self.n_fields, self.n_slots = table, len(counts), len(field)
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        self.borders = torch.from_numpy(self.starts)

    def forward(self, idx: Tensor, weight: Tensor | None = None) -> Tensor:
        """Vectors [B, F, dim] of rows with slots idx int [B, L] and weight float [B, L], None where all are 1."""
        n = len(idx)
        numbers = self.table.numbers() if n <= SOME else None
        if numbers is not None:
            return torch.from_numpy(field_sums(numbers, idx.numpy(), _array(weight), self.starts))
        if weight is None and self.n_fields == self.n_slots:
            return cast(Tensor, self.table(idx))
        flat = None if weight is None else weight.reshape(-1)
        sums = self.table.sums(idx.reshape(-1), flat, _borders(self.borders, n))
        return sums.view(n, self.n_fields, self.table.dim)


class FieldLinear(nn.Module):
    """The linear part of a model: the weighted sum of one number per slot, and a bias for all rows where asked."""

    def __init__(self, table: Table, *, bias: bool = True) -> None:
        super().__init__()
        self.table = table
        self.bias = nn.Parameter(torch.zeros(())) if bias else None

    def initialise(self, generator: torch.Generator, sd: float) -> None:
        """Draw the numbers of the table from N(0, sd^2); the bias is 0."""
        self.table.initialise(generator, sd)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, idx: Tensor, weight: Tensor | None = None) -> Tensor:
        """Sums [B] over the slots idx int [B, L] with weight float [B, L], None where all are 1."""
        numbers = self.table.numbers() if len(idx) <= SOME else None
        if numbers is not None:
            sums = torch.from_numpy(slot_sums(numbers, idx.numpy(), _array(weight)))
        elif weight is None:
            sums = self.table(idx).squeeze(2).sum(1)
        else:
            borders = torch.arange(0, idx.numel() + 1, max(idx.shape[1], 1))
            sums = self.table.sums(idx.reshape(-1), weight.reshape(-1), borders).squeeze(1)
        return sums if self.bias is None else sums + self.bias


def _array(weight: Tensor | None) -> Float | None:
    return None if weight is None else np.asarray(weight.numpy())


def _borders(borders: Tensor, n: int) -> Tensor:
    """The borders within one row, int64 [F + 1], repeated for `n` rows: int64 [n F + 1]."""
    starts = torch.arange(n + 1).unsqueeze(1) * borders[-1] + borders[:-1]
    return starts.reshape(-1)[: n * (len(borders) - 1) + 1]
