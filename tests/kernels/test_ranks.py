import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankine.arrays import Ragged
from rankine.kernels.ranks import DRAWS, all_finite, auc, auc_of_draws, groups_of_equals, target_ranks, top_k


def slow_ranks(row: np.ndarray, targets: list[int], excluded: list[int], optimistic: bool) -> list[int]:
    ranks = []
    known = [t for t in targets if t < len(row)]
    others = [i for i in range(len(row)) if i not in targets and i not in excluded]
    for target in targets:
        if target >= len(row):
            ranks.append(len(row) + 1)
            continue
        score = row[target]
        above = sum(row[i] > score or (row[i] == score and not optimistic) for i in others)
        before = known[: known.index(target)]
        above += sum(row[i] > score or (row[i] == score and i in before) for i in known if i != target)
        ranks.append(1 + above)
    return ranks


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 30), st.sampled_from([2, 5, 1000]), st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_ranks_equal_the_slow_definition(seed: int, n_rows: int, n_items: int, n_values: int, optimistic: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, n_values, (n_rows, n_items)).astype(np.float32)
    draw = [rng.permutation(n_items + 1)[: rng.integers(0, n_items + 2)].tolist() for _ in range(2 * n_rows)]
    targets, excluded = draw[:n_rows], [sorted(e) for e in draw[n_rows:]]  # n_items is unknown
    found = target_ranks(scores, Ragged.from_rows(targets), Ragged.from_rows(excluded), optimistic=optimistic)
    slow = [slow_ranks(*row, optimistic) for row in zip(scores, targets, excluded, strict=True)]
    assert found.tolist() == list(itertools.chain(*slow))
    assert found.dtype == np.int64


def test_a_constant_score_puts_the_target_last_and_the_optimist_puts_it_first() -> None:
    scores, targets = np.zeros((1, 10), np.float32), Ragged.from_rows([[4, 2]])
    assert target_ranks(scores, targets).tolist() == [9, 10]
    assert target_ranks(scores, targets, optimistic=True).tolist() == [1, 2]


def test_an_unknown_target_ranks_behind_every_item() -> None:
    assert target_ranks(np.ones((1, 10), np.float32), Ragged.from_rows([[10]])).tolist() == [11]


def test_an_excluded_target_is_still_a_target() -> None:
    scores = np.array([[3, 2, 1]], np.float32)
    assert target_ranks(scores, Ragged.from_rows([[1]]), Ragged.from_rows([[0, 1]])).tolist() == [1]


def test_ranks_of_a_part_of_the_rows_are_those_rows() -> None:
    scores = np.random.default_rng(0).random((3, 20), np.float32)
    targets = Ragged.from_rows([[1, 2], [3], [4, 5]])
    part = Ragged(targets.values, targets.offsets[1:])
    np.testing.assert_array_equal(target_ranks(scores[1:], part), target_ranks(scores, targets)[2:])


@given(st.integers(0, 10_000), st.integers(0, 40), st.sampled_from([2, 5, 1000]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_top_k_is_the_sorted_row(seed: int, k: int, n_values: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-n_values, n_values, (3, 30)).astype(np.float32)
    excluded = [sorted(rng.permutation(31)[: rng.integers(0, 31)].tolist()) for _ in range(3)]
    items, best = top_k(scores, k, Ragged.from_rows(excluded))
    assert (items.shape, items.dtype, best.dtype) == ((3, k), np.int32, np.float32)
    for b in range(3):
        left = [i for i in range(30) if i not in excluded[b]]
        expected = sorted(left, key=lambda i: (-scores[b, i], i))[:k]
        padding = k - len(expected)
        assert items[b].tolist() == expected + [-1] * padding
        assert best[b].tolist() == [scores[b, i] for i in expected] + [-np.inf] * padding


def test_top_k_ranks_items_at_minus_infinity_last_but_lists_them() -> None:
    items, _ = top_k(np.array([[-np.inf, 1, -np.inf]], np.float32), 3)
    assert items.tolist() == [[1, 0, 2]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (6, 12), (3, 5)])
def test_a_single_bad_score_is_noticed(bad: float, place: tuple[int, int]) -> None:
    scores = np.random.default_rng(0).normal(size=(7, 13)).astype(np.float32)
    assert all_finite(scores)
    scores[place] = bad
    assert not all_finite(scores)


def test_large_finite_scores_are_finite() -> None:
    assert all_finite(np.full((3, 4), np.finfo(np.float32).max))
    assert all_finite(np.empty((0, 4), np.float32))


@given(st.integers(0, 10_000), st.integers(2, 80), st.sampled_from([1, 3, 1000]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_auc_is_the_share_of_pairs_in_the_right_order(seed: int, n: int, n_values: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, n_values, n).astype(np.float64), rng.integers(0, 2, n)
    labels[:2] = 0, 1
    pairs = [(p > q) + 0.5 * (p == q) for p in scores[labels == 1] for q in scores[labels == 0]]
    assert auc(scores, labels) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_auc_by_hand() -> None:
    assert auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])) == 0.75
    assert auc(np.zeros(4), np.array([0, 1, 1, 0])) == 0.5
    assert np.isnan(auc(np.arange(3.0), np.ones(3)))
    assert np.isnan(auc(np.empty(0), np.empty(0)))


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([1, 4, 1000]), st.integers(1, 2 * DRAWS + 1))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_auc_of_a_draw_is_that_of_the_rows_it_repeats(seed: int, n: int, n_values: int, n_draws: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels, units = rng.integers(0, n_values, n), rng.integers(0, 2, n), rng.integers(0, 7, n)
    weights = rng.poisson(1.0, (7, n_draws))
    order = np.argsort(scores, kind="stable")
    found = auc_of_draws(units[order], labels[order], groups_of_equals(scores[order]), weights)
    for draw in {0, n_draws // 2, n_draws - 1}:
        times = weights[units, draw]
        expected = auc(np.repeat(scores, times).astype(float), np.repeat(labels, times))
        assert found[draw] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_runs_of_equals_end_where_any_column_changes() -> None:
    assert groups_of_equals(np.array([1, 1, 2, 2, 2])).tolist() == [2, 5]
    assert groups_of_equals(np.array([1, 1, 2, 2, 2]), np.array([0, 1, 1, 1, 0])).tolist() == [1, 2, 4, 5]
    assert groups_of_equals(np.array([3])).tolist() == [1]
    with pytest.raises(ValueError, match=r"`units` must lie in 0 .. 1; got 0 .. 2"):
        auc_of_draws(np.array([0, 2]), np.array([0, 1]), np.array([1, 2]), np.ones((2, 3)))


def test_wrong_shapes_are_errors() -> None:
    with pytest.raises(ValueError, match="`scores` must be"):
        top_k(np.zeros(3, np.float32), 1)
    with pytest.raises(ValueError, match="one row per row of scores, 2; got 1"):
        target_ranks(np.zeros((2, 3), np.float32), Ragged.from_rows([[0]]))
    with pytest.raises(ValueError, match="`excluded` must have one row"):
        top_k(np.zeros((2, 3), np.float32), 1, Ragged.empty(1))


def test_an_auc_of_scores_that_are_no_numbers_is_none() -> None:
    assert np.isnan(auc(np.array([0.1, np.nan, np.nan]), np.array([0, 1, 0])))
