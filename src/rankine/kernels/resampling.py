"""Sums over resampled units: amounts of each unit, each as often as a draw holds it."""

from __future__ import annotations

import numpy as np

from rankine.arrays import Array
from rankine.kernels.jit import over_rows, summing_kernel

TILE = 512  # units whose weights stay in the cache while every row of amounts passes over them


def weighted_sums(amounts: Array, weights: Array) -> Array:
    """`amounts @ weights`, float64 [F, R], of amounts [F, U] and weights [U, R].

    Not a call of the BLAS: its threads wait for one another by spinning, which on a busy machine costs a hundred times the product.
    """
    if amounts.ndim != 2 or weights.ndim != 2 or amounts.shape[1] != len(weights):
        raise ValueError(f"`amounts` [F, U] and `weights` [U, R] do not fit: {amounts.shape} and {weights.shape}")
    amounts, weights = np.ascontiguousarray(amounts, np.float64), np.ascontiguousarray(weights, np.float64)
    out = np.zeros((len(amounts), weights.shape[1]))
    over_rows(_weighted_sums, len(amounts), amounts, weights, out)
    return out


@summing_kernel
def _weighted_sums(start: int, stop: int, amounts: Array, weights: Array, out: Array) -> None:
    n_units, n_draws = weights.shape
    for tile in range(0, n_units, TILE):
        for f in range(start, stop):
            total = out[f]
            for u in range(tile, min(tile + TILE, n_units)):
                amount, weight = amounts[f, u], weights[u]
                for r in range(n_draws):
                    total[r] += amount * weight[r]
