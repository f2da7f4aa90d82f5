"""Lists of candidates in the order in which they were found, which are cut to the best by counting."""

from __future__ import annotations

import numpy as np

from rankine.arrays import Array, Float, Int
from rankine.kernels.jit import kernel
from rankine.kernels.topk_tiles import count_above, highest, keep_above, lowest

SLACK = 256  # candidates that come in before a list is cut again
MOST = np.float32(np.finfo(np.float32).max)


@kernel
def cut(scores: Float, ids: Int, start: int, size: int, n: int) -> tuple[int, np.float32]:
    """Move the `n` best of a list, their order kept, to its front; returns how many there are and what none of them is below.

    The list is scores[start : start + size], with room to fill its last 64; equal scores are the better the earlier they
    were found. Scores must be finite.
    """
    if size <= n:
        return size, np.float32(-np.inf)
    whole = filled(scores, start, size)
    limit = nth_best(scores, start, whole, n)
    equal = n - count_above(scores, start, whole, limit)
    if not equal:
        return keep_above(scores, ids, start, whole, limit), limit
    place = start
    for i in range(start, start + size):
        score = scores[i]
        scores[place], ids[place] = score, ids[i]
        place += score > limit or (score == limit and equal > 0)
        equal -= score == limit
    return n, limit


@kernel
def nth_best(scores: Float, start: int, size: int, n: int) -> np.float32:
    """A number that at most `n` of a filled list exceed and at least `n` exceed or equal."""
    low, high = np.float32(lowest(scores, start, size)), np.float32(highest(scores, start, size))
    if count_above(scores, start, size, low) <= n:
        return low
    if high > MOST:
        if count_above(scores, start, size, MOST) > n:
            return high
        high = MOST
    while True:
        middle = np.float32((np.float64(low) + np.float64(high)) / 2)
        if not low < middle < high:
            return high
        n_above = count_above(scores, start, size, middle)
        if n_above == n:
            return middle
        if n_above > n:
            low = middle
        else:
            high = middle


@kernel
def put_best_first(scores: Float, ids: Int, start: int, size: int, out_scores: Array, out_ids: Array) -> None:
    """Copy a list best first into places whose id is -1: a place is the number of what is better."""
    whole = filled(scores, start, size)
    for i in range(start, start + size):
        place = count_above(scores, start, whole, scores[i])
        while out_ids[place] >= 0:  # taken by an equal one that was found earlier
            place += 1
        out_scores[place], out_ids[place] = scores[i], ids[i]


@kernel
def filled(scores: Float, start: int, size: int) -> int:
    """The size of a list that is filled with NaN to a multiple of 64."""
    whole = -(-size // 64) * 64
    for i in range(start + size, start + whole):
        scores[i] = np.nan
    return whole
