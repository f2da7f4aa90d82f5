"""Pairwise ranking by stochastic gradients: (user, taken item, item not taken), one triple at a time.

d = x_u . (y_i - y_j) + b_i - b_j, z = -dloss/dd: sigmoid(-d) for -log sigmoid(d), sigmoid(d) sigmoid(-d) for 1 - sigmoid(d);
x_u += r (z (y_i - y_j) - l2 x_u), y_i += r (z x_u - l2 y_i), y_j += r (-z x_u - l2 y_j), b_i += r (z - l2 b_i), b_j likewise.
Source: Rendle et al. 2009, "BPR: Bayesian personalized ranking from implicit feedback", section 4.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.draws import STEP, below, mixed, weighted
from rankine.kernels.jit import inlined_kernel, kernel, over_rows, summing_kernel

LINE = 16  # float32 in a cache line
BLOCK_FLOATS = 1 << 15  # of user vectors in a block
MAX_BITMAP_BYTES = 1 << 24  # a larger one is slower to look into than a short sorted row
MAX_TRIES = 64  # who took nearly everything has no negative to be found
LOSS_EVERY = 16  # the loss is the mean over every sixteenth triple
ONE = np.float32(1)
EVEN = np.empty(0, np.float32), np.empty(0, np.int32)  # the alias table of a uniform draw
Table = tuple[Float, Int]


class Triples:
    """The taken pairs of a matrix, arranged to draw triples from.

    Users in random order are cut into blocks whose vectors fit a processor's own cache; the pairs of a block stand together,
    in random order. A block belongs to one thread at a time.
    """

    def __init__(self, taken: CSR, *, dim: int = 64, table: Table = EVEN, seed: int = 0) -> None:
        self.indptr, self.items, self.n_items = taken.indptr, taken.indices, taken.n_columns
        self.table = table
        order = np.random.default_rng(seed).permutation(taken.n_rows).astype(np.int32)
        first = np.arange(0, taken.n_rows + 1, max(BLOCK_FLOATS // dim, 1))
        lengths = np.concatenate([[0], np.cumsum(np.diff(taken.indptr)[order])])
        self.blocks = np.unique(np.append(lengths[first], len(self)))
        self.pair_user, self.pair_item = _arranged(taken.indptr, taken.indices, order, self.blocks, np.uint64(seed))
        small = taken.n_rows * (-(-taken.n_columns // 8)) <= MAX_BITMAP_BYTES
        self.bitmap = _bitmap(taken.indptr, taken.indices, taken.n_columns) if small else np.empty((0, 0), np.uint8)

    def __len__(self) -> int:
        return len(self.items)


def padded_items(n_items: int, dim: int) -> Float:
    """Zeros float32 [n_items, P], P the next multiple of a cache line above `dim` + 1, each row on lines of its own.

    Columns 0 .. dim - 1 are the factors, column `dim` is the bias.
    """
    width = -(-(dim + 1) // LINE) * LINE
    flat = np.zeros(n_items * width + LINE, np.float32)
    start = (-flat.ctypes.data // 4) % LINE
    return flat[start : start + n_items * width].reshape(n_items, width)


def bpr_epoch(
    triples: Triples, users: Float, items: Float, *,
    learning_rate: float, l2: float, bounded: bool = False, seed: int = 0, n_threads: int = 1,
) -> float:  # fmt: skip
    """One pass with a triple per pair, in place; returns the mean loss of some of the triples.

    `users` is [n_users, D], `items` as `padded_items` made it. Each thread has users of its own at any time; rows of items
    are shared without locks, so only one thread repeats to the bit.
    """
    rng = np.random.default_rng(seed)
    blocks = rng.permutation(len(triples.blocks) - 1)
    seeds = rng.integers(0, 1 << 63, len(blocks), np.uint64)
    fixed = (triples.pair_user, triples.pair_item, triples.indptr, triples.items, triples.bitmap, triples.n_items,
             *triples.table, users, items, np.float32(learning_rate), np.float32(l2), bounded)  # fmt: skip

    def run(number: int) -> tuple[float, int]:
        first, last = triples.blocks[blocks[number] : blocks[number] + 2]
        return _epoch(int(first), int(last), seeds[number], *fixed)

    if n_threads == 1:
        parts = [run(number) for number in range(len(blocks))]
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            parts = list(pool.map(run, range(len(blocks))))
    return float(sum(loss for loss, _ in parts) / max(sum(n for _, n in parts), 1))


def bpr_fold_in(
    histories: CSR, items: Float, dim: int, *,
    learning_rate: float, l2: float, n_passes: int, bounded: bool = False, table: Table = EVEN,
) -> Float:  # fmt: skip
    """Vectors float32 [n_rows, dim] of users that training has not seen: its steps on the user alone, items fixed.

    A row depends on its own history only: every row starts from zero and the same draws.
    """
    out = np.zeros((histories.n_rows, dim), np.float32)
    over_rows(_fold_in, histories.n_rows, histories.indptr, histories.indices, histories.n_columns, *table, items,
              np.float32(learning_rate), np.float32(l2), bounded, n_passes, out, work=histories.indptr)  # fmt: skip
    return out


def draw_negatives(triples: Triples, user: int, n: int, seed: int = 0) -> Int:
    """`n` negatives of a user as training draws them, int32; -1 where none was found."""
    row = (triples.indptr[user], triples.indptr[user + 1])
    return _negatives(*row, user, n, np.uint64(seed), triples.items, triples.bitmap, triples.n_items, *triples.table)


@kernel
def _bitmap(indptr: Offsets, indices: Int, n_columns: int) -> Array:
    bits = np.zeros((len(indptr) - 1, (n_columns + 7) // 8), np.uint8)
    for row in range(len(indptr) - 1):
        for e in range(indptr[row], indptr[row + 1]):
            bits[row, indices[e] >> 3] |= np.uint8(1 << (indices[e] & 7))
    return bits


@kernel
def _arranged(indptr: Offsets, items: Int, order: Int, blocks: Offsets, counter: np.uint64) -> tuple[Int, Int]:
    """User and item of every pair, users in the given order, the pairs of each block shuffled."""
    user, item = np.empty(len(items), np.int32), np.empty(len(items), np.int32)
    filled = 0
    for u in order:
        for e in range(indptr[u], indptr[u + 1]):
            user[filled], item[filled] = u, items[e]
            filled += 1
    for block in range(len(blocks) - 1):
        first = blocks[block]
        for e in range(blocks[block + 1] - 1, first, -1):
            counter += STEP
            other = first + below(mixed(counter), e + 1 - first)
            user[e], user[other] = user[other], user[e]
            item[e], item[other] = item[other], item[e]
    return user, item


@inlined_kernel
def _taken(user: int, start: int, stop: int, items: Int, bitmap: Array, item: int) -> Any:
    """Whether the user's row of the matrix, items[start:stop] ascending, holds the item."""
    if len(bitmap):
        return (bitmap[user, item >> 3] >> np.uint8(item & 7)) & np.uint8(1) != 0
    low, high = start, stop
    while low < high:
        middle = (low + high) >> 1
        if items[middle] < item:
            low = middle + 1
        else:
            high = middle
    return low < stop and items[low] == item


@inlined_kernel
def _negative(
    bits: np.uint64, user: int, start: int, stop: int, items: Int, bitmap: Array, n_items: int, keep: Float, other: Int
) -> int:
    """An item that the user did not take, or -1."""
    tries, item = 0, -1
    while item < 0 and tries < MAX_TRIES:
        item = weighted(bits, keep, other) if len(keep) else below(bits, n_items)
        if _taken(user, start, stop, items, bitmap, item):
            item = -1
        bits = mixed(bits + STEP)
        tries += 1
    return item


@kernel
def _negatives(
    start: int, stop: int, user: int, n: int, counter: np.uint64, items: Int, bitmap: Array, n_items: int,
    keep: Float, other: Int,
) -> Int:  # fmt: skip
    out = np.empty(n, np.int32)
    for draw in range(n):
        counter += STEP
        out[draw] = _negative(mixed(counter), user, start, stop, items, bitmap, n_items, keep, other)
    return out


@kernel
def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@summing_kernel
def _epoch(
    first: int, last: int, counter: np.uint64, pair_user: Int, pair_item: Int, indptr: Offsets, taken: Int, bitmap: Array,
    n_items: int, keep: Float, other: Int, users: Float, items: Float, rate: np.float32, l2: np.float32, bounded: bool,
) -> tuple[float, int]:  # fmt: skip
    """One triple for each of the pairs first .. last; returns the sum of the losses looked at and their number."""
    loss, looked_at, dim = 0.0, 0, users.shape[1]
    stay = ONE - rate * l2
    for pair in range(first, last):
        counter += STEP
        u, i = pair_user[pair], pair_item[pair]
        j = _negative(mixed(counter), u, indptr[u], indptr[u + 1], taken, bitmap, n_items, keep, other)
        if j < 0:
            continue
        d = items[i, dim] - items[j, dim]
        for c in range(dim):
            d += users[u, c] * (items[i, c] - items[j, c])
        z = ONE / (ONE + math.exp(d))
        if bounded:
            z *= ONE - z
        step = rate * z
        for c in range(dim):
            x, difference = users[u, c], items[i, c] - items[j, c]
            users[u, c] = stay * x + step * difference
            items[i, c] = stay * items[i, c] + step * x
            items[j, c] = stay * items[j, c] - step * x
        items[i, dim] = stay * items[i, dim] + step
        items[j, dim] = stay * items[j, dim] - step
        if pair % LOSS_EVERY == 0:
            loss += 1.0 / (1.0 + math.exp(d)) if bounded else _softplus(-d)
            looked_at += 1
    return loss, looked_at


@summing_kernel
def _fold_in(
    start: int, stop: int, indptr: Offsets, taken: Int, n_items: int, keep: Float, other: Int, items: Float,
    rate: np.float32, l2: np.float32, bounded: bool, n_passes: int, out: Float,
) -> None:  # fmt: skip
    dim = out.shape[1]
    none = np.empty((0, 0), np.uint8)
    stay = ONE - rate * l2
    for row in range(start, stop):
        x, counter = out[row], np.uint64(0)
        size = indptr[row + 1] - indptr[row]
        for draw in range(n_passes * size):
            counter += STEP
            i = taken[indptr[row] + draw % size]
            j = _negative(mixed(counter), row, indptr[row], indptr[row + 1], taken, none, n_items, keep, other)
            if j < 0:
                continue
            d = items[i, dim] - items[j, dim]
            for c in range(dim):
                d += x[c] * (items[i, c] - items[j, c])
            z = ONE / (ONE + math.exp(d))
            if bounded:
                z *= ONE - z
            for c in range(dim):
                x[c] = stay * x[c] + rate * z * (items[i, c] - items[j, c])
