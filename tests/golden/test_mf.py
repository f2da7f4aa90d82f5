from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rankine.arrays import CSR
from rankine.errors import ConfigError, ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.draws import mixed
from rankine.kernels.pairs import deal, shuffle
from rankine.kernels.sampled_sgd import LOSSES
from rankine.models.factorization.mf import MF, MFConfig
from rankine.random import stream
from rankine.recommender import fit_model

Array = np.ndarray[Any, Any]
SEED = 17
IMPLICIT = (*LOSSES, "all_pairs")


def fitted(log: EventArrays, **settings: Any) -> MF:
    model = MF(MFConfig(**{"embedding_dim": 4, "epochs": 3, **settings}))
    if model.config.loss != "squared":
        log = replace(log, value=None)
    fit_model(model, log, seed=SEED)
    return model


def test_an_epoch_of_ratings_is_plain_sgd(log: EventArrays) -> None:
    """Two epochs against a slow loop over the ratings in the order in which training takes them."""
    model = fitted(log, epochs=2, learning_rate=0.03, l2=0.1)
    pairs, mean = model.prepare(log)
    p, q = (f.astype(float) for f in model.first_factors(pairs, stream(SEED, "init")))
    b_user, b_item, rng = np.zeros(len(p)), np.zeros(len(q)), stream(SEED, "shuffle")
    grid = deal(pairs, rng)
    assert grid.n_parts == 1
    for _ in range(2):
        order_of_next_epoch(grid, rng)
        for u, i, r in zip(grid.user, grid.item, grid.value, strict=True):
            error = r - (mean + b_user[u] + b_item[i] + p[u] @ q[i])
            b_user[u] += 0.03 * (error - 0.1 * b_user[u])
            b_item[i] += 0.03 * (error - 0.1 * b_item[i])
            p[u], q[i] = p[u] + 0.03 * (error * q[i] - 0.1 * p[u]), q[i] + 0.03 * (error * p[u] - 0.1 * q[i])
    expected_users = np.column_stack([p, np.ones(len(p)), mean + b_user])
    expected_items = np.column_stack([q, b_item, np.ones(len(q))])
    np.testing.assert_allclose(model.user_factors[:-1], expected_users, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.item_factors[:-1], expected_items, rtol=1e-4, atol=1e-5)


def order_of_next_epoch(grid: Any, rng: np.random.Generator) -> None:
    """Shuffle the grid as the next epoch will."""
    shuffle(0, len(grid.user), np.uint64(mixed(np.uint64(rng.integers(2**62)))), grid.user, grid.item, grid.value)
    rng.permutation(1)


def test_the_loss_is_half_the_squared_error_per_rating(log: EventArrays) -> None:
    """With a rate of next to nothing the model stays where it is, so that its own ratings tell the loss."""
    losses: list[float] = []

    def watch(epoch: int, model: Any, **values: float) -> bool:
        losses.append(values["loss"])
        return False

    model = MF(MFConfig(embedding_dim=4, epochs=1, learning_rate=1e-9))
    fit_model(model, log, seed=SEED, monitor=watch)
    user, item, value = log.ratings
    known = user < log.n_users
    error = value[known] - model.rate(user[known], item[known])
    assert losses == [pytest.approx(0.5 * np.mean(error**2), rel=1e-4)]


def test_a_rating_is_mean_plus_biases_plus_product(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fitted(log)
    user, item = model.user_factors.astype(float), model.item_factors.astype(float)
    pairs = ((0, 1), (7, 13), (12, 4), (3, 15))
    expected = [user[u, :4] @ item[i, :4] + user[u, 5] + item[i, 4] for u, i in pairs]
    rated = model.rate(*(np.array(column, np.int32) for column in zip(*pairs, strict=True)))
    np.testing.assert_allclose(rated, expected, rtol=1e-5)
    every = np.arange(15, dtype=np.int32)
    np.testing.assert_allclose(
        model.score(ask([[]], users=[7]))[0], model.rate(np.full_like(every, 7), every), rtol=1e-5
    )


def test_rows_without_a_rating_stay_zero(log: EventArrays) -> None:
    assert (log.user_idx == log.n_users).any()  # visitors without a name rate too, but are nobody in particular
    model = fitted(log)
    mean = model.user_factors[-1, -1]
    np.testing.assert_array_equal(model.user_factors[12], [0, 0, 0, 0, 1, mean])
    for item in (14, 15):
        np.testing.assert_array_equal(model.item_factors[item], [0, 0, 0, 0, 0, 1])


def test_the_mean_is_that_of_the_events_with_a_value(log: EventArrays) -> None:
    assert log.value is not None
    some = np.where(np.arange(len(log)) % 3 == 0, np.nan, log.value).astype(np.float32)
    model = fitted(replace(log, value=some))
    assert model.user_factors[-1, -1] == pytest.approx(np.nanmean(some), rel=1e-6)
    assert all(np.isfinite(array).all() for array in model.state().values())


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_events_of_nobody_known_are_an_error(log: EventArrays, loss: str) -> None:
    with pytest.raises(ModelError, match="nothing to train on: no event of a known user"):
        fit_model(MF(MFConfig(loss=loss)), replace(log, user_idx=np.full_like(log.user_idx, log.n_users)))


@pytest.mark.parametrize("loss", ["squared", "logistic", "warp"])
def test_steps_that_are_too_long_are_an_error(log: EventArrays, loss: str) -> None:
    with pytest.raises(ModelError, match=r"diverged in epoch .*lower `learning_rate`"):
        fitted(log, loss=loss, learning_rate=1e4, l2=0.3, epochs=30)


# which engine


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"loss": "all_pairs"}, "`loss` = `all_pairs`"),
        ({"optimizer": "adam"}, "`optimizer` = `adam`"),
        ({"loss": "bpr", "negatives": "in_batch"}, "`negatives` = `in_batch`"),
        ({"loss": "logistic", "shared_negatives": 8}, "`shared_negatives`"),
    ],
)
def test_what_only_torch_can_do_goes_there_or_is_an_error(settings: dict[str, Any], name: str) -> None:
    assert MF(MFConfig(**settings)).network() is not None
    with pytest.raises(ConfigError, match=f"`engine` = `compiled` has no {name}: set `engine` to `auto` or `torch`"):
        MFConfig(engine="compiled", **settings)


@pytest.mark.parametrize("loss", ["squared", *LOSSES])
def test_what_can_be_compiled_is(loss: str) -> None:
    for negatives in ("uniform", "popularity"):
        assert MF(MFConfig(loss=loss, negatives=negatives)).network() is None
        assert MF(MFConfig(loss=loss, negatives=negatives, engine="torch")).network() is not None
    assert MF(MFConfig(loss="squared", negatives="in_batch")).network() is None  # nothing is drawn


# what was taken, under each loss


@pytest.mark.parametrize("loss", IMPLICIT)
def test_what_was_taken_needs_no_values(log: EventArrays, loss: str) -> None:
    assert not fitted(log, loss=loss).needs.values
    assert MF().needs.values


@pytest.mark.parametrize("loss", ["squared", *LOSSES])
def test_a_seed_repeats_to_the_bit_and_another_does_not(log: EventArrays, loss: str) -> None:
    one, again = fitted(log, loss=loss), fitted(log, loss=loss)
    assert np.array_equal(one.user_factors, again.user_factors)
    assert np.array_equal(one.item_factors, again.item_factors)
    other = MF(one.config)
    fit_model(other, log, seed=SEED + 1)
    assert not np.array_equal(one.item_factors, other.item_factors)


@pytest.mark.parametrize("loss", IMPLICIT)
def test_a_known_user_has_the_trained_vector_and_a_stranger_the_history(
    log: EventArrays, ask: Callable[..., Queries], loss: str
) -> None:
    model = fitted(log, loss=loss, epochs=20, learning_rate=0.02, l2=0.02, init_sd=0.1)
    taken = log.interactions.row(3)[0].tolist()
    queries = ask([[], taken[:2], [2, 5], []], users=[3, 3, 12, 12])
    known, same, folded, nobody = model.score(queries)
    trained = model.rate(np.full(15, 3, np.int32), np.arange(15, dtype=np.int32))
    for found in (known, *([] if loss == "all_pairs" else [same])):
        np.testing.assert_allclose(found, trained, rtol=1e-4, atol=1e-6)
    lifted = folded - nobody
    assert lifted[[2, 5]].mean() > lifted.mean()
    assert model.evidence(queries).tolist() == [True, True, True, False]


@pytest.mark.parametrize("loss", LOSSES)
def test_what_a_known_user_took_since_moves_the_trained_vector(
    log: EventArrays, ask: Callable[..., Queries], loss: str
) -> None:
    model = fitted(log, loss=loss, epochs=20, learning_rate=0.02, l2=0.02, init_sd=0.1)
    taken = model.seen.row(3)[0].tolist()
    new = next(item for item in range(14) if item not in taken)
    queries = ask([[new], [*taken, new, new], [14], [new]], users=[3, 3, 3, 12])
    trained = model.rate(np.full(15, 3, np.int32), np.arange(15, dtype=np.int32))
    moved, among_known, unlearned, stranger = model.score(queries)
    assert (moved - trained)[new] > (moved - trained).mean()
    assert np.array_equal(moved, among_known)  # only what is new moves, once
    assert np.isfinite(unlearned).all()
    assert not np.allclose(moved, stranger)
    assert model.evidence(queries).all()


def test_ratings_take_nothing_from_a_history(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fitted(log)
    bare, acted = model.score(ask([[], []], users=[3, 12])), model.score(ask([[1, 2], [1, 2]], users=[3, 12]))
    np.testing.assert_array_equal(bare, acted)


def test_probabilities_are_those_of_all_pairs_not_of_the_sample() -> None:
    """One taste: every user takes each item with a chance of its own, whatever the number of negatives."""
    rng = np.random.default_rng(3)
    chance = np.linspace(0.02, 0.3, 25)
    log = taken_by(rng.random((600, 25)) < chance)
    true = np.bincount(log.item_idx, minlength=25) / 600
    pairs = np.repeat(np.arange(600, dtype=np.int32), 25), np.tile(np.arange(25, dtype=np.int32), 600)
    settings = {"embedding_dim": 1, "epochs": 12, "batch_size": 64, "learning_rate": 0.01, "l2": 0.0, "n_negatives": 8}
    for engine in ("compiled", "torch"):
        for negatives in ("uniform", "popularity"):
            model = fitted(log, loss="logistic", engine=engine, negatives=negatives, **settings)
            found = model.probability(*pairs).reshape(600, 25).mean(0)
            assert np.corrcoef(found, true)[0, 1] > 0.95, (engine, negatives)
            assert abs(found.mean() / true.mean() - 1) < 0.15, (engine, negatives)
    with pytest.raises(ModelError, match="`loss` = `bpr` learns no probability"):
        fitted(log, loss="bpr").probability(*pairs)


def taken_by(dense: Array) -> EventArrays:
    user, item = np.nonzero(dense)
    return EventArrays(n_users=dense.shape[0], n_items=dense.shape[1], user_idx=user.astype(np.int32),
                       item_idx=item.astype(np.int32), weight=np.ones(len(user), np.float32))  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_both_engines_rank_what_was_held_out_alike(loss: str) -> None:
    """Planted taste: the mean percentile of held-out items, 0.5 by chance."""
    rng = np.random.default_rng(5)
    chance = 1 / (1 + np.exp(2 - 2 * rng.normal(size=(120, 2)) @ rng.normal(size=(2, 40))))
    dense = rng.random(chance.shape) < chance
    held_out = dense & (rng.random(chance.shape) < 0.2)
    settings = {"embedding_dim": 4, "epochs": 25, "learning_rate": 0.05, "l2": 0.02, "init_sd": 0.1, "batch_size": 48}
    reached = []
    for engine in ("compiled", "torch"):
        model = fitted(taken_by(dense & ~held_out), loss=loss, engine=engine, **settings)
        scores = model.user_factors[:-1] @ model.item_factors[:-1].T
        scores[dense & ~held_out] = -np.inf
        reached.append((scores.argsort(1).argsort(1) / 39)[held_out].mean())
    assert min(reached) > 0.65, reached
    assert abs(reached[0] - reached[1]) < 0.04, reached


def test_what_was_seen_is_kept_without_values(log: EventArrays) -> None:
    seen = fitted(log, loss="bpr").seen
    assert isinstance(seen, CSR)
    met = {(u, i) for u, i in zip(log.user_idx.tolist(), log.item_idx.tolist(), strict=True) if u < log.n_users}
    assert seen.nnz == len(met) > log.interactions.nnz  # what was sent back was met too
    assert not len(seen.data)
    assert not fitted(log).seen.nnz
