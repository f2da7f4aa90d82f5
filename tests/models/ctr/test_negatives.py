from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from rankine.models.ctr.negatives import WITHIN, Negatives
from rankine.nn.samplers import TakenPairs

N_ITEMS, N_DRAWN = 8, 20_000
ITEMS = np.array([0, 0, 0, 1, 2, 3, 3, 4], np.int32)
CONTEXT = np.array([0, 0, 0, 0, 0, 1, 1, 1], np.int32)
ALL = np.arange(N_ITEMS, dtype=np.int32)
USERS = np.array([0, 0, 0, 0, 2, 2, 2, 2], np.int32)  # user 1 took nothing, 2 stands for all without a name
NOTHING = TakenPairs(np.array([99]), np.array([0]), N_ITEMS)
kinds = pytest.mark.parametrize("kind", ["uniform", "popularity", "same_context"])


def made(kind: str) -> Negatives:
    context = CONTEXT if kind == "same_context" else None
    return Negatives.of(kind, 2, USERS, ITEMS, context, n_users=2, n_items=N_ITEMS)  # type: ignore[arg-type]


def context(value: int, n: int, kind: str) -> np.ndarray | None:  # type: ignore[type-arg]
    return np.full(n, value, np.int32) if kind == "same_context" else None


@kinds
@pytest.mark.parametrize("value", [0, 1, 2])
def test_items_are_drawn_as_often_as_the_rate_says(kind: str, value: int) -> None:
    negatives, n = made(kind), N_DRAWN // 2
    rate = np.exp(negatives.log_rate(ALL, np.full(N_ITEMS, 2), context(value, N_ITEMS, kind))) / negatives.n
    np.testing.assert_allclose(rate.sum(), 1, rtol=1e-5)
    drawn = negatives.draw(np.zeros(n, np.int64), context(value, n, kind), NOTHING, np.random.default_rng(value))
    assert drawn.shape == (n, 2)
    assert chisquare(np.bincount(drawn.ravel(), minlength=N_ITEMS), rate / rate.sum() * N_DRAWN).pvalue > 1e-3


def test_nine_in_ten_come_from_the_same_context_and_a_context_never_seen_draws_from_all() -> None:
    negatives = made("same_context")
    one, other = (np.exp(negatives.log_rate(ALL, np.full(N_ITEMS, 2), np.full(N_ITEMS, c, np.int32))) for c in (1, 2))
    apart = np.isin(np.arange(N_ITEMS), [3, 4])
    np.testing.assert_allclose(one[apart], 2 * (WITHIN / 2 + (1 - WITHIN) / N_ITEMS), rtol=1e-5)
    np.testing.assert_allclose(one[~apart], 2 * (1 - WITHIN) / N_ITEMS, rtol=1e-5)
    np.testing.assert_allclose(other, 2 / N_ITEMS, rtol=1e-5)


@kinds
def test_nothing_that_the_visitor_took_is_drawn_where_there_is_anything_else(kind: str) -> None:
    visitors = np.repeat([0, 1], 500)
    taken = TakenPairs(np.repeat([0, 1], [7, 8]), np.array([*range(7), *range(8)]), N_ITEMS)
    drawn = made(kind).draw(visitors, context(0, 1000, kind), taken, np.random.default_rng(4))
    assert (drawn[:500] == 7).mean() > 0.1  # one of eight is left, and few draws in a row find it
    some = made(kind).draw(
        visitors, context(0, 1000, kind), TakenPairs(visitors, visitors * 2, 8), np.random.default_rng(4)
    )
    assert not (some == (visitors * 2)[:, None]).any()


def test_only_even_draws_leave_the_order_of_logits_as_it_is() -> None:
    assert made("uniform").even
    assert not made("popularity").even
    assert not made("same_context").even


@kinds
def test_what_is_saved_draws_and_rates_the_same(kind: str) -> None:
    negatives = made(kind)
    again = Negatives.of_state(negatives.state())
    assert again is not None
    items = np.array([0, 3, 7, N_ITEMS], np.int32)  # the last is not known
    users = np.array([0, 1, 2, 0], np.int32)
    np.testing.assert_array_equal(
        again.log_rate(items, users, context(1, 4, kind)), negatives.log_rate(items, users, context(1, 4, kind))
    )
    assert Negatives.of_state({}) is None


@kinds
@pytest.mark.parametrize("value", [0, 1, 2])
def test_what_a_user_took_leaves_more_to_the_rest(kind: str, value: int) -> None:
    """User 0 took items 0 and 1, of those in context 0: the others are drawn as often as if these were not there."""
    negatives, n = made(kind), N_DRAWN // 2
    taken = TakenPairs(USERS, ITEMS, N_ITEMS)
    drawn = negatives.draw(np.zeros(n, np.int64), context(value, n, kind), taken, np.random.default_rng(7))
    asked = context(value, N_ITEMS, kind)
    rate = np.exp(negatives.log_rate(ALL, np.zeros(N_ITEMS, np.int32), asked).astype(float))[2:] / negatives.n
    np.testing.assert_allclose(rate.sum(), 1, rtol=1e-5)
    counts = np.bincount(drawn.ravel(), minlength=N_ITEMS)
    assert counts[:2].sum() < 1e-3 * N_DRAWN  # what is left of redrawing: 17 draws in a row of what was taken
    assert chisquare(counts[2:], rate / rate.sum() * counts[2:].sum()).pvalue > 1e-3


def test_users_and_contexts_may_be_asked_about_in_any_mixture() -> None:
    negatives = made("same_context")
    users, places = np.array([2, 0, 1, 0, 0, 2], np.int32), np.array([0, 1, 2, 0, 1, 0], np.int32)
    items = np.array([0, 5, 2, 3, 5, N_ITEMS], np.int32)
    one_by_one = [negatives.log_rate(items[[i]], users[[i]], places[[i]])[0] for i in range(6)]
    assert negatives.log_rate(items, users, places).tolist() == one_by_one
    assert negatives.log_rate(items[:0], users[:0], places[:0]).shape == (0,)


@kinds
def test_an_item_not_known_counts_as_drawn_evenly(kind: str) -> None:
    places = context(1, 1, kind)
    rate = made(kind).log_rate(np.array([N_ITEMS], np.int32), np.array([2], np.int32), places)
    np.testing.assert_allclose(np.exp(rate), 2 / N_ITEMS, rtol=1e-6)
