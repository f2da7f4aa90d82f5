"""Three steps over the graph of visitors and items: from an item to who took it, and on to what else they took.

Source: Paudel et al. 2017, "Updatable, accurate, diverse and scalable recommendations" (RP3 beta).
"""

from __future__ import annotations

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.jit import kernel, over_rows
from rankine.kernels.selection import append_row, joined_rows, keep_best
from rankine.kernels.sparse import pair_work, transpose


def walk_similarities(items: CSR, *, alpha: float, beta: float, keep: int = 100) -> CSR:
    """W_ij = sum over baskets u of (1 / n_i)^alpha (1 / n_u)^alpha / n_j^beta, the `keep` largest per item i (0 = all).

    `items` says which baskets hold an item (row = item, column = basket; values are not read); n_i, n_u are row and column
    counts. Self-pairs are left out; float32 [n_items, n_items].
    """
    baskets = transpose(items)
    per_item = np.maximum(np.diff(items.indptr), 1).astype(np.float64)
    per_basket = np.maximum(np.diff(baskets.indptr), 1).astype(np.float64)
    lengths = np.zeros(items.n_rows, np.int64)
    parts = over_rows(
        _walk, items.n_rows, items.indptr, items.indices, baskets.indptr, baskets.indices, per_item**-alpha,
        per_basket**-alpha, per_item**-beta, keep or items.n_rows, lengths,
        work=pair_work(items, baskets),
    )  # fmt: skip
    return joined_rows(parts, lengths, items.n_rows)


@kernel
def _walk(
    start: int, stop: int, item_ptr: Offsets, item_baskets: Int, basket_ptr: Offsets, basket_items: Int,
    leave: Array, pass_on: Array, arrive: Array, keep: int, lengths: Offsets,
) -> tuple[Int, Float]:  # fmt: skip
    n_items = len(item_ptr) - 1
    reached, touched, scores = np.zeros(n_items), np.empty(n_items, np.int32), np.empty(n_items)
    out_ids, out_scores, filled = np.empty(1024, np.int32), np.empty(1024, np.float32), 0
    for item in range(start, stop):
        size = 0
        for place in range(item_ptr[item], item_ptr[item + 1]):
            basket = item_baskets[place]
            for e in range(basket_ptr[basket], basket_ptr[basket + 1]):
                other = basket_items[e]
                if other != item:
                    if reached[other] == 0.0:
                        touched[size] = other
                        size += 1
                    reached[other] += pass_on[basket]
        for i in range(size):
            scores[i] = leave[item] * reached[touched[i]] * arrive[touched[i]]
            reached[touched[i]] = 0.0
        size = keep_best(scores, touched, size, keep)
        lengths[item] = size
        out_ids, out_scores, filled = append_row(scores, touched, size, out_ids, out_scores, filled)
    return out_ids[:filled], out_scores[:filled]
