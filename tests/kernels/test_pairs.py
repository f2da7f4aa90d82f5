from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rankine.kernels.lanes import LINE
from rankine.kernels.pairs import Grid, Pairs, Table, deal, held, holds, shuffle
from rankine.kernels.sparse import to_csr

N_USERS, N_ITEMS = 30, 23


def pairs(n: int = 600, seed: int = 3) -> Pairs:
    """Skewed users and items, some pairs more than once; the last user and the last item have none."""
    rng = np.random.default_rng(seed)
    user = np.minimum(rng.geometric(0.1, n) - 1, N_USERS - 2).astype(np.int32)
    item = np.minimum(rng.geometric(0.15, n) - 1, N_ITEMS - 2).astype(np.int32)
    return Pairs.of_columns(user, item, rng.integers(1, 6, n), N_USERS, N_ITEMS)


def dealt(n_parts: int | None = None) -> Grid:
    return deal(pairs(), np.random.default_rng(5), n_parts)


def rows(user: Any, item: Any, value: Any) -> list[tuple[int, int, float]]:
    return sorted(zip(user.tolist(), item.tolist(), value.tolist(), strict=True))


def test_pairs_stand_by_user() -> None:
    found = pairs()
    assert (found.n_users, len(found), found.indptr[-1]) == (N_USERS, 600, 600)
    matrix = to_csr(np.array([0, 2, 2]), np.array([4, 1, 3]), np.array([1.0, 2, 3]), 3, 5)
    same = Pairs.of_columns(*(np.array(c, np.int32) for c in ([2, 0, 2], [1, 4, 3])), np.array([2.0, 1, 3]), 3, 5)
    for found in (Pairs.of_matrix(matrix), same):
        assert found.indptr.tolist() == [0, 1, 1, 3]
        assert (found.item.tolist(), found.value.tolist()) == ([4, 1, 3], [1, 2, 3])


@pytest.mark.parametrize("n_parts", [1, 2, 4])
def test_a_grid_holds_every_pair_once_and_its_diagonals_share_no_row(n_parts: int) -> None:
    grid, given = dealt(n_parts), pairs()
    users = np.repeat(np.arange(N_USERS), np.diff(given.indptr))
    assert rows(grid.user, grid.item, grid.value) == rows(users, given.item, given.value)
    assert sorted(grid.members.tolist()) == list(range(N_ITEMS))
    for diagonal in range(n_parts):
        cells = [slice(*grid.offsets[diagonal * n_parts + part :][:2]) for part in range(n_parts)]
        distinct = [set(grid.user[c].tolist()) for c in cells]
        assert sum(map(len, distinct)) == len(set().union(*distinct))
        for part, cell in enumerate(cells):
            near = (part + diagonal) % n_parts
            members = grid.members[grid.starts[near] : grid.starts[near + 1]]
            assert set(grid.item[cell].tolist()) <= set(members.tolist())


def test_parts_are_of_like_weight_and_drawn_anew() -> None:
    counts, rng = np.bincount(pairs().item, minlength=N_ITEMS), np.random.default_rng(1)
    together, times = 0, 400
    for _ in range(times):
        grid = deal(pairs(), rng, 2)
        halves = [set(grid.members[a:b].tolist()) for a, b in zip(grid.starts[:-1], grid.starts[1:], strict=True)]
        weights = [counts[list(half)].sum() for half in halves]
        assert abs(weights[0] - weights[1]) <= counts.max()
        together += {0, 2} <= halves[0] or {0, 2} <= halves[1]
    assert 0.4 < together / times < 0.6


def test_the_number_of_parts_follows_from_the_number_of_pairs() -> None:
    ones = np.zeros(200_000, np.int32)
    for times, expected in ((1, 1), (2, 2), (3, 2), (4, 4)):
        many = np.tile(np.arange(len(ones), dtype=np.int32) % 40, times)
        assert deal(Pairs.of_columns(many, many, many, 40, 40), np.random.default_rng(0)).n_parts == expected


def test_an_index_outside_is_an_error() -> None:
    one = np.array([5], np.int32)
    with pytest.raises(ValueError, match=r"`item` must lie in 0 \.\. 4"):
        Pairs.of_columns(one, one, one, 6, 5)
    with pytest.raises(ValueError, match=r"`user` must lie in 0 \.\. 4"):
        Pairs.of_columns(one, one, one, 5, 6)


def test_a_shuffle_puts_every_entry_anywhere_and_all_columns_alike() -> None:
    n, times = 8, 4000
    counts = np.zeros((n, n))
    for seed in range(times):
        columns = np.arange(n, dtype=np.int32), np.arange(n, dtype=np.int32), np.arange(n, dtype=np.float32)
        shuffle(0, n, np.uint64(seed * 7919), *columns)
        assert columns[0].tolist() == columns[1].tolist() == columns[2].tolist()
        counts[np.arange(n), columns[0]] += 1
    expected = times / n
    assert ((counts - expected) ** 2 / expected).sum() < 90  # chi-square, 49 degrees of freedom: p < .0004


@pytest.mark.parametrize("dim", [1, 16, 20])
def test_a_table_pads_its_rows_and_keeps_the_bias_apart(dim: int) -> None:
    factors = np.random.default_rng(2).normal(size=(5, dim)).astype(np.float32)
    table = Table(factors)
    table.bias[:] = 7
    assert table.stride % LINE == 0
    assert table.flat.ctypes.data % 64 == 0
    np.testing.assert_array_equal(table.factors, factors)
    assert table.flat.sum() == pytest.approx(factors.sum() + 35, rel=1e-5)


def test_a_matrix_says_what_it_holds() -> None:
    rng = np.random.default_rng(3)
    dense = rng.random((12, 9)) < 0.3
    dense[4], dense[5] = False, True
    matrix = to_csr(*np.nonzero(dense), None, 12, 9)
    row, column = (index.ravel() for index in np.indices(dense.shape))
    np.testing.assert_array_equal(held(matrix, row, column), dense.ravel())
    assert held(matrix, np.array([12, 5]), np.array([0, 0])).tolist() == [False, True]
    assert not holds(matrix.indices, 0, 0, 1)
