import numpy as np
import pytest

from rankine.kernels.selection import append_row, keep_best, offer, sort_best_first


def best(scores: np.ndarray, n: int) -> list[int]:
    return sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:n]


@pytest.mark.parametrize("n", [1, 3, 10, 50, 60])
@pytest.mark.parametrize("n_values", [2, 8, 1000])  # few distinct values: many ties
def test_the_heap_keeps_the_best_and_the_lower_id_of_equals(n: int, n_values: int) -> None:
    scores = np.random.default_rng(n).integers(0, n_values, 50).astype(np.float64)
    heap, ids, size = np.empty(n), np.empty(n, np.int64), 0
    for i in np.random.default_rng(1).permutation(50):
        size = offer(heap, ids, size, scores[i], i)
    sort_best_first(heap, ids, size)
    assert ids[:size].tolist() == best(scores, n)
    assert heap[:size].tolist() == [scores[i] for i in best(scores, n)]


def test_a_heap_without_room_stays_empty() -> None:
    assert offer(np.empty(0), np.empty(0, np.int64), 0, 1.0, 0) == 0


@pytest.mark.parametrize("n", [0, 1, 7, 40, 99])
def test_keep_best_moves_the_best_to_the_front(n: int) -> None:
    scores = np.random.default_rng(n).integers(0, 6, 40).astype(np.float64)
    kept, ids = scores.copy(), np.arange(40, dtype=np.int32)
    size = keep_best(kept, ids, 40, n)
    assert sorted(ids[:size].tolist()) == sorted(best(scores, n))
    assert kept[:size].tolist() == scores[ids[:size]].tolist()


def test_appended_rows_are_sorted_by_id_and_the_arrays_grow() -> None:
    ids, scores, filled = np.empty(1, np.int32), np.empty(1, np.float32), 0
    for _ in range(3):
        row = np.array([7, 3, 5], np.int32)
        ids, scores, filled = append_row(np.array([0.7, 0.3, 0.5]), row, 3, ids, scores, filled)
    assert ids[:filled].tolist() == [3, 5, 7] * 3
    np.testing.assert_allclose(scores[:filled], [0.3, 0.5, 0.7] * 3, rtol=1e-6)
