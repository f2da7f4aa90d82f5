from __future__ import annotations

import numpy as np

from rankine.features.crosses import SPREAD, Cross, Crosses


def slow(parts: list[int], n_buckets: int) -> int:
    mixed, mask = len(parts), 2**64 - 1
    for part in parts:
        mixed = (mixed ^ part) * SPREAD & mask
        mixed ^= mixed >> 29
    return mixed % n_buckets


def test_a_cross_is_the_hash_of_its_parts_and_of_nothing_else() -> None:
    idx = np.random.default_rng(0).integers(0, 1000, (200, 4)).astype(np.int32)
    cross = Cross(slots=(3, 1), unknown=(-1, -1), first_row=5000, n_buckets=37)
    assert cross.of(idx).tolist() == [5000 + slow([row[3], row[1]], 37) for row in idx.tolist()]
    other = idx.copy()
    other[:, [0, 2]] += 1
    assert np.array_equal(cross.of(other), cross.of(idx))


def test_the_rows_of_a_cross_are_used_evenly() -> None:
    a, b = np.meshgrid(np.arange(100, dtype=np.int32), np.arange(100, 200, dtype=np.int32))
    idx = np.stack([a.ravel(), b.ravel()], axis=1)
    sizes = np.bincount(Cross((0, 1), (-1, -1), 0, 100).of(idx), minlength=100)
    assert sizes.min() > 60
    assert sizes.max() < 140


def test_a_cross_with_an_unknown_part_is_unknown() -> None:
    cross = Cross(slots=(0, 1), unknown=(9, 19), first_row=100, n_buckets=10)
    idx = np.array([[1, 11], [9, 11], [1, 19]], np.int32)
    assert (cross.of(idx) == 110).tolist() == [False, True, True]
    slots = Crosses((cross, cross)).of(idx)
    assert slots.idx.shape == (3, 2)
    assert slots.idx.dtype == np.int32
