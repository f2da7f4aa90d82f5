from __future__ import annotations

import numpy as np
import pytest

from rankine.kernels.sparse import to_csr
from rankine.kernels.walk import walk_similarities


def test_three_baskets_by_hand() -> None:
    baskets = [[0, 1], [0, 1, 2], [2]]
    pairs = [(item, basket) for basket, items in enumerate(baskets) for item in items]
    item, basket = np.array(pairs, np.int32).T
    items = to_csr(item, basket, None, 3, 3)
    found = walk_similarities(items, alpha=1.0, beta=0.0, keep=0)
    columns, values = found.row(2)  # who took item 2 came from item 0 or 1, through the second basket of theirs
    np.testing.assert_array_equal(columns, [0, 1])
    np.testing.assert_allclose(values, [(1 / 3) / 2, (1 / 3) / 2], rtol=1e-6)
    found = walk_similarities(items, alpha=1.0, beta=1.0, keep=0)
    np.testing.assert_allclose(found.row(0)[1], [(1 / 2 + 1 / 3) / 2 / 2, (1 / 3) / 2 / 2], rtol=1e-6)


@pytest.mark.parametrize("keep", [0, 3])
@pytest.mark.parametrize("n_items", [20, 1000], ids=["many meet", "few meet"])
def test_each_item_keeps_where_it_is_reached_from(n_items: int, keep: int) -> None:
    rng = np.random.default_rng(8)
    X = np.zeros((40, n_items))
    for row in X:
        row[rng.choice(n_items, rng.integers(1, 9), replace=False)] = 1
    basket, item = np.nonzero(X)
    items = to_csr(item.astype(np.int32), basket.astype(np.int32), None, n_items, 40)
    n_i, n_u = np.maximum(X.sum(0), 1), X.sum(1)
    W = (X / n_i**0.7).T @ (X / n_u[:, None] ** 0.7) / n_i**0.4  # from row to column
    np.fill_diagonal(W, 0)
    found = walk_similarities(items, alpha=0.7, beta=0.4, keep=keep)
    for j in range(n_items):
        columns, values = found.row(j)
        np.testing.assert_allclose(values, W[columns, j], rtol=1e-5)
        best = np.sort(W[:, j])[::-1][: keep or n_items]
        np.testing.assert_allclose(np.sort(values)[::-1], best[best > 0], rtol=1e-5)
