from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.models.base import Source
from rankine.recommender import new_model

N_ITEMS = 15


def fit(log: EventArrays, **settings: Any) -> Any:
    model = new_model("popularity", settings)
    model.solve(log)  # type: ignore[attr-defined]
    return model


def slow_counts(log: EventArrays, since: float = -math.inf) -> list[float]:
    assert log.timestamp is not None
    counts = [0.0] * log.n_items
    for item, weight, time in zip(log.item_idx, log.weight, log.timestamp, strict=True):
        if weight > 0 and time >= since:
            counts[item] += float(weight)
    return counts


def test_overall_is_the_sum_of_positive_weights(log: EventArrays, ask: Callable[..., Queries]) -> None:
    scores = fit(log).score(ask([[], [3, 4]]))
    np.testing.assert_array_equal(scores, [slow_counts(log)] * 2)


@pytest.mark.parametrize("days", [0.5, 3.0, 1000.0])
def test_recent_counts_only_the_last_days(log: EventArrays, ask: Callable[..., Queries], days: float) -> None:
    assert log.timestamp is not None
    since = log.timestamp[-1] - days * 86_400
    np.testing.assert_array_equal(fit(log, recent_days=days).score(ask([[]]))[0], slow_counts(log, since))


def test_an_event_without_a_time_is_not_recent(log: EventArrays, ask: Callable[..., Queries]) -> None:
    assert log.timestamp is not None
    times = np.where(np.arange(len(log)) % 7 == 0, np.nan, log.timestamp)
    broken = replace(log, timestamp=times)
    scores = fit(broken, recent_days=2.0).score(ask([[]]))[0]
    np.testing.assert_array_equal(scores, slow_counts(broken, float(np.nanmax(times)) - 2 * 86_400))
    assert scores.sum() > 0


def slow_naive_bayes(log: EventArrays, context: dict[str, int], m: float) -> list[float]:
    counts = slow_counts(log)
    share = [(c + 1) / (sum(counts) + len(counts)) for c in counts]
    scores = [math.log(p) for p in share]
    for name, value in context.items():
        inside: dict[int, float] = defaultdict(float)
        for item, weight, cell in zip(log.item_idx, log.weight, log.context[name], strict=True):
            if weight > 0 and cell == value:
                inside[int(item)] += float(weight)
        for item, p in enumerate(share):
            scores[item] += math.log((inside[item] + m * p) / (sum(inside.values()) + m) / p)
    return scores


@pytest.mark.parametrize("smoothing", [1.0, 100.0])
def test_in_context_is_naive_bayes(log: EventArrays, ask: Callable[..., Queries], smoothing: float) -> None:
    model = fit(log, context=["device", "hour"], smoothing=smoothing)
    scores = model.score(ask([[], []], device=[0, 2], hour=[5, 23])).astype(np.float64)
    for row, context in enumerate(({"device": 0, "hour": 5}, {"device": 2, "hour": 23})):
        expected = np.array(slow_naive_bayes(log, context, smoothing))
        gap = scores[row] - expected
        np.testing.assert_allclose(gap, gap[0], atol=1e-5)  # the same but for a constant


def test_a_value_never_seen_leaves_its_term_out(log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = fit(log, context=["device", "hour"])
    seen_hour = model.score(ask([[]], device=[3], hour=[7]))[0].astype(np.float64)
    gap = seen_hour - np.array(slow_naive_bayes(log, {"hour": 7}, 100.0))
    np.testing.assert_allclose(gap, gap[0], atol=1e-5)
    np.testing.assert_array_equal(model.score(ask([[]], hour=[7]))[0], seen_hour.astype(np.float32))
    np.testing.assert_array_equal(model.evidence(ask([[], []], device=[3, 1], hour=[7, 7])), [False, True])


def test_it_says_what_it_rests_on_and_what_it_needs(log: EventArrays) -> None:
    assert new_model("popularity").source is Source.POPULAR
    assert new_model("popularity", {"context": ["hour"]}).source is Source.CONTEXT
    with pytest.raises(
        ModelError, match=r"`popularity` needs the context column `colour`; there are \['device', 'hour'\]"
    ):
        new_model("popularity", {"context": ["colour"]}).needs.check(log, "`popularity`")
    with pytest.raises(ModelError, match="`popularity` needs a `timestamp` per event"):
        new_model("popularity", {"recent_days": 7}).needs.check(replace(log, timestamp=None), "`popularity`")


@pytest.fixture(scope="module")
def shown(log: EventArrays) -> EventArrays:
    """The same log, most of its events impressions: taken where the weight is above zero, else left."""
    rng = np.random.default_rng(11)
    impression = rng.random(len(log)) < 0.8
    taken = rng.random(len(log)) < 0.3
    weight = np.where(impression, np.where(taken, 2.0, 0.0), log.weight).astype(np.float32)
    return replace(log, weight=weight, shown=impression)


def slow_rate(log: EventArrays, item: int, prior: float, context: dict[str, int], m: float) -> float:
    assert log.shown is not None
    rows = [e for e in range(len(log)) if log.shown[e]]
    overall = (sum(log.weight[e] > 0 for e in rows) + 1) / (len(rows) + 2)

    def smoothed(cells: list[int], expected: float, strength: float) -> float:
        return (sum(log.weight[e] > 0 for e in cells) + strength * expected) / (len(cells) + strength)

    own = [e for e in rows if log.item_idx[e] == item]
    rate = smoothed(own, overall, prior)
    odds = math.log(rate / (1 - rate))
    for name, value in context.items():
        inside = smoothed([e for e in own if log.context[name][e] == value], rate, m)
        odds += math.log(inside / (1 - inside)) - math.log(rate / (1 - rate))
    return 1 / (1 + math.exp(-odds))


@pytest.mark.parametrize("prior", [0.5, 20.0])
def test_a_click_is_as_likely_as_the_item_was_taken_when_shown(
    shown: EventArrays, ask: Callable[..., Queries], prior: float
) -> None:
    model, items = fit(shown, prior=prior), np.arange(N_ITEMS + 1, dtype=np.int32)
    found = model.probability(ask([[]] * len(items)), items)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [slow_rate(shown, i, prior, {}, 1.0) for i in items.tolist()], rtol=1e-6)
    np.testing.assert_array_equal(model.score(ask([[]]))[0], slow_counts(shown))  # ranked by what was taken


def test_a_click_in_context_moves_the_odds_of_the_item(shown: EventArrays, ask: Callable[..., Queries]) -> None:
    model, items = fit(shown, context=["device", "hour"], smoothing=3.0), np.array([0, 3, 14, N_ITEMS], np.int32)
    found = model.probability(ask([[]] * 4, device=[0, 1, 2, 0], hour=[5, 7, 23, 5]), items)
    asked = [(0, 0, 5), (3, 1, 7), (14, 2, 23), (N_ITEMS, 0, 5)]
    expected = [slow_rate(shown, item, 20.0, {"device": d, "hour": h}, 3.0) for item, d, h in asked]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    unseen = model.probability(ask([[]] * 4, device=[3] * 4), items)  # a value never seen, and none
    np.testing.assert_allclose(unseen, fit(shown).probability(ask([[]] * 4), items), rtol=1e-6)


def test_without_impressions_it_is_the_chance_of_the_next_event(log: EventArrays, ask: Callable[..., Queries]) -> None:
    items, counts = np.arange(N_ITEMS + 1, dtype=np.int32), slow_counts(log)
    found = fit(log).probability(ask([[]] * len(items)), items)
    np.testing.assert_allclose(found[:-1], [(c + 1) / (sum(counts) + N_ITEMS) for c in counts], rtol=1e-6)
    assert found[:-1].sum() == pytest.approx(1.0)
    assert found[-1] == found[14]  # as likely as an item that was never taken
    context = {"device": 1, "hour": 5}
    scores = np.array(slow_naive_bayes(log, context, 100.0))
    queries = ask([[]] * len(items), **{name: [row] * len(items) for name, row in context.items()})
    found = fit(log, context=["device", "hour"]).probability(queries, items)
    np.testing.assert_allclose(found[:-1], np.exp(scores) / np.exp(scores).sum(), rtol=1e-5)


def test_click_rates_are_saved_and_look_at_the_last_days(shown: EventArrays, ask: Callable[..., Queries]) -> None:
    assert shown.timestamp is not None
    late = shown.timestamp >= shown.timestamp[-1] - 3 * 86_400
    items = np.arange(N_ITEMS, dtype=np.int32)
    recent = fit(replace(shown, shown=shown.shown & late)).probability(ask([[]] * N_ITEMS), items)
    np.testing.assert_array_equal(fit(shown, recent_days=3.0).probability(ask([[]] * N_ITEMS), items), recent)
    for settings in ({}, {"context": ["device"]}):
        model, again = fit(shown, **settings), new_model("popularity", settings)
        again.load_state(model.state())
        queries = ask([[]] * N_ITEMS, device=[1] * N_ITEMS)
        np.testing.assert_array_equal(again.probability(queries, items), model.probability(queries, items))  # type: ignore[attr-defined]
