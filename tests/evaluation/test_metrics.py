from __future__ import annotations

import math
from typing import Any

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, P, R, Success, nDCG

from rankine.arrays import Ragged
from rankine.errors import ConfigError, ScoreError
from rankine.evaluation import clicks, metrics
from rankine.evaluation.metrics import METRICS, MetricName
from rankine.kernels.ranks import target_ranks

MEASURES: dict[str, Any] = {"recall": R, "precision": P, "hr": Success, "mrr": RR, "ndcg": nDCG, "map": AP}
N_ITEMS = 60


def random_cases(seed: int, n: int = 80) -> tuple[np.ndarray[Any, Any], list[list[int]]]:
    """Scores without ties, and 1 to 25 targets per case."""
    rng = np.random.default_rng(seed)
    scores = np.stack([rng.permutation(N_ITEMS) for _ in range(n)]).astype(np.float32)
    return scores, [rng.permutation(N_ITEMS)[: rng.integers(1, 26)].tolist() for _ in range(n)]


@pytest.mark.parametrize("base", sorted(MEASURES))
@pytest.mark.parametrize("k", [1, 5, 10, 20, 60])
def test_rank_metrics_agree_with_ir_measures(base: str, k: int) -> None:
    scores, targets = random_cases(seed=k)
    ranks = Ragged.from_rows(targets).with_values(target_ranks(scores, Ragged.from_rows(targets)))
    found = MetricName.parse(f"{base}@{k}").metric.per_case(ranks, k)  # type: ignore[misc]
    qrels = [ir_measures.Qrel(str(b), str(t), 1) for b, own in enumerate(targets) for t in own]
    run = [ir_measures.ScoredDoc(str(b), str(i), float(s)) for b, row in enumerate(scores) for i, s in enumerate(row)]
    expected = {m.query_id: m.value for m in ir_measures.iter_calc([MEASURES[base] @ k], qrels, run)}
    np.testing.assert_allclose(found, [expected[str(b)] for b in range(len(targets))], rtol=1e-9, atol=1e-12)
    assert len(np.unique(found)) > 1 or k == N_ITEMS


def one(ranks: list[int]) -> Ragged:
    return Ragged.from_rows([ranks], np.int64)


def test_hand_numbers() -> None:
    ranks = one([2, 9, 4])
    assert metrics.hits(ranks, 5).tolist() == [2]
    assert metrics.recall(ranks, 5).tolist() == pytest.approx([2 / 3])
    assert metrics.precision(ranks, 5).tolist() == pytest.approx([2 / 5])
    assert metrics.hr(ranks, 5).tolist() == [1]
    assert metrics.mrr(ranks, 5).tolist() == [0.5]
    gain, ideal = 1 / math.log2(3) + 1 / math.log2(5), 1 + 1 / math.log2(3) + 1 / 2
    assert metrics.ndcg(ranks, 5).tolist() == pytest.approx([gain / ideal])
    assert metrics.map_(ranks, 5).tolist() == pytest.approx([(1 / 2 + 2 / 4) / 3])


def test_more_targets_than_places() -> None:
    ranks = one([3, 1, 2, 8])
    assert metrics.recall(ranks, 2).tolist() == [0.5]
    assert metrics.ndcg(ranks, 2).tolist() == [1.0]  # both places hold a target: nothing better can be reached
    assert metrics.map_(ranks, 2).tolist() == [0.5]


def test_nothing_found_is_zero_everywhere() -> None:
    for name in MEASURES:
        assert METRICS[name].per_case(one([7, 60]), 5).tolist() == [0.0]  # type: ignore[misc]


def test_a_constant_scorer_reaches_nothing_and_everything_when_ties_favour_it() -> None:
    scores, targets = np.zeros((3, 50), np.float32), Ragged.from_rows([[0], [25], [49]])
    for optimistic, expected in ((False, 0.0), (True, 1.0)):
        ranks = targets.with_values(target_ranks(scores, targets, optimistic=optimistic))
        for name in ("recall", "hr", "mrr", "ndcg", "map"):
            assert METRICS[name].per_case(ranks, 20).tolist() == [expected] * 3, name  # type: ignore[misc]


def test_rating_errors_by_hand() -> None:
    predicted, truth = np.array([1.0, 4.0, 2.0]), np.array([2.0, 4.0, 4.0])
    assert metrics.squared_error(predicted, truth).tolist() == [1.0, 0.0, 4.0]
    assert metrics.absolute_error(predicted, truth).tolist() == [1.0, 0.0, 2.0]
    rmse = METRICS["rmse"]
    assert rmse.finish(np.asarray(5 / 3)) == pytest.approx(math.sqrt(5 / 3))
    assert not rmse.higher_is_better
    assert not METRICS["mae"].higher_is_better


@pytest.mark.parametrize(
    "metric", [metrics.squared_error, metrics.absolute_error, clicks.logloss, clicks.accuracy, clicks.calibration]
)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_prediction_that_is_no_number_is_an_error(metric: Any, bad: float) -> None:
    with pytest.raises(ScoreError, match="1 of 3 predictions are NaN or infinite"):
        metric(np.array([0.5, bad, 0.5]), np.array([1, 0, 1]))


def test_novelty_is_the_surprise_of_a_share() -> None:
    np.testing.assert_allclose(metrics.novelty_of(np.array([0.5, 0.25, 0.25, 0.0])), [1.0, 2.0, 2.0, 3.0])
    assert np.isfinite(metrics.novelty_of(np.zeros(3))).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("recall@20", MetricName("recall", 20)),
        ("hr@10 optimistic", MetricName("hr", 10, optimistic=True)),
        ("rmse", MetricName("rmse")),
        ("coverage@5", MetricName("coverage", 5)),
    ],
)
def test_names_are_read_and_written(text: str, expected: MetricName) -> None:
    assert MetricName.parse(text) == expected
    assert str(expected) == text
    assert expected.metric is METRICS[expected.base]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recal@20", "unknown metric 'recal@20'; did you mean `recall`"),
        ("bleu", "unknown metric 'bleu'; valid: `accuracy`, `auc`, `calibration`, "),
        ("recall", "metric 'recall' should be written `recall@20`"),
        ("recall@0", "metric 'recall@0' should be written `recall@20`"),
        ("rmse@5", "metric 'rmse@5' should be written `rmse`"),
        ("recall@-1", "unknown metric 'recall@-1'; did you mean `recall`"),
        ("recall@20 lucky", "unknown metric"),
        ("rmse optimistic", "metric 'rmse optimistic' has no ties to favour: write `rmse`"),
        ("", "unknown metric ''"),
    ],
)
def test_a_wrong_name_says_how_it_is_written(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MetricName.parse(text)
