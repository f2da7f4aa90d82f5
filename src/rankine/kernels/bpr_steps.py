"""Sixteen triples of pairwise ranking at a time: the hardest candidate of each, their slopes, and the steps one after another.

A processor works on sixteen products and exponentials at once, but would wait for those of each triple alone.
Tables are flat: rows of users `width` numbers apart, rows of items a line more, the bias at `width`; `rows` has the start of
each place of a part, and of place 64, nobody's, that of any item.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rankine.arrays import Array, Float, Int, Offsets
from rankine.kernels.bpr_deal import PART
from rankine.kernels.jit import inlined_summing_kernel
from rankine.kernels.lanes import WIDTH, dot_4_rows, load, splat, store, total

GROUP = 16
ONE = np.float32(1)
_LOG2_E, _LEAST, _HALF = np.float32(1 / math.log(2)), np.float32(126), np.float32(126.5)
_C1, _C2, _C3, _C4, _C5 = (np.float32(math.log(2) ** n / math.factorial(n)) for n in range(1, 6))


@inlined_summing_kernel
def score(users: Float, x: Any, items: Float, y: Any, width: int) -> Any:
    """The product of two rows, and the bias."""
    value = load(users, x) * load(items, y)
    for c in range(WIDTH, width, WIDTH):
        value = value + load(users, x + c) * load(items, y + c)
    return total(value) + items[y + width]


@inlined_summing_kernel
def compare(
    user: Int, place: Array, order: Int, rows: Offsets, first: int, n: int, drawn: Array, n_candidates: int, users: Float,
    items: Float, width: int, scores: Float, four: Offsets, negative: Offsets, d: Float,
) -> None:  # fmt: skip
    """For each of n pairs the drawn place of the highest score, and by how much the taken item beats it."""
    for k in range(n):
        x, at = np.int64(order[user[first + k]]) * width, k * n_candidates
        best, top = 0, score(users, x, items, rows[drawn[at]], width)
        for start in range(1, n_candidates, 4):
            for c in range(4):
                four[c] = rows[drawn[at + min(start + c, n_candidates - 1)]]
            store(scores, 0, dot_4_rows(items, four, 0, users, x, width))
            for c in range(4):
                value = scores[c] + items[four[c] + width]
                best = start + c if value > top else best
                top = max(value, top)
        negative[k] = drawn[at + min(best, n_candidates - 1)]
        d[k] = score(users, x, items, rows[place[first + k]], width) - top


@inlined_summing_kernel
def sigmoid(x: np.float32) -> Any:
    """1 / (1 + exp(-x)), accurate to 3e-6 of itself or 1e-38: exp(-x) = 2^n 2^f, n an exponent, |f| <= 1/2 a polynomial."""
    power = min(max(-x * _LOG2_E, -_LEAST), _LEAST)
    n = np.int32(power + _HALF) - np.int32(126)
    f = power - np.float32(n)
    fraction = ONE + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * _C5))))
    return np.divide(ONE, ONE + fraction * np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32))


@inlined_summing_kernel
def steps_of(d: Float, rate: np.float32, bounded: bool) -> None:
    """Put rate * -dloss/dd in the place of each d."""
    for k in range(GROUP):
        z = sigmoid(-d[k])
        d[k] = rate * (z * (ONE - z) if bounded else z)


@inlined_summing_kernel
def move(
    user: Int, place: Array, order: Int, rows: Offsets, first: int, n: int, negative: Offsets, steps: Float, users: Float,
    items: Float, width: int, stay: np.float32,
) -> None:  # fmt: skip
    """The steps of n triples in their order, each from where the one before has left the rows."""
    keep = splat(stay)
    for k in range(n):
        if negative[k] == PART:
            continue
        x, y, z = np.int64(order[user[first + k]]) * width, rows[place[first + k]], rows[negative[k]]
        gain, loss = splat(steps[k]), splat(-steps[k])
        for c in range(0, width, WIDTH):
            taste, taken, free = load(users, x + c), load(items, y + c), load(items, z + c)
            store(users, x + c, keep * taste + gain * taken + loss * free)
            store(items, y + c, keep * taken + gain * taste)
            store(items, z + c, keep * free + loss * taste)
        items[y + width] = stay * items[y + width] + steps[k]
        items[z + width] = stay * items[z + width] - steps[k]
