"""Where targets rank, what ranks first, and whether scores can be ranked at all."""

from __future__ import annotations

import numpy as np

from rankine.arrays import Array, Float, Int, Offsets, Ragged
from rankine.kernels.jit import check_indices, flat, kernel, over_rows
from rankine.kernels.selection import offer, sort_best_first
from rankine.kernels.topk import Products

Scores = Float | Products  # of B requests and N items, written out or not
DRAWS = 32  # resampled at a time: their counts stay in the first cache


def target_ranks(
    scores: Scores, targets: Ragged, excluded: Ragged | None = None, *, optimistic: bool = False
) -> Offsets:
    """The rank of each target in its row of `scores` [B, N], int64 [number of targets], 1 = best.

    rank = 1 + other items that are neither target nor excluded with a score >= the target's (> when `optimistic`)
    + other targets of the row that score more, or the same and come earlier in it.
    `targets` and `excluded` have one row per row of scores; targets are distinct within a row, and one that is also
    excluded counts as a target. Index N, an item without a score, ranks N + 1. Scores must be finite (`all_finite`).
    """
    n_rows = len(scores)
    excluded = _checked("excluded", Ragged.empty(n_rows) if excluded is None else excluded, n_rows)
    if isinstance(scores, Products):
        return scores.target_ranks(_checked("targets", targets, n_rows), excluded, optimistic=optimistic)
    scores, hidden = _matrix(scores), flat(excluded)
    wanted, offsets = flat(_checked("targets", targets, n_rows))
    ranks = np.empty(len(wanted), np.int64)
    work = offsets + np.arange(n_rows + 1)
    over_rows(_target_ranks, n_rows, scores, wanted, offsets, *hidden, optimistic, ranks, work=work)
    return ranks


def top_k(scores: Scores, k: int, excluded: Ragged | None = None) -> tuple[Int, Float]:
    """The k best items of each row of `scores` [B, N] that are not excluded: items int32 [B, k], their scores float32.

    The lower index comes first among equals. Rows with fewer than k items left end in item -1, score -inf.
    Scores must not be NaN.
    """
    n_rows = len(scores)
    excluded = _checked("excluded", Ragged.empty(n_rows) if excluded is None else excluded, n_rows)
    if isinstance(scores, Products):
        return scores.top_k(k, excluded)
    scores, hidden = _matrix(scores), flat(excluded)
    items, best = np.full((n_rows, k), -1, np.int32), np.full((n_rows, k), -np.inf, np.float32)
    over_rows(_top_k, n_rows, scores, *hidden, items, best)
    return items, best


def pair_scores(scores: Scores, rows: Array, items: Array) -> Float:
    """The scores at these rows and columns, float32; minus infinity where there is no such column."""
    found = np.full(len(items), -np.inf, np.float32)
    known = (items >= 0) & (items < scores.shape[1])
    rows, items = rows[known], items[known]
    found[known] = scores.of_pairs(rows, items) if isinstance(scores, Products) else scores[rows, items]
    return found


def all_finite(scores: Float) -> bool:
    """Whether no score is NaN or infinite."""
    flat_scores = _matrix(scores).reshape(-1)
    return all(over_rows(_finite, len(flat_scores), flat_scores))


def auc(scores: Array, labels: Array) -> float:
    """Chance that a positive (label > 0) scores above a negative, equal scores counting one half; both [N].

    NaN when all labels are the same, or a score is no number.
    """
    if np.isnan(scores).any():
        return float("nan")
    order = np.argsort(scores, kind="stable")
    return float(_auc(np.asarray(scores)[order], np.asarray(labels)[order] > 0))


def groups_of_equals(*columns: Array) -> Offsets:
    """Where each run of rows that are equal in all columns ends, int64; columns [N]."""
    same = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
    return np.append(np.flatnonzero(~same) + 1, len(columns[0])).astype(np.int64)


def auc_of_draws(units: Array, labels: Array, ends: Array, weights: Array) -> Array:
    """The AUC of each of R draws in which unit u counts `weights[u, r]` times, float64 [R]; NaN where a draw lacks one label.

    units and labels (> 0: positive) [N] by ascending score; `ends` is where each run of equal scores ends; weights [U, R] >= 0.
    """
    check_indices("units", units, len(weights))
    weights = np.ascontiguousarray(weights, np.float64)
    out = np.empty(weights.shape[1])
    sorted_rows = (np.asarray(units, np.int32), np.asarray(labels) > 0, np.asarray(ends, np.int64))
    n_blocks = -(-len(out) // DRAWS)
    over_rows(_auc_of_draws, n_blocks, *sorted_rows, weights, out)
    return out


def _matrix(scores: Float) -> Float:
    if scores.ndim != 2:
        raise ValueError(f"`scores` must be [B, N]; got shape {scores.shape}")
    return np.ascontiguousarray(scores, np.float32)


def _checked(name: str, rows: Ragged, n_rows: int) -> Ragged:
    if len(rows) != n_rows:
        raise ValueError(f"`{name}` must have one row per row of scores, {n_rows}; got {len(rows)}")
    return rows


@kernel
def _target_ranks(
    start: int, stop: int, scores: Float, targets: Int, offsets: Offsets, hidden: Int, hidden_ptr: Offsets,
    optimistic: bool, ranks: Offsets,
) -> None:  # fmt: skip
    n_items = scores.shape[1]
    mark = np.full(n_items, -1, np.int64)  # the last row that took the item out of the count
    for b in range(start, stop):
        row, own = scores[b], targets[offsets[b] : offsets[b + 1]]
        for target in own:
            if 0 <= target < n_items:
                mark[target] = b
        removed = _newly_marked(hidden[hidden_ptr[b] : hidden_ptr[b + 1]], b, mark)
        for t, target in enumerate(own):
            if not 0 <= target < n_items:
                ranks[offsets[b] + t] = n_items + 1
                continue
            above = _count_above(row, row[target], optimistic)
            for item in removed:
                above -= _is_above(row[item], row[target], optimistic)
            for other, item in enumerate(own):
                if 0 <= item < n_items:
                    above -= _is_above(row[item], row[target], optimistic)
                    above += row[item] > row[target] or (row[item] == row[target] and other < t)
            ranks[offsets[b] + t] = 1 + above


@kernel
def _newly_marked(items: Int, row: int, mark: Offsets) -> Int:
    """The distinct items that `mark` did not have for the row, now marked."""
    out, size = np.empty(len(items), np.int32), 0
    for item in items:
        if 0 <= item < len(mark) and mark[item] != row:
            mark[item] = row
            out[size] = item
            size += 1
    return out[:size]


@kernel
def _is_above(score: float, target: float, optimistic: bool) -> int:
    return int(score > target) if optimistic else int(score >= target)


@kernel
def _count_above(row: Float, target: float, optimistic: bool) -> int:
    count = np.int32(0)  # 32 bits wide, so that the loop fills whole vector registers
    if optimistic:
        for item in range(len(row)):
            count += np.int32(row[item] > target)
    else:
        for item in range(len(row)):
            count += np.int32(row[item] >= target)
    return int(count)


@kernel
def _top_k(start: int, stop: int, scores: Float, hidden: Int, hidden_ptr: Offsets, items: Int, best: Float) -> None:
    mark = np.full(scores.shape[1], -1, np.int64)
    k = items.shape[1]
    if k == 0:
        return
    for b in range(start, stop):
        _newly_marked(hidden[hidden_ptr[b] : hidden_ptr[b + 1]], b, mark)
        size, row = 0, scores[b]
        for item in range(len(row)):
            if (size < k or row[item] > best[b, 0]) and mark[item] != b:
                size = offer(best[b], items[b], size, row[item], item)
        sort_best_first(best[b], items[b], size)


@kernel
def _finite(start: int, stop: int, scores: Float) -> bool:
    bad = np.int32(0)  # counted to the end: a loop that may stop early is not turned into vector instructions
    for i in range(start, stop):
        bad += np.int32(not abs(scores[i]) < np.float32(np.inf))
    return bool(bad == 0)


@kernel
def _auc(scores: Array, positive: Array) -> float:
    """Sum over groups of equal score, ascending: positives above the negatives below, and half of those beside."""
    wins, negatives_below, start = 0.0, 0, 0
    while start < len(scores):
        stop, n_positive = start + 1, int(positive[start])
        while stop < len(scores) and scores[stop] == scores[start]:
            n_positive += positive[stop]
            stop += 1
        n_negative = stop - start - n_positive
        wins += n_positive * (negatives_below + 0.5 * n_negative)
        negatives_below += n_negative
        start = stop
    n_pairs = (len(scores) - negatives_below) * negatives_below
    return wins / n_pairs if n_pairs else np.nan


@kernel
def _auc_of_draws(
    start: int, stop: int, units: Int, positive: Array, ends: Offsets, weights: Array, out: Array
) -> None:
    """As `_auc`, for blocks of draws beside one another: each row adds its weight in every draw of the block."""
    counts = np.empty((4, DRAWS))
    for block in range(start, stop):
        first = block * DRAWS
        n = min(DRAWS, len(out) - first)
        wins, below, left, taken = counts[0, :n], counts[1, :n], counts[2, :n], counts[3, :n]
        counts[:] = 0
        total, row = np.zeros(n), 0
        for end in ends:
            left[:] = 0
            taken[:] = 0
            for i in range(row, end):
                weight = weights[units[i], first : first + n]
                beside = taken if positive[i] else left
                for r in range(n):
                    beside[r] += weight[r]
            for r in range(n):
                wins[r] += taken[r] * (below[r] + 0.5 * left[r])
                below[r] += left[r]
                total[r] += taken[r]
            row = end
        for r in range(n):
            out[first + r] = wins[r] / (total[r] * below[r]) if total[r] * below[r] > 0 else np.nan
