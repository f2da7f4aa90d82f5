"""Pairwise ranking by stochastic gradients: (user, taken item, item not taken).

d = x_u . (y_i - y_j) + b_i - b_j, z = -dloss/dd: sigmoid(-d) for -log sigmoid(d), sigmoid(d) sigmoid(-d) for 1 - sigmoid(d);
x_u += r (z (y_i - y_j) - l2 x_u), y_i += r (z x_u - l2 y_i), y_j += r (-z x_u - l2 y_j), b_i += r (z - l2 b_i), b_j likewise.
j is the one that scores highest of `n_candidates` drawn. Of every 16 triples, j and z are found before their first step.
Source: Rendle et al. 2009, "BPR: Bayesian personalized ranking from implicit feedback", section 4; Zhang et al. 2013,
"Optimizing top-n collaborative filtering via dynamic negative item sampling" (more than one candidate).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels import bpr_deal as dealing
from rankine.kernels.bpr_deal import NONE, PART, PairGrid, cumulated, deal, weighted_place
from rankine.kernels.bpr_steps import GROUP, ONE, compare, move, steps_of
from rankine.kernels.draws import STEP, below, mixed
from rankine.kernels.jit import inlined_summing_kernel, kernel, over_rows, summing_kernel
from rankine.kernels.lanes import LINE, WIDTH, aligned, prefetch

MAX_TRIES = 64  # who took nearly everything has no negative to be found
LOWEST = np.float32(-np.inf)


def padded_users(n_users: int, dim: int) -> Float:
    """Zeros float32 [n_users, W], W the next multiple of a cache line from `dim`, each row on lines of its own."""
    return _zeros(n_users, -(-dim // LINE) * LINE)


def padded_items(n_items: int, dim: int) -> Float:
    """The same with a line more, [n_items, W + 16]: column W is the bias."""
    return _zeros(n_items, -(-dim // LINE) * LINE + LINE)


def bpr_epoch(
    grid: PairGrid, users: Float, items: Float, *,
    learning_rate: float, l2: float, bounded: bool = False, n_candidates: int = 1, weights: Float | None = None, seed: int = 0,
) -> float:  # fmt: skip
    """One pass with a triple per pair, in place; returns the mean loss of some of the triples.

    `users` and `items` as `padded_users` and `padded_items` made them; `weights` [n_items] of negatives, None: all alike.
    The tables do not depend on the number of threads. Raises ValueError for tables made otherwise.
    """
    _check_tables(grid, users, items)
    rng = np.random.default_rng(seed)
    dealt = deal(grid, rng, weights)
    start, n, rows = rng.integers(0, 1 << 63, dtype=np.uint64), grid.n_shares, np.arange(grid.n_shares)
    work, found = dealt.work(n), []
    for shift in rng.permutation(n):
        found += over_rows(
            _shares, n, shift, n, start, grid.user, grid.place, grid.order, grid.blocks, dealt.cells, dealt.members,
            dealt.parts, dealt.cumulative, users.reshape(-1), items.reshape(-1), users.shape[1], np.float32(learning_rate),
            np.float32(l2), bounded, n_candidates, work=np.concatenate([[0], np.cumsum(work[rows, (rows + shift) % n])]),
        )  # fmt: skip
    return float(sum(loss for loss, _ in found) / max(sum(looked_at for _, looked_at in found), 1))


def bpr_fold_in(
    histories: CSR, items: Float, dim: int, *,
    learning_rate: float, l2: float, n_passes: int, bounded: bool = False, n_candidates: int = 1,
    weights: Float | None = None, start: Float | None = None, met: CSR | None = None,
) -> Float:  # fmt: skip
    """Vectors float32 [n_rows, dim] after steps on histories that training has not seen: on the user alone, items fixed.

    `items` is [n_items, dim + 1], the bias last. Negatives come from all items, by `weights` [n_items] if given.
    A row depends on its own history only: from its row of `start` [n_rows, dim], zeros if not given, and by the same draws.
    Items that `met` [n_rows, n_items] has, the histories if not given, are never drawn.
    """
    met = histories if met is None else met
    out = np.zeros((histories.n_rows, dim), np.float32) if start is None else np.array(start, np.float32, order="C")
    over_rows(
        _fold_in, histories.n_rows, histories.indptr, histories.indices, met.indptr, met.indices, histories.n_columns,
        cumulated(weights), items, np.float32(learning_rate), np.float32(l2), bounded, n_candidates, n_passes, out,
        work=histories.indptr,
    )  # fmt: skip
    return out


def _check_tables(grid: PairGrid, users: Float, items: Float) -> None:
    width = users.shape[1]
    fit = users.shape == (grid.taken.n_rows, width) and items.shape == (grid.taken.n_columns, width + LINE)
    plain = all(table.dtype == np.float32 and table.flags.c_contiguous for table in (users, items))
    if not (fit and plain and width % LINE == 0):
        raise ValueError("`users` and `items` must be tables of `padded_users` and `padded_items` for this matrix")


def _zeros(n_rows: int, width: int) -> Float:
    flat = aligned(n_rows * width)
    flat[:] = 0
    return flat.reshape(n_rows, width)


@kernel
def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@summing_kernel
def _cell(
    first_pair: int, last: int, counter: np.uint64, user: Int, place: Array, order: Int, first_user: int, taken: Array,
    rows: Offsets, first_item: int, size: int, cumulative: Array, users: Float, items: Float, width: int, rate: np.float32,
    stay: np.float32, bounded: bool, drawn: Array, scores: Float, four: Offsets, negative: Offsets, d: Float,
) -> tuple[float, int]:  # fmt: skip
    """A triple for each pair of a cell; returns the loss of the first, and whether it had any."""
    n_candidates, loss, looked_at = len(drawn) // GROUP, 0.0, 0
    dealing.mark_taken(user, place, first_pair, last, first_user, size, taken)
    for first in range(first_pair, last, GROUP):
        n = min(last - first, GROUP)
        for pair in range(first + GROUP, min(first + 2 * GROUP, last)):
            for c in range(0, width, LINE):
                prefetch(users, np.int64(order[user[pair]]) * width + c)
        if len(cumulative):
            counter = dealing.draw_weighted_places(counter, user, first, n, first_user, taken, drawn, n_candidates, cumulative,
                                                   first_item, size)  # fmt: skip
        else:
            counter = dealing.draw_places(counter, user, first, n, first_user, taken, drawn, n_candidates)
        compare(user, place, order, rows, first, n, drawn, n_candidates, users, items, width, scores, four, negative, d)
        if first == first_pair and negative[0] != PART:
            loss, looked_at = 1.0 / (1.0 + math.exp(d[0])) if bounded else _softplus(-d[0]), 1
        steps_of(d, rate, bounded)
        move(user, place, order, rows, first, n, negative, d, users, items, width, stay)
    return loss, looked_at


@summing_kernel
def _shares(
    start: int, stop: int, shift: int, n_shares: int, seed: np.uint64, user: Int, place: Array, order: Int, blocks: Offsets,
    cells: Offsets, members: Int, parts: Offsets, cumulative: Array, users: Float, items: Float, width: int, rate: np.float32,
    l2: np.float32, bounded: bool, n_candidates: int,
) -> tuple[float, int]:  # fmt: skip
    """The cells of some shares on a diagonal; returns the sum of the losses looked at, and their number."""
    n_parts, n_blocks, stay = len(parts) - 1, len(blocks) - 1, ONE - rate * l2
    rows, taken = np.zeros(PART + 1, np.int64), np.empty(np.max(blocks[1:] - blocks[:-1]), np.uint64)
    drawn, scores, four = np.empty(GROUP * n_candidates, np.uint8), np.zeros(WIDTH, np.float32), np.zeros(4, np.int64)
    d, negative = np.zeros(GROUP, np.float32), np.zeros(GROUP, np.int64)
    loss, looked_at = 0.0, 0
    for row in range(start, stop):
        share = (row + shift) % n_shares
        for block in range(n_blocks * row // n_shares, n_blocks * (row + 1) // n_shares):
            for part in range(n_parts * share // n_shares, n_parts * (share + 1) // n_shares):
                cell, first_item, size = block * n_parts + part, parts[part], parts[part + 1] - parts[part]
                for k in range(size):
                    rows[k] = np.int64(members[first_item + k]) * (width + LINE)
                rows[PART] = rows[0]
                one, any_one = _cell(
                    cells[cell], cells[cell + 1], mixed(seed + np.uint64(cell) * STEP), user, place, order, blocks[block], taken,
                    rows, first_item, size, cumulative, users, items, width, rate, stay, bounded, drawn, scores, four, negative, d,
                )  # fmt: skip
                loss += one
                looked_at += any_one
    return loss, looked_at


@inlined_summing_kernel
def _score(x: Float, items: Float, item: int) -> Any:
    value = items[item, items.shape[1] - 1]
    for c in range(len(x)):
        value += x[c] * items[item, c]
    return value


@inlined_summing_kernel
def _free(counter: np.uint64, is_taken: Array, cumulative: Array) -> tuple[int, np.uint64]:
    """An item that is not taken, -1 where none was found, and the counter."""
    n_items = len(is_taken)
    for _ in range(MAX_TRIES):
        counter += STEP
        bits = mixed(counter)
        item = weighted_place(bits, cumulative, 0, n_items) if len(cumulative) else below(bits, n_items)
        if not is_taken[item]:
            return item, counter
    return -1, counter


@summing_kernel
def _fold_in(
    start: int, stop: int, indptr: Offsets, taken: Int, met_ptr: Offsets, met: Int, n_items: int, cumulative: Array,
    items: Float, rate: np.float32, l2: np.float32, bounded: bool, n_candidates: int, n_passes: int, out: Float,
) -> None:  # fmt: skip
    dim, stay, is_taken = out.shape[1], ONE - rate * l2, np.zeros(n_items, np.bool_)
    d, negative = np.zeros(GROUP, np.float32), np.zeros(GROUP, np.int64)
    for row in range(start, stop):
        x, mine, counter = out[row], taken[indptr[row] : indptr[row + 1]], NONE
        barred = met[met_ptr[row] : met_ptr[row + 1]]
        is_taken[barred] = True
        n_steps = n_passes * len(mine) if len(barred) < n_items else 0
        for first in range(0, n_steps, GROUP):
            n = min(n_steps - first, GROUP)
            for k in range(n):
                negative[k], top = -1, LOWEST
                for _ in range(n_candidates):
                    j, counter = _free(counter, is_taken, cumulative)
                    value = _score(x, items, j) if j >= 0 else LOWEST
                    if value > top:
                        negative[k], top = j, value
                d[k] = _score(x, items, mine[(first + k) % len(mine)]) - top
            steps_of(d, rate, bounded)
            for k in range(n):
                i, j = mine[(first + k) % len(mine)], negative[k]
                for c in range(dim if j >= 0 else 0):
                    x[c] = stay * x[c] + d[k] * (items[i, c] - items[j, c])
        is_taken[barred] = False
