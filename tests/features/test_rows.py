from __future__ import annotations

import numpy as np

from rankine.features.rows import row_batches


def test_every_row_comes_once_per_pass_and_columns_stay_together() -> None:
    columns = {"a": np.arange(10), "b": np.arange(10) * 2.5}
    batches = list(row_batches(columns, 4, np.random.default_rng(1)))
    assert [len(b["a"]) for b in batches] == [4, 4, 2]
    order = np.concatenate([b["a"] for b in batches])
    assert sorted(order.tolist()) == list(range(10))
    assert order.tolist() != list(range(10))
    assert np.array_equal(np.concatenate([b["b"] for b in batches]), order * 2.5)
    assert np.array_equal(columns["a"], np.arange(10))


def test_the_order_is_that_of_the_generator_and_fresh_each_time() -> None:
    columns = {"a": np.arange(50)}
    rng = np.random.default_rng(2)
    first, second = (np.concatenate([b["a"] for b in row_batches(columns, 7, rng)]) for _ in range(2))
    again = np.concatenate([b["a"] for b in row_batches(columns, 50, np.random.default_rng(2))])
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_no_row_is_no_batch() -> None:
    assert list(row_batches({"a": np.empty(0)}, 4, np.random.default_rng(3))) == []
