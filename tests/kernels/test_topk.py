from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankine.arrays import Array, Float, Ragged
from rankine.kernels import topk
from rankine.kernels.ranks import pair_scores, target_ranks, top_k
from rankine.kernels.topk import PackedItems, Products, ascending
from rankine.kernels.topk_tiles import BLOCK, HAS_BYTES, SPAN, TILE

KINDS = ("normal", "few values", "near ties", "long and short", "all alike", "tiny", "huge", "zero")


def always_by_bytes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(topk, "BYTES_PAY", 0)
    patch.setattr(topk, "BYTES_PAY_PER_PLACE", 0)


by_bytes = pytest.mark.skipif(not HAS_BYTES, reason="this processor has no products of bytes")


def vectors(rng: np.random.Generator, kind: str, n: int, dim: int) -> Float:
    """Rows of a kind that is easy or hard to rank."""
    normal = rng.standard_normal((n, dim))
    rows = {
        "normal": lambda: normal,
        "few values": lambda: rng.integers(-1, 2, (n, dim)),
        "near ties": lambda: np.ones(dim) + 1e-6 * normal,
        "long and short": lambda: normal * np.exp(3 * rng.standard_normal((n, 1))),
        "all alike": lambda: np.ones((n, dim)),
        "tiny": lambda: 1e-22 * normal,
        "huge": lambda: 1e17 * normal,
        "zero": lambda: np.zeros((n, dim)),
    }[kind]()
    return rows.astype(np.float32)


def problem(seed: int, kind: str, n_users: int, n_items: int, dim: int) -> tuple[Products, Ragged]:
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(n_items + 2)[: rng.integers(0, min(n_items, 40) + 1)] for _ in range(n_users)]
    products = Products(vectors(rng, kind, n_users, dim), PackedItems(vectors(rng, kind, n_items, dim)))
    return products, Ragged.from_rows(drawn)


def slow_score(user: Float, item: Float) -> np.float32:
    """The sum over the coordinates in order, each step exact and then rounded."""
    total = np.float32(0)
    for x, y in zip(user.tolist(), item.tolist(), strict=True):
        total = np.float32(math.fsum([x * y, float(total)]))  # x y has 48 bits: exact in float64
    return total


def assert_same_lists(products: Products, scores: Float, k: int, excluded: Ragged) -> None:
    items, best = top_k(products, k, excluded)
    expected_items, expected_best = top_k(scores, k, excluded)
    np.testing.assert_array_equal(items, expected_items)
    np.testing.assert_array_equal(best, expected_best)
    assert (items.dtype, best.dtype) == (np.int32, np.float32)


sizes = {
    "n_users": st.sampled_from([1, 2, BLOCK, BLOCK + 1, SPAN + 1]),
    "n_items": st.sampled_from([1, 7, TILE - 1, TILE, TILE + 1, 5 * TILE + 3]),
    "dim": st.sampled_from([1, 3, 16, 37]),
    "kind": st.sampled_from(KINDS),
    "seed": st.integers(0, 10_000),
}


@given(**sizes, k=st.sampled_from([0, 1, 10, 300]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_best_are_those_of_the_written_scores(
    seed: int, kind: str, n_users: int, n_items: int, dim: int, k: int
) -> None:
    products, excluded = problem(seed, kind, n_users, n_items, dim)
    assert_same_lists(products, products.written(), k, excluded)


@by_bytes
@given(**sizes, k=st.sampled_from([1, 10, 300]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_rounding_to_bytes_first_does_not_show_in_the_result(
    seed: int, kind: str, n_users: int, n_items: int, dim: int, k: int
) -> None:
    products, excluded = problem(seed, kind, n_users, n_items, dim)
    with pytest.MonkeyPatch.context() as patch:
        always_by_bytes(patch)
        assert products.items.bytes is not None
        assert_same_lists(products, products.written(), k, excluded)


@by_bytes
@pytest.mark.parametrize("kind", KINDS)
def test_many_items_rounded_to_bytes_rank_exactly(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    always_by_bytes(monkeypatch)
    products, excluded = problem(3, kind, 30, 20_000, 24)
    assert_same_lists(products, products.written(), 50, excluded)


@by_bytes
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_a_user_beyond_bounds_leaves_the_others_alone(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    always_by_bytes(monkeypatch)
    products, excluded = problem(4, "normal", 20, 3000, 8)
    others, _ = top_k(products, 5, excluded)
    products.vectors[7, 3] = bad
    found, _ = top_k(Products(products.vectors, products.items), 5, excluded)
    np.testing.assert_array_equal(np.delete(found, 7, 0), np.delete(others, 7, 0))


def test_items_without_bounds_are_not_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    always_by_bytes(monkeypatch)
    assert PackedItems(np.full((2, 2), np.inf, np.float32)).bytes is None


@given(**sizes, optimistic=st.booleans())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_targets_rank_as_in_the_written_scores(
    seed: int, kind: str, n_users: int, n_items: int, dim: int, optimistic: bool
) -> None:
    products, excluded = problem(seed, kind, n_users, n_items, dim)
    rng = np.random.default_rng(seed)
    targets = Ragged.from_rows([rng.permutation(n_items + 1)[: rng.integers(0, 6)] for _ in range(n_users)])
    found = target_ranks(products, targets, excluded, optimistic=optimistic)
    expected = target_ranks(products.written(), targets, excluded, optimistic=optimistic)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dim", [1, 5, 64])
def test_a_score_is_one_sum_in_order_wherever_it_is_worked_out(dim: int) -> None:
    products, _ = problem(1, "normal", 2 * BLOCK + 1, TILE + 5, dim)
    scores = products.written()
    for row, item in ((0, 0), (BLOCK, TILE), (2 * BLOCK, TILE + 4), (3, 17)):
        assert scores[row, item] == slow_score(products.vectors[row], products.items.rows[item])
    for row in (0, 5, 2 * BLOCK):
        np.testing.assert_array_equal(
            Products(products.vectors[row : row + 1], products.items).written()[0], scores[row]
        )
    pairs = np.divmod(np.arange(scores.size), scores.shape[1])
    np.testing.assert_array_equal(products.of_pairs(*pairs), scores.ravel())
    np.testing.assert_allclose(scores, products.vectors @ products.items.rows.T, rtol=1e-5, atol=1e-5)


def test_pairs_have_the_scores_of_the_matrix_and_none_where_there_is_no_item() -> None:
    products, _ = problem(2, "normal", 4, 9, 3)
    rows, items = np.array([0, 3, 2, 1]), np.array([8, 0, 9, 4])
    expected = [*products.written()[[0, 3], [8, 0]], -np.inf, products.written()[1, 4]]
    for scores in (products, products.written()):
        assert pair_scores(scores, rows, items).tolist() == expected


def test_ranks_of_a_part_of_the_rows_are_those_rows() -> None:
    products, _ = problem(5, "normal", 3, 20, 4)
    targets, excluded = Ragged.from_rows([[1, 2], [3], [5, 4]]), Ragged.from_rows([[9, 7], [8, 6], [0]])
    part, hidden = (Ragged(rows.values, rows.offsets[1:]) for rows in (targets, excluded))
    some = Products(products.vectors[1:], products.items)
    np.testing.assert_array_equal(target_ranks(some, part, hidden), target_ranks(products, targets, excluded)[2:])
    np.testing.assert_array_equal(top_k(some, 4, hidden)[0], top_k(products, 4, excluded)[0][1:])


@pytest.mark.parametrize("rows", [[[3, 1, 2], [0]], [[], [5, 5, 1]], [[1, 2], [0, 7]], [[], []]])
def test_rows_are_put_in_ascending_order(rows: list[list[int]]) -> None:
    found = ascending(Ragged.from_rows(rows))
    assert [row.tolist() for row in found] == [sorted(row) for row in rows]


@pytest.mark.parametrize(
    ("user", "item", "finite"), [(1e19, 1e18, True), (1e25, 1e20, False), (np.nan, 1, False), (1, np.inf, False)]
)
def test_what_may_overflow_is_known_without_writing_the_scores(user: float, item: float, finite: bool) -> None:
    products = Products(np.array([[user, 1]], np.float32), PackedItems(np.array([[1, 1], [item, 0]], np.float32)))
    assert products.surely_finite == finite


def test_nobody_and_nothing_make_empty_lists() -> None:
    nobody, nothing = np.empty((0, 3), np.float32), PackedItems(np.empty((0, 3), np.float32))
    assert top_k(Products(nobody, PackedItems(np.ones((4, 3), np.float32))), 2)[0].shape == (0, 2)
    assert top_k(Products(np.ones((1, 3), np.float32), nothing), 2)[0].tolist() == [[-1, -1]]
    assert Products(np.ones((2, 3), np.float32), nothing).surely_finite


def test_wrong_shapes_are_errors() -> None:
    with pytest.raises(ValueError, match=r"`vectors` must be \[N, D\]; got shape \(3,\)"):
        PackedItems(np.ones(3, np.float32))
    with pytest.raises(ValueError, match="users have 2 coordinates, items 3"):
        Products(np.ones((1, 2), np.float32), PackedItems(np.ones((4, 3), np.float32)))
    products: Products = problem(0, "normal", 2, 5, 3)[0]
    with pytest.raises(ValueError, match="`excluded` must have one row per row of scores, 2; got 1"):
        top_k(products, 1, Ragged.empty(1))


def test_vectors_of_any_layout_are_taken() -> None:
    rng = np.random.default_rng(8)
    wide: Array = rng.standard_normal((6, 300))
    products = Products(wide[:, :4], PackedItems(wide.T[:, :4]))  # type: ignore[arg-type]
    assert products.written().shape == (6, 300)


def test_infinite_scores_come_first_and_the_rest_stays_in_order() -> None:
    vectors = np.linspace(1, 2, 600, dtype=np.float32)[:, None].copy()
    vectors[[7, 9]] = np.inf
    items, _ = Products(np.ones((1, 1), np.float32), PackedItems(vectors)).top_k(5, Ragged.empty(1))
    assert items[0].tolist() == [7, 9, 599, 598, 597]


def test_a_target_that_is_no_item_ranks_behind_all() -> None:
    scores = np.array([[0.1, 0.2, 0.3]], np.float32)
    written = Products(np.ones((1, 1), np.float32), PackedItems(scores.T.copy()))
    for target in (-1, 3):
        ranks = [target_ranks(s, Ragged.from_rows([[target]])).tolist() for s in (scores, written)]
        assert ranks == [[4], [4]]
