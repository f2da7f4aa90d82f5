"""Random draws inside kernels: a 64-bit counter that is mixed, whole numbers below a bound, and draws by weight.

Source: Steele, Lea, Flood 2014 (SplitMix); Walker 1977 and Vose 1991 (alias tables).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rankine.arrays import Array, Float, Int
from rankine.kernels.jit import kernel

STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_24 = np.uint64(8)
_TO_UNIT = np.float32(2.0**-24)


@kernel
def mixed(counter: np.uint64) -> np.uint64:
    """64 random bits for a counter that grows by STEP from draw to draw."""
    bits = (counter ^ (counter >> _30)) * _MIX_1
    bits = (bits ^ (bits >> _27)) * _MIX_2
    return np.uint64(bits ^ (bits >> _31))


@kernel
def below(bits: np.uint64, n: int) -> Any:
    """A whole number in 0 .. n - 1, n below 2^31, from the low 32 of `bits`."""
    return np.int64(((bits & _LOW) * np.uint64(n)) >> _32)


@kernel
def weighted(bits: np.uint64, keep: Float, other: Int) -> Any:
    """A draw from the table that `alias_table` made: a place from the low bits, the place or its alias from the high."""
    place = below(bits, len(keep))
    return place if np.float32((bits >> _32) >> _24) * _TO_UNIT < keep[place] else np.int64(other[place])


def alias_table(weights: Array) -> tuple[Float, Int]:
    """The table of draws proportional to `weights` [N]: probability of staying at a place, and where to go otherwise.

    Raises ValueError for a weight that is negative or not finite, or when all are zero.
    """
    total = float(np.sum(weights, dtype=np.float64))
    if not (np.isfinite(total) and total > 0 and (np.asarray(weights) >= 0).all()):
        raise ValueError(f"`weights` must be finite, not negative and not all zero; their sum is {total}")
    return _alias_table(np.asarray(weights, np.float64) * (len(weights) / total))


@kernel
def _alias_table(scaled: Array) -> tuple[Float, Int]:
    n = len(scaled)
    keep, other = np.ones(n, np.float32), np.arange(n).astype(np.int32)
    small, large = np.empty(n, np.int64), np.empty(n, np.int64)
    n_small = n_large = 0
    for i in range(n):
        if scaled[i] < 1.0:
            small[n_small] = i
            n_small += 1
        else:
            large[n_large] = i
            n_large += 1
    while n_small and n_large:
        low, high = small[n_small - 1], large[n_large - 1]
        keep[low], other[low] = scaled[low], high
        scaled[high] -= 1.0 - scaled[low]
        n_small -= 1
        if scaled[high] < 1.0:
            small[n_small] = high
            n_small += 1
            n_large -= 1
    return keep, other
