"""Optimisers that take the sparse gradients of tables as they come, repeats and all, and touch only the rows of the batch.

Each takes gradients of ordinary parameters too. A group of parameters has `l2`: l2 times the parameter joins its gradient, for
all of an ordinary parameter, and for the touched rows where the gradient is sparse. What `settle` prepares, `step` applies.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam

from rankine.arrays import Float
from rankine.kernels.grouping import Groups
from rankine.kernels.lanes import LINE
from rankine.kernels.row_updates import (
    RowSums,
    adagrad_numbers,
    adagrad_rows,
    adam_rows,
    ftrl_rows,
    sgd_rows,
)

FEW = 64  # numbers that move sooner than torch is asked to move them

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]


class RowOptimizer(torch.optim.Optimizer):
    """What the optimisers share: gradients by row, penalties, and groups of parameters with settings of their own."""

    l2_is_gradient: ClassVar[bool] = True  # and no part of the formula of the step
    mean_of: int = 1  # how many examples the gradients are the mean of; for formulas that speak of their sum

    def __init__(self, params: Parameters, lr: float, *, l2: float = 0.0, **settings: Any) -> None:
        super().__init__(params, {"lr": lr, "l2": l2, **settings})
        self._settled: dict[Tensor, RowSums] | None = None  # by table, between `settle` and `step`

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    @torch.no_grad()
    def settle(self) -> list[Tensor]:
        """Add up the gradients of equal rows and add penalties; returns all gradients, to be scaled in place."""
        dense, tables, groups = [], self._settled, None
        settled = {} if tables is None else tables
        for group in self.param_groups:
            l2 = group["l2"] if tables is None and self.l2_is_gradient else 0.0
            for p, gradient in _gradients(group):
                if not gradient.is_sparse:
                    dense.append(gradient.add_(p, alpha=l2) if l2 else gradient)
                elif tables is None:
                    settled[p], groups = self._added(p, gradient, l2, groups)
        self._settled = settled
        return dense + [torch.from_numpy(sums.sums) for sums in settled.values()]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        self.settle()
        tables, self._settled = self._settled or {}, None
        for group in self.param_groups:
            for p in group["params"]:
                if p in tables:
                    self._step_rows(p, tables[p], group)
            self._step_dense([(p, g) for p, g in _gradients(group) if not g.is_sparse], group)

    @abstractmethod
    def _step_rows(self, p: Tensor, sums: RowSums, group: dict[str, Any]) -> None:
        """Move the rows of `sums`."""

    def _step_dense(self, moved: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        """Move parameters that have a gradient each."""
        for p, gradient in moved:
            self._step_rows(p, RowSums.of_dense(flat(gradient)), group)

    def _added(self, p: Tensor, gradient: Tensor, l2: float, last: Groups | None) -> tuple[RowSums, Groups | None]:
        """The gradient of each row, and the groups it was added up by, which tables that share a batch share."""
        idx, values = gradient._indices()[0].numpy(), gradient._values().numpy()
        if (idx[1:] > idx[:-1]).all():
            groups, sums = last, RowSums.of_ascending(idx, values, len(p))
        else:
            groups = Groups.again(idx, len(p), last)
            sums = RowSums.of_groups(groups, values)
        if l2:
            sums.penalise(flat(p), l2)
        return sums, groups

    def _numbers(self, p: Tensor, name: str, first: float = 0.0, shape: Any = None) -> Tensor:
        """State of a parameter, made on first use; rows that no batch touches claim no memory where it starts at 0."""
        state: dict[str, Tensor] = self.state[p]
        if name not in state:
            shape = p.shape if shape is None else shape
            state[name] = torch.from_numpy(_zeros(shape))
            if first:
                state[name].fill_(first)
        return state[name]


def _gradients(group: dict[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """The parameters of a group that have a gradient, with it."""
    return ((p, p.grad) for p in group["params"] if p.grad is not None)


def _zeros(shape: tuple[int, ...]) -> Float:
    """Zeros from a multiple of 64 bytes on, so that rows of 16 numbers lie in one cache line."""
    size = math.prod(shape)
    memory = np.zeros(size + LINE, np.float32)
    start = -(memory.ctypes.data // memory.itemsize) % LINE
    return memory[start : start + size].reshape(shape)


def flat(tensor: Tensor) -> Float:
    """The numbers of a tensor behind one another, float32: a view, so that kernels work in its place."""
    assert tensor.is_contiguous(), "an optimiser changes parameters in place: they must be contiguous"
    return tensor.detach().view(-1).numpy()


class SGD(RowOptimizer):
    """w -= lr g."""

    def _step_rows(self, p: Tensor, sums: RowSums, group: dict[str, Any]) -> None:
        sums.each(sgd_rows, flat(p), np.float32(group["lr"]))


class LazyAdam(RowOptimizer):
    """Adam whose moments decay only where there is a gradient: plain Adam for ordinary parameters, touched rows of tables.

    Source: Kingma, Ba 2015, algorithm 1; t counts the steps of the parameter, not those of a row.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float,
        *,
        l2: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, lr, l2=l2, betas=betas, eps=eps)
        self._t: dict[Tensor, int] = {}

    def _step_rows(self, p: Tensor, sums: RowSums, group: dict[str, Any]) -> None:
        mean, square = self._numbers(p, "mean"), self._numbers(p, "square")
        t = self._t[p] = self._t.get(p, 0) + 1
        (beta1, beta2), eps = group["betas"], group["eps"]
        rate, root = group["lr"] / (1 - beta1**t), (1 - beta2**t) ** -0.5
        sums.each(adam_rows, flat(p), flat(mean), flat(square), *map(np.float32, (rate, beta1, beta2, root, eps)))

    def _step_dense(self, moved: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        super()._step_dense([(p, g) for p, g in moved if p.numel() < FEW], group)
        many = [(p, g) for p, g in moved if p.numel() >= FEW]
        if many:
            parameters, gradients = map(list, zip(*many, strict=True))
            means, squares, steps = (
                [self._numbers(p, name, shape=shape) for p in parameters]
                for name, shape in (("mean", None), ("square", None), ("steps", ()))
            )
            beta1, beta2 = group["betas"]
            adam(
                parameters, gradients, means, squares, [], steps, fused=True, amsgrad=False, beta1=beta1, beta2=beta2,
                lr=group["lr"], weight_decay=0.0, eps=group["eps"], maximize=False,
            )  # fmt: skip


class RowAdaGrad(RowOptimizer):
    """AdaGrad with one accumulator per row of a table, or one per number (`per_row` false, and ordinary parameters).

    n += mean of g^2 over the row; w -= lr g / (sqrt(n) + eps); n starts at `first`. Source: Duchi, Hazan, Singer 2011.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float,
        *,
        l2: float = 0.0,
        per_row: bool = True,
        first: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(params, lr, l2=l2, per_row=per_row, first=first, eps=eps)

    def _step_rows(self, p: Tensor, sums: RowSums, group: dict[str, Any]) -> None:
        by_row = group["per_row"] and sums.dim < p.numel()
        square = self._numbers(p, "square", group["first"], (len(p),) if by_row else None)
        run = adagrad_rows if by_row else adagrad_numbers
        sums.each(run, flat(p), flat(square), np.float32(group["lr"]), np.float32(group["eps"]))


class FTRL(RowOptimizer):
    """FTRL-proximal: keeps to zero, exactly, what has not gathered more gradient than `l1`; `lr` is its alpha.

    sigma = (sqrt(n + g^2) - sqrt(n)) / alpha; z += g - sigma w; n += g^2;
    w = 0 where |z| <= l1, else -(z - sign(z) l1) / ((beta + sqrt(n)) / alpha + l2).
    g is the sum over the examples of a batch, whatever the mean (`mean_of`). z starts where it stands for the first weights,
    and moves when the learning rate does, so that weights stay. `l2` is that of the formula: a penalty on the fit as a whole.
    Source: McMahan et al. 2013, "Ad Click Prediction", algorithm 1.
    """

    l2_is_gradient = False

    def __init__(self, params: Parameters, lr: float, *, l1: float = 0.0, l2: float = 0.0, beta: float = 1.0) -> None:
        super().__init__(params, lr, l1=l1, l2=l2, beta=beta)

    def _step_rows(self, p: Tensor, sums: RowSums, group: dict[str, Any]) -> None:
        n = self._numbers(p, "n")
        z = self._numbers(p, "z")
        self._stand(p, z, n, group)
        numbers = (np.float32(x) for x in (self.mean_of, *(group[name] for name in ("lr", "beta", "l1", "l2"))))
        sums.each(ftrl_rows, flat(p), flat(z), flat(n), *numbers)

    def _stand(self, p: Tensor, z: Tensor, n: Tensor, group: dict[str, Any]) -> None:
        """Bring z to where it stands for the weights at this learning rate; a pass over all, when that is new."""
        if self.state[p].get("alpha") == group["lr"]:
            return
        if self.state[p].get("alpha") is not None or bool(p.any()):
            stiffness = (group["beta"] + n.sqrt()) / group["lr"] + group["l2"]
            torch.where(p == 0, z, -(stiffness * p + group["l1"] * p.sign()), out=z)
        self.state[p]["alpha"] = group["lr"]


OPTIMIZERS: dict[str, type[RowOptimizer]] = {"sgd": SGD, "adam": LazyAdam, "adagrad": RowAdaGrad, "ftrl": FTRL}


@torch.no_grad()
def clip(optimizers: Iterable[RowOptimizer], max_norm: float) -> float:
    """Scale the gradients of all parameters to a joint norm of at most `max_norm`; returns the norm they had."""
    gradients = [numbers for optimizer in optimizers for numbers in optimizer.settle()]
    norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))))
    if norm > max_norm:
        torch._foreach_mul_(gradients, max_norm / norm)
    return norm
