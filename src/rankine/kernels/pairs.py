"""Pairs of users and items for stochastic gradient descent on several threads, and the tables of rows that it moves.

Users and items are dealt to parts; a cell holds the pairs of one part of users with one part of items. Cells of a diagonal share
neither, so threads take them at the same time and the result does not depend on their number. Within a cell pairs stand by user,
and are shuffled in windows whose users fit the nearest cache.
Source: Gemulla et al. 2011, "Large-scale matrix factorization with distributed stochastic gradient descent".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.draws import STEP, below, mixed
from rankine.kernels.jit import check_indices, inlined_summing_kernel, kernel, over_rows
from rankine.kernels.lanes import LINE, aligned

PAIRS_PER_PART = 200_000
MAX_PARTS = 16
WINDOW = 2048  # pairs that are shuffled among each other


@dataclass(frozen=True)
class Pairs:
    """Pairs by user: those of u are entries indptr[u] .. indptr[u + 1]; item int32 [E], value float32 [E]."""

    indptr: Offsets
    item: Int
    value: Float
    n_items: int

    @classmethod
    def of_matrix(cls, matrix: CSR) -> Pairs:
        """The entries of a matrix, users by items."""
        return cls(matrix.indptr, matrix.indices, matrix.data, matrix.n_columns)

    @classmethod
    def of_columns(cls, user: Int, item: Int, value: Array, n_users: int, n_items: int) -> Pairs:
        """The rows of three columns; a pair may come more than once. Raises ValueError for an index outside."""
        check_indices("user", user, n_users)
        check_indices("item", item, n_items)
        by_user = _by_user(
            np.ascontiguousarray(user, np.int32), np.ascontiguousarray(item, np.int32),
            np.ascontiguousarray(value, np.float32), n_users,
        )  # fmt: skip
        return cls(*by_user, n_items)

    @property
    def n_users(self) -> int:
        """Number of users, those without a pair included."""
        return len(self.indptr) - 1

    def __len__(self) -> int:
        return len(self.item)


class Grid(NamedTuple):
    """Pairs in n_parts x n_parts cells.

    user, item int32 [E], value float32 [E]; cell c = entries offsets[c] .. offsets[c + 1], c = diagonal * n_parts + part of the
    user; the part of its items is (part of the user + diagonal) % n_parts. members: the items of part b are
    members[starts[b] : starts[b + 1]].
    """

    n_parts: int
    user: Int
    item: Int
    value: Float
    offsets: Offsets
    members: Int
    starts: Offsets


class Table:
    """Rows of `dim` factors and a bias, float32, each on cache lines of its own.

    `flat` holds rows of `stride` numbers: the factors, zeros up to stride - LINE, and the bias there. Zeros stay zeros, so loops
    over whole registers need no remainder.
    """

    def __init__(self, factors: Array, bias: Array | float = 0.0) -> None:
        n_rows, self.dim = factors.shape
        self.stride = -(-self.dim // LINE) * LINE + LINE
        self.flat = aligned(n_rows * self.stride)
        self._rows = self.flat.reshape(n_rows, self.stride)
        self._rows[:] = 0
        self.factors[:], self.bias[:] = factors, bias

    @property
    def factors(self) -> Float:
        """The factors [n_rows, dim], not a copy."""
        return self._rows[:, : self.dim]

    @property
    def bias(self) -> Float:
        """The biases [n_rows], not a copy."""
        return self._rows[:, self.stride - LINE]


def deal(pairs: Pairs, rng: np.random.Generator, n_parts: int | None = None) -> Grid:
    """The pairs by cell, users and items dealt anew: rows as frequent as each other go to different parts, at random.

    Without `n_parts` their number follows from the number of pairs alone, never from the machine, as the result depends on it.
    """
    n = n_parts or _n_parts(len(pairs))
    user_part, users, _ = _dealt(np.diff(pairs.indptr), n, rng)
    item_part, members, starts = _dealt(np.bincount(pairs.item, minlength=pairs.n_items), n, rng)
    by_cell = _by_cell(pairs.indptr, pairs.item, pairs.value, users, user_part, item_part, n)
    return Grid(n, *by_cell, members, starts)


def sweep(run: Callable[..., float], grid: Grid, rng: np.random.Generator, *arguments: Any) -> float:
    """The sum of `run(start, stop, diagonal, grid, seed, *arguments)` over all cells, diagonals in random order."""
    seed = np.uint64(rng.integers(2**62))
    order = rng.permutation(grid.n_parts).tolist()
    return float(sum(sum(over_rows(run, grid.n_parts, d, grid, seed, *arguments)) for d in order))


def held(pairs: CSR, row: Array, column: Array) -> Array:
    """Whether the matrix has an entry at each (row, column), bool [n]; a row beyond the last has none."""
    return _held(pairs.indptr, pairs.indices, np.asarray(row, np.int64), np.asarray(column, np.int64))


@inlined_summing_kernel
def holds(values: Int, start: int, stop: int, value: int) -> bool:
    """Whether values[start:stop], ascending, holds the value."""
    n = stop - start
    while n > 1:  # steps that do not depend on the outcome: a search that branches is guessed wrong half of the time
        half = n >> 1
        start += half if values[start + half] <= value else 0
        n -= half
    return n > 0 and values[start] == value


@kernel
def shuffle(start: int, stop: int, counter: np.uint64, user: Int, item: Int, value: Float) -> None:
    """Shuffle the entries start .. stop of all three arrays alike."""
    for place in range(stop - 1, start, -1):
        counter += STEP
        other = start + below(mixed(counter), place - start + 1)
        user[place], user[other] = user[other], user[place]
        item[place], item[other] = item[other], item[place]
        value[place], value[other] = value[other], value[place]


def _n_parts(n_pairs: int) -> int:
    """A power of two, so that the cells of a diagonal divide well between threads."""
    n = 1
    while n < MAX_PARTS and n * 2 * PAIRS_PER_PART <= n_pairs:
        n *= 2
    return n


def _dealt(counts: Array, n_parts: int, rng: np.random.Generator) -> tuple[Int, Int, Offsets]:
    """A part for each row, int32 [n]; the rows by part, in random order; and where each part begins."""
    n = len(counts)
    rounds = np.tile(np.arange(n_parts, dtype=np.int32), (-(-n // n_parts), 1))
    part = np.empty(n, np.int32)
    part[np.argsort(-counts, kind="stable")] = rng.permuted(rounds, axis=1).ravel()[:n]
    rows = rng.permutation(n).astype(np.int32)
    rows = rows[np.argsort(part[rows], kind="stable")]
    return part, rows, np.concatenate([[0], np.cumsum(np.bincount(part, minlength=n_parts))]).astype(np.int64)


@kernel
def _by_user(user: Int, item: Int, value: Float, n_users: int) -> tuple[Offsets, Int, Float]:
    """Where the pairs of each user begin, and item and value in that order; pairs of a user keep theirs."""
    indptr = np.zeros(n_users + 1, np.int64)
    for u in user:
        indptr[u + 1] += 1
    for u in range(n_users):
        indptr[u + 1] += indptr[u]
    place, out_item, out_value = indptr[:-1].copy(), np.empty_like(item), np.empty_like(value)
    for e in range(len(user)):
        at = place[user[e]]
        place[user[e]] += 1
        out_item[at], out_value[at] = item[e], value[e]
    return indptr, out_item, out_value


@kernel
def _by_cell(
    indptr: Offsets, item: Int, value: Float, users: Int, user_part: Int, item_part: Int, n_parts: int
) -> tuple[Int, Int, Float, Offsets]:
    """User, item and value by cell, within a cell in the order of `users`; and where each cell begins."""
    offsets = np.zeros(n_parts * n_parts + 1, np.int64)
    for u in users:
        for e in range(indptr[u], indptr[u + 1]):
            offsets[(item_part[item[e]] - user_part[u]) % n_parts * n_parts + user_part[u] + 1] += 1
    for cell in range(n_parts * n_parts):
        offsets[cell + 1] += offsets[cell]
    place = offsets[:-1].copy()
    out_user, out_item, out_value = np.empty_like(item), np.empty_like(item), np.empty_like(value)
    for u in users:
        for e in range(indptr[u], indptr[u + 1]):
            cell = (item_part[item[e]] - user_part[u]) % n_parts * n_parts + user_part[u]
            out_user[place[cell]], out_item[place[cell]], out_value[place[cell]] = u, item[e], value[e]
            place[cell] += 1
    return out_user, out_item, out_value, offsets


@kernel
def _held(indptr: Offsets, indices: Int, row: Offsets, column: Offsets) -> Array:
    out = np.empty(len(row), np.bool_)
    for e in range(len(row)):
        r = row[e]
        out[e] = r < len(indptr) - 1 and holds(indices, indptr[r], indptr[r + 1], column[e])
    return out
