from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
from numba.core import config

from rankine.arrays import CSR
from rankine.kernels.draws import STEP, alias_table, below, mixed, weighted
from rankine.kernels.pairs import WINDOW, Grid, Pairs, Table, deal
from rankine.kernels.sampled_sgd import LOSSES, REDRAWS, sampled_epoch, sampled_fold_in
from rankine.kernels.sparse import to_csr

N_USERS, N_ITEMS, RATE, L2 = 12, 17, 0.1, 0.05
MASK = (1 << 64) - 1
Errors = tuple[list[float], float]


def taken(seed: int = 4) -> CSR:
    rng = np.random.default_rng(seed)
    dense = rng.random((N_USERS, N_ITEMS)) < np.linspace(0.05, 0.5, N_ITEMS)
    dense[3], dense[5] = False, True  # nothing and everything
    return to_csr(*np.nonzero(dense), None, N_USERS, N_ITEMS)


def start(dim: int, seed: int = 8) -> tuple[Table, Table]:
    rng = np.random.default_rng(seed)
    sd = 1.1 * dim**-0.25  # of scores about 1
    tables = Table(rng.normal(0, sd, (N_USERS, dim))), Table(rng.normal(0, sd, (N_ITEMS, dim)))
    for table in tables:
        table.bias[:] = rng.normal(0, 0.3, len(table.bias))
    return tables


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def slow_errors(loss: str, s: list[float]) -> Errors:
    """-dloss/ds of the taken item and of its negatives, and the loss."""
    others = s[1:]
    if loss == "logistic":
        cost = math.log1p(math.exp(-s[0])) + sum(math.log1p(math.exp(t)) for t in others)
        return [1 - sigmoid(s[0]), *(-sigmoid(t) for t in others)], cost
    if loss == "warp":
        first = next((place for place, t in enumerate(others) if 1 - s[0] + t > 0), None)
        errors = [0.0] * len(s)
        if first is None:
            return errors, 0.0
        weight = math.log(max((N_ITEMS - 1) // (first + 1), 1))
        errors[0], errors[first + 1] = weight, -weight
        return errors, weight * (1 - s[0] + others[first])
    wrong = [sigmoid(t - s[0]) for t in others]
    slopes = [w / len(others) if loss == "bpr" else w * (1 - w) / len(others) for w in wrong]
    costs = np.logaddexp(0, np.array(others) - s[0]) if loss == "bpr" else wrong
    return [sum(slopes), *(-slope for slope in slopes)], float(np.mean(costs))


def slow_negatives(matrix: CSR, grid: Grid, begin: int, near: int, m: int, seed: int, redraws: int, table: Any) -> Any:
    """The negatives of the pairs of a window, drawn one after another."""
    members, counter = grid.members[grid.starts[near] : grid.starts[near + 1]], int(mixed(np.uint64(seed + begin)))
    stop = next(int(o) for o in grid.offsets if o > begin)
    for e in range(begin, stop):
        drawn = []
        while len(drawn) < m:
            item = -1
            for _ in range(redraws + 1):
                counter = (counter + int(STEP)) & MASK
                bits = np.uint64(mixed(np.uint64(counter)))
                item = int(members[weighted(bits, *table[near]) if table else below(bits, len(members))])
                if item not in matrix.row(grid.user[e])[0]:
                    break
            drawn.append(item)
        yield e, drawn


def slow_epoch(matrix: CSR, grid: Grid, state: Any, loss: str, m: int, weights: Any, rng: np.random.Generator) -> float:
    p, b_user, q, b_item = state
    seed, total = int(rng.integers(2**62)), 0.0
    parts = [grid.members[a:b] for a, b in zip(grid.starts[:-1], grid.starts[1:], strict=True)]
    table = None if weights is None else [alias_table(weights[part]) for part in parts]
    redraws, share = (0, m + 1) if loss == "logistic" else (REDRAWS, 1)
    for diagonal in rng.permutation(grid.n_parts):
        for part in range(grid.n_parts):
            cell, near = diagonal * grid.n_parts + part, (part + diagonal) % grid.n_parts
            begin = int(grid.offsets[cell])
            assert grid.offsets[cell + 1] - begin < WINDOW
            if begin == grid.offsets[cell + 1]:
                continue
            for e, negatives in slow_negatives(matrix, grid, begin, near, m, seed, redraws, table):
                u, rows = grid.user[e], [int(grid.item[e]), *negatives]
                errors, cost = slow_errors(loss, [b_user[u] + b_item[j] + p[u] @ q[j] for j in rows])
                total += cost
                before, moved = p[u].copy(), (1 - RATE * L2 * share) * p[u]
                b_user[u] = (1 - RATE * L2 * share) * b_user[u] + RATE * sum(errors)
                for j, error in zip(rows, errors, strict=True):
                    moved += RATE * error * q[j]
                    q[j] += RATE * (error * before - L2 * q[j])
                    b_item[j] += RATE * (error - L2 * b_item[j])
                p[u] = moved
    return total


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("dim", "m", "n_parts", "popular"), [(5, 1, 1, False), (20, 9, 2, True), (16_000, 2, 1, False)]
)
def test_an_epoch_is_a_step_per_pair(loss: str, dim: int, m: int, n_parts: int, popular: bool) -> None:
    matrix, (users, items) = taken(), start(dim)  # the largest dim makes items that no cache holds
    weights = np.bincount(matrix.indices, minlength=N_ITEMS) ** 0.75 if popular else None
    grid = deal(Pairs.of_matrix(matrix), np.random.default_rng(2), n_parts)
    state = [a.astype(float) for a in (users.factors, users.bias, items.factors, items.bias)]
    rng = np.random.default_rng(5)
    found = sampled_epoch(
        grid, matrix, users, items, loss=loss, learning_rate=RATE, l2=L2, n_negatives=m, weights=weights,
        rng=copy.deepcopy(rng),
    )  # fmt: skip
    assert found == pytest.approx(slow_epoch(matrix, grid, state, loss, m, weights, rng), rel=1e-4)
    for array, expected in zip((users.factors, users.bias, items.factors, items.bias), state, strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-3, atol=1e-5)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    for threads in (1, 4):
        monkeypatch.setattr(config, "NUMBA_NUM_THREADS", threads)
        matrix, (users, items), rng = taken(), start(6), np.random.default_rng(1)
        losses = [
            sampled_epoch(deal(Pairs.of_matrix(matrix), rng, 4), matrix, users, items, loss="logistic",
                          learning_rate=RATE, l2=L2, n_negatives=3, weights=None, rng=rng)
            for _ in range(3)
        ]  # fmt: skip
        states.append([losses, users.flat.tolist(), items.flat.tolist()])
    assert states[0] == states[1]


@pytest.mark.parametrize("weights", [None, np.arange(N_ITEMS) + 1.0])
def test_over_many_deals_negatives_come_by_weight(weights: Any) -> None:
    """With a learning rate of zero for all but the penalty, a row shrinks by a known factor each time it is touched."""
    matrix, rng = taken(), np.random.default_rng(3)
    times, shrink, m = np.zeros(N_ITEMS), 1e-3, 4
    for _ in range(200):
        users, items = Table(np.zeros((N_USERS, 1))), Table(np.ones((N_ITEMS, 1)))
        grid = deal(Pairs.of_matrix(matrix), rng, 2)
        sampled_epoch(grid, matrix, users, items, loss="logistic", learning_rate=1e-9, l2=shrink * 1e9, n_negatives=m,
                      weights=weights, rng=rng)  # fmt: skip
        times += np.log(items.factors[:, 0]) / np.log1p(-shrink)
    negatives = times - 200 * np.bincount(matrix.indices, minlength=N_ITEMS)
    expected = np.ones(N_ITEMS) if weights is None else weights
    np.testing.assert_allclose(negatives / negatives.sum(), expected / expected.sum(), rtol=0.15)
    assert negatives.sum() == pytest.approx(200 * m * matrix.nnz, rel=1e-3)


def test_numbers_that_are_not_finite_show_in_the_loss() -> None:
    matrix, (users, items) = taken(), start(3)
    for loss in LOSSES:
        users.factors[:] = np.nan
        found = sampled_epoch(deal(Pairs.of_matrix(matrix), np.random.default_rng(1)), matrix, users, items, loss=loss,
                              learning_rate=RATE, l2=L2, n_negatives=2, weights=None, rng=np.random.default_rng(1))  # fmt: skip
        assert not np.isfinite(found), loss


@pytest.mark.parametrize("loss", LOSSES)
def test_folding_in_is_the_steps_of_the_visitor_alone(loss: str) -> None:
    matrix, m, rng = taken(), 3, np.random.default_rng(7)
    items, before = (
        rng.normal(0, 0.5, (N_ITEMS, 6)).astype(np.float32),
        rng.normal(0, 0.3, (N_USERS, 5)).astype(np.float32),
    )
    found = sampled_fold_in(
        matrix,
        matrix,
        Table(items[:, :4], items[:, 4]),
        before,
        loss=loss,
        learning_rate=RATE,
        l2=L2,
        n_negatives=m,
        n_passes=2,
    )
    for row in (0, 3, 8):
        columns, x, counter = matrix.row(row)[0].tolist(), before[row].astype(float), 0
        for column in columns * 2:
            rows = [column]
            while len(rows) <= m:
                for _ in range(1 if loss == "logistic" else REDRAWS + 1):
                    counter = (counter + int(STEP)) & MASK
                    item = int(below(np.uint64(mixed(np.uint64(counter))), N_ITEMS))
                    if item not in columns:
                        break
                rows.append(item)
            errors, _ = slow_errors(loss, [x[4] + items[j, 4] + x[:4] @ items[j, :4] for j in rows])
            steps = sum(e * np.append(items[j, :4], 1.0) for j, e in zip(rows, errors, strict=True))
            x = x + RATE * (steps - L2 * (m + 1 if loss == "logistic" else 1) * x)
        np.testing.assert_allclose(found[row], x, rtol=1e-4, atol=1e-6)


def test_what_was_taken_is_drawn_again() -> None:
    """A pair costs nothing where its negatives lie far below: only what was not taken is up there to be met."""
    matrix = to_csr(np.zeros(8, int), np.arange(8), None, 1, 16)
    users, items = Table(np.ones((1, 1))), Table(np.where(np.arange(16) < 8, 50.0, -50.0)[:, None])
    found = sampled_epoch(deal(Pairs.of_matrix(matrix), np.random.default_rng(1)), matrix, users, items, loss="bpr",
                          learning_rate=1e-6, l2=0.0, n_negatives=5, weights=None, rng=np.random.default_rng(1))  # fmt: skip
    assert found < 1e-3


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "logistic"])
def test_what_a_visitor_met_before_is_no_negative_of_what_is_new(loss: str) -> None:
    rng = np.random.default_rng(3)
    items = np.zeros((4, 3), np.float32)
    items[:, :2] = rng.normal(0, 0.5, (4, 2))
    news = CSR(np.array([0, 1]), np.array([1], np.int32), np.ones(1, np.float32), 4)
    met = CSR(np.array([0, 3]), np.array([0, 1, 2], np.int32), np.ones(3, np.float32), 4)
    steps = {"loss": loss, "learning_rate": 0.1, "l2": 0.0, "n_negatives": 1, "n_passes": 1}
    found = sampled_fold_in(news, met, Table(items[:, :2], items[:, 2]), np.zeros((1, 3), np.float32), **steps)  # type: ignore[arg-type]
    slope = found[0, 0] / (items[1, 0] - items[3, 0])  # the only item left to draw is the last
    np.testing.assert_allclose(found[0, :2], slope * (items[1, :2] - items[3, :2]), rtol=1e-4)
