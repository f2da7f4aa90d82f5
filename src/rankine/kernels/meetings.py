"""Which items meet in the same baskets: one row of the item-item matrix at a time, and what can be among its best.

A row with many meetings is added up over all items and read off in order; one with few keeps a list of whom it met.
"""

from __future__ import annotations

import numpy as np

from rankine.arrays import Array, Float, Int, Offsets
from rankine.kernels.jit import kernel, summing_kernel

DENSE = 0.5  # meetings per item of the catalogue from which on reading off all items costs less than a list
HALVINGS = 30


@kernel
def meet(
    item: int, own: Int, basket_ptr: Offsets, basket_items: Array, worth: Float, above: np.float32,
    sums: Float, ids: Int, scores: Float,
) -> int:  # fmt: skip
    """The number of other items whose worth of common baskets is above `above`; they go to `ids`, that worth to `scores`.

    own: the baskets of `item`; basket_items uint32 (signed ones would cost a test each); worth float32 [n_baskets], above
    zero; sums, ids, scores: [n_items], the first all zero before and after.
    """
    n_meetings = 0
    for basket in own:
        n_meetings += basket_ptr[basket + 1] - basket_ptr[basket]
    if n_meetings > DENSE * len(sums):
        return _meet_many(item, own, basket_ptr, basket_items, worth, above, sums, ids, scores)
    return _meet_few(item, own, basket_ptr, basket_items, worth, above, sums, ids, scores)


@kernel
def _meet_many(
    item: int, own: Int, basket_ptr: Offsets, basket_items: Array, worth: Float, above: np.float32,
    sums: Float, ids: Int, scores: Float,
) -> int:  # fmt: skip
    for basket in own:
        each = worth[basket]
        for e in range(basket_ptr[basket], basket_ptr[basket + 1]):
            sums[basket_items[e]] += each
    sums[item] = 0
    size = 0
    for other in range(len(sums)):  # without a branch: the next one overwrites what is not kept
        ids[size], scores[size] = other, sums[other]
        size += sums[other] > above
    for other in range(len(sums)):
        sums[other] = 0
    return size


@kernel
def _meet_few(
    item: int, own: Int, basket_ptr: Offsets, basket_items: Array, worth: Float, above: np.float32,
    sums: Float, ids: Int, scores: Float,
) -> int:  # fmt: skip
    n_met, size = 0, 0
    for basket in own:
        each = worth[basket]
        for e in range(basket_ptr[basket], basket_ptr[basket + 1]):
            other = basket_items[e]
            if sums[other] == 0:
                ids[n_met] = other
                n_met += 1
            sums[other] += each
    for i in range(n_met):
        met = ids[i]
        ids[size], scores[size] = met, sums[met]
        size += (sums[met] > above) & (met != item)
        sums[met] = 0
    return size


@kernel
def drop_low(scores: Float, ids: Int, size: int, n: int) -> int:
    """How many of the first `size` are left, in order, once most that cannot be among the `n` best are gone.

    Passes that compare many scores at a time; where equal scores leave more than `n`, a heap has the last word.
    """
    if size <= n or n <= 0:
        return min(size, max(n, 0))
    low, kept = _border(scores[:size], n), 0
    for i in range(size):
        score = scores[i]
        ids[kept], scores[kept] = ids[i], score
        kept += score >= low
    return kept


@kernel
def _border(scores: Float, n: int) -> np.float32:
    """A score that at least `n` of them reach, and no more than `n` unless some are equal."""
    low = high = _mean(scores, np.float32(0))
    step = _mean(scores, low)
    if not step > 0:
        return np.float32(-np.inf)
    while _count(scores, low) < n:
        low -= step
        step += step
    while _count(scores, high) >= n:
        high += step
        step += step
    for _ in range(HALVINGS):
        middle = low + (high - low) / np.float32(2)
        count = _count(scores, middle)
        if count < n:
            high = middle
        else:
            low = middle
            if count == n:
                break
    return low


@summing_kernel
def _mean(x: Float, center: np.float32) -> np.float32:
    """The mean distance from `center`."""
    total = np.float32(0)
    for i in range(len(x)):
        total += abs(x[i] - center)
    return total / np.float32(len(x))


@summing_kernel
def _count(x: Float, low: np.float32) -> np.float32:
    """How many reach `low`."""
    total = np.float32(0)  # in the type of x: sixteen at a time
    for i in range(len(x)):
        total += np.float32(1) if x[i] >= low else np.float32(0)
    return total
