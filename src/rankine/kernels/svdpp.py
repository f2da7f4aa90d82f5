"""Stochastic gradient descent of SVD++, one rating at a time, users one after another.

With e = r - prediction, g = learning rate: x <- x + g (e dx - l2 x) for every parameter x of the prediction, dx its derivative.
Factor matrices are padded with zero columns to a multiple of LANES: zeros stay zeros, and the loops need no remainder.
Source: Koren 2008, "Factorization meets the neighborhood", equation 15.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.jit import summing_kernel
from rankine.kernels.pairs import Pairs, shuffle
from rankine.kernels.sparse import to_csr

LANES = 16


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


def user_ratings(user: Int, item: Int, value: Array, n_users: int, n_items: int) -> UserRatings:
    """The ratings by user. Raises ValueError for an index outside."""
    pairs = Pairs.of_columns(user, item, value, n_users, n_items)
    by_user = np.repeat(np.arange(n_users, dtype=np.int32), np.diff(pairs.indptr))
    return UserRatings(by_user, pairs.item, pairs.value, pairs.indptr, to_csr(user, item, None, n_users, n_items))


def svdpp_epoch(
    ratings: UserRatings,
    factors: Factors,
    rated_factors: Float,
    *,
    learning_rate: float,
    l2: float,
    rng: np.random.Generator,
) -> float:
    """One pass over all ratings, users and the ratings of each in a new random order, in place; returns the sum of squared errors.

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
        shuffle(ptr[u], ptr[u + 1], np.uint64(seed), user, item, value)
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
