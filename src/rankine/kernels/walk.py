"""Three steps over the graph of visitors and items: from an item to who took it, and on to what else they took.

Source: Paudel et al. 2017, "Updatable, accurate, diverse and scalable recommendations" (RP3 beta).
"""

from __future__ import annotations

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.jit import kernel, over_rows
from rankine.kernels.meetings import drop_low, meet
from rankine.kernels.selection import append_row, joined_rows, keep_best
from rankine.kernels.sparse import pair_work, transpose


def walk_similarities(items: CSR, *, alpha: float, beta: float, keep: int = 100) -> CSR:
    """W_ij = sum over baskets u of (1 / n_i)^alpha (1 / n_u)^alpha / n_j^beta, the `keep` largest of each j (0 = all).

    Row j, column i: from which items the walk ends at j; float32 [n_items, n_items], self-pairs left out. `items` says which
    baskets hold an item (row = item, column = basket; values are not read); n_i, n_u are row and column counts.
    """
    baskets = transpose(items)
    per_item = np.maximum(np.diff(items.indptr), 1).astype(np.float64)
    per_basket = np.maximum(np.diff(baskets.indptr), 1).astype(np.float64)
    leave, pass_on, arrive = (
        (n**-power).astype(np.float32) for n, power in ((per_item, alpha), (per_basket, alpha), (per_item, beta))
    )
    lengths = np.zeros(items.n_rows, np.int64)
    parts = over_rows(
        _walk, items.n_rows, items.indptr, items.indices, baskets.indptr, baskets.indices.view(np.uint32), pass_on,
        arrive, leave, keep or items.n_rows, lengths, work=pair_work(items, baskets),
    )  # fmt: skip
    return joined_rows(parts, lengths, items.n_rows)


@kernel
def _walk(
    start: int, stop: int, item_ptr: Offsets, item_baskets: Int, basket_ptr: Offsets, basket_items: Array,
    pass_on: Float, arrive: Float, leave: Float, keep: int, lengths: Offsets,
) -> tuple[Int, Float]:  # fmt: skip
    n_items = len(item_ptr) - 1
    sums, scores, ids = np.zeros(n_items, np.float32), np.empty(n_items, np.float32), np.empty(n_items, np.int32)
    out_ids, out_scores, filled = np.empty(1024, np.int32), np.empty(1024, np.float32), 0
    for item in range(start, stop):
        own = item_baskets[item_ptr[item] : item_ptr[item + 1]]
        size = meet(item, own, basket_ptr, basket_items, pass_on, np.float32(0), sums, ids, scores)
        for i in range(size):
            scores[i] *= arrive[item] * leave[ids[i]]
        size = keep_best(scores, ids, drop_low(scores, ids, size, keep), keep)
        lengths[item] = size
        out_ids, out_scores, filled = append_row(scores, ids, size, out_ids, out_scores, filled)
    return out_ids[:filled], out_scores[:filled]
