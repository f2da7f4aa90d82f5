"""Which pairs meet which negatives in an epoch of pairwise ranking, and which of them may be worked on at the same time.

Items are dealt at random into parts of at most 64, anew for each epoch, and a pair draws its negatives from the part of its
own item: over the epochs any two items meet alike, the vectors of a part stay in a processor's nearest cache, and what a
user took of it is one machine word, so that looking costs nothing. Pairs stand in cells by block of users and part of items;
shares of the blocks and of the parts make a grid, and the cells on a diagonal of it have neither users nor items in common.
Source of the grid: Gemulla et al. 2011, "Large-scale matrix factorization with distributed stochastic gradient descent".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.draws import STEP, mixed
from rankine.kernels.jit import inlined_kernel, kernel, over_rows

PART_BITS = 6
PART = 1 << PART_BITS  # bits of a machine word
BLOCK_FLOATS = 1 << 18  # of user vectors: they stay in a processor's second cache
PAIRS_PER_SHARE = 80_000
MAX_SHARES = 16
MAX_TRIES = 64  # where nearly all the weight is on taken items
NONE, ONE, ALL = np.uint64(0), np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)
_6, _11, _63 = np.uint64(6), np.uint64(11), np.uint64(63)
_TO_UNIT = 2.0**-53


@dataclass(frozen=True)
class PairGrid:
    """The taken pairs of a matrix, users in random order and in blocks.

    order int32 [n_users]; blocks int64 [B + 1] of places in it, first_pair int64 [B + 1] of their pairs. Each dealing fills
    user int32 [E], a place in `order`, and place uint8 [E], that of the item in its part.
    """

    taken: CSR
    order: Int
    blocks: Offsets
    first_pair: Offsets
    user: Int
    place: Array
    n_shares: int


@dataclass(frozen=True)
class Deal:
    """Part p has the items members[parts[p] : parts[p + 1]]; its pairs of block b are cells[b P + p] .. cells[b P + p + 1].

    cumulative float64 [n_items + 1] sums the weights of `members` as negatives, or is empty: all alike.
    """

    members: Int
    parts: Offsets
    cells: Offsets
    cumulative: Array

    def work(self, n_shares: int) -> Array:
        """Number of pairs by share of users and share of items, int64 [n_shares, n_shares]."""
        pairs = np.diff(self.cells).reshape(-1, len(self.parts) - 1)
        for axis in (0, 1):
            pairs = np.add.reduceat(pairs, pairs.shape[axis] * np.arange(n_shares) // n_shares, axis=axis)
        return pairs


def pair_grid(taken: CSR, dim: int, seed: int = 0) -> PairGrid:
    """The pairs of a matrix whose users have vectors of `dim` numbers; its shares depend on the matrix, not on the machine."""
    n_users = taken.n_rows
    n_shares = max(min(taken.nnz // PAIRS_PER_SHARE, MAX_SHARES, n_users, _n_parts(taken.n_columns)), 1)
    n_blocks = n_shares * max(round(n_users * dim / (n_shares * BLOCK_FLOATS)), 1)
    order = np.random.default_rng(seed).permutation(n_users).astype(np.int32)
    blocks = np.arange(n_blocks + 1) * n_users // n_blocks
    first_pair = np.concatenate([[0], np.cumsum(np.diff(taken.indptr)[order])])[blocks]
    user, place = np.empty(taken.nnz, np.int32), np.empty(taken.nnz, np.uint8)
    return PairGrid(taken, order, blocks, first_pair, user, place, n_shares)


def deal(grid: PairGrid, rng: np.random.Generator, weights: Float | None = None) -> Deal:
    """Items in parts at random, and the pairs of `grid` put into their cells; `weights` [n_items] of negatives."""
    n_items = grid.taken.n_columns
    n_parts = _n_parts(n_items)
    members = rng.permutation(n_items).astype(np.int32)
    parts = np.arange(n_parts + 1) * n_items // n_parts
    slot, part = np.empty(n_items, np.int32), np.repeat(np.arange(n_parts), np.diff(parts))
    slot[members] = np.arange(n_items) - parts[part] + PART * part
    cells = np.full((len(grid.blocks) - 1) * n_parts + 1, grid.taken.nnz)
    over_rows(_into_cells, len(grid.blocks) - 1, grid.blocks, grid.order, grid.first_pair, grid.taken.indptr,
              grid.taken.indices, slot, n_parts, cells, grid.user, grid.place, work=grid.first_pair)  # fmt: skip
    return Deal(members, parts, cells, cumulated(None if weights is None else weights[members]))


def cumulated(weights: Float | None) -> Array:
    """Sums of the weights before each place and after the last, float64 [N + 1]; empty for None."""
    return np.empty(0) if weights is None else np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])


def _n_parts(n_items: int) -> int:
    return max(-(-n_items // PART), 1)


@kernel
def _into_cells(
    start: int, stop: int, blocks: Offsets, order: Int, first_pair: Offsets, indptr: Offsets, taken: Int, slot: Int,
    n_parts: int, cells: Offsets, user: Int, place: Array,
) -> None:  # fmt: skip
    for block in range(start, stop):
        filled = np.zeros(n_parts, np.int64)
        for u in order[blocks[block] : blocks[block + 1]]:
            for e in range(indptr[u], indptr[u + 1]):
                filled[slot[taken[e]] >> PART_BITS] += 1
        at = first_pair[block]
        for part in range(n_parts):
            cells[block * n_parts + part] = at
            at += filled[part]
            filled[part] = cells[block * n_parts + part]
        for position in range(blocks[block], blocks[block + 1]):
            u = order[position]
            for e in range(indptr[u], indptr[u + 1]):
                found = slot[taken[e]]
                part = found >> PART_BITS
                at = filled[part]
                user[at], place[at] = position, found & (PART - 1)
                filled[part] = at + 1


@kernel
def mark_taken(user: Int, place: Array, first: int, last: int, first_user: int, size: int, taken: Array) -> None:
    """For each user of the pairs first .. last of a cell, a bit for every place that they took or that has no item."""
    beyond = ALL << np.uint64(size) if size < PART else NONE
    for pair in range(first, last):
        taken[user[pair] - first_user] = beyond
    for pair in range(first, last):
        taken[user[pair] - first_user] |= ONE << np.uint64(place[pair])


@kernel
def draw_places(
    counter: np.uint64, user: Int, first: int, n: int, first_user: int, taken: Array, drawn: Array, n_candidates: int
) -> np.uint64:
    """`n_candidates` places that are free for each of n pairs, 64 where none is; returns the counter.

    64 random bits give eight numbers of six, and new ones are drawn after a place that is taken.
    """
    for k in range(n):
        mine, bits = taken[user[first + k] - first_user], NONE
        if mine == ALL:
            drawn[k * n_candidates : (k + 1) * n_candidates] = PART
            continue
        for c in range(n_candidates):
            if c & 7 == 0:
                counter += STEP
                bits = mixed(counter)
            while (mine >> (bits & _63)) & ONE:
                counter += STEP
                bits = mixed(counter)
            drawn[k * n_candidates + c] = np.uint8(bits & _63)
            bits >>= _6
    return counter


@kernel
def draw_weighted_places(
    counter: np.uint64, user: Int, first: int, n: int, first_user: int, taken: Array, drawn: Array, n_candidates: int,
    cumulative: Array, first_item: int, size: int,
) -> np.uint64:  # fmt: skip
    """The same by weight: 64 also where none was found."""
    for k in range(n):
        mine = taken[user[first + k] - first_user]
        for c in range(k * n_candidates, (k + 1) * n_candidates):
            drawn[c] = PART
            for _ in range(0 if mine == ALL else MAX_TRIES):
                counter += STEP
                place = weighted_place(mixed(counter), cumulative, first_item, size)
                if not (mine >> np.uint64(place)) & ONE:
                    drawn[c] = place
                    break
    return counter


@inlined_kernel
def weighted_place(bits: np.uint64, cumulative: Array, first: int, size: int) -> int:
    """A place 0 .. size - 1 by the weights that cumulative[first : first + size + 1] sums."""
    low, left = first, size
    aim = cumulative[first] + (bits >> _11) * _TO_UNIT * (cumulative[first + size] - cumulative[first])
    while left > 1:
        half = left >> 1
        low = low + half if cumulative[low + half] <= aim else low
        left -= half
    return low - first
