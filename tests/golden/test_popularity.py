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
