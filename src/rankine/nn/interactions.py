"""Interactions of fields: from vectors e [B, F, D], one per field, to what products of them say."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from rankine.kernels.lookups import SOME, pair_sums

Kernel = Literal["matrix", "vector", "number"]


def fm(e: Tensor) -> Tensor:
    """The sum of the inner products of all pairs of fields [B]: 1/2 sum_c ((sum_f e_fc)^2 - sum_f e_fc^2).

    At least in float32: the difference of two large numbers is small. Source: Rendle 2010, equation 5.
    """
    if len(e) <= SOME and not torch.is_grad_enabled() and e.dtype == torch.float32 and not e.is_cuda:
        return torch.from_numpy(pair_sums(e.numpy()))
    return cast(Tensor, _FM.apply(e if e.dtype == torch.float64 else e.float()))  # type: ignore[no-untyped-call]


class _FM(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, e: Tensor) -> Tensor:
        total: Tensor = e.sum(1)
        ctx.save_for_backward(e, total)
        return 0.5 * (total.square().sum(1) - e.square().sum((1, 2)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        e, total = ctx.saved_tensors
        by_e: Tensor = total.unsqueeze(1) - e
        return by_e.mul_(grad.view(-1, 1, 1))


def pairs(n_fields: int) -> Tensor:
    """All pairs i < j of fields, int64 [2, F (F - 1) / 2], by i then j."""
    return torch.triu_indices(n_fields, n_fields, 1)


class InnerProducts(nn.Module):
    """The inner product of each pair of fields, by i then j. Source: Qu et al. 2016 (IPNN), written out."""

    places: Tensor

    def __init__(self, n_fields: int) -> None:
        super().__init__()
        i, j = pairs(n_fields)
        self.n_outputs = len(i)
        self.register_buffer("places", i * n_fields + j, persistent=False)

    def forward(self, e: Tensor) -> Tensor:
        """<e_i, e_j> for i < j [B, F (F - 1) / 2] of e [B, F, D]."""
        return cast(Tensor, _InnerProducts.apply(e, self.places))  # type: ignore[no-untyped-call]


class _InnerProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, e: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(e, places)
        return torch.bmm(e, e.transpose(1, 2)).flatten(1).index_select(1, places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        e, places = ctx.saved_tensors
        n, n_fields, _ = e.shape
        upper = grad.new_zeros(n, n_fields**2).index_copy_(1, places, grad).view(n, n_fields, n_fields)
        return torch.bmm(upper + upper.transpose(1, 2), e), None


class OuterProducts(nn.Module):
    """p_ij = e_i' W_ij e_j for each pair i < j, by i then j; W_ij is a matrix, a diagonal (vector) or a number.

    Source: Qu et al. 2016 (OPNN), with a kernel per pair in place of their sum over pairs.
    """

    def __init__(self, n_fields: int, dim: int, kernel: Kernel = "matrix") -> None:
        super().__init__()
        self.kernel, self.inner = kernel, InnerProducts(n_fields)
        self.n_outputs = self.inner.n_outputs
        shape = {"matrix": (dim, dim), "vector": (dim,), "number": ()}[kernel]
        self.weight = nn.Parameter(torch.zeros(self.n_outputs, *shape))

    def initialise(self, generator: torch.Generator) -> None:
        """Xavier-uniform: of a dim x dim matrix per pair, or of the whole [pairs, dim] or [pairs, 1] table."""
        if self.kernel == "matrix":
            bound = math.sqrt(6 / (2 * self.weight.shape[-1]))
        else:
            bound = math.sqrt(6 / max(len(self.weight) + self.weight[:1].numel(), 1))
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator)

    def forward(self, e: Tensor) -> Tensor:
        """One number per pair [B, F (F - 1) / 2] of e [B, F, D]."""
        if self.kernel == "number":
            return cast(Tensor, self.inner(e)) * self.weight
        weight = self.weight if self.kernel == "matrix" else torch.diag_embed(self.weight)
        return cast(Tensor, _OuterProducts.apply(e, weight))  # type: ignore[no-untyped-call]


class _OuterProducts(torch.autograd.Function):
    """Field by field: what is written out at a time is one field against all later ones."""

    @staticmethod
    def forward(ctx: Any, e: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(e, weight)
        out = e.new_empty(len(e), len(weight))
        for _, later, place, moved in _moved(e, weight):
            out[:, place] = (moved * e[:, later]).sum(2)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        e, weight = ctx.saved_tensors
        by_e, by_weight = torch.zeros_like(e), torch.empty_like(weight)
        for i, later, place, moved in _moved(e, weight):
            part = grad[:, place].unsqueeze(2)
            by_e[:, later] += moved.mul_(part)
            by_moved = torch.mul(e[:, later], part).flatten(1)  # [B, later * D]
            by_e[:, i] += by_moved @ _beside(weight[place]).t()
            by_weight[place] = (e[:, i].t() @ by_moved).view(e.shape[2], -1, e.shape[2]).transpose(0, 1)
        return by_e, by_weight


def _moved(e: Tensor, weight: Tensor) -> Iterator[tuple[int, slice, slice, Tensor]]:
    """For each field i: i, the fields after it, the places of their pairs, and e_i' W_ij [B, later, D]."""
    n, n_fields, dim = e.shape
    start = 0
    for i in range(n_fields - 1):
        place = slice(start, start + n_fields - 1 - i)
        yield i, slice(i + 1, None), place, (e[:, i] @ _beside(weight[place])).view(n, n_fields - 1 - i, dim)
        start = place.stop


def _beside(matrices: Tensor) -> Tensor:
    """Matrices [P, D, D] side by side [D, P D]."""
    return matrices.transpose(0, 1).flatten(1)


def superposed(e: Tensor) -> Tensor:
    """f f' of the summed fields f = sum_f e_f, [B, D D]; a linear layer on it is one D x D matrix per unit.

    Source: Qu et al. 2016, equations 13 and 14.
    """
    f = e.sum(1)
    return (f.unsqueeze(2) * f.unsqueeze(1)).flatten(1)


class CrossNetwork(nn.Module):
    """x_{l+1} = x_0 * (W_l x_l + b_l) + x_l, element-wise; with `rank`, W_l = U_l V_l' of that rank.

    Source: Wang et al. 2021 (DCN-v2), equations 1 and 2.
    """

    def __init__(self, n_inputs: int, n_layers: int, rank: int | None = None) -> None:
        super().__init__()
        self.n_outputs = n_inputs
        if rank is None:
            self.weight = nn.Parameter(torch.zeros(n_layers, n_inputs, n_inputs))
        else:
            self.weight = nn.Parameter(torch.zeros(n_layers, n_inputs, rank))
            self.down = nn.Parameter(torch.zeros(n_layers, rank, n_inputs))
        self.rank = rank
        self.bias = nn.Parameter(torch.zeros(n_layers, n_inputs))

    def initialise(self, generator: torch.Generator) -> None:
        """Xavier-normal matrices, biases 0."""
        for matrices in (self.weight, *(() if self.rank is None else (self.down,))):
            for matrix in matrices:
                nn.init.xavier_normal_(matrix, generator=generator)
        nn.init.zeros_(self.bias)

    def forward(self, x0: Tensor) -> Tensor:
        """The last x [B, n_inputs] of x_0 of the same shape."""
        x = x0
        for layer, (weight, bias) in enumerate(zip(self.weight, self.bias, strict=True)):
            inner = x if self.rank is None else x @ self.down[layer].t()
            x = torch.addcmul(x, x0, torch.addmm(bias, inner, weight.t()))
        return x
