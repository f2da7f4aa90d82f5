from __future__ import annotations

import numpy as np
import pytest

from rankine.arrays import CSR
from rankine.kernels.meetings import drop_low, meet
from rankine.kernels.selection import keep_best
from rankine.kernels.sparse import to_csr, transpose


def baskets_of(n: int, n_items: int, largest: int, seed: int) -> CSR:
    rng = np.random.default_rng(seed)
    rows = [rng.choice(n_items, rng.integers(1, largest), replace=False) for _ in range(n)]
    return to_csr(np.repeat(np.arange(n), list(map(len, rows))), np.concatenate(rows), None, n, n_items)


@pytest.mark.parametrize("above", [0.0, 1.5])
@pytest.mark.parametrize(("n", "n_items", "largest"), [(80, 30, 12), (80, 2000, 12)], ids=["many", "few"])
def test_a_row_is_the_worth_of_common_baskets(n: int, n_items: int, largest: int, above: float) -> None:
    baskets = baskets_of(n, n_items, largest, seed=3)
    items, worth = transpose(baskets), np.random.default_rng(4).uniform(0.5, 2, n).astype(np.float32)
    X = np.zeros((n, n_items))
    X[np.repeat(np.arange(n), np.diff(baskets.indptr)), baskets.indices] = 1
    together = X.T @ (X * worth[:, None])
    np.fill_diagonal(together, 0)
    sums, scores, ids = np.zeros(n_items, np.float32), np.empty(n_items, np.float32), np.empty(n_items, np.int32)
    for item in range(30):
        size = meet(
            item, items.row(item)[0], baskets.indptr, baskets.indices.view(np.uint32), worth, np.float32(above),
            sums, ids, scores,
        )  # fmt: skip
        found = np.zeros(n_items)
        found[ids[:size]] = scores[:size]
        np.testing.assert_allclose(found, np.where(together[item] > above, together[item], 0), rtol=1e-6)
        assert len(set(ids[:size].tolist())) == size
        assert not sums.any()


def draws() -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    rng = np.random.default_rng(5)
    return {
        "spread": rng.normal(0, 1, 3000),
        "all below zero": -rng.exponential(1, 3000),
        "a long tail": rng.pareto(0.6, 3000),
        "far from zero": 1e6 + rng.random(3000),
        "counts": rng.integers(0, 9, 3000).astype(float),
        "one above all": np.append(np.zeros(2999), 1e30),
        "all equal": np.full(3000, 0.3),
        "all zero": np.zeros(3000),
        "few": rng.random(7),
    }


@pytest.mark.parametrize("n", [1, 5, 100, 2999])
@pytest.mark.parametrize("kind", draws())
def test_what_is_dropped_is_not_among_the_best(kind: str, n: int) -> None:
    scores = draws()[kind].astype(np.float32)
    ids = np.random.default_rng(6).permutation(len(scores)).astype(np.int32)
    best = set(ids[np.lexsort((ids, -scores))[:n]].tolist())
    before, order = dict(zip(ids.tolist(), scores.tolist(), strict=True)), ids.tolist()
    left = drop_low(scores, ids, len(scores), n)
    kept = ids[:left].tolist()
    assert best <= set(kept)
    assert [before[i] for i in kept] == scores[:left].tolist()
    assert kept == [i for i in order if i in set(kept)]
    if kind in ("spread", "all below zero"):
        assert left == min(n, 3000)
    assert set(ids[: keep_best(scores, ids, left, n)].tolist()) == best


def test_nothing_is_kept_where_none_is_asked_for() -> None:
    assert drop_low(np.ones(3, np.float32), np.arange(3, dtype=np.int32), 3, 0) == 0
