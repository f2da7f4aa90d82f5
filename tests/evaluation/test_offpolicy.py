from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.arrays import Ragged
from rankine.evaluation.cases import Cases
from rankine.evaluation.compare import compare, intervals
from rankine.evaluation.evaluate import evaluate_logged
from rankine.evaluation.evaluation import Evaluation
from rankine.evaluation.offpolicy import Matched, chance_of, effective_rows, snips
from rankine.features.queries import Queries

N_ITEMS, N_KINDS = 6, 4
RATE = np.random.default_rng(99).uniform(0.05, 0.5, (N_KINDS, N_ITEMS))  # of a click, by kind of request and item
NAMES = ("ips", "snips", "click_rate", "effective_rows", "matched")


def log_of(seed: int, n: int, logging: np.ndarray) -> Cases:
    """A log of `logging` [N_KINDS, N_ITEMS], the chance of each item for each kind of request; the kind is the user."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, N_KINDS, n)
    item = (logging[kind].cumsum(1) < rng.random(n)[:, None]).sum(1).clip(max=N_ITEMS - 1)
    queries = Queries(
        user_idx=kind.astype(np.int32),
        history=Ragged.empty(n),
        history_weight=np.empty(0, np.float32),
        session_len=np.zeros(n, np.int64),
        timestamp=np.full(n, np.nan),
        n_users=N_KINDS,
        n_items=N_ITEMS,
    )
    return Cases(
        queries=queries,
        targets=Ragged.from_lengths(item.astype(np.int32), np.ones(n, np.int64)),
        unit="row",
        unit_names=pl.Series(np.arange(n)).cast(pl.String),
        unit_idx=np.arange(n),
        values=(rng.random(n) < RATE[kind, item]).astype(np.float64),
        propensity=logging[kind, item],
    )


def judged(scores: Any, cases: Cases, temperature: float = 0.0) -> Evaluation:
    scores = np.asarray(scores, np.float32)
    return evaluate_logged(lambda q: scores[q.user_idx], cases, NAMES, temperature=temperature)


UNIFORM = np.full((N_KINDS, N_ITEMS), 1 / N_ITEMS)
SKEWED = np.random.default_rng(5).dirichlet(np.full(N_ITEMS, 2.0), N_KINDS) * 0.9 + 0.1 / N_ITEMS
SCORES = np.random.default_rng(6).normal(0, 1, (N_KINDS, N_ITEMS))


@pytest.mark.parametrize("logging", [UNIFORM, SKEWED], ids=["uniform", "skewed"])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_both_estimates_find_what_the_policy_would_earn(logging: np.ndarray, temperature: float) -> None:
    if temperature:
        policy = np.exp(SCORES / temperature) / np.exp(SCORES / temperature).sum(1, keepdims=True)
    else:
        policy = np.eye(N_ITEMS)[SCORES.argmax(1)]
    truth = float((policy * RATE).sum(1).mean())
    found = [judged(SCORES, log_of(seed, 2000, logging), temperature) for seed in range(60)]
    covered = {"ips": 0, "snips": 0}
    for seed, one in enumerate(found):
        for name, got in zip(covered, intervals([(one, n) for n in covered], seed=seed, n_resamples=200), strict=True):
            covered[name] += got.low <= truth <= got.high
    for name in covered:
        means = [one.mean(name) for one in found]
        assert abs(np.mean(means) - truth) < 3.5 * np.std(means) / np.sqrt(len(means))  # no bias to be seen
        assert covered[name] >= 52  # of 60, 57 expected
    own = float((logging * RATE).sum(1).mean())
    assert np.mean([one.mean("click_rate") for one in found]) == pytest.approx(own, abs=0.01)


def test_under_chance_one_row_in_n_items_matches_and_that_many_tell() -> None:
    found = judged(SCORES, log_of(1, 12_000, UNIFORM))
    assert found.mean("matched") == pytest.approx(1 / N_ITEMS, abs=0.015)
    assert found.mean("effective_rows") == pytest.approx(12_000 * found.mean("matched"))
    one = interval_width(found, "snips")
    assert interval_width(judged(SCORES, log_of(1, 12_000, UNIFORM), 1.0), "snips") < one  # a softer policy is surer


def interval_width(evaluation: Evaluation, metric: str) -> float:
    (found,) = intervals([(evaluation, metric)])
    return found.high - found.low


def test_policies_are_compared_on_the_same_rows() -> None:
    cases = log_of(2, 4000, UNIFORM)
    best, worst = judged(RATE, cases), judged(-RATE, cases)
    for metric in ("ips", "snips"):
        found = compare({"worst": worst, "best": best}, metric)
        assert found.order == ("best", "worst")
        assert found.letters == {"best": "A", "worst": "B"}
    assert compare({"a": best, "b": judged(2 * RATE, cases)}, "snips").pairs[0].difference == 0


def test_snips_and_effective_rows_by_hand() -> None:
    rows = Matched(np.array([2.0, 0.0, 4.0]), np.array([1.0, 1.0, 0.0]), np.array([0, 1, 1]))
    weights = np.array([[1.0, 3.0, 0.0], [1.0, 1.0, 0.0]])
    assert snips(rows, 2)(weights)[:2].tolist() == pytest.approx([2 / 6, 6 / 10])
    assert np.isnan(snips(rows, 2)(weights)[2])  # nothing matches: there is no estimate
    assert effective_rows(rows, 2)(weights).tolist() == pytest.approx([36 / 20, 100 / 28, 0])


def test_the_first_of_equals_is_shown_and_items_without_a_score_never() -> None:
    scores = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 2], [0, 1, 2]], np.float32)
    assert chance_of(scores, np.array([0, 1, 2, 3])).tolist() == [1, 0, 1, 0]
    soft = chance_of(scores, np.array([0, 1, 2, 3]), temperature=0.5)
    e = np.exp(np.array([0, 2, 4]))
    np.testing.assert_allclose(soft, [e[1] / (2 * e[1] + 1), e[1] / (2 * e[1] + 1), e[2] / e.sum(), 0])
    steep = chance_of(1e30 * scores, np.array([0, 1, 2, 3]), temperature=1e-3)
    np.testing.assert_allclose(steep, [0.5, 0.5, 1, 0])  # no overflow
