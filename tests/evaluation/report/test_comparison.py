import pytest

from rankine.errors import DataError
from rankine.evaluation.report.comparison import read_comparison
from rankine.evaluation.report.results import Metric


def test_leaders_are_not_distinguishable_from_each_other(build):
    results = build(
        [("A", 0.31, None), ("B", 0.305, None), ("C", 0.30, None)],
        [("A", "B", 0.005, False), ("A", "C", 0.01, False), ("B", "C", 0.005, True)],
    )
    assert [m.name for m in read_comparison(results).leaders] == ["A", "B"]


def test_models_are_sorted_by_what_is_better(build):
    models = [("A", 0.2, None), ("B", 0.3, None), ("C", 0.1, None)]
    assert [m.name for m in read_comparison(build(models, [])).models] == ["B", "A", "C"]
    assert [m.name for m in read_comparison(build(models, [], "rmse")).models] == ["C", "A", "B"]


def test_a_model_without_the_primary_metric_is_listed_last_and_not_scored(build):
    results = build([("A", 0.2, None), ("B", 0.3, None)], [])
    results["models"][1]["metrics"]["recall@20"] = {"mean": float("nan")}
    comparison = read_comparison(results)
    assert [m.name for m in comparison.models] == ["A", "B"]
    assert [m.name for m in comparison.scored] == ["A"]


def test_gains_are_positive_for_the_better_model(build):
    higher = read_comparison(build([("A", 0.31, None), ("B", 0.3, None)], [("A", "B", 0.01, True)]))
    lower = read_comparison(build([("A", 0.3, None), ("B", 0.31, None)], [("A", "B", -0.01, True)], "rmse"))
    for comparison in (higher, lower):
        a, b = comparison.models
        assert comparison.beats(a, b) and not comparison.beats(b, a)
        assert comparison.gain(a, b).estimate.span == pytest.approx((0.006, 0.014))
        assert comparison.gain(b, a).estimate.span == pytest.approx((-0.014, -0.006))


@pytest.mark.parametrize("kind", ["models", "pairs", "protocol", "oracle"])
def test_a_part_of_the_wrong_kind_is_a_clear_error(kind):
    with pytest.raises(DataError, match=f"`{kind}` of the results must be a"):
        read_comparison({kind: "text"})


@pytest.mark.parametrize(
    ("name", "text", "title", "k", "lower"),
    [
        ("recall@20", "recall@20", "Recall@20", 20, False),
        ("ndcg@10", "NDCG@10", "NDCG@10", 10, False),
        ("rmse", "RMSE", "RMSE", None, True),
        ("logloss", "log loss", "Log loss", None, True),
        ("hr@10 optimistic", "HR@10 optimistic", "HR@10 optimistic", 10, False),
    ],
)
def test_metric_names(name, text, title, k, lower):
    metric = Metric(name)
    assert (metric.text, metric.title, metric.k, metric.lower_is_better) == (text, title, k, lower)


def test_an_unknown_mark_becomes_other(build):
    results = build([("A", 0.2, None)], [])
    for mark in (None, 0, 9, 42):
        results["models"][0]["mark"] = mark
        assert read_comparison(results).models[0].mark == 8
