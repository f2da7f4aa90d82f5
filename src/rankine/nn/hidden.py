"""A hidden layer in training as one step of differentiation, forward and back in few passes over memory: rectified float32 only.

h = drop(max(W x + b, 0)), or with batch normalisation h = drop(max(scale (z - mean) / sd + shift, 0)), z = W x.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rankine.arrays import Float
from rankine.kernels import hidden

Precision = Literal["fp32", "bf16"]
EPSILON = 1e-5  # added to the variance


def product(a: Tensor, b: Tensor, precision: Precision) -> Tensor:
    """a b in float32; with bf16, of numbers rounded to it and the result rounded too."""
    return (a.bfloat16() @ b.bfloat16()).float() if precision == "bf16" else a @ b


class Hidden(torch.autograd.Function):
    """drop(max(W x + b, 0))."""

    @staticmethod
    def of(x: Tensor, weight: Tensor, bias: Tensor, rate: float, key: int, precision: Precision) -> Tensor:
        """[B, out] of x [B, in]; `rate` of the units dropped by `key`."""
        return cast(Tensor, Hidden.apply(x, weight, bias, rate, key, precision))  # type: ignore[no-untyped-call]

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, rate: float, key: int, precision: Precision
    ) -> Tensor:
        z = product(x, weight.t(), precision).numpy()
        h = torch.from_numpy(hidden.activate(z, np.ones(z.shape[1], np.float32), bias.numpy(), key, rate))
        ctx.rate, ctx.precision = rate, precision
        ctx.save_for_backward(x, weight, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, h = ctx.saved_tensors
        by_z, total = hidden.gate(_numbers(grad), h.numpy(), ctx.rate)
        by_x, by_weight = _product_gradients(ctx, torch.from_numpy(by_z), x, weight)
        return by_x, by_weight, torch.from_numpy(total), None, None, None


class NormedHidden(torch.autograd.Function):
    """drop(max(scale (z - mean) / sd + shift, 0)), z = W x, mean and sd those of the batch, which it returns as well.

    The bias of z is lost in the normalisation: it has no part here. Source: Ioffe and Szegedy 2015, algorithm 1 and section 3.
    """

    @staticmethod
    def of(
        x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, rate: float, key: int, precision: Precision
    ) -> tuple[Tensor, Tensor, Tensor]:
        """h [B, out] of x [B, in], and mean and variance (over n) of z [out]; the units dropped go by `key`."""
        results = NormedHidden.apply(x, weight, scale, shift, rate, key, precision)  # type: ignore[no-untyped-call]
        return cast(tuple[Tensor, Tensor, Tensor], results)

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, rate: float, key: int, precision: Precision
    ) -> tuple[Tensor, Tensor, Tensor]:
        z = product(x, weight.t(), precision)
        mean, variance = hidden.moments(z.numpy())
        per_sd = 1 / np.sqrt(variance + np.float32(EPSILON))
        slope = scale.numpy() * per_sd
        h = torch.from_numpy(hidden.activate(z.numpy(), slope, shift.numpy() - mean * slope, key, rate))
        ctx.rate, ctx.precision, ctx.columns = rate, precision, (mean, per_sd, slope)
        ctx.save_for_backward(x, weight, h, z)
        moments = torch.from_numpy(mean), torch.from_numpy(variance)
        ctx.mark_non_differentiable(*moments)
        return h, *moments

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, h, z = ctx.saved_tensors
        mean, per_sd, slope = ctx.columns
        by_z, by_shift, moment = hidden.gate_normed(_numbers(grad), h.numpy(), ctx.rate, z.numpy(), mean)
        by_scale = moment * per_sd
        tilt = -slope * per_sd * by_scale / len(h)
        hidden.combine(by_z, z.numpy(), slope, tilt, -slope * by_shift / len(h) - tilt * mean)
        by_x, by_weight = _product_gradients(ctx, torch.from_numpy(by_z), x, weight)
        return by_x, by_weight, torch.from_numpy(by_scale), torch.from_numpy(by_shift), None, None, None


def _numbers(grad: Tensor) -> Float:
    return np.asarray(grad.contiguous().numpy())


def _product_gradients(ctx: Any, by_z: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor | None, Tensor]:
    """Gradients by x and W of z = W x."""
    by_x = product(by_z, weight, ctx.precision) if ctx.needs_input_grad[0] else None
    return by_x, product(by_z.t(), x, ctx.precision)
