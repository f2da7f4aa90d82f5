"""Hidden layers of perceptrons between their matrix products: scale, shift, rectify, drop, and the way back, in few passes.

A pass over a batch of hidden units costs as much as the memory it moves, so what can be done in one is. Which units are dropped
is a hash of a key and the place of the unit: nothing is drawn in turn or stored, and the same key drops the same units.
z, h and gradients are float32 [B, C], one row per example; slopes, shifts and sums are float32 [C].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rankine.arrays import Array, Float
from rankine.kernels.jit import inlined_kernel, over_rows, summing_kernel

WORD = 2**32
PARALLEL = 1 << 20  # so many numbers are worth a second thread
_u32 = np.uint32


def key_of(seed: int, step: int) -> int:
    """The key of the draw number `step` of a layer, 63 well-mixed bits (splitmix64)."""
    x = (seed + (step + 1) * 0x9E3779B97F4A7C15) % 2**64
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return (x ^ (x >> 31)) >> 1


def kept(n_rows: int, n_columns: int, key: int, rate: float) -> Float:
    """1 for each unit that is kept and 0 for each that is dropped, float32 [n_rows, n_columns]."""
    slope, shift = np.zeros(n_columns, np.float32), np.ones(n_columns, np.float32)
    return np.sign(activate(np.zeros((n_rows, n_columns), np.float32), slope, shift, key, rate))


def activate(z: Float, slope: Float, shift: Float, key: int, rate: float) -> Float:
    """max(slope z + shift, 0) [B, C], `rate` of the units dropped and the others scaled up to make good for it."""
    h = np.empty_like(z)
    _split(_activate, z, slope, shift, key, min(round(rate * WORD), WORD - 1), np.float32(1 / (1 - rate)), h)
    return h


def gate(grad: Float, h: Float, rate: float) -> tuple[Float, Float]:
    """The gradient by slope z + shift of `activate` [B, C] from that by its result h, and the sum of its rows [C]."""
    out = np.empty_like(grad)
    parts = _split(_gate, grad, h, np.float32(1 / (1 - rate)), out)
    return out, np.sum(parts, axis=0)


def gate_normed(grad: Float, h: Float, rate: float, z: Float, mean: Float) -> tuple[Float, Float, Float]:
    """As `gate`, and the sum over rows of the gradient times z - mean [C]."""
    out = np.empty_like(grad)
    parts = _split(_gate_normed, grad, h, np.float32(1 / (1 - rate)), z, mean, out)
    total, product = np.sum(parts, axis=0)
    return out, total, product


def moments(z: Float) -> tuple[Float, Float]:
    """Mean and variance (over n) of each column [C]; sums are of differences from the first row, so that large means cancel first."""
    parts = _split(_moments, z, z[0].copy())
    total, square = np.sum(parts, axis=0) / np.float32(len(z))
    return z[0] + total, np.maximum(square - total**2, 0)


def combine(g: Float, z: Float, a: Float, b: Float, c: Float) -> None:
    """g <- a g + b z + c."""
    _split(_combine, g, z, a, b, c)


def _split(run: Any, first: Float, *arguments: Any) -> list[Any]:
    """`run` on all rows at once, or shared between threads where they are many."""
    if first.size < PARALLEL:
        return [run(0, len(first), first, *arguments)]
    return over_rows(run, len(first), first, *arguments)


@inlined_kernel
def _keeps(place: Any, low: Any, high: Any, threshold: Any) -> Any:
    """Whether the unit at this place is kept: two rounds of multiply and shift, a half of the key put in at each."""
    h = _u32(place + low)
    h = _u32((h ^ (h >> _u32(16))) * _u32(0x7FEB352D))
    h = _u32((h ^ (h >> _u32(15)) ^ high) * _u32(0x846CA68B))
    return h >= threshold


@summing_kernel
def _activate(
    start: int, stop: int, z: Array, slope: Array, shift: Array, key: int, threshold: int, gain: float, h: Array
) -> None:
    low, high, border = _u32(key), _u32(key >> 32), _u32(threshold)
    zero = np.float32(0)
    for r in range(start, stop):
        of, to, first = z[r], h[r], _u32(r * z.shape[1])
        if threshold == 0:
            for c in range(z.shape[1]):
                v = slope[c] * of[c] + shift[c]
                to[c] = zero if v < zero else v
        else:
            for c in range(z.shape[1]):
                v = (slope[c] * of[c] + shift[c]) * gain
                v = zero if v < zero else v  # what is not a number stays so
                to[c] = v if _keeps(_u32(first + _u32(c)), low, high, border) else zero


@summing_kernel
def _gate(start: int, stop: int, grad: Array, h: Array, gain: float, out: Array) -> Array:
    total = np.zeros(grad.shape[1], np.float32)
    for r in range(start, stop):
        g, v, to = grad[r], h[r], out[r]
        for c in range(grad.shape[1]):
            to[c] = g[c] * gain if v[c] > 0 else np.float32(0)
        for c in range(grad.shape[1]):
            total[c] += to[c]
    return total


@summing_kernel
def _gate_normed(start: int, stop: int, grad: Array, h: Array, gain: float, z: Array, mean: Array, out: Array) -> Array:
    sums = np.zeros((2, grad.shape[1]), np.float32)
    total, product = sums[0], sums[1]
    for r in range(start, stop):
        g, v, u, to = grad[r], h[r], z[r], out[r]
        for c in range(grad.shape[1]):
            to[c] = g[c] * gain if v[c] > 0 else np.float32(0)
        for c in range(grad.shape[1]):
            total[c] += to[c]
        for c in range(grad.shape[1]):
            product[c] += to[c] * (u[c] - mean[c])
    return sums


@summing_kernel
def _moments(start: int, stop: int, z: Array, centre: Array) -> Array:
    sums = np.zeros((2, z.shape[1]), np.float32)
    total, square = sums[0], sums[1]
    for r in range(start, stop):
        row = z[r]
        for c in range(z.shape[1]):
            d = row[c] - centre[c]
            total[c] += d
            square[c] += d * d
    return sums


@summing_kernel
def _combine(start: int, stop: int, g: Array, z: Array, a: Array, b: Array, c: Array) -> None:
    for r in range(start, stop):
        to, of = g[r], z[r]
        for j in range(g.shape[1]):
            to[j] = a[j] * to[j] + b[j] * of[j] + c[j]
