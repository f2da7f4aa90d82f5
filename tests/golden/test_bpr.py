from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels import bpr_deal
from rankine.kernels.bpr_deal import PairGrid, pair_grid
from rankine.models.factorization.bpr import BPR, BPRConfig
from rankine.random import seed_of, stream

Matrix = np.ndarray[Any, Any]
STEP, WORD = 0x9E3779B97F4A7C15, (1 << 64) - 1


def fitted(log: EventArrays, **settings: object) -> BPR:
    model = BPR(BPRConfig(**{"embedding_dim": 4, "epochs": 3, **settings}))  # type: ignore[arg-type]
    model.solve(log, seed=9)
    return model


def bits_of(counter: int) -> int:
    bits = (counter ^ (counter >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & WORD
    return bits ^ (bits >> 31)


def free_places(counter: int, taken: set[int], size: int, n: int) -> tuple[list[int], int]:
    drawn: list[int] = []
    bits = 0
    while len(drawn) < n and len(taken) < size:
        if len(drawn) % 8 == 0:
            counter = counter + STEP & WORD
            bits = bits_of(counter)
        while bits % 64 in taken or bits % 64 >= size:
            counter = counter + STEP & WORD
            bits = bits_of(counter)
        drawn.append(bits % 64)
        bits >>= 6
    return drawn, counter


def cells(grid: PairGrid, rng: np.random.Generator) -> Iterator[tuple[int, list[int], list[tuple[int, int]]]]:
    """Counter, items and pairs of each cell, in the order of an epoch."""
    n_items, n_blocks, n_shares = grid.taken.n_columns, len(grid.blocks) - 1, grid.n_shares
    n_parts = -(-n_items // 64)
    members, start = rng.permutation(n_items), int(rng.integers(0, 1 << 63, dtype=np.uint64))
    for shift in rng.permutation(n_shares):
        for row in range(n_shares):
            share = (row + shift) % n_shares
            for block in range(n_blocks * row // n_shares, n_blocks * (row + 1) // n_shares):
                for part in range(n_parts * share // n_shares, n_parts * (share + 1) // n_shares):
                    here = members[part * n_items // n_parts : (part + 1) * n_items // n_parts].tolist()
                    users = grid.order[grid.blocks[block] : grid.blocks[block + 1]]
                    pairs = [(u, i) for u in users for i in grid.taken.row(u)[0] if i in here]
                    yield bits_of(start + (block * n_parts + part) * STEP & WORD), here, pairs


def slow_epoch(
    grid: PairGrid, users: Matrix, items: Matrix, rate: float, l2: float, bounded: bool, n_candidates: int, seed: int
) -> None:
    """The last column of `items` is the bias."""
    for counter, here, pairs in cells(grid, np.random.default_rng(seed)):
        for first in range(0, len(pairs), 16):
            steps = []
            for u, i in pairs[first : first + 16]:
                taken = {here.index(k) for k in grid.taken.row(u)[0] if k in here}
                drawn, counter = free_places(counter, taken, len(here), n_candidates)
                if not drawn:
                    continue
                scores = items @ np.append(users[u], 1.0)
                j = max((here[place] for place in drawn), key=lambda k: scores[k])
                z = 1 / (1 + np.exp(scores[i] - scores[j]))
                steps.append((u, i, j, z * (1 - z) if bounded else z))
            for u, i, j, z in steps:
                x, y, other = users[u].copy(), items[i].copy(), items[j].copy()
                users[u] += rate * (z * (y - other)[:-1] - l2 * x)
                items[i] += rate * (z * np.append(x, 1.0) - l2 * y)
                items[j] += rate * (-z * np.append(x, 1.0) - l2 * other)


def slow_fit(log: EventArrays, config: BPRConfig) -> tuple[Matrix, Matrix]:
    rng, dim = stream(9, "init"), config.embedding_dim
    users = config.init_sd * rng.standard_normal((log.n_users, dim), np.float32).astype(float)
    items = config.init_sd * rng.standard_normal((log.n_items, dim), np.float32).astype(float)
    items = np.append(items, np.zeros((log.n_items, 1)), axis=1)
    grid = pair_grid(log.interactions, dim, seed_of(9, "shuffle"))
    for epoch in range(1, config.epochs + 1):
        left = 1 - (epoch - 1) / config.epochs if config.schedule == "linear" else 1.0
        slow_epoch(grid, users, items, config.learning_rate * left, config.l2, config.loss == "sigmoid",
                   config.n_candidates, seed_of(9, "negatives", epoch))  # fmt: skip
    return users, items


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n_candidates": 1, "schedule": "constant"},
        {"loss": "sigmoid", "n_candidates": 1},
        {"loss": "sigmoid", "n_candidates": 11},
    ],
)
def test_training_is_a_slow_loop_in_the_same_order(log: EventArrays, settings: dict[str, Any]) -> None:
    model = fitted(log, **settings)
    users, items = slow_fit(log, model.config)
    np.testing.assert_allclose(model.user_factors, users, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(model.item_table, items, rtol=1e-3, atol=1e-5)


def test_so_it_is_with_many_parts_blocks_and_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpr_deal, "PAIRS_PER_SHARE", 200)
    monkeypatch.setattr(bpr_deal, "BLOCK_FLOATS", 4 * 10)
    rng = np.random.default_rng(5)
    user, item = np.nonzero(rng.random((60, 200)) < 0.06)
    log = EventArrays(n_users=60, n_items=200, user_idx=user.astype(np.int32), item_idx=item.astype(np.int32),
                      weight=np.ones(len(user), np.float32))  # fmt: skip
    grid = pair_grid(log.interactions, 4)
    assert (grid.n_shares, len(grid.blocks)) == (3, 7)
    model = fitted(log)
    users, items = slow_fit(log, model.config)
    np.testing.assert_allclose(model.user_factors, users, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(model.item_table, items, rtol=1e-3, atol=1e-5)


def test_pairs_are_the_distinct_ones_of_positive_weight(log: EventArrays) -> None:
    sums = np.zeros((log.n_users + 1, log.n_items))
    np.add.at(sums, (log.user_idx, log.item_idx), log.weight)
    assert log.interactions.nnz == np.count_nonzero(sums[:-1] > 0)


def test_a_score_is_the_product_and_the_bias(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fitted(log)
    found = model.score(ask([[], [2]], users=[3, 12]))
    factors, bias = model.item_table[:, :-1], model.item_table[:, -1]
    assert model.item_table.flags.c_contiguous  # a visitor's history reads rows
    np.testing.assert_allclose(found[0], factors @ model.user_factors[3] + bias, rtol=1e-5)
    np.testing.assert_allclose(model.score(ask([[]]))[0], bias, rtol=1e-6)
    assert not np.allclose(found[1], bias)


def test_the_history_of_a_stranger_lifts_its_items(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fitted(log, epochs=40, fold_in_passes=50)
    for item in (0, 5, 9):
        nobody, somebody = model.score(ask([[], [item, item]]))
        lifted = somebody - nobody
        assert lifted[item] > lifted.mean()


def test_items_of_negative_weight_in_a_history_are_no_taste(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fitted(log)
    found = model.score(ask([[3, 5], [3]], weights=[1, -3, 1]))
    np.testing.assert_array_equal(found[0], found[1])


def test_negatives_by_popularity_come_from_what_was_taken(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fitted(log, alpha=0.5, fold_in_passes=50)
    counts = np.bincount(log.interactions.indices, minlength=log.n_items)
    np.testing.assert_allclose(model.draw_weight, np.sqrt(counts), rtol=1e-6)
    assert model.item_table[14, -1] == 0  # never taken, so never drawn
    model.item_table[14] = 50  # the hardest if it were
    assert np.abs(model.query_vectors(ask([[0, 1]]))).max() < 10


def test_a_user_without_a_pair_has_no_vector(log: EventArrays) -> None:
    gone = np.where(log.user_idx == 4, -1.0, log.weight).astype(np.float32)
    model = fitted(replace(log, weight=gone))
    assert not model.user_factors[4].any()
    assert model.user_factors[5].any()


def test_steps_that_are_too_long_are_an_error(log: EventArrays) -> None:
    with pytest.raises(ModelError, match=r"diverged in epoch .*: lower `learning_rate`"), np.errstate(all="ignore"):
        fitted(log, learning_rate=1e4, l2=1.0, epochs=40)


def test_what_a_known_user_took_since_training_moves_the_trained_vector(
    log: EventArrays, ask: Callable[..., Queries]
) -> None:
    model = fitted(log, epochs=20)
    seen = log.interactions.indices[log.interactions.indptr[3] : log.interactions.indptr[4]]
    new = int(np.setdiff1d(np.arange(log.n_items), np.append(seen, 14))[0])
    quiet, old, moved = model.score(ask([[], list(seen), [*seen, new]], users=[3, 3, 3]))
    np.testing.assert_array_equal(quiet, old)  # training knows it already
    assert (moved - quiet)[new] > (moved - quiet).mean()
