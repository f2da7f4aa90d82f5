from typing import Any

import numpy as np
import pytest

from rankine.arrays import CSR, Ragged
from rankine.kernels.cocounts import Measure, score_items, similarities
from rankine.kernels.sparse import to_csr, transpose


def by_item(baskets: list[list[int]], n_items: int) -> CSR:
    rows = Ragged.from_rows(baskets)
    return transpose(to_csr(rows.row_of_value(), rows.values, None, len(baskets), n_items))


def dense(csr: CSR) -> np.ndarray:
    """The matrix with NaN where nothing is stored."""
    out = np.full((csr.n_rows, csr.n_columns), np.nan)
    for row in range(csr.n_rows):
        out[row, csr.row(row)[0]] = csr.row(row)[1]
    return out


def random_baskets(seed: int, n: int = 60, n_items: int = 25) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.choice(n_items, rng.integers(1, 9), replace=False).tolist() for _ in range(n)]


def slow(baskets: list[list[int]], n_items: int, measure: str, shrink: float = 0, exponent: float = 0.5) -> np.ndarray:
    held = [[i in b for i in range(n_items)] for b in baskets]
    count = np.array([sum(h[i] for h in held) for i in range(n_items)])
    out = np.full((n_items, n_items), np.nan)
    for x in range(n_items):
        for y in range(n_items):
            both = sum(h[x] and h[y] for h in held)
            if x == y or not both:
                continue
            if measure == "cosine":
                out[x, y] = both / (np.sqrt(count[x] * count[y]) + shrink)
            elif measure == "conditional":
                out[x, y] = both / (count[x] * count[y] ** exponent)
            else:
                share = count[y] / count.sum()
                chance = sum(1 - (1 - share) ** (len(b) - 1) for b in baskets if x in b)
                out[x, y] = (both - chance) / np.sqrt(chance)
    return out


THREE_BASKETS = [[0, 1], [0, 1, 2], [0, 3]]  # counts: 3, 2, 1, 1; seven purchases


def test_three_baskets_by_hand() -> None:
    items = by_item(THREE_BASKETS, 4)
    cosine = dense(similarities(items))
    assert cosine[0, 1] == pytest.approx(2 / np.sqrt(6))
    assert cosine[1, 2] == pytest.approx(1 / np.sqrt(2))
    assert np.isnan(cosine[1, 3])
    assert dense(similarities(items, shrink=1.0))[0, 1] == pytest.approx(2 / (np.sqrt(6) + 1))
    assert dense(similarities(items, measure="conditional", exponent=1.0))[0, 1] == pytest.approx(2 / (3 * 2))
    # buyers of 1: one bought one other item, one bought two; item 0 is 3/7 of all purchases
    chance = (1 - 4 / 7) + (1 - (4 / 7) ** 2)
    excess = dense(similarities(items, measure="excess"))
    assert excess[1, 0] == pytest.approx((2 - chance) / np.sqrt(chance), rel=1e-6)


@pytest.mark.parametrize("options", [{}, {"shrink": 3.0}, {"measure": "conditional"},
                                     {"measure": "conditional", "exponent": 0.2}, {"measure": "excess"}])  # fmt: skip
def test_similarities_equal_the_slow_definition(options: dict[str, Any]) -> None:
    baskets = random_baskets(1)
    expected = slow(baskets, 25, **{"measure": "cosine", **options})
    np.testing.assert_allclose(
        dense(similarities(by_item(baskets, 25), keep=0, **options)), expected, rtol=1e-5, atol=1e-6
    )


def test_cosine_is_symmetric_and_has_no_self_pairs() -> None:
    found = dense(similarities(by_item(random_baskets(2), 25), keep=0))
    np.testing.assert_array_equal(found, found.T)
    assert np.isnan(np.diag(found)).all()


@pytest.mark.parametrize("measure", ["cosine", "excess"])
def test_the_best_neighbours_are_kept_after_normalising_with_columns_ascending(measure: Measure) -> None:
    items = by_item(random_baskets(3), 25)
    everything = dense(similarities(items, measure=measure, keep=0))
    few = similarities(items, measure=measure, keep=4)
    for row in range(25):
        scores = np.where(np.isnan(everything[row]), -np.inf, everything[row])
        order = [i for i in np.lexsort((np.arange(25), -scores)) if np.isfinite(scores[i])]
        assert few.row(row)[0].tolist() == sorted(order[:4])


def test_pairs_below_the_support_are_left_out() -> None:
    baskets = random_baskets(4)
    found = dense(similarities(by_item(baskets, 25), keep=0, min_support=3))
    both = [[sum(x in b and y in b for b in baskets) for y in range(25)] for x in range(25)]
    expected = (np.array(both) >= 3) & ~np.eye(25, dtype=bool)
    np.testing.assert_array_equal(~np.isnan(found), expected)


def test_stored_values_do_not_matter() -> None:
    items = by_item(random_baskets(5), 25)
    scaled = CSR(items.indptr, items.indices, items.data * 7, items.n_columns)
    np.testing.assert_array_equal(similarities(items).data, similarities(scaled).data)


def test_heavy_buyers_do_not_make_unrelated_items_similar() -> None:
    rng = np.random.default_rng(6)
    popularity = rng.dirichlet(np.ones(300))
    sizes = np.where(rng.random(20_000) < 0.05, 60, 4)
    baskets = [rng.choice(300, n, p=popularity).tolist() for n in sizes]  # no item attracts another
    once = [sorted(set(b)) for b in baskets]
    items = by_item(once, 300)
    counts = np.diff(items.indptr)
    middle = (counts > 200) & (counts < 1000)
    pairs = np.outer(middle, middle) & ~np.eye(300, dtype=bool)
    corrected = dense(similarities(items, measure="excess", keep=0))[pairs]
    together = dense(similarities(items, measure="conditional", exponent=0.0, keep=0)) * counts[:, None]
    by_chance = np.outer(counts, counts) / len(once)
    naive = ((together - by_chance) / np.sqrt(by_chance))[pairs]
    assert np.nanmean(naive) > 5
    assert abs(np.nanmean(corrected)) < np.nanmean(naive) / 4


def test_a_shop_with_one_item_or_none_has_no_neighbours() -> None:
    for measure in ("cosine", "conditional", "excess"):
        assert similarities(by_item([[0], [0]], 1), measure=measure).nnz == 0
        assert similarities(by_item([], 3), measure=measure).nnz == 0


def test_a_pair_that_is_all_there_is_has_the_chance_it_must_have() -> None:
    found = dense(similarities(by_item([[0, 1]], 2), measure="excess"))
    assert found[0, 1] == pytest.approx((1 - 0.5) / np.sqrt(0.5))


def test_an_unknown_measure_is_an_error() -> None:
    with pytest.raises(ValueError, match="cosine, conditional, excess; got 'jaccard'"):
        similarities(by_item(THREE_BASKETS, 4), measure="jaccard")  # type: ignore[arg-type]


def test_a_history_scores_the_sum_of_its_similarities() -> None:
    neighbours = similarities(by_item(random_baskets(7), 25))
    table = np.nan_to_num(dense(neighbours))
    histories = Ragged.from_rows([[3, 4], [], [9, 9, 25]])  # 25 is unknown
    scores = score_items(neighbours, histories)
    np.testing.assert_allclose(scores, [table[3] + table[4], np.zeros(25), 2 * table[9]], atol=1e-6)
    weighted = score_items(neighbours, histories, np.array([1, 0.5, 1, 0, 1]))
    np.testing.assert_allclose(weighted, [table[3] + table[4] / 2, np.zeros(25), table[9]], atol=1e-6)
    assert scores.dtype == np.float32
