from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from rankine.kernels.svdpp import LANES, Factors, padded, svdpp_epoch, user_ratings

N_USERS, N_ITEMS, DIM, MEAN = 30, 23, 5, 3.2
RATE, L2 = 0.04, 0.1
Ratings = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]


def ratings(n: int = 600, seed: int = 3) -> Ratings:
    """Skewed users and items, some pairs more than once; the last user and the last item have none."""
    rng = np.random.default_rng(seed)
    user = np.minimum(rng.geometric(0.1, n) - 1, N_USERS - 2).astype(np.int32)
    item = np.minimum(rng.geometric(0.15, n) - 1, N_ITEMS - 2).astype(np.int32)
    return user, item, rng.integers(1, 6, n).astype(np.float64)


def start(seed: int = 8) -> tuple[Factors, np.ndarray[Any, Any]]:
    """Random factors and biases, and the factors of rated items."""
    rng = np.random.default_rng(seed)
    p, q, y = (padded(rng.normal(0, 0.3, (n, DIM)).astype(np.float32)) for n in (N_USERS, N_ITEMS, N_ITEMS))
    b_user, b_item = (rng.normal(0, 0.3, n).astype(np.float32) for n in (N_USERS, N_ITEMS))
    return Factors(p, q, b_user, b_item, MEAN), y


def doubles(factors: Factors) -> list[np.ndarray[Any, Any]]:
    return [a.astype(np.float64) for a in (factors.user, factors.item, factors.user_bias, factors.item_bias)]


def assert_close(factors: Factors, expected: list[np.ndarray[Any, Any]]) -> None:
    for found, wanted in zip(doubles(factors), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-6)


def test_an_epoch_of_svdpp_moves_every_rated_item_at_every_rating() -> None:
    sorted_ = user_ratings(*ratings(), N_USERS, N_ITEMS)
    factors, rated_factors = start()
    p, q, b_user, b_item = doubles(factors)
    y, rng, squares = rated_factors.astype(np.float64), np.random.default_rng(6), 0.0
    found = svdpp_epoch(sorted_, factors, rated_factors, learning_rate=RATE, l2=L2, rng=copy.deepcopy(rng))
    for u in rng.permutation(N_USERS):
        mine = range(sorted_.offsets[u], sorted_.offsets[u + 1])
        near = sorted({int(sorted_.item[e]) for e in mine})
        for e in mine:
            i = sorted_.item[e]
            z = y[near].sum(0) / np.sqrt(len(near))
            error = sorted_.value[e] - (MEAN + b_user[u] + b_item[i] + q[i] @ (p[u] + z))
            squares += error**2
            b_user[u] += RATE * (error - L2 * b_user[u])
            b_item[i] += RATE * (error - L2 * b_item[i])
            y[near] += RATE * (error * q[i] / np.sqrt(len(near)) - L2 * y[near])
            p[u], q[i] = p[u] + RATE * (error * q[i] - L2 * p[u]), q[i] + RATE * (error * (p[u] + z) - L2 * q[i])
    assert_close(factors, [p, q, b_user, b_item])
    np.testing.assert_allclose(rated_factors, y, rtol=1e-4, atol=2e-6)
    assert found == pytest.approx(squares, rel=1e-5)


def test_padding_stays_zero() -> None:
    factors, y = start()
    rng = np.random.default_rng(0)
    svdpp_epoch(user_ratings(*ratings(), N_USERS, N_ITEMS), factors, y, learning_rate=RATE, l2=L2, rng=rng)
    for matrix in (factors.user, factors.item, y):
        assert matrix.shape[1] % LANES == 0
        assert matrix[:, :DIM].any()
        assert not matrix[:, DIM:].any()


def test_an_index_outside_is_an_error() -> None:
    user, item, value = ratings()
    with pytest.raises(ValueError, match=r"must lie in 0 \.\. 4"):
        user_ratings(user, item, value, 5, N_ITEMS)
    with pytest.raises(ValueError, match=r"must lie in 0 \.\. 4"):
        user_ratings(user, item, value, N_USERS, 5)
