"""Item-to-item similarity from counts of who has both.

Source: Linden, Smith and York 2003; Smith and Linden 2017 for the correction of heavy buyers.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets, Ragged
from rankine.kernels.jit import kernel, over_rows
from rankine.kernels.selection import append_row, joined_rows, keep_best
from rankine.kernels.sparse import pair_work, sum_rows, transpose

Measure = Literal["cosine", "conditional", "excess"]


def similarities(
    items: CSR,
    *,
    measure: Measure = "cosine",
    keep: int = 100,
    min_support: int = 1,
    shrink: float = 0.0,
    exponent: float = 0.5,
) -> CSR:
    """The `keep` most similar other items of each item (0 = all), similarity float32 [n_items, n_items].

    `items` says which baskets (or users) hold an item: row = item, column = basket; its values are not read.
    With N_XY the baskets of both and N_X those of X, row X and column Y:
    "cosine" N_XY / (sqrt(N_X N_Y) + shrink); "conditional" N_XY / (N_X N_Y^exponent);
    "excess" (N_XY - E) / sqrt(E), where E = sum over baskets c of X of 1 - (1 - P_Y)^n_c is what heavy buyers give by
    chance, P_Y the share of Y in all purchases and n_c the number of items of c besides X; it may be negative.
    Pairs with N_XY < max(`min_support`, 1) are left out; among equals the lower item index is kept.
    """
    counts = np.diff(items.indptr)
    left, right = _factors(counts, measure, exponent)
    baskets = transpose(items)
    lengths = np.zeros(items.n_rows, np.int64)
    chance = _chance_tables(items, baskets, counts)
    parts = over_rows(
        _similar_items, items.n_rows, items.indptr, items.indices, baskets.indptr, baskets.indices, left, right,
        float(shrink if measure == "cosine" else 0.0), measure == "excess", *chance, max(min_support, 1),
        keep or items.n_rows, lengths, work=pair_work(items, baskets),
    )  # fmt: skip
    return joined_rows(parts, lengths, items.n_rows)


def score_items(neighbours: CSR, histories: Ragged, weights: Array | None = None) -> Float:
    """For each history the sum of the similarities of its items to every item, float32 [B, N].

    `weights` has one factor per event; an event of an unknown item (index N) adds nothing.
    """
    return sum_rows(neighbours, histories, weights)


def _factors(counts: Offsets, measure: Measure, exponent: float) -> tuple[Array, Array]:
    """a_X and b_Y of the denominator a_X b_Y, float64 [N] each."""
    powers = {"cosine": (0.5, 0.5), "conditional": (1.0, exponent), "excess": (0.0, 0.0)}
    if measure not in powers:
        raise ValueError(f"`measure` must be one of {', '.join(powers)}; got {measure!r}")
    left, right = powers[measure]
    base = np.maximum(counts, 1).astype(np.float64)
    return base**left, base**right


def _chance_tables(items: CSR, baskets: CSR, counts: Offsets) -> tuple[Array, Array, Offsets]:
    """Level of each item (equal counts share what chance gives), log(1 - P) per level, other items per basket."""
    levels, level_of_item = np.unique(counts, return_inverse=True)
    share = levels / max(items.nnz, 1)
    with np.errstate(divide="ignore"):  # a single item that is all there is: log 0, and the chance is 1
        log_absent = np.log1p(-share)
    return level_of_item.astype(np.int32), log_absent, np.diff(baskets.indptr) - 1


@kernel
def _similar_items(
    start: int, stop: int, item_ptr: Offsets, item_baskets: Int, basket_ptr: Offsets, basket_items: Int,
    left: Array, right: Array, shrink: float, excess: bool, level_of_item: Int, log_absent: Array, others: Offsets,
    min_support: int, keep: int, lengths: Offsets,
) -> tuple[Int, Float]:  # fmt: skip
    n_items = len(item_ptr) - 1
    counts, touched = np.zeros(n_items, np.int32), np.empty(n_items, np.int32)
    scores = np.empty(n_items, np.float64)
    n_baskets_of_size = np.zeros(others.max() + 1 if len(others) else 1, np.int64)
    expected = np.empty(len(log_absent), np.float64)
    out_ids, out_scores, filled = np.empty(1024, np.int32), np.empty(1024, np.float32), 0
    for item in range(start, stop):
        own = item_baskets[item_ptr[item] : item_ptr[item + 1]]
        size = _count(item, own, basket_ptr, basket_items, counts, touched)
        size = _take_supported(counts, touched, size, min_support, scores)
        if excess:
            _expect(own, others, log_absent, n_baskets_of_size, expected, level_of_item, touched, size)
        for i in range(size):
            if excess:
                chance = expected[level_of_item[touched[i]]]
                scores[i] = (scores[i] - chance) / np.sqrt(chance)
            else:
                scores[i] /= left[item] * right[touched[i]] + shrink
        size = keep_best(scores, touched, size, keep)
        lengths[item] = size
        out_ids, out_scores, filled = append_row(scores, touched, size, out_ids, out_scores, filled)
    return out_ids[:filled], out_scores[:filled]


@kernel
def _count(item: int, own: Int, basket_ptr: Offsets, basket_items: Int, counts: Int, touched: Int) -> int:
    """Add to `counts` how many of the baskets `own` hold each other item; returns how many items were touched."""
    size = 0
    for basket in own:
        for e in range(basket_ptr[basket], basket_ptr[basket + 1]):
            other = basket_items[e]
            if other == item:
                continue
            if counts[other] == 0:
                touched[size] = other
                size += 1
            counts[other] += 1
    return size


@kernel
def _take_supported(counts: Int, touched: Int, size: int, min_support: int, scores: Array) -> int:
    """Move the counts of the touched items to `scores`, zero them, and drop those below the support."""
    kept = 0
    for i in range(size):
        item = touched[i]
        if counts[item] >= min_support:
            touched[kept] = item
            scores[kept] = counts[item]
            kept += 1
        counts[item] = 0
    return kept


@kernel
def _expect(
    own: Int, others: Offsets, log_absent: Array, n_baskets_of_size: Array, expected: Array,
    level_of_item: Int, touched: Int, size: int,
) -> None:  # fmt: skip
    """Set `expected` for the levels of the touched items: baskets of equal size are one term of the sum."""
    sizes = np.empty(len(own), np.int64)
    n_sizes = 0
    for basket in own:
        if n_baskets_of_size[others[basket]] == 0:
            sizes[n_sizes] = others[basket]
            n_sizes += 1
        n_baskets_of_size[others[basket]] += 1
    for i in range(size):
        expected[level_of_item[touched[i]]] = -1.0
    for i in range(size):
        level = level_of_item[touched[i]]
        if expected[level] < 0:
            expected[level] = 0.0
            for j in range(n_sizes):
                if sizes[j] > 0:
                    expected[level] -= n_baskets_of_size[sizes[j]] * np.expm1(sizes[j] * log_absent[level])
    for j in range(n_sizes):
        n_baskets_of_size[sizes[j]] = 0
