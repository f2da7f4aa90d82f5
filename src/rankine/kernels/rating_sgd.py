"""Stochastic gradient descent on ratings, one rating at a time: biased matrix factorization and SVD++.

With e = r - prediction, g = learning rate: x <- x + g (e dx - l2 x) for every parameter x of the prediction, dx its derivative.
Factor matrices are padded with zero columns to a multiple of LANES: zeros stay zeros, and the loops need no remainder.
Source: Koren, Bell, Volinsky 2009, equation 5; SVD++: Koren 2008, equation 15. Grid: Gemulla et al. 2011 (DSGD).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.draws import STEP, below, mixed
from rankine.kernels.jit import check_indices, kernel, over_rows, summing_kernel
from rankine.kernels.sparse import to_csr

LANES = 16
RATINGS_PER_PART = 200_000
MAX_PARTS = 16


@dataclass(frozen=True)
class RatingGrid:
    """Ratings in `n_parts` x `n_parts` cells by part of their user and of their item; cells of a diagonal share neither.

    user, item int32 [E], value float32 [E], cell c = entries offsets[c] .. offsets[c + 1] with
    c = diagonal * n_parts + part of the user. An epoch shuffles each cell in place.
    """

    user: Int
    item: Int
    value: Float
    offsets: Offsets
    n_parts: int


@dataclass(frozen=True)
class UserRatings:
    """Ratings by user: those of u are entries offsets[u] .. offsets[u + 1]; an epoch shuffles them in place.

    user, item int32 [E], value float32 [E]; `rated` [n_users, n_items] holds each item that a user rated once.
    """

    user: Int
    item: Int
    value: Float
    offsets: Offsets
    rated: CSR


@dataclass(frozen=True)
class Factors:
    """Parameters of biased matrix factorization: [n_users, padded D], [n_items, padded D], [n_users], [n_items], float32."""

    user: Float
    item: Float
    user_bias: Float
    item_bias: Float
    mean: float


def padded(factors: Float) -> Float:
    """The matrix with zero columns added up to a multiple of LANES, a contiguous float32 copy."""
    rows, dim = factors.shape
    wide = np.zeros((rows, -(-dim // LANES) * LANES), np.float32)
    wide[:, :dim] = factors
    return wide


def rating_grid(
    user: Int, item: Int, value: Array, n_users: int, n_items: int, n_parts: int | None = None
) -> RatingGrid:
    """The ratings by cell; the number of parts depends on the number of ratings alone, never on the machine."""
    check_indices("user", user, n_users)
    check_indices("item", item, n_items)
    n = n_parts or max(1, min(MAX_PARTS, len(user) // RATINGS_PER_PART))
    user_part, item_part = _dealt(user, n_users, n)[user], _dealt(item, n_items, n)[item]
    cell = (item_part - user_part) % n * n + user_part
    order = np.argsort(cell, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=n * n))]).astype(np.int64)
    return RatingGrid(
        user[order].astype(np.int32), item[order].astype(np.int32), value[order].astype(np.float32), offsets, n
    )


def user_ratings(user: Int, item: Int, value: Array, n_users: int, n_items: int) -> UserRatings:
    """The ratings by user."""
    rated = to_csr(user, item, None, n_users, n_items)
    order = np.argsort(user, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))]).astype(np.int64)
    return UserRatings(
        user[order].astype(np.int32), item[order].astype(np.int32), value[order].astype(np.float32), offsets, rated
    )


def sgd_epoch(
    grid: RatingGrid, factors: Factors, *, learning_rate: float, l2: float, rng: np.random.Generator
) -> float:
    """One pass over all ratings in a new random order, in place; returns the sum of their squared errors before each step.

    Diagonals come in random order; the cells of one share no row, so the result does not depend on the number of threads.
    """
    seed, total = int(rng.integers(2**62)), 0.0
    for diagonal in rng.permutation(grid.n_parts):
        first = diagonal * grid.n_parts
        total += sum(
            over_rows(
                _sgd_cells, grid.n_parts, grid.offsets[first : first + grid.n_parts + 1], seed,
                grid.user, grid.item, grid.value, factors.user, factors.item, factors.user_bias, factors.item_bias,
                np.float32(factors.mean), np.float32(learning_rate), np.float32(l2),
            )
        )  # fmt: skip
    return total


def svdpp_epoch(
    ratings: UserRatings,
    factors: Factors,
    rated_factors: Float,
    *,
    learning_rate: float,
    l2: float,
    rng: np.random.Generator,
) -> float:
    """One pass over all ratings, users and the ratings of each in a new random order; as `sgd_epoch`, on one thread.

    r_ui = mean + b_u + b_i + q_i . (p_u + z_u), z_u = |N|^-1/2 sum_{j in N} y_j with N the items that u rated and y =
    `rated_factors` [n_items, padded D]. Every y_j of N is moved by every rating of u, yet a rating costs O(D), exactly:
    it moves y_j to c y_j + g e |N|^-1/2 q_i with c = 1 - g l2, hence z to c z + g e q_i, just as p to c p + g e q_i. So
    only s = p + z need be followed, s <- c s + 2 g e q_i. After the t ratings of u both p and z have become c^t times what
    they were plus m = (s_t - c^t s_0) / 2, and each y_j c^t times what it was plus |N|^-1/2 m.
    """
    order, seed = rng.permutation(len(factors.user_bias)).astype(np.int32), int(rng.integers(2**62))
    total: float = _svdpp(
        order, seed, ratings.offsets, ratings.user, ratings.item, ratings.value, ratings.rated.indptr,
        ratings.rated.indices, factors.user, factors.item, rated_factors, factors.user_bias, factors.item_bias,
        np.float32(factors.mean), np.float32(learning_rate), np.float32(l2),
    )  # fmt: skip
    return total


def _dealt(index: Int, n_rows: int, n_parts: int) -> Int:
    """A part for each row, int32 [n_rows]: rows are dealt from the most frequent down, so parts are of like size."""
    part = np.empty(n_rows, np.int32)
    part[np.argsort(-np.bincount(index, minlength=n_rows), kind="stable")] = np.arange(n_rows) % n_parts
    return part


@summing_kernel
def _svdpp(
    order: Int, seed: int, ptr: Offsets, user: Int, item: Int, value: Float, rated_ptr: Offsets, rated: Int,
    user_factors: Float, item_factors: Float, rated_factors: Float, user_bias: Float, item_bias: Float,
    mean: np.float32, rate: np.float32, l2: np.float32,
) -> float:  # fmt: skip
    dim, total = user_factors.shape[1], 0.0
    before, taste = np.empty(dim, np.float32), np.empty(dim, np.float32)
    keep, two = np.float32(1) - rate * l2, np.float32(2)
    for u in order:
        if ptr[u] == ptr[u + 1]:
            continue
        p, near = user_factors[u], rated[rated_ptr[u] : rated_ptr[u + 1]]
        scale = np.float32(1 / np.sqrt(len(near)))
        _sum_of_rows(near, rated_factors, taste)
        for d in range(dim):
            taste[d] = before[d] = p[d] + scale * taste[d]
        _shuffle(ptr[u], ptr[u + 1], seed, user, item, value)
        for e in range(ptr[u], ptr[u + 1]):
            i = item[e]
            q, dot = item_factors[i], np.float32(0)
            for d in range(dim):
                dot += taste[d] * q[d]
            error = value[e] - (mean + user_bias[u] + item_bias[i] + dot)
            total += error * error
            step = rate * error
            user_bias[u] = keep * user_bias[u] + step
            item_bias[i] = keep * item_bias[i] + step
            for d in range(dim):
                old = taste[d]
                taste[d] = keep * old + two * step * q[d]
                q[d] = keep * q[d] + step * old
        shrink = np.float32(keep ** (ptr[u + 1] - ptr[u]))
        for d in range(dim):
            moved = np.float32(0.5) * (taste[d] - shrink * before[d])
            p[d] = shrink * p[d] + moved
            taste[d] = scale * moved
        for j in near:
            y = rated_factors[j]
            for d in range(dim):
                y[d] = shrink * y[d] + taste[d]
    return total


@summing_kernel
def _sum_of_rows(rows: Int, matrix: Float, out: Float) -> None:
    out[:] = 0
    for row in rows:
        y = matrix[row]
        for d in range(len(out)):
            out[d] += y[d]


@kernel
def _shuffle(start: int, stop: int, seed: int, user: Int, item: Int, value: Float) -> None:
    """Shuffle the entries start .. stop of all three arrays alike."""
    for place in range(stop - 1, start, -1):
        other = start + below(mixed(np.uint64(seed) + np.uint64(place) * STEP), place - start + 1)
        user[place], user[other] = user[other], user[place]
        item[place], item[other] = item[other], item[place]
        value[place], value[other] = value[other], value[place]


@summing_kernel
def _sgd_cells(
    start: int, stop: int, offsets: Offsets, seed: int, user: Int, item: Int, value: Float,
    user_factors: Float, item_factors: Float, user_bias: Float, item_bias: Float, mean: np.float32, rate: np.float32, l2: np.float32,
) -> float:  # fmt: skip
    dim, total = user_factors.shape[1], 0.0
    keep = np.float32(1) - rate * l2
    for cell in range(start, stop):
        _shuffle(offsets[cell], offsets[cell + 1], seed, user, item, value)
        for e in range(offsets[cell], offsets[cell + 1]):
            u, i = user[e], item[e]
            p, q, dot = user_factors[u], item_factors[i], np.float32(0)
            for d in range(dim):
                dot += p[d] * q[d]
            error = value[e] - (mean + user_bias[u] + item_bias[i] + dot)
            total += error * error
            step = rate * error
            user_bias[u] = keep * user_bias[u] + step
            item_bias[i] = keep * item_bias[i] + step
            for d in range(dim):
                old = p[d]
                p[d] = keep * old + step * q[d]
                q[d] = keep * q[d] + step * old
    return total
