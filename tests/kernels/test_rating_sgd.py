from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from numba.core import config

from rankine.kernels.rating_sgd import (
    LANES,
    Factors,
    RatingGrid,
    padded,
    rating_grid,
    sgd_epoch,
    svdpp_epoch,
    user_ratings,
)

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


def rating_counts(user: Any, item: Any, value: Any) -> list[tuple[int, int, float]]:
    return sorted(zip(user.tolist(), item.tolist(), value.tolist(), strict=True))


def order_of(grid: RatingGrid, rng: np.random.Generator) -> list[int]:
    """The entries in the order in which the epoch that left `grid` so took them; `rng` as it was before."""
    rng.integers(2**62)
    cells = [d * grid.n_parts + u for d in rng.permutation(grid.n_parts) for u in range(grid.n_parts)]
    return [e for c in cells for e in range(grid.offsets[c], grid.offsets[c + 1])]


@pytest.mark.parametrize("n_parts", [1, 2, 5])
def test_an_epoch_is_a_step_per_rating(n_parts: int) -> None:
    grid = rating_grid(*ratings(), N_USERS, N_ITEMS, n_parts)
    factors, _ = start()
    p, q, b_user, b_item = doubles(factors)
    rng, squares = np.random.default_rng(5), 0.0
    found = sgd_epoch(grid, factors, learning_rate=RATE, l2=L2, rng=copy.deepcopy(rng))
    for e in order_of(grid, rng):
        u, i = grid.user[e], grid.item[e]
        error = grid.value[e] - (MEAN + b_user[u] + b_item[i] + p[u] @ q[i])
        squares += error**2
        b_user[u] += RATE * (error - L2 * b_user[u])
        b_item[i] += RATE * (error - L2 * b_item[i])
        p[u], q[i] = p[u] + RATE * (error * q[i] - L2 * p[u]), q[i] + RATE * (error * p[u] - L2 * q[i])
    assert_close(factors, [p, q, b_user, b_item])
    assert found == pytest.approx(squares, rel=1e-5)


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


def test_cells_of_a_diagonal_share_neither_users_nor_items() -> None:
    user, item, value = ratings()
    grid = rating_grid(user, item, value, N_USERS, N_ITEMS, 4)
    assert rating_counts(grid.user, grid.item, grid.value) == rating_counts(user, item, value)
    cells = [slice(*grid.offsets[c : c + 2]) for c in range(16)]
    for diagonal in range(4):
        for column in (grid.user, grid.item):
            distinct = [set(column[c].tolist()) for c in cells[4 * diagonal : 4 * diagonal + 4]]
            assert sum(map(len, distinct)) == len(set().union(*distinct))


def test_the_number_of_parts_follows_from_the_number_of_ratings() -> None:
    user, item = np.arange(1000, dtype=np.int32) % 40, np.arange(1000, dtype=np.int32) % 37
    assert rating_grid(user, item, np.ones(1000), 40, 37).n_parts == 1
    assert rating_grid(np.tile(user, 700), np.tile(item, 700), np.ones(700_000), 40, 37).n_parts == 3


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    for threads in (1, 4):
        monkeypatch.setattr(config, "NUMBA_NUM_THREADS", threads)
        grid, (factors, _) = rating_grid(*ratings(), N_USERS, N_ITEMS, 4), start()
        rng = np.random.default_rng(1)
        losses = [sgd_epoch(grid, factors, learning_rate=RATE, l2=L2, rng=rng) for _ in range(3)]
        states.append([losses, *(a.tolist() for a in doubles(factors))])
    assert states[0] == states[1]


def test_a_shuffle_puts_every_rating_anywhere() -> None:
    n, times = 8, 4000
    counts, rng = np.zeros((n, n)), np.random.default_rng(2)
    user, item = np.zeros(n, np.int32), np.arange(n, dtype=np.int32)
    factors = Factors(np.zeros((1, LANES), np.float32), np.zeros((n, LANES), np.float32),
                      np.zeros(1, np.float32), np.zeros(n, np.float32), 0.0)  # fmt: skip
    for _ in range(times):
        grid = rating_grid(user, item, np.arange(n, dtype=np.float64), 1, n, 1)
        sgd_epoch(grid, factors, learning_rate=1e-3, l2=0.0, rng=rng)
        assert grid.item.tolist() == grid.value.tolist()
        counts[np.arange(n), grid.item] += 1
    expected = times / n
    assert ((counts - expected) ** 2 / expected).sum() < 90  # chi-square, 49 degrees of freedom: p < .0004


def test_padding_stays_zero() -> None:
    factors, y = start()
    rng = np.random.default_rng(0)
    sgd_epoch(rating_grid(*ratings(), N_USERS, N_ITEMS), factors, learning_rate=RATE, l2=L2, rng=rng)
    svdpp_epoch(user_ratings(*ratings(), N_USERS, N_ITEMS), factors, y, learning_rate=RATE, l2=L2, rng=rng)
    for matrix in (factors.user, factors.item, y):
        assert matrix.shape[1] % LANES == 0
        assert matrix[:, :DIM].any()
        assert not matrix[:, DIM:].any()


def test_an_index_outside_is_an_error() -> None:
    user, item, value = ratings()
    with pytest.raises(ValueError, match=r"`item` must lie in 0 \.\. 4"):
        rating_grid(user, item, value, N_USERS, 5)
    with pytest.raises(ValueError, match=r"must lie in 0 \.\. 4"):
        user_ratings(user, item, value, 5, N_ITEMS)
