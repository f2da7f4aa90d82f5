from __future__ import annotations

import math
from zlib import crc32

import numpy as np
import polars as pl
import pytest

from rankine.arrays import Array
from rankine.data.dataset import Dataset
from rankine.data.schema import Kind, Schema
from rankine.features.columns import Category, Column, Hashed, Tags, text_of
from rankine.features.config import FeaturesConfig
from rankine.features.counting import Counts, quantile_edges
from rankine.features.numbers import Log, Quantile, Scaled, log_bucket


def counted(values: pl.Series, kind: Kind, **settings: object) -> Column:
    counts = Counts("c", kind)
    counts.add(values)
    return counts.column(FeaturesConfig(**settings))  # type: ignore[arg-type]


def test_log_buckets_are_those_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.lognormal(3, 3, 5000), rng.normal(0, 5, 500), np.arange(-5, 2000)])
    expected = [math.floor(math.log(v) ** 2) if v > 2 else int(v) for v in values.tolist()]
    assert log_bucket(values).tolist() == expected
    column = counted(pl.Series(values), Kind.NUMBER, numbers="log")
    assert isinstance(column, Log)
    assert [column.seen[row] for row in column.encode(pl.Series(values)).idx[:, 0]] == expected


def test_a_log_bucket_that_training_had_not_is_the_next_lower_one() -> None:
    column = counted(pl.Series([-2.0, 0.0, 1.0, 20.0]), Kind.NUMBER, numbers="log")
    assert isinstance(column, Log)
    assert column.seen == (-2.0, 0.0, 1.0, 8.0)
    assert column.encode(pl.Series([-9.0, -1.0, 2.0, 1e30])).idx[:, 0].tolist() == [0, 0, 2, 3]
    rare = counted(pl.Series([1.0, 1.0, 2.0]), Kind.NUMBER, numbers="log", min_count=2)
    assert isinstance(rare, Log)
    assert rare.seen == (1.0,)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_quantile_buckets_hold_about_as_many_events_each(n: int) -> None:
    values = np.random.default_rng(1).normal(0, 1, 4000)
    column = counted(pl.Series(values), Kind.NUMBER, n_quantiles=n)
    rows = column.encode(pl.Series(values)).idx[:, 0]
    sizes = np.bincount(rows)
    assert len(sizes) == n == column.n_known
    assert sizes.max() - sizes.min() <= 2


def test_few_distinct_numbers_have_a_bucket_each_and_heavy_ones_one_of_their_own() -> None:
    assert quantile_edges(np.array([1.0, 2.0, 7.0]), np.ones(3), 20).tolist() == [2.0, 7.0]
    values, times = np.arange(100.0), np.ones(100)
    times[0] = 1000
    edges = quantile_edges(values, times, 10)
    assert (edges > 0).all()
    assert np.array_equal(edges, np.unique(edges))
    assert Quantile(missing=False, edges=(2.0, 7.0)).encode(pl.Series([1.9, 2.0, 6.9, 7.0])).idx[:, 0].tolist() == [
        0,
        1,
        1,
        2,
    ]


def test_a_number_is_standardised_by_training() -> None:
    values = np.random.default_rng(2).normal(50, 7, 300)
    column = counted(pl.Series(values), Kind.NUMBER, numbers="value")
    assert isinstance(column, Scaled)
    slots = column.encode(pl.Series(values))
    assert slots.weight is not None
    np.testing.assert_allclose(slots.weight[:, 0], (values - values.mean()) / values.std(), rtol=1e-5, atol=1e-6)
    assert (slots.idx == 0).all()


def test_a_hash_is_the_same_in_every_process_and_spreads() -> None:
    column = Hashed(missing=True, n_buckets=100)
    names = pl.Series([f"v{i}" for i in range(5000)])
    rows = column.encode(names).idx[:, 0]
    assert rows[:3].tolist() == [crc32(name.encode(), 0x5EED) % 100 for name in ("v0", "v1", "v2")] == [49, 63, 1]
    sizes = np.bincount(rows, minlength=100)
    assert sizes.min() > 20
    assert sizes.max() < 90
    assert column.encode(pl.Series([None, "x"])).idx[0, 0] == 100
    assert column.n_rows == 102


def test_values_of_equal_count_stand_in_the_order_of_their_names() -> None:
    column = counted(pl.Series(["b", "c", "a", "c"]), Kind.CATEGORY)
    assert isinstance(column, Category)
    assert column.vocab.ids.to_list() == ["c", "a", "b"]


def test_lists_are_cut_and_pooled() -> None:
    values = pl.Series([["a", "b", "c"], ["a"], ["b", None, "a", "a"]])
    column = counted(values, Kind.CATEGORIES, max_values=2, pooling="sum")
    assert isinstance(column, Tags)
    slots = column.encode(values)
    assert slots.idx.tolist() == [[0, 1], [0, 3], [1, 0]]
    assert slots.weight is not None
    assert slots.weight.tolist() == [[1, 1], [1, 0], [1, 1]]
    assert counted(values, Kind.CATEGORIES).n_slots == 3
    hashed = counted(values, Kind.CATEGORIES, hash_rows={"c": 7})
    assert isinstance(hashed, Tags)
    assert hashed.n_rows == 8


def times_in(values: list[str], times: Array) -> Category:
    counts = Counts("c", Kind.CATEGORY)
    counts.add(pl.Series(values), times)
    column = counts.column(FeaturesConfig(min_count=2))
    assert isinstance(column, Category)
    return column


def test_a_side_table_counts_as_often_as_its_rows_have_events() -> None:
    assert times_in(["x", "y", "z", "y"], np.array([5.0, 1.0, 1.0, 6.0])).vocab.ids.to_list() == ["y", "x"]


def test_a_number_that_is_a_category_is_the_same_text_in_a_request_and_in_a_table() -> None:
    values = [3.0, -0.0, 4.5, 1e20, 1e6, 2.0**53, float("nan"), None]
    events = pl.DataFrame({"item_id": ["a"] * len(values), "user_id": ["u"] * len(values), "code": values})
    table = Dataset.from_frames(events, schema=Schema(events={"code": Kind.CATEGORY})).events["code"]
    assert [text_of(value) for value in values] == table.to_list()
    assert [text_of(value) for value in (True, 7, "x")] == ["true", "7", "x"]
