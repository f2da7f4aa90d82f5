"""Stochastic gradient descent on taken pairs, each against negatives: one step of the user and of all items of a pair at a time.

s_j = b_u + b_j + p_u . q_j for the taken item (j = 0) and its m negatives, e_j = -dloss/ds_j with the losses of LOSSES:
logistic     -log sigmoid(s_0) - sum_j log sigmoid(-s_j)
bpr          mean_j -log sigmoid(s_0 - s_j)
bpr_sigmoid  mean_j (1 - sigmoid(s_0 - s_j))
warp         log(rank) max(0, 1 - s_0 + s_j) for the first j within the margin, rank = floor((n_items - 1) / tries)
q_j += g (e_j p_u - l q_j), b_j likewise; p_u += g (sum_j e_j q_j - c l p_u), c = 1 + m for logistic, which classifies
each pair alone, else 1. Every e_j is of the state before the step. Negatives are drawn among the items of the cell's part.
Sources: Rendle et al. 2020, "Neural collaborative filtering vs. matrix factorization revisited"; Rendle et al. 2009;
Weston et al. 2011.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.als_rows import dot_row
from rankine.kernels.draws import STEP, alias_table, below, mixed, weighted
from rankine.kernels.jit import inlined_summing_kernel, kernel, over_rows, summing_kernel
from rankine.kernels.lanes import LINE, WIDTH, aligned, dot_8_rows, load, prefetch, splat, store
from rankine.kernels.pairs import WINDOW, Grid, Table, holds, shuffle, sweep
from rankine.kernels.sigmoid import sigmoid

LOSSES = ("logistic", "bpr", "bpr_sigmoid", "warp")
LOGISTIC, BPR, BPR_SIGMOID, WARP = range(4)
REDRAWS = 64  # who took nearly everything keeps the last draw
TINY = 1e-200  # a product of probabilities is turned into a logarithm before it vanishes
ONE, ZERO = np.float32(1), np.float32(0)
CACHED = (1 << 20) // 4  # numbers that stay in the cache of a core: fetching ahead would only cost
EVEN = np.empty(0, np.float32), np.empty(0, np.int32)


def sampled_epoch(
    grid: Grid, taken: CSR, users: Table, items: Table, *,
    loss: str, learning_rate: float, l2: float, n_negatives: int, weights: Array | None, rng: np.random.Generator,
) -> float:  # fmt: skip
    """One pass over all pairs of `grid`, in place; returns the sum of their losses before each step.

    Negatives come evenly, or in proportion to `weights` [n_items]; for all losses but `logistic` what the user took, by `taken`,
    is drawn again. Equal arguments give equal results whatever the number of threads.
    """
    keep, other = EVEN if weights is None else _tables(grid, weights)
    return sweep(
        _cells, grid, rng, keep, other, taken.indptr, taken.indices, users.flat, users.stride, items.flat, items.stride,
        LOSSES.index(loss), n_negatives, np.float32(learning_rate), np.float32(l2),
    )  # fmt: skip


def sampled_fold_in(
    histories: CSR, met: CSR, items: Table, start: Float, *,
    loss: str, learning_rate: float, l2: float, n_negatives: int, n_passes: int,
) -> Float:  # fmt: skip
    """Factors and bias float32 [n_rows, dim + 1] of visitors: passes over what each has taken, as in training, items fixed.

    `start` [n_rows, dim + 1] is where each visitor begins. Negatives are drawn evenly, the same for everybody: a row depends on
    its own history only. Where training draws what was taken anew, items that `met` [n_rows, n_items] has are.
    """
    out = np.array(start, np.float32)
    over_rows(_fold_in, histories.n_rows, histories.indptr, histories.indices, met.indptr, met.indices, items.flat, items.stride,
              LOSSES.index(loss), n_negatives, n_passes, np.float32(learning_rate), np.float32(l2), out, work=histories.indptr)  # fmt: skip
    return out


def _tables(grid: Grid, weights: Array) -> tuple[Float, Int]:
    """The alias tables of the items of each part, behind one another."""
    parts = [weights[grid.members[a:b]] for a, b in zip(grid.starts[:-1], grid.starts[1:], strict=True)]
    tables = [alias_table(part if part.any() else np.ones(len(part))) for part in parts if len(part)]
    return np.concatenate([keep for keep, _ in tables]), np.concatenate([other for _, other in tables])


@inlined_summing_kernel
def _scores(q: Float, rows: Offsets, p: Float, at: int, dim: int, base: float, out: Float) -> None:
    """base + b_j + p . q_j for all rows j."""
    whole = len(rows) // 8 * 8
    for j in range(0, whole, 8):
        store(out, j, dot_8_rows(q, rows, j, p, at, dim))
    for j in range(whole, len(rows)):
        out[j] = dot_row(q, rows[j], p, at, dim)
    for j in range(len(rows)):
        out[j] += base + q[rows[j] + dim]


@inlined_summing_kernel
def _errors(s: Float, m: int, loss: int, chance: float, cost: float) -> tuple[float, float]:
    """Put e_j in the place of s_j; returns both parts of the loss so far: the product of probabilities, and the rest."""
    for j in range(1, m + 1):
        s[j] = -s[j] if loss == LOGISTIC else s[0] - s[j]
    for j in range(0, m + 1, WIDTH):
        store(s, j, sigmoid(load(s, j)))
    share = 1.0 if loss == LOGISTIC else 1.0 / m
    pull: Any = ONE - s[0] if loss == LOGISTIC else ZERO
    chance *= float(s[0]) if loss == LOGISTIC else 1.0
    for j in range(1, m + 1):
        right = s[j]
        slope: Any = share * (ONE - right)
        if loss == BPR_SIGMOID:
            cost += slope
            slope *= right
        else:
            chance *= right
        if chance < TINY:
            cost -= share * math.log(chance)
            chance = 1.0
        pull += ZERO if loss == LOGISTIC else slope
        s[j] = -slope
    s[0] = pull
    return chance, cost


@inlined_summing_kernel
def _warp(s: Float, m: int, n_items: int) -> float:
    first, cost = 0, 0.0
    for j in range(1, m + 1):
        margin = ONE - s[0] + s[j]
        if not first and not margin <= ZERO:  # so that NaN shows
            first = j
            weight = np.float32(math.log(max((n_items - 1) // j, 1)))
            cost = weight * margin
    for j in range(m + 1):
        s[j] = ZERO
    if first:
        s[0], s[first] = weight, -weight
    return cost


@inlined_summing_kernel
def _move(
    q: Float,
    rows: Offsets,
    steps: Float,
    stay: np.float32,
    p: Float,
    at: int,
    stay_user: np.float32,
    dim: int,
    moved: Float,
) -> None:
    """q_j = stay q_j + step_j p for all rows j, and p = stay_user p + sum_j step_j q_j with the q_j of before."""
    keep, keep_user = splat(stay), splat(stay_user)
    for d in range(0, dim, WIDTH):
        store(moved, d, keep_user * load(p, at + d))
    whole = len(rows) // 4 * 4
    for j in range(0, whole, 4):  # four rows per reading of p
        a, b, c, d = rows[j], rows[j + 1], rows[j + 2], rows[j + 3]
        f, g, h, i = splat(steps[j]), splat(steps[j + 1]), splat(steps[j + 2]), splat(steps[j + 3])
        for z in range(0, dim, WIDTH):
            x, sums = load(p, at + z), load(moved, z)
            y = load(q, a + z)
            sums = f * y + sums
            store(q, a + z, keep * y + f * x)
            y = load(q, b + z)
            sums = g * y + sums
            store(q, b + z, keep * y + g * x)
            y = load(q, c + z)
            sums = h * y + sums
            store(q, c + z, keep * y + h * x)
            y = load(q, d + z)
            sums = i * y + sums
            store(q, d + z, keep * y + i * x)
            store(moved, z, sums)
    for j in range(whole, len(rows)):
        f = splat(steps[j])
        for z in range(0, dim, WIDTH):
            x, y = load(p, at + z), load(q, rows[j] + z)
            store(moved, z, f * y + load(moved, z))
            store(q, rows[j] + z, keep * y + f * x)
    for d in range(0, dim, WIDTH):
        store(p, at + d, load(moved, d))


@kernel
def _draw(
    users: Int, n: int, counter: np.uint64, redraws: int, indptr: Offsets, indices: Int, members: Int, keep: Float,
    other: Int, out: Int,
) -> None:  # fmt: skip
    """Put n members for each of the users into `out`, drawn again up to `redraws` times what their row of indices holds."""
    for e in range(len(users)):
        for j in range(n):
            left, item = redraws + 1, -1
            while left > 0:
                counter += STEP
                bits = mixed(counter)
                item = members[weighted(bits, keep, other) if len(keep) else below(bits, len(members))]
                left -= 1
                if left > 0 and not holds(indices, indptr[users[e]], indptr[users[e] + 1], item):
                    left = 0
            out[e * n + j] = item


@inlined_summing_kernel
def _fetch_row(table: Float, at: int, stride: int) -> None:
    for d in range(0, stride, LINE):
        prefetch(table, at + d)


@inlined_summing_kernel
def _fetch(q: Float, item: int, negatives: Int, first: int, m: int, stride: int) -> None:
    """Ask for the rows of a pair before they are needed."""
    _fetch_row(q, int(item) * stride, stride)
    for j in range(m):
        _fetch_row(q, int(negatives[first + j]) * stride, stride)


@summing_kernel
def _cells(
    start: int, stop: int, diagonal: int, grid: Grid, seed: np.uint64, keep: Float, other: Int, indptr: Offsets,
    indices: Int, p: Float, p_stride: int, q: Float, q_stride: int, loss: int, m: int, rate: np.float32, l2: np.float32,
) -> float:  # fmt: skip
    dim = q_stride - LINE
    rows, steps, moved = np.empty(m + 1, np.int64), aligned(m + 1 + LINE), aligned(dim)
    steps[:] = ZERO
    stay, stay_user = ONE - rate * l2, ONE - rate * l2 * np.float32(m + 1 if loss == LOGISTIC else 1)
    redraws = 0 if loss == LOGISTIC else REDRAWS
    negatives = np.empty(WINDOW * m, np.int32)
    chance, cost, far = 1.0, 0.0, len(q) > CACHED * grid.n_parts
    users, items, members = grid.user, grid.item, grid.members  # a look into the tuple in the loop counts references
    for part in range(start, stop):
        cell, near = diagonal * grid.n_parts + part, (part + diagonal) % grid.n_parts
        first, last = grid.starts[near], grid.starts[near + 1]
        for begin in range(grid.offsets[cell], grid.offsets[cell + 1], WINDOW):
            end = min(begin + WINDOW, grid.offsets[cell + 1])
            shuffle(begin, end, mixed(mixed(seed) + np.uint64(begin)), users, items, grid.value)
            _draw(
                users[begin:end], m, mixed(seed + np.uint64(begin)), redraws, indptr, indices, members[first:last],
                keep[first:last], other[first:last], negatives,
            )  # fmt: skip
            for e in range(begin, end):
                if far and e + 1 < end:
                    _fetch(q, items[e + 1], negatives, (e + 1 - begin) * m, m, q_stride)
                    _fetch_row(p, int(users[e + 1]) * p_stride, p_stride)
                at = int(users[e]) * p_stride
                rows[0] = np.int64(items[e]) * q_stride
                for j in range(m):
                    rows[j + 1] = np.int64(negatives[(e - begin) * m + j]) * q_stride
                _scores(q, rows, p, at, dim, p[at + dim], steps)
                if loss == WARP:
                    cost += _warp(steps, m, len(members))
                else:
                    chance, cost = _errors(steps, m, loss, chance, cost)
                pull = ZERO
                for j in range(m + 1):
                    steps[j] *= rate
                    pull += steps[j]
                    q[rows[j] + dim] = stay * q[rows[j] + dim] + steps[j]
                p[at + dim] = stay_user * p[at + dim] + pull
                _move(q, rows, steps, stay, p, at, stay_user, dim, moved)
    share = 1.0 if loss == LOGISTIC else 1.0 / m
    return cost - share * math.log(chance)


@summing_kernel
def _fold_in(
    start: int, stop: int, indptr: Offsets, indices: Int, met_ptr: Offsets, met: Int, q: Float, stride: int, loss: int, m: int,
    n_passes: int, rate: np.float32, l2: np.float32, out: Float,
) -> None:  # fmt: skip
    dim, width, n_items = out.shape[1] - 1, stride - LINE, len(q) // stride
    stay = ONE - rate * l2 * np.float32(m + 1 if loss == LOGISTIC else 1)
    tries = 1 if loss == LOGISTIC else REDRAWS + 1
    rows, steps, x, keep = np.empty(m + 1, np.int64), aligned(m + 1 + LINE), aligned(stride), splat(stay)
    steps[:] = ZERO
    for row in range(start, stop):
        x[:] = ZERO
        x[:dim], x[width] = out[row, :dim], out[row, dim]
        counter, first, last = np.uint64(0), indptr[row], indptr[row + 1]
        for draw in range(n_passes * (last - first)):
            item = indices[first + draw % (last - first)]
            rows[0] = int(item) * stride
            for j in range(1, m + 1):
                left = tries
                while left > 0:
                    counter += STEP
                    item = below(mixed(counter), n_items)
                    left = left - 1 if left > 1 and holds(met, met_ptr[row], met_ptr[row + 1], item) else 0
                rows[j] = int(item) * stride
            _scores(q, rows, x, 0, width, x[width], steps)
            if loss == WARP:
                _warp(steps, m, n_items)
            else:
                _errors(steps, m, loss, 1.0, 0.0)
            pull = ZERO
            for j in range(m + 1):
                steps[j] *= rate
                pull += steps[j]
            x[width] = stay * x[width] + pull
            for d in range(0, width, WIDTH):
                moved = keep * load(x, d)
                for j in range(m + 1):
                    moved = splat(steps[j]) * load(q, rows[j] + d) + moved
                store(x, d, moved)
        out[row, :dim], out[row, dim] = x[:dim], x[width]
