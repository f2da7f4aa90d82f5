from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.bpr import Triples, bpr_epoch, padded_items
from rankine.models.factorization.bpr import BPR, BPRConfig
from rankine.random import seed_of, stream


def fitted(log: EventArrays, **settings: object) -> BPR:
    model = BPR(BPRConfig(**{"embedding_dim": 4, "epochs": 3, **settings}))  # type: ignore[arg-type]
    model.solve(log, seed=9)
    return model


@pytest.mark.parametrize("loss", ["bpr", "sigmoid"])
@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_an_epoch_is_one_pass_over_the_distinct_positive_pairs(log: EventArrays, loss: str, schedule: str) -> None:
    model, rng = fitted(log, loss=loss, schedule=schedule), stream(9, "init")
    users = rng.normal(0, 0.1, (log.n_users, 4)).astype(np.float32)
    items = padded_items(log.n_items, 4)
    items[:, :4] = rng.normal(0, 0.1, (log.n_items, 4))
    triples = Triples(log.interactions, dim=4, seed=seed_of(9, "shuffle"))
    assert len(triples) == len({(u, i) for u, i, w in zip(*weights_of(log), strict=True) if w > 0})
    for epoch, left in ((1, 1), (2, 1 - 1 / 3), (3, 1 - 2 / 3)):
        rate = 0.05 * left if schedule == "linear" else 0.05
        bpr_epoch(triples, users, items, learning_rate=rate, l2=0.01, bounded=loss == "sigmoid",
                  seed=seed_of(9, "negatives", epoch))  # fmt: skip
    np.testing.assert_array_equal(model.user_factors, users)
    np.testing.assert_array_equal(model.item_factors, items[:, :4])
    np.testing.assert_array_equal(model.item_bias, items[:, 4])


def weights_of(log: EventArrays) -> tuple[list[int], list[int], list[float]]:
    sums = np.zeros((log.n_users + 1, log.n_items))
    np.add.at(sums, (log.user_idx, log.item_idx), log.weight)
    users, items = np.nonzero(sums[:-1])
    return users.tolist(), items.tolist(), sums[users, items].tolist()


def test_a_score_is_the_product_and_the_bias(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fitted(log)
    found = model.score(ask([[], [2]], users=[3, 12]))
    np.testing.assert_allclose(found[0], model.item_factors @ model.user_factors[3] + model.item_bias, rtol=1e-5)
    np.testing.assert_allclose(model.score(ask([[]]))[0], model.item_bias, rtol=1e-6)
    assert not np.allclose(found[1], model.item_bias)


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


def test_negatives_by_popularity_come_from_what_was_taken(log: EventArrays) -> None:
    model = fitted(log, alpha=0.5)
    counts = np.bincount(log.interactions.indices, minlength=log.n_items)
    np.testing.assert_allclose(model.draw_weight, np.sqrt(counts), rtol=1e-6)
    assert model.item_bias[14] == 0  # never taken, so never drawn


def test_a_user_without_a_pair_has_no_vector(log: EventArrays) -> None:
    gone = np.where(log.user_idx == 4, -1.0, log.weight).astype(np.float32)
    model = fitted(replace(log, weight=gone))
    assert not model.user_factors[4].any()
    assert model.user_factors[5].any()


def test_steps_that_are_too_long_are_an_error(log: EventArrays) -> None:
    with pytest.raises(ModelError, match=r"diverged in epoch .*: lower `learning_rate`"), np.errstate(all="ignore"):
        fitted(log, learning_rate=1e4, l2=1.0, epochs=40)
