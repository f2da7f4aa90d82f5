from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from numba.core import config

from rankine.kernels.pairs import Grid, Pairs, Table, deal
from rankine.kernels.rating_sgd import sgd_epoch

N_USERS, N_ITEMS, DIM, MEAN = 30, 23, 5, 3.2
STEPS: dict[str, Any] = {"mean": MEAN, "learning_rate": 0.04, "l2": 0.1}


def ratings(n: int = 600, seed: int = 3) -> Pairs:
    """Skewed users and items, some pairs more than once; the last user and the last item have none."""
    rng = np.random.default_rng(seed)
    user = np.minimum(rng.geometric(0.1, n) - 1, N_USERS - 2).astype(np.int32)
    item = np.minimum(rng.geometric(0.15, n) - 1, N_ITEMS - 2).astype(np.int32)
    return Pairs.of_columns(user, item, rng.integers(1, 6, n), N_USERS, N_ITEMS)


def start(seed: int = 8) -> tuple[Table, Table]:
    rng = np.random.default_rng(seed)
    tables = Table(rng.normal(0, 0.3, (N_USERS, DIM))), Table(rng.normal(0, 0.3, (N_ITEMS, DIM)))
    for table in tables:
        table.bias[:] = rng.normal(0, 0.3, len(table.bias))
    return tables


def order_of(grid: Grid, rng: np.random.Generator) -> list[int]:
    """The entries in the order in which the epoch that left `grid` so took them; `rng` as it was before."""
    rng.integers(2**62)
    cells = [d * grid.n_parts + part for d in rng.permutation(grid.n_parts) for part in range(grid.n_parts)]
    return [e for c in cells for e in range(grid.offsets[c], grid.offsets[c + 1])]


@pytest.mark.parametrize("n_parts", [1, 2, 4])
def test_an_epoch_is_a_step_per_rating(n_parts: int) -> None:
    grid, (users, items) = deal(ratings(), np.random.default_rng(2), n_parts), start()
    p, q, b_user, b_item = (a.astype(float) for a in (users.factors, items.factors, users.bias, items.bias))
    rng, squares = np.random.default_rng(5), 0.0
    found = sgd_epoch(grid, users, items, **STEPS, rng=copy.deepcopy(rng))
    rate, l2 = STEPS["learning_rate"], STEPS["l2"]
    for e in order_of(grid, rng):
        u, i = grid.user[e], grid.item[e]
        error = grid.value[e] - (MEAN + b_user[u] + b_item[i] + p[u] @ q[i])
        squares += error**2
        b_user[u] += rate * (error - l2 * b_user[u])
        b_item[i] += rate * (error - l2 * b_item[i])
        p[u], q[i] = p[u] + rate * (error * q[i] - l2 * p[u]), q[i] + rate * (error * p[u] - l2 * q[i])
    for table, factors, bias in ((users, p, b_user), (items, q, b_item)):
        np.testing.assert_allclose(table.factors, factors, rtol=1e-4, atol=2e-6)
        np.testing.assert_allclose(table.bias, bias, rtol=1e-4, atol=2e-6)
    assert found == pytest.approx(squares, rel=1e-5)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    for threads in (1, 4):
        monkeypatch.setattr(config, "NUMBA_NUM_THREADS", threads)
        grid, (users, items) = deal(ratings(), np.random.default_rng(2), 4), start()
        rng = np.random.default_rng(1)
        losses = [sgd_epoch(grid, users, items, **STEPS, rng=rng) for _ in range(3)]
        states.append([losses, users.flat.tolist(), items.flat.tolist()])
    assert states[0] == states[1]


def test_padding_stays_zero() -> None:
    users, items = start()
    sgd_epoch(deal(ratings(), np.random.default_rng(2)), users, items, **STEPS, rng=np.random.default_rng(0))
    for table in (users, items):
        rest = table.flat.reshape(-1, table.stride)[:, DIM : table.stride - 16]
        assert rest.size
        assert not rest.any()
