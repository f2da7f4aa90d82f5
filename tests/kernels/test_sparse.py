import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankine.arrays import CSR, Ragged
from rankine.kernels import sparse
from rankine.kernels.sparse import sum_rows, to_csr, transpose


def dense(csr: CSR) -> np.ndarray:
    out = np.zeros((csr.n_rows, csr.n_columns))
    for row in range(csr.n_rows):
        columns, values = csr.row(row)
        out[row, columns] = values
    return out


def random_triples(seed: int, n: int, n_rows: int, n_columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, n_rows, n), rng.integers(0, n_columns, n), rng.integers(-5, 6, n).astype(np.float32)


@given(st.integers(0, 200), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_triples_become_ascending_rows_with_duplicates_added(n: int, n_rows: int, n_columns: int, seed: int) -> None:
    rows, columns, values = random_triples(seed, n, n_rows, n_columns)
    expected = np.zeros((n_rows, n_columns))
    np.add.at(expected, (rows, columns), values)
    csr = to_csr(rows, columns, values, n_rows, n_columns)
    np.testing.assert_array_equal(dense(csr), expected)
    assert csr.nnz == len(set(zip(rows.tolist(), columns.tolist(), strict=True)))
    assert all((np.diff(csr.row(r)[0]) > 0).all() for r in range(n_rows))
    assert (csr.indptr.dtype, csr.indices.dtype, csr.data.dtype) == (np.int64, np.int32, np.float32)


def test_triples_without_values_are_counted() -> None:
    csr = to_csr(np.array([0, 0, 1]), np.array([1, 1, 0]), None, 2, 2)
    np.testing.assert_array_equal(dense(csr), [[0, 2], [1, 0]])


def test_the_sum_of_many_small_duplicates_is_exact() -> None:
    n = 2_000_000
    zeros = np.zeros(n, np.int32)
    csr = to_csr(zeros, zeros, np.full(n, 0.1, np.float32), 1, 1)
    assert csr.data[0] == pytest.approx(n * float(np.float32(0.1)), rel=1e-6)  # float32 sums drift by 1e-2


@pytest.mark.parametrize(("rows", "columns"), [([0, 2], [0, 0]), ([0, -1], [0, 0]), ([0, 1], [0, 3])])
def test_an_index_outside_the_matrix_is_an_error(rows: list[int], columns: list[int]) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        to_csr(np.array(rows), np.array(columns), None, 2, 3)


def test_triples_of_different_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="equally long"):
        to_csr(np.zeros(2, int), np.zeros(2, int), np.zeros(3, np.float32), 1, 1)


def test_transpose_exchanges_rows_and_columns() -> None:
    csr = to_csr(*random_triples(3, 300, 20, 31), 20, 31)
    turned = transpose(csr)
    np.testing.assert_array_equal(dense(turned), dense(csr).T)
    assert all((np.diff(turned.row(r)[0]) > 0).all() for r in range(31))


def test_sum_rows_is_a_product_with_the_queries() -> None:
    rng = np.random.default_rng(5)
    csr = to_csr(*random_triples(4, 200, 15, 22), 15, 22)
    queries = Ragged.from_rows([rng.integers(0, 16, n) for n in (0, 1, 5, 40)])  # 15 is unknown
    weights = rng.random(46).astype(np.float32)
    table, expected = np.vstack([dense(csr), np.zeros((1, 22))]), np.zeros((4, 22))
    np.add.at(expected, queries.row_of_value(), weights[:, None] * table[queries.values])
    np.testing.assert_allclose(sum_rows(csr, queries, weights), expected, atol=1e-4)
    part = Ragged(queries.values, queries.offsets[2:])  # rows that do not start at the first value
    np.testing.assert_allclose(sum_rows(csr, part, weights), expected[2:], atol=1e-4)


@pytest.mark.parametrize("one_in", [1e-3, 10**9])
def test_a_few_triples_are_sorted_to_what_counting_gives(one_in: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    rows, columns = rng.integers(0, 5, 300), rng.integers(0, 40, 300)
    values = rng.random(300).astype(np.float32)
    dense = np.zeros((5, 40))
    np.add.at(dense, (rows, columns), values)
    monkeypatch.setattr(sparse, "SORTED", one_in)  # all are few, or none
    found = to_csr(rows, columns, values, 5, 40)
    for row in range(5):
        own, data = found.row(row)
        assert own.tolist() == np.flatnonzero(dense[row]).tolist()
        np.testing.assert_allclose(data, dense[row, own], rtol=1e-5)
