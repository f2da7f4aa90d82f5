"""Weights that fall with distance, shared by rules and neighbours."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rankine.arrays import Array

Decay = Literal["same", "div", "linear", "quadratic", "log"]


def by_distance(decay: Decay, distance: Array) -> Array:
    """The weight at each distance (1 = nearest), float64, never negative.

    "same" 1, "div" 1/d, "linear" 1 - 0.1 d (0 from ten on), "quadratic" 1/d^2, "log" 1/log10(d + 1.7).
    """
    d = np.asarray(distance, np.float64)
    if decay == "same":
        return np.ones_like(d)
    if decay == "div":
        return 1.0 / d
    if decay == "linear":
        return np.maximum(0.0, 1.0 - 0.1 * d)
    if decay == "quadratic":
        return 1.0 / d**2
    if decay == "log":
        return np.asarray(1.0 / np.log10(d + 1.7))
    raise ValueError(f"a decay must be one of same, div, linear, quadratic, log; got {decay!r}")


def by_position(decay: Decay, back: Array, length: Array) -> Array:
    """The weight of an event `back` places from the end (0 = last) of `length` events, float64, never negative.

    With position p = length - back: "same" 1, "div" p/L, "linear" 1 - 0.1 (L - p), "quadratic" (p/L)^2,
    "log" 1/log10(L - p + 1.7).
    """
    b, share = np.asarray(back, np.float64), (np.asarray(length) - back) / np.asarray(length, np.float64)
    if decay == "same":
        return np.ones_like(b)
    if decay == "div":
        return share
    if decay == "linear":
        return np.maximum(0.0, 1.0 - 0.1 * b)
    if decay == "quadratic":
        return share**2
    return by_distance(decay, b)
