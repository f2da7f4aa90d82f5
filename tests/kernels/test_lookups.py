from __future__ import annotations

import itertools

import numpy as np
import pytest

from rankine.kernels.lookups import field_sums, pair_sums, slot_sums

RNG = np.random.default_rng(3)
TABLE = RNG.normal(size=(20, 5)).astype(np.float32)
IDX = RNG.integers(0, 20, (7, 6)).astype(np.int32)
WEIGHT = RNG.normal(size=(7, 6)).astype(np.float32)
BORDERS = np.array([0, 1, 1, 4, 6])


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_a_field_is_the_weighted_sum_of_its_slots(weight: np.ndarray | None) -> None:
    rows = TABLE[IDX] * (np.ones_like(WEIGHT) if weight is None else weight)[..., None]
    expected = np.stack([rows[:, a:b].sum(1) for a, b in itertools.pairwise(BORDERS)], 1)
    np.testing.assert_allclose(field_sums(TABLE, IDX, weight, BORDERS), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_slots_of_a_row_are_summed(weight: np.ndarray | None) -> None:
    numbers = TABLE[:, :1].copy()
    expected = (numbers[IDX, 0] * (1 if weight is None else weight)).sum(1)
    np.testing.assert_allclose(slot_sums(numbers, IDX, weight), expected, rtol=1e-5, atol=1e-6)


def test_columns_of_wider_rows_are_read_as_they_are() -> None:
    wide = np.hstack([IDX, IDX])[:, :6]
    assert not wide.flags.c_contiguous
    np.testing.assert_array_equal(field_sums(TABLE, wide, None, BORDERS), field_sums(TABLE, IDX, None, BORDERS))


def test_products_of_all_pairs_are_summed() -> None:
    e = RNG.normal(size=(4, 6, 3)).astype(np.float32)
    expected = [sum(row[f] @ row[g] for f in range(6) for g in range(f + 1, 6)) for row in e]
    np.testing.assert_allclose(pair_sums(e), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", [-1, 20])
def test_an_index_outside_the_table_is_refused(wrong: int) -> None:
    idx = IDX.copy()
    idx[3, 2] = wrong
    with pytest.raises(IndexError, match="rows 0 to 19"):
        field_sums(TABLE, idx, None, BORDERS)
    with pytest.raises(IndexError, match="rows 0 to 19"):
        slot_sums(TABLE[:, :1].copy(), idx, WEIGHT)
