"""Embedding tables behind one call: a row of numbers for every row of the fields, whole or compressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding, embedding_bag

from rankine.arrays import Float
from rankine.errors import ConfigError, closest
from rankine.kernels.scatter import rows_added
from rankine.nn.codes import SEEDS, HashCode, QuotientRemainderCode

Kind = Literal["plain", "hashed", "bloom", "quotient_remainder"]
KINDS: tuple[Kind, ...] = ("plain", "hashed", "bloom", "quotient_remainder")
QUOTIENT_SD = 0.01  # spread around 1 of the factors that a compressed row is multiplied by


class Table(nn.Module):
    """`n_rows` rows of `dim` numbers, stored in full (plain) or in about `share` of the rows.

    hashed: each row shares one stored row with others; bloom: it is the sum of `n_hashes` stored rows; quotient_remainder: the
    product of two, a different pair for each. sizes: rows of each field; those of at most `min_rows` rows are kept whole.
    sparse: gradients are sparse, so that a step costs what the batch holds, not what the table holds.
    """

    def __init__(
        self,
        n_rows: int,
        dim: int,
        kind: Kind = "plain",
        share: float = 1.0,
        *,
        n_hashes: int = 2,
        sizes: Sequence[int] | None = None,
        min_rows: int = 0,
        sparse: bool = True,
    ) -> None:
        super().__init__()
        sizes = [n_rows] if sizes is None else sizes
        self.n_rows, self.dim, self.kind, self.sparse = n_rows, dim, kind, sparse
        self.code = _code(kind, _checked(sizes, n_rows), min_rows, share, n_hashes)
        stored = n_rows if self.code is None else self.code.n_places
        self.weight = nn.Parameter(torch.zeros(stored, dim))

    def initialise(self, generator: torch.Generator, sd: float) -> None:
        """Draw the stored rows from N(0, sd^2); factors of other rows lie around 1, since a product of two small numbers is 0."""
        with torch.no_grad():
            self.weight.normal_(0, sd, generator=generator)
            if isinstance(self.code, QuotientRemainderCode):
                self.weight[: self.code.n_quotients].normal_(1, QUOTIENT_SD, generator=generator)

    @property
    def n_parameters(self) -> int:
        """How many numbers are stored."""
        return self.weight.numel()

    def numbers(self) -> Float | None:
        """All rows [n_rows, dim] as they lie in memory, where they are whole float32 there and no gradient is asked for."""
        weight = self.weight
        if self.code is not None or torch.is_grad_enabled() or weight.dtype != torch.float32 or weight.is_cuda:
            return None
        return np.asarray(weight.detach().numpy())

    def forward(self, idx: Tensor) -> Tensor:
        """The rows [..., dim] of idx, int32 or int64 of any shape."""
        if self.code is None:
            return self._stored(idx)
        places, share = self.code(idx)
        if isinstance(self.code, QuotientRemainderCode):
            factors = self._stored(places)
            return factors[..., 0, :] * factors[..., 1, :]
        if self.code.width == 1:
            return self._stored(places.squeeze(-1))
        share = None if share is None else share.flatten()
        borders = torch.arange(0, places.numel() + 1, self.code.width)
        return Sums.of(self.weight, places.flatten(), share, borders, self.sparse).view(*idx.shape, self.dim)

    def sums(self, idx: Tensor, weight: Tensor | None, borders: Tensor) -> Tensor:
        """Weighted sums of rows [n, dim]: entry i adds the rows idx[borders[i]:borders[i + 1]]; idx and weight are flat."""
        if self.code is None:
            return Sums.of(self.weight, idx, weight, borders, self.sparse)
        if isinstance(self.code, QuotientRemainderCode):
            bag = torch.repeat_interleave(torch.diff(borders))
            if weight is not None and not weight.all():
                used = weight.nonzero().squeeze(1)
                idx, weight, bag = idx[used], weight[used], bag[used]
            rows = self.forward(idx)
            rows = rows if weight is None else rows * weight.unsqueeze(-1)
            return rows.new_zeros(len(borders) - 1, self.dim).index_add(0, bag, rows)
        places, share = self.code(idx)
        if weight is not None:
            share = weight.unsqueeze(-1) * (torch.ones(places.shape) if share is None else share)
        share = None if share is None else share.flatten()
        return Sums.of(self.weight, places.flatten(), share, borders * self.code.width, self.sparse)

    def _stored(self, places: Tensor) -> Tensor:
        if self.sparse or not torch.is_grad_enabled():
            return embedding(places, self.weight, sparse=self.sparse)
        borders = torch.arange(places.numel() + 1)
        return Sums.of(self.weight, places.flatten(), None, borders, self.sparse).view(*places.shape, self.dim)


class Sums(torch.autograd.Function):
    """Weighted sums of rows of a table; a row of weight 0 gets no gradient, not even one of zeros."""

    @staticmethod
    def of(table: Tensor, idx: Tensor, weight: Tensor | None, borders: Tensor, sparse: bool) -> Tensor:
        """Sums [n, dim] over idx[borders[i]:borders[i + 1]]."""
        return cast(Tensor, Sums.apply(table, idx, weight, borders, sparse))  # type: ignore[no-untyped-call]

    @staticmethod
    def forward(ctx: Any, table: Tensor, idx: Tensor, weight: Tensor | None, borders: Tensor, sparse: bool) -> Tensor:
        ctx.save_for_backward(idx, weight, borders)
        ctx.shape, ctx.sparse = table.shape, sparse
        weight = weight if weight is None else weight.to(table.dtype)
        borders = borders.to(idx.dtype)
        return embedding_bag(idx, table, borders, mode="sum", per_sample_weights=weight, include_last_offset=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        idx, weight, borders = ctx.saved_tensors
        counts = torch.diff(borders)
        entry = None if len(idx) == len(grad) and bool((counts == 1).all()) else torch.repeat_interleave(counts)
        if weight is not None and not weight.all():
            used = weight.nonzero().squeeze(1)
            idx, weight, entry = idx[used], weight[used], used if entry is None else entry[used]
        by_row = grad.contiguous() if entry is None else grad.index_select(0, entry)
        if weight is not None:
            by_row = by_row * weight.to(grad.dtype).unsqueeze(1)
        return _gradient(idx, by_row, ctx.shape, ctx.sparse), None, None, None, None


def _gradient(idx: Tensor, by_row: Tensor, shape: torch.Size, sparse: bool) -> Tensor:
    if sparse:
        return torch.sparse_coo_tensor(idx.long().unsqueeze(0), by_row, shape, check_invariants=False)
    if by_row.dtype == torch.float32 and by_row.device.type == "cpu":
        return torch.from_numpy(rows_added(idx.numpy(), by_row.numpy(), shape[0]))
    return by_row.new_zeros(shape).index_add_(0, idx, by_row)


def _code(
    kind: str, sizes: list[int], min_rows: int, share: float, n_hashes: int
) -> HashCode | QuotientRemainderCode | None:
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of table `{kind}`{closest(kind, KINDS)}")
    if not 0 < share <= 1:
        raise ConfigError(f"`share` must lie above 0 and be at most 1; got {share}")
    if not 1 <= n_hashes <= len(SEEDS):
        raise ConfigError(f"`n_hashes` must be 1 to {len(SEEDS)}; got {n_hashes}")
    if kind == "quotient_remainder":
        return QuotientRemainderCode(sizes, min_rows, share)
    if kind in ("hashed", "bloom"):
        return HashCode(sizes, min_rows, share, n_hashes if kind == "bloom" else 1)
    return None


def _checked(sizes: Sequence[int], n_rows: int) -> list[int]:
    if sum(sizes) != n_rows:
        raise ValueError(f"`sizes` must add up to `n_rows` {n_rows}; got {sum(sizes)}")
    return list(sizes)
