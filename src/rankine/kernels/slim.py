"""Sparse linear item weights by coordinate descent on the residual of each item.

For each item j: min over w >= 0, w_j = 0 of 1/2 |x_j - X w|^2 + l1 sum(w) + l2 / 2 |w|^2, X who took what as 0/1. With the residual
r = x_j - X w the update of one coordinate is w_i <- max(0, (x_i'r + n_i w_i - l1) / (n_i + l2)), n_i = x_i'x_i. An item that shares
no more than `l1` baskets with j stays at zero: x_i'r never exceeds x_i'x_j, as X and w are not negative. The others are visited once;
then those in use until they settle; then all again. A visit costs the n_i takers of the item, so one round for every j costs
sum_i n_i times the items that i shares enough baskets with; no Gram matrix is formed. Sums are float64: with less, a small
`tolerance` is never met.
Source: Ning & Karypis 2011 (SLIM), equation 3; Friedman et al. 2010 for the descent.
"""

from __future__ import annotations

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.jit import kernel, over_rows, summing_kernel
from rankine.kernels.selection import append_row, joined_rows
from rankine.kernels.sparse import pair_work, transpose


def slim_weights(baskets: CSR, *, l1: float, l2: float, max_sweeps: int = 50, tolerance: float = 1e-4) -> CSR:
    """Row j: the weights with which other items speak for item j, float32 [n_items, n_items], zeros left out.

    `baskets` [n_baskets, n_items] says who took what; its values are not read. The descent of an item ends when a sweep over all
    that may enter moves no weight by more than `tolerance`, or after `max_sweeps` of either kind.
    """
    items = transpose(baskets)
    lengths = np.zeros(items.n_rows, np.int64)
    parts = over_rows(
        _solve, items.n_rows, items.indptr, items.indices.view(np.uint32), baskets.indptr, baskets.indices.view(np.uint32),
        float(l1), float(l2), max_sweeps, float(tolerance), lengths, work=pair_work(items, baskets),
    )  # fmt: skip
    return joined_rows(parts, lengths, items.n_rows)


@kernel
def _solve(
    start: int, stop: int, item_ptr: Offsets, takers: Array, basket_ptr: Offsets, basket_items: Array, l1: float,
    l2: float, max_sweeps: int, tolerance: float, lengths: Offsets,
) -> tuple[Int, Float]:  # fmt: skip
    n_items = len(item_ptr) - 1
    weights, residual = np.zeros(n_items), np.zeros(len(basket_ptr) - 1)
    shared, near, used = np.zeros(n_items, np.int32), np.empty(n_items, np.int32), np.empty(n_items, np.int32)
    scores = np.empty(n_items)
    out_ids, out_scores, filled = np.empty(1024, np.int32), np.empty(1024, np.float32), 0
    for target in range(start, stop):
        own = takers[item_ptr[target] : item_ptr[target + 1]]
        for basket in own:
            residual[basket] = 1.0
        n_near = _may_enter(target, own, basket_ptr, basket_items, l1, shared, near)
        size = _descend(near, n_near, used, weights, residual, item_ptr, takers, l1, l2, max_sweeps, tolerance)
        for place in range(size):
            scores[place] = weights[used[place]]
            weights[used[place]] = 0.0
        residual[:] = 0.0
        lengths[target] = size
        out_ids, out_scores, filled = append_row(scores, used, size, out_ids, out_scores, filled)
    return out_ids[:filled], out_scores[:filled]


@kernel
def _may_enter(
    target: int, own: Array, basket_ptr: Offsets, basket_items: Array, l1: float, shared: Int, near: Int
) -> int:
    """Set `near` to the other items that share more than `l1` baskets with the target; returns how many. `shared` stays zero."""
    size = 0
    for basket in own:
        for e in range(basket_ptr[basket], basket_ptr[basket + 1]):
            item = basket_items[e]
            if shared[item] == 0:
                near[size] = item
                size += 1
            shared[item] += 1
    kept = 0
    for place in range(size):
        item = near[place]
        if item != target and shared[item] > l1:
            near[kept] = item
            kept += 1
        shared[item] = 0
    return kept


@kernel
def _descend(
    near: Int, n_near: int, used: Int, weights: Array, residual: Array, item_ptr: Offsets, takers: Array, l1: float,
    l2: float, max_sweeps: int, tolerance: float,
) -> int:  # fmt: skip
    """The number of weights above zero when settled; they are those of the first items of `used`."""
    size, everyone = 0, True
    for _ in range(max_sweeps):
        among, n = (near, n_near) if everyone else (used, size)
        moved, size = _sweep(among, n, used, weights, residual, item_ptr, takers, l1, l2)
        settled = moved <= tolerance
        if settled and everyone:
            break
        everyone = settled
    return size


@summing_kernel
def _sweep(
    among: Int, n: int, used: Int, weights: Array, residual: Array, item_ptr: Offsets, takers: Array, l1: float,
    l2: float,
) -> tuple[float, int]:  # fmt: skip
    """One pass over the first `n` items of `among`, which may be `used`. Returns the largest move and how many are above zero."""
    largest, size = 0.0, 0
    for place in range(n):
        item = among[place]
        first, last = item_ptr[item], item_ptr[item + 1]
        count, total, old = float(last - first), 0.0, weights[item]
        for e in range(first, last):
            total += residual[takers[e]]
        new = max(0.0, (total + count * old - l1) / (count + l2))
        if new > 0:
            used[size] = item
            size += 1
        move = new - old
        if move != 0:
            weights[item] = new
            largest = max(largest, abs(move))
            for e in range(first, last):
                residual[takers[e]] -= move
    return largest, size
