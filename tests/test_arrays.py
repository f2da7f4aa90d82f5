from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rankine.arrays import CSR, Ragged


def random_rows(seed: int, n: int = 30) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 9, rng.integers(0, 5)).tolist() for _ in range(n)]


def plain(ragged: Ragged) -> list[list[int]]:
    return [row.tolist() for row in ragged]


@pytest.mark.parametrize("rows", [[], [[]], [[], []], [[1, 2], [], [3]], random_rows(1)], ids=lambda r: str(len(r)))
def test_rows_go_in_and_come_out(rows: list[list[int]]) -> None:
    ragged = Ragged.from_rows(rows)
    assert plain(ragged) == rows
    assert len(ragged) == len(rows)
    assert ragged.values.dtype == np.int32
    assert ragged.offsets.dtype == np.int64
    assert ragged.lengths.tolist() == [len(r) for r in rows]
    assert ragged.row_of_value().tolist() == [n for n, r in enumerate(rows) for _ in r]
    assert plain(Ragged.from_lengths(ragged.values, ragged.lengths)) == rows


def test_rows_without_a_value() -> None:
    assert plain(Ragged.empty(3)) == [[], [], []]
    assert Ragged.empty(2, np.float32).values.dtype == np.float32


@pytest.mark.parametrize(
    "index",
    [np.array([3, 0, 3, 29]), np.array([], np.int64), slice(4, 9), slice(None, None, -2), np.arange(30) % 3 == 0],
    ids=["rows", "none", "slice", "backwards", "mask"],
)
def test_rows_are_taken_as_numpy_would(index: Any) -> None:
    rows = random_rows(2)
    numbers = np.arange(len(rows))[index]
    assert plain(Ragged.from_rows(rows).take(index)) == [rows[n] for n in numbers]


def test_a_row_that_is_not_there_is_an_error() -> None:
    with pytest.raises(IndexError):
        Ragged.from_rows([[1]]).take(np.array([1]))
    with pytest.raises(IndexError):
        Ragged.from_rows([[1]])[1]


def test_the_tail_of_each_row() -> None:
    rows = random_rows(3)
    ragged = Ragged.from_rows(rows)
    for n in (0, 1, 3, 100):
        assert plain(ragged.tail(n)) == [r[max(len(r) - n, 0) :] for r in rows]
    lengths = (np.arange(30) % 4).tolist()
    assert plain(ragged.tail(np.array(lengths))) == [
        r[max(len(r) - n, 0) :] for r, n in zip(rows, lengths, strict=True)
    ]


def test_other_values_keep_the_borders() -> None:
    ragged = Ragged.from_rows([[1, 2], [], [3]])
    assert plain(ragged.with_values(ragged.values * 10)) == [[10, 20], [], [30]]


def test_a_part_of_a_longer_array_behaves_like_a_whole_one() -> None:
    part = Ragged(np.arange(10), np.array([3, 5, 5, 8]))
    assert plain(part) == [[3, 4], [], [5, 6, 7]]
    assert plain(part.tail(1)) == [[4], [], [7]]
    assert plain(part.take(np.array([2, 0]))) == [[5, 6, 7], [3, 4]]


def test_a_sparse_matrix_by_rows() -> None:
    matrix = CSR(np.array([0, 2, 2, 3]), np.array([0, 4, 1], np.int32), np.array([1.0, 2.0, 3.0], np.float32), 5)
    assert (matrix.n_rows, matrix.n_columns, matrix.nnz) == (3, 5, 3)
    assert [[a.tolist() for a in matrix.row(r)] for r in range(3)] == [[[0, 4], [1.0, 2.0]], [[], []], [[1], [3.0]]]
