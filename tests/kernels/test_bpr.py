from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from scipy.stats import chisquare

from rankine.arrays import CSR
from rankine.kernels import bpr_deal as dealing
from rankine.kernels.bpr import bpr_epoch, bpr_fold_in, padded_items, padded_users
from rankine.kernels.bpr_deal import PART, cumulated, deal, draw_places, draw_weighted_places, mark_taken, pair_grid
from rankine.kernels.bpr_steps import sigmoid
from rankine.kernels.sparse import to_csr

Matrix = np.ndarray[Any, Any]
ONLY_NEGATIVE_IS_0 = to_csr(np.array([0]), np.array([1]), None, 1, 2)


def taken(n_users: int = 30, n_items: int = 20, seed: int = 1) -> CSR:
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.2)
    return to_csr(users, items, None, n_users, n_items)


def start(csr: CSR, dim: int, seed: int = 2) -> tuple[Matrix, Matrix]:
    rng = np.random.default_rng(seed)
    users, items = padded_users(csr.n_rows, dim), padded_items(csr.n_columns, dim)
    users[:, :dim], items[:, :dim] = rng.normal(0, 0.3, (csr.n_rows, dim)), rng.normal(0, 0.3, (csr.n_columns, dim))
    items[:, users.shape[1]] = rng.normal(0, 0.3, csr.n_columns)
    return users, items


def plain(items: Matrix, dim: int) -> Matrix:
    """Factors and bias without the padding, [n_items, dim + 1]."""
    return items[:, [*range(dim), items.shape[1] - 16]]


def slow_step(x: Matrix, y: Matrix, other: Matrix, rate: float, l2: float, bounded: bool) -> None:
    """One triple, in place; the last number of an item is its bias."""
    dim = len(x)
    z = 1 / (1 + np.exp(x @ (y - other)[:dim] + y[dim] - other[dim]))
    z = z * (1 - z) if bounded else z
    x_old, difference, one = x.copy(), (y - other)[:dim].copy(), np.append(x, 1.0)
    x += rate * (z * difference - l2 * x_old)
    y += rate * (z * one - l2 * y)
    other += rate * (-z * one - l2 * other)


@pytest.mark.parametrize("dim", [1, 5, 16, 90])
@pytest.mark.parametrize("bounded", [False, True])
def test_one_triple_is_the_rule_of_the_paper(bounded: bool, dim: int) -> None:
    users, items = start(ONLY_NEGATIVE_IS_0, dim)
    x, y = users[0, :dim].astype(float), plain(items, dim).astype(float)
    bpr_epoch(pair_grid(ONLY_NEGATIVE_IS_0, dim), users, items, learning_rate=0.3, l2=0.1, bounded=bounded)
    slow_step(x, y[1], y[0], 0.3, 0.1, bounded)
    np.testing.assert_allclose(users[0, :dim], x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(plain(items, dim), y, rtol=1e-5, atol=1e-6)
    assert np.count_nonzero(users) == dim
    assert np.count_nonzero(items) == 2 * (dim + 1)


@pytest.mark.parametrize("d", [-1e4, -90.0, 90.0, 1e4])
@pytest.mark.parametrize("bounded", [False, True])
def test_no_difference_is_too_large(bounded: bool, d: float) -> None:
    users, items = padded_users(1, 4), padded_items(2, 4)
    items[1, 16] = d
    grid = pair_grid(ONLY_NEGATIVE_IS_0, 4)
    loss = bpr_epoch(grid, users, items, learning_rate=1.0, l2=0.0, bounded=bounded)
    assert loss == pytest.approx(float(d < 0) if bounded else max(-d, 0.0), abs=1e-5)
    moved = 1.0 if d < 0 and not bounded else 0.0
    np.testing.assert_allclose(items[:, 16], [-moved, d + moved], atol=1e-5)


def test_the_sigmoid_is_exact_to_float32_while_it_matters() -> None:
    x = np.linspace(-80, 120, 4001).astype(np.float32)
    found = [sigmoid(value) for value in x]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-x.astype(float))), rtol=1e-5)


def test_rows_stand_on_cache_lines_of_their_own() -> None:
    for dim, width in ((1, 16), (15, 16), (16, 16), (64, 64), (65, 80)):
        users, items = padded_users(7, dim), padded_items(7, dim)
        assert users.shape == (7, width)
        assert items.shape == (7, width + 16)
        assert not users.any() and not items.any()
        assert users.ctypes.data % 64 == items.ctypes.data % 64 == 0


def test_every_pair_stands_once_in_the_cell_of_its_user_and_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dealing, "PAIRS_PER_SHARE", 200)
    monkeypatch.setattr(dealing, "BLOCK_FLOATS", 4 * 6)
    csr = taken(40, 300)
    grid = pair_grid(csr, 4, seed=3)
    assert (grid.n_shares, len(grid.blocks) - 1) == (5, 5)
    dealt = deal(grid, np.random.default_rng(1))
    assert np.diff(dealt.parts).max() <= PART
    assert sorted(dealt.members) == list(range(300))
    found = []
    for cell, (first, last) in enumerate(zip(dealt.cells[:-1], dealt.cells[1:], strict=True)):
        block, part = divmod(cell, len(dealt.parts) - 1)
        for position, place in zip(grid.user[first:last], grid.place[first:last], strict=True):
            assert grid.blocks[block] <= position < grid.blocks[block + 1]
            found.append((grid.order[position], dealt.members[dealt.parts[part] + place]))
    rows = np.repeat(np.arange(csr.n_rows), np.diff(csr.indptr))
    assert sorted(found) == sorted(zip(rows, csr.indices, strict=True))
    assert dealt.work(5).sum() == csr.nnz


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [20, 64])
def test_negatives_follow_their_weights_and_were_not_taken(size: int, weighted: bool) -> None:
    own = np.array([1, 4, 5, 19], np.uint8)
    free, words = np.setdiff1d(np.arange(size), own), np.empty(3, np.uint64)
    mark_taken(np.full(4, 9, np.int32), own, 0, 4, 7, size, words)
    drawn = np.empty(24_000, np.uint8)
    pair = np.full(1, 9, np.int32)
    if weighted:
        weights = np.random.default_rng(4).random(5 + size, np.float32) ** 2
        draw_weighted_places(np.uint64(3), pair, 0, 1, 7, words, drawn, len(drawn), cumulated(weights), 5, size)
    else:
        weights = np.ones(5 + size, np.float32)
        draw_places(np.uint64(3), pair, 0, 1, 7, words, drawn, len(drawn))
    counts = np.bincount(drawn, minlength=size)
    assert counts.sum() == counts[free].sum() == len(drawn)
    expected = weights[5:][free].astype(float)
    assert chisquare(counts[free], expected / expected.sum() * len(drawn)).pvalue > 1e-3


def test_over_the_epochs_any_two_items_are_compared_alike() -> None:
    grid, rng = pair_grid(taken(5, 130), 4), np.random.default_rng(6)
    together = np.zeros((130, 130))
    for _ in range(600):
        dealt = deal(grid, rng)
        part = np.empty(130, int)
        part[dealt.members] = np.repeat(np.arange(3), np.diff(dealt.parts))
        together += part[:, None] == part
    above = together[np.triu_indices(130, 1)]
    assert above.mean() / 600 == pytest.approx(42.5 / 129, rel=0.02)
    assert above.std() == pytest.approx(np.sqrt(600 * 0.33 * 0.67), rel=0.1)  # as a fair coin


@pytest.mark.parametrize("weighted", [False, True])
def test_the_tables_do_not_depend_on_the_number_of_threads(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dealing, "PAIRS_PER_SHARE", 500)
    csr = taken(100, 400)
    weights = np.bincount(csr.indices, minlength=400) ** 0.5 if weighted else None
    results = []
    for n_threads in (1, 1, 4):
        monkeypatch.setattr(numba.core.config, "NUMBA_NUM_THREADS", n_threads)
        users, items = start(csr, 8)
        grid = pair_grid(csr, 8, seed=4)
        assert grid.n_shares == 7
        losses = [
            bpr_epoch(grid, users, items, learning_rate=0.1, l2=0.01, n_candidates=2, weights=weights, seed=e)
            for e in range(20)
        ]
        results.append((users, items, losses))
    for users, items, losses in results[1:]:
        np.testing.assert_array_equal(users, results[0][0])
        np.testing.assert_array_equal(items, results[0][1])
        np.testing.assert_allclose(losses, results[0][2], rtol=1e-12)


@pytest.mark.parametrize("weights", [None, np.ones(3, np.float32), np.zeros(3, np.float32)])
def test_who_took_everything_is_passed_over(weights: Matrix | None) -> None:
    csr = to_csr(np.zeros(3, int), np.arange(3), None, 1, 3)
    users, items = start(csr, 4)
    before = users.copy(), items.copy()
    steps = {"learning_rate": 0.1, "l2": 0.1, "n_candidates": 3, "weights": weights}
    assert bpr_epoch(pair_grid(csr, 4), users, items, **steps) == 0.0  # type: ignore[arg-type]
    np.testing.assert_array_equal(users, before[0])
    np.testing.assert_array_equal(items, before[1])
    assert not bpr_fold_in(csr, plain(items, 4), 4, n_passes=2, **steps).any()  # type: ignore[arg-type]


@pytest.mark.parametrize(("n_users", "n_items"), [(3, 4), (0, 4), (3, 0)])
def test_no_pairs_is_no_step(n_users: int, n_items: int) -> None:
    csr = to_csr(np.empty(0, int), np.empty(0, int), None, n_users, n_items)
    users, items = start(csr, 4)
    assert bpr_epoch(pair_grid(csr, 4), users, items, learning_rate=0.1, l2=0.1) == 0.0


@pytest.mark.parametrize("n_candidates", [1, 3])
@pytest.mark.parametrize("bounded", [False, True])
def test_folding_in_is_the_rule_with_items_held(bounded: bool, n_candidates: int) -> None:
    csr = to_csr(np.array([1]), np.array([1]), None, 2, 2)
    items = plain(start(csr, 5)[1], 5)
    before, x = items.copy(), np.zeros(5)
    found = bpr_fold_in(
        csr, items, 5, learning_rate=0.3, l2=0.1, n_passes=1, bounded=bounded, n_candidates=n_candidates
    )
    slow_step(x, items[1].astype(float), items[0].astype(float), 0.3, 0.1, bounded)
    np.testing.assert_allclose(found, [np.zeros(5), x], rtol=1e-5)
    np.testing.assert_array_equal(items, before)


def test_folding_in_finds_sixteen_slopes_before_its_steps() -> None:
    csr = to_csr(np.array([0]), np.array([1]), None, 1, 2)
    items, x = plain(start(csr, 5)[1], 5), np.zeros(5)
    found = bpr_fold_in(csr, items, 5, learning_rate=0.3, l2=0.1, n_passes=20)
    difference = (items[1] - items[0]).astype(float)
    for n in (16, 4):
        z = 1 / (1 + np.exp(x @ difference[:5] + difference[5]))
        for _ in range(n):
            x += 0.3 * (z * difference[:5] - 0.1 * x)
    np.testing.assert_allclose(found[0], x, rtol=1e-5)


def test_weights_rule_the_negatives_of_folding_in() -> None:
    csr, items = to_csr(np.array([0]), np.array([0]), None, 1, 3), np.eye(3, 4, dtype=np.float32)
    weights = np.array([1, 0, 1], np.float32)
    (x,) = bpr_fold_in(csr, items, 3, learning_rate=0.1, l2=0.0, n_passes=30, weights=weights)
    assert x[0] > 0 == x[1] > x[2]


def test_a_history_folds_in_alike_alone_and_among_others() -> None:
    csr = taken()
    items = plain(start(csr, 6)[1], 6)
    steps = {"learning_rate": 0.1, "l2": 0.01, "n_passes": 5, "n_candidates": 2}
    every = bpr_fold_in(csr, items, 6, **steps)  # type: ignore[arg-type]
    one = CSR(np.array([0, csr.indptr[4] - csr.indptr[3]]), *csr.row(3), csr.n_columns)
    np.testing.assert_allclose(bpr_fold_in(one, items, 6, **steps)[0], every[3], rtol=1e-6)  # type: ignore[arg-type]


def test_tables_that_lie_otherwise_are_refused() -> None:
    matrix = CSR(np.array([0, 1, 2]), np.array([0, 1], np.int32), np.ones(2, np.float32), 2)
    grid = pair_grid(matrix, 4)
    users, items = padded_users(2, 4), padded_items(2, 4)
    for wrong in ((np.asfortranarray(users), items), (users[:, :4].copy(), items), (users, padded_items(3, 4))):
        with pytest.raises(ValueError, match="`padded_users`"):
            bpr_epoch(grid, *wrong, learning_rate=0.1, l2=0.0)
