"""Item-to-item similarity from counts of who has both.

Source: Linden, Smith and York 2003; Smith and Linden 2017 for the correction of heavy buyers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets, Ragged
from rankine.kernels.jit import kernel, over_rows
from rankine.kernels.meetings import drop_low, meet
from rankine.kernels.selection import append_row, joined_rows, keep_best
from rankine.kernels.sparse import pair_work, sum_rows, transpose

Measure = Literal["cosine", "conditional", "excess"]
EXPECTED = 4_000_000  # numbers of what chance gives that are held at a time


def similarities(
    items: CSR,
    *,
    measure: Measure = "cosine",
    keep: int = 100,
    min_support: int = 1,
    shrink: float = 0.0,
    exponent: float = 0.5,
) -> CSR:
    """The `keep` other items that say most for each item (0 = all), similarity float32 [n_items, n_items].

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
    worth = np.ones(baskets.n_rows, np.float32)
    least = np.float32(max(min_support, 1) - 0.5)
    lengths, work, parts = np.zeros(items.n_rows, np.int64), pair_work(items, baskets), []
    for rows, expected, level_of_item in _blocks(items, baskets, counts, measure == "excess"):
        parts += over_rows(
            _similar_items, rows.stop - rows.start, rows.start, items.indptr, items.indices, baskets.indptr,
            baskets.indices.view(np.uint32), worth, least, left, right,
            np.float32(shrink if measure == "cosine" else 0.0), expected, level_of_item, keep or items.n_rows, lengths,
            work=work[rows.start : rows.stop + 1],
        )  # fmt: skip
    return joined_rows(parts, lengths, items.n_rows)


def score_items(neighbours: CSR, histories: Ragged, weights: Array | None = None) -> Float:
    """For each history the sum of the similarities of its items to every item, float32 [B, N].

    `weights` has one factor per event; an event of an unknown item (index N) adds nothing.
    """
    return sum_rows(neighbours, histories, weights)


def _factors(counts: Offsets, measure: Measure, exponent: float) -> tuple[Float, Float]:
    """a_X and b_Y of the denominator a_X b_Y, float32 [N] each."""
    powers = {"cosine": (0.5, 0.5), "conditional": (1.0, exponent), "excess": (0.0, 0.0)}
    if measure not in powers:
        raise ValueError(f"`measure` must be one of {', '.join(powers)}; got {measure!r}")
    left, right = powers[measure]
    base = np.maximum(counts, 1).astype(np.float64)
    return (base**left).astype(np.float32), (base**right).astype(np.float32)


def _blocks(items: CSR, baskets: CSR, counts: Offsets, excess: bool) -> Iterator[tuple[slice, Float, Int]]:
    """Parts of the rows with what chance gives them: float32 [rows, n_counts], and the column that holds for each item.

    Items of equal count expect the same, and baskets of equal size are one term: a product with a table of 1 - (1 - P)^n,
    [n_sizes, n_counts]. There are at most sqrt(2 nnz) of both.
    """
    if not excess:
        yield slice(0, items.n_rows), np.empty((0, 0), np.float32), np.empty(0, np.int32)
        return
    others, size_of_basket = np.unique(np.diff(baskets.indptr) - 1, return_inverse=True)
    levels, level_of_item = np.unique(counts, return_inverse=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # a single item that is all there is: log 0
        table = -np.expm1(np.multiply.outer(others, np.log1p(-levels / max(baskets.nnz, 1))))
    table = np.where(others[:, None] > 0, table, 0).astype(np.float32)
    height = max(1, EXPECTED // max(*table.shape, 1))
    for start in range(0, items.n_rows, height):
        rows = slice(start, min(start + height, items.n_rows))
        entries = slice(items.indptr[rows.start], items.indptr[rows.stop])
        row = np.repeat(np.arange(rows.stop - rows.start), counts[rows])
        cell = row * len(others) + size_of_basket[items.indices[entries]]
        n_of_size = np.bincount(cell, minlength=(rows.stop - rows.start) * len(others)).astype(np.float32)
        yield rows, n_of_size.reshape(rows.stop - rows.start, len(others)) @ table, level_of_item.astype(np.int32)


@kernel
def _similar_items(
    start: int, stop: int, first: int, item_ptr: Offsets, item_baskets: Int, basket_ptr: Offsets, basket_items: Array,
    worth: Float, least: np.float32, left: Float, right: Float, shrink: np.float32, expected: Float, level_of_item: Int,
    keep: int, lengths: Offsets,
) -> tuple[Int, Float]:  # fmt: skip
    n_items = len(item_ptr) - 1
    sums, scores, ids = np.zeros(n_items, np.float32), np.empty(n_items, np.float32), np.empty(n_items, np.int32)
    out_ids, out_scores, filled = np.empty(1024, np.int32), np.empty(1024, np.float32), 0
    for item in range(first + start, first + stop):
        own = item_baskets[item_ptr[item] : item_ptr[item + 1]]
        size = meet(item, own, basket_ptr, basket_items, worth, least, sums, ids, scores)
        for i in range(size):
            if len(expected):
                chance = expected[item - first, level_of_item[ids[i]]]
                scores[i] = (scores[i] - chance) / np.sqrt(chance)
            else:
                scores[i] /= left[item] * right[ids[i]] + shrink
        size = keep_best(scores, ids, drop_low(scores, ids, size, keep), keep)
        lengths[item] = size
        out_ids, out_scores, filled = append_row(scores, ids, size, out_ids, out_scores, filled)
    return out_ids[:filled], out_scores[:filled]
