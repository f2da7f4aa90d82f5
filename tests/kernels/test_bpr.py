from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from rankine.arrays import CSR
from rankine.kernels import bpr as module
from rankine.kernels.bpr import Triples, bpr_epoch, bpr_fold_in, draw_negatives, padded_items
from rankine.kernels.draws import alias_table
from rankine.kernels.sparse import to_csr

Matrix = np.ndarray[Any, Any]


def taken(n_users: int = 30, n_items: int = 20, seed: int = 1) -> CSR:
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.2)
    return to_csr(users, items, None, n_users, n_items)


def start(csr: CSR, dim: int, seed: int = 2) -> tuple[Matrix, Matrix]:
    rng = np.random.default_rng(seed)
    items = padded_items(csr.n_columns, dim)
    items[:, : dim + 1] = rng.normal(0, 0.3, (csr.n_columns, dim + 1))
    return rng.normal(0, 0.3, (csr.n_rows, dim)).astype(np.float32), items


def slow_step(x: Matrix, y: Matrix, other: Matrix, rate: float, l2: float, bounded: bool) -> None:
    """One triple, in place; the last number of an item is its bias."""
    dim = len(x)
    z = 1 / (1 + np.exp(x @ (y - other)[:dim] + y[dim] - other[dim]))
    z = z * (1 - z) if bounded else z
    x_old, difference, one = x.copy(), (y - other)[:dim].copy(), np.append(x, 1.0)
    x += rate * (z * difference - l2 * x_old)
    y += rate * (z * one - l2 * y)
    other += rate * (-z * one - l2 * other)


@pytest.mark.parametrize("dim", [1, 5, 16])
@pytest.mark.parametrize("bounded", [False, True])
def test_one_triple_is_the_rule_of_the_paper(bounded: bool, dim: int) -> None:
    csr = to_csr(np.array([0]), np.array([1]), None, 1, 2)  # the only negative is item 0
    users, items = start(csr, dim)
    x, y = users[0].astype(float), items[:, : dim + 1].astype(float)
    bpr_epoch(Triples(csr, dim=dim), users, items, learning_rate=0.3, l2=0.1, bounded=bounded)
    slow_step(x, y[1], y[0], 0.3, 0.1, bounded)
    np.testing.assert_allclose(users[0], x, rtol=1e-5)
    np.testing.assert_allclose(items[:, : dim + 1], y, rtol=1e-5)
    assert not items[:, dim + 1 :].any()


@pytest.mark.parametrize("d", [-1e4, -90.0, 90.0, 1e4])
@pytest.mark.parametrize("bounded", [False, True])
def test_no_difference_is_too_large(bounded: bool, d: float) -> None:
    csr = to_csr(np.array([0]), np.array([1]), None, 1, 2)
    users, items = np.zeros((1, 4), np.float32), padded_items(2, 4)
    items[1, 4] = d
    loss = bpr_epoch(Triples(csr), users, items, learning_rate=1.0, l2=0.0, bounded=bounded)
    assert loss == pytest.approx(float(d < 0) if bounded else max(-d, 0.0), abs=1e-5)
    moved = 1.0 if d < 0 and not bounded else 0.0
    np.testing.assert_allclose(items[:, 4], [-moved, d + moved], atol=1e-5)


def test_rows_of_items_stand_on_cache_lines_of_their_own() -> None:
    for dim in (1, 15, 16, 64):
        items = padded_items(7, dim)
        assert items.ctypes.data % 64 == 0
        assert items.shape[1] % 16 == 0
        assert dim + 1 <= items.shape[1] < dim + 17


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_negatives_follow_their_weights_and_were_not_taken(
    alpha: float, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BITMAP_BYTES", 0 if large else 1 << 24)
    csr = taken()
    weights = np.bincount(csr.indices, minlength=csr.n_columns) ** alpha
    triples = Triples(csr, table=alias_table(weights) if alpha else module.EVEN)
    assert bool(len(triples.bitmap)) is not large
    for user in (0, 7, 29):
        free = np.setdiff1d(np.arange(csr.n_columns), csr.row(user)[0])
        drawn = np.bincount(draw_negatives(triples, user, 20_000, seed=user), minlength=csr.n_columns)
        assert drawn.sum() == drawn[free].sum() == 20_000
        assert chisquare(drawn[free], 20_000 * weights[free] / weights[free].sum()).pvalue > 1e-3


def test_every_pair_stands_in_one_block_and_every_user_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_FLOATS", 7 * 4)
    csr = taken()
    triples = Triples(csr, dim=4, seed=3)
    rows = np.repeat(np.arange(csr.n_rows), np.diff(csr.indptr))
    assert sorted(zip(triples.pair_user, triples.pair_item, strict=True)) == sorted(zip(rows, csr.indices, strict=True))
    users = [set(triples.pair_user[a:b].tolist()) for a, b in zip(triples.blocks[:-1], triples.blocks[1:], strict=True)]
    assert len(users) == 5
    assert sum(map(len, users)) == len(set().union(*users))


def test_one_thread_repeats_to_the_bit_and_more_learn_as_much() -> None:
    csr = taken(400, 50)
    results = []
    for n_threads in (1, 1, 2):
        users, items = start(csr, 8)
        triples = Triples(csr, dim=256, seed=4)
        losses = [
            bpr_epoch(triples, users, items, learning_rate=0.05, l2=0.01, seed=e, n_threads=n_threads)
            for e in range(30)
        ]
        results.append((users, items, losses))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert results[0][2] == results[1][2]
    assert results[2][2][-1] == pytest.approx(results[0][2][-1], rel=0.2)
    assert results[2][2][-1] < 0.8 * results[2][2][0]


def test_who_took_everything_is_passed_over() -> None:
    csr = to_csr(np.zeros(3, int), np.arange(3), None, 1, 3)
    users, items = start(csr, 4)
    before = users.copy(), items.copy()
    assert bpr_epoch(Triples(csr), users, items, learning_rate=0.1, l2=0.1) == 0.0
    np.testing.assert_array_equal(users, before[0])
    np.testing.assert_array_equal(items, before[1])
    assert draw_negatives(Triples(csr), 0, 2).tolist() == [-1, -1]


def test_no_pairs_is_no_step() -> None:
    csr = to_csr(np.empty(0, int), np.empty(0, int), None, 3, 4)
    users, items = start(csr, 4)
    assert bpr_epoch(Triples(csr), users, items, learning_rate=0.1, l2=0.1) == 0.0


@pytest.mark.parametrize("bounded", [False, True])
def test_folding_in_is_the_rule_with_items_held(bounded: bool) -> None:
    csr = to_csr(np.array([1]), np.array([1]), None, 2, 2)
    _, items = start(csr, 5)
    before, x = items.copy(), np.zeros(5)
    found = bpr_fold_in(csr, items, 5, learning_rate=0.3, l2=0.1, n_passes=4, bounded=bounded)
    for _ in range(4):
        slow_step(x, items[1, :6].astype(float), items[0, :6].astype(float), 0.3, 0.1, bounded)
    np.testing.assert_allclose(found, [np.zeros(5), x], rtol=1e-5)
    np.testing.assert_array_equal(items, before)


def test_a_history_folds_in_alike_alone_and_among_others() -> None:
    csr = taken()
    _, items = start(csr, 6)
    steps = {"learning_rate": 0.1, "l2": 0.01, "n_passes": 5}
    every = bpr_fold_in(csr, items, 6, **steps)
    one = CSR(np.array([0, csr.indptr[4] - csr.indptr[3]]), *csr.row(3), csr.n_columns)
    np.testing.assert_allclose(bpr_fold_in(one, items, 6, **steps)[0], every[3], rtol=1e-6)
