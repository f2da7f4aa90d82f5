import pytest

from rankine.evaluation.report.comparison import read_comparison
from rankine.evaluation.report.headline import headline, plain_words

NEIGHBOUR, POPULAR = "neighbourhood", "popularity"


def said(results):
    return headline(read_comparison(results)).text


def test_two_leaders_that_both_beat_the_next(build):
    results = build(
        [("SASRec", 0.312, None), ("GRU4Rec", 0.309, None), ("V-SKNN", 0.287, NEIGHBOUR)],
        [("SASRec", "GRU4Rec", 0.003, False), ("SASRec", "V-SKNN", 0.025, True), ("GRU4Rec", "V-SKNN", 0.022, True)],
    )
    assert said(results) == "SASRec and GRU4Rec are not distinguishable; both beat V-SKNN by 0.018 to 0.029 recall@20."


def test_three_leaders_are_counted(build):
    results = build(
        [("A", 0.31, None), ("B", 0.309, None), ("C", 0.308, None), ("D", 0.2, None)],
        [("A", "B", 0.001, False), ("A", "C", 0.002, False), ("B", "C", 0.001, False)]
        + [(name, "D", 0.1, True) for name in "ABC"],
    )
    assert said(results) == "A, B and C are not distinguishable; all three beat D by 0.096 to 0.104 recall@20."


def test_a_leader_that_does_not_beat_the_next_is_not_said_to(build):
    results = build(
        [("A", 0.31, None), ("B", 0.305, None), ("C", 0.3, None)],
        [("A", "B", 0.005, False), ("A", "C", 0.01, True), ("B", "C", 0.005, False)],
    )
    assert said(results) == "A and B are not distinguishable; only A beats C by 0.006 to 0.014 recall@20."


def test_leaders_whose_tests_against_the_next_are_missing(build):
    results = build([("A", 0.31, None), ("B", 0.305, None), ("C", 0.3, None)], [("A", "B", 0.005, False)])
    assert said(results) == "A and B are not distinguishable by recall@20."


def test_one_model_alone_at_the_top(build):
    results = build(
        [("A", 0.31, None), ("B", 0.30, None), ("C", 0.2, None)],
        [("A", "B", 0.01, True), ("A", "C", 0.11, True), ("B", "C", 0.1, True)],
    )
    assert said(results) == "A beats every other model; next is B, 0.006 to 0.014 recall@20 behind."


def test_the_order_of_a_pair_does_not_matter(build):
    results = build([("A", 0.31, None), ("B", 0.30, None)], [("B", "A", -0.01, True)])
    assert said(results) == "A beats B by 0.006 to 0.014 recall@20."


def test_every_other_model_is_not_claimed_where_a_test_is_missing(build):
    results = build([("A", 0.31, None), ("B", 0.30, None), ("C", 0.2, None)], [("A", "B", 0.01, True)])
    assert said(results) == "A beats B by 0.006 to 0.014 recall@20."


def test_a_best_model_without_a_test_of_its_own(build):
    results = build([("A", 0.31, None), ("B", 0.30, None), ("C", 0.2, None)], [("B", "C", 0.1, True)])
    assert said(results) == (
        "A has the highest mean recall@20, 0.310; it was not tested against the others, "
        "so nothing is said to be better."
    )


def test_nothing_beats_the_neighbourhood_baseline_comes_first(build):
    results = build(
        [("V-SKNN", 0.29, NEIGHBOUR), ("SASRec", 0.288, None), ("Popularity", 0.07, POPULAR)],
        [
            ("V-SKNN", "SASRec", 0.002, False),
            ("V-SKNN", "Popularity", 0.22, True),
            ("SASRec", "Popularity", 0.218, True),
        ],
    )
    assert said(results) == (
        "Nothing beats V-SKNN, the neighbourhood baseline; V-SKNN and SASRec are not distinguishable; "
        "both beat Popularity by 0.214 to 0.224 recall@20."
    )


def test_a_neighbourhood_baseline_that_beats_everything(build):
    results = build(
        [("V-SKNN", 0.29, NEIGHBOUR), ("SASRec", 0.28, None), ("Popularity", 0.07, POPULAR)],
        [("V-SKNN", "SASRec", 0.01, True), ("V-SKNN", "Popularity", 0.22, True), ("SASRec", "Popularity", 0.21, True)],
    )
    expected = "Nothing beats V-SKNN, the neighbourhood baseline; next is SASRec, 0.006 to 0.014 recall@20 behind."
    assert said(results) == expected


def test_a_neighbourhood_baseline_beaten_by_popularity_is_not_called_unbeaten(build):
    results = build(
        [("Popularity", 0.3, POPULAR), ("V-SKNN", 0.2, NEIGHBOUR), ("SASRec", 0.1, None)],
        [("Popularity", "V-SKNN", 0.1, True), ("Popularity", "SASRec", 0.2, True), ("V-SKNN", "SASRec", 0.1, True)],
    )
    assert said(results).startswith("Popularity beats every other model; next is V-SKNN")


def test_baselines_alone_have_nothing_to_beat_them(build):
    results = build(
        [("V-SKNN", 0.29, NEIGHBOUR), ("Item to item", 0.2, NEIGHBOUR)], [("V-SKNN", "Item to item", 0.09, True)]
    )
    assert said(results) == "V-SKNN beats Item to item by 0.086 to 0.094 recall@20."


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("AB", "A and B are not distinguishable by recall@20."),
        ("ABC", "No two of the three models are distinguishable by recall@20."),
    ],
)
def test_models_that_are_all_alike(build, names, expected):
    pairs = [(a, b, 0.001, False) for i, a in enumerate(names) for b in names[i + 1 :]]
    assert said(build([(n, 0.3 - i / 1000, None) for i, n in enumerate(names)], pairs)) == expected


def test_an_error_metric_is_better_when_lower(rating_results):
    assert said(rating_results) == "MF and ALS are not distinguishable; both beat Bias by 0.007 to 0.011 RMSE."


def test_a_lower_error_wins_whatever_the_order_of_models(build):
    results = build([("Bias", 0.944, None), ("MF", 0.934, None)], [("Bias", "MF", 0.01, True)], "rmse")
    assert said(results) == "MF beats Bias by 0.006 to 0.014 RMSE."


def test_a_single_model(single_results):
    expected = (
        "V-SKNN reaches 0.287 recall@20, 95\u00a0% interval 0.280 to 0.294; there is no other model to compare it with."
    )
    assert said(single_results) == expected


def test_no_pairs_claims_no_order(build):
    results = build([("A", 0.31, None), ("B", 0.30, None)], [])
    assert said(results) == (
        "A has the highest mean recall@20, 0.310; no two models were tested against each other, "
        "so nothing is said to be better."
    )
    lower = build([("A", 0.31, None), ("B", 0.30, None)], [], "rmse")
    assert said(lower).startswith("B has the lowest mean RMSE, 0.300")


def test_pairs_of_another_metric_do_not_count(build):
    results = build([("A", 0.31, None), ("B", 0.30, None)], [("A", "B", 0.01, True)])
    results["protocol"]["primary"] = "ndcg@10"
    for model in results["models"]:
        model["metrics"]["ndcg@10"] = {"mean": 0.2}
    assert "no two models were tested" in said(results)


def test_a_small_difference_is_not_rounded_to_nothing(build):
    results = build([("A", 0.3101, None), ("B", 0.3100, None)], [("A", "B", 0.0001, True)])
    results["pairs"][0] |= {"low": 0.00004, "high": 0.00016}
    assert said(results) == "A beats B by 0.00004 to 0.00016 recall@20."


@pytest.mark.parametrize("results", [{}, {"models": []}, {"models": [{"name": "a", "metrics": {"recall@20": None}}]}])
def test_no_results(results):
    assert said(results) == "This run has no results."


def test_the_full_sample(shop_results):
    expected = "SASRec and GRU4Rec are not distinguishable; both beat V-SKNN by 0.018 to 0.029 recall@20."
    assert said(shop_results) == expected


def plain(results):
    return plain_words(read_comparison(results), results)


def test_plain_words_count_visits(shop_results):
    assert plain(shop_results) == (
        "In plain words: for 31 of 100 visits the next item is among the first 20 shown by SASRec. "
        "With V-SKNN (nearest past sessions) it is 29 of 100 and with Popularity (most viewed, last 7 days) "
        "it is 7 of 100; no model could do better than 37 of 100 on this data."
    )


def test_plain_words_of_an_error(rating_results):
    assert plain(rating_results) == (
        "In plain words: what MF predicts is typically off by 0.934 on the scale of the values; "
        "with Mean rating by 1.018."
    )


@pytest.mark.parametrize(
    ("metric", "mean", "unit", "expected"),
    [
        ("hr@10", 0.4531, "user", "for 45 of 100 users an item they chose next is among the first 10 shown by A"),
        ("recall@20", 0.0416, "user", "4 of 100 items that a user went on to choose are among the first 20 shown by A"),
        ("recall@20", 0.0042, "user", "4 of 1,000 items that"),
        (
            "auc",
            0.759,
            "rating",
            "A puts 76 of 100 pairs in the right order, one of which was chosen and the other was not",
        ),
    ],
)
def test_plain_words_by_metric_and_unit(build, metric, mean, unit, expected):
    results = build([("A", mean, None)], [], metric)
    results["protocol"]["unit"] = unit
    assert plain(results).startswith(f"In plain words: {expected}")


def test_sessions_with_several_rankings_are_not_called_visits(shop_results):
    shop_results["split"]["test"]["n_cases"] = 50_000
    assert plain(shop_results).startswith(
        "In plain words: 31 of 100 next items are among the first 20 shown by SASRec."
    )


def test_a_metric_without_plain_reading_gets_none(build):
    assert plain(build([("A", 0.3, None)], [], "ndcg@10")) is None


def test_plain_words_fall_back_to_a_readable_metric(build):
    results = build([("A", 0.3, None)], [], "ndcg@10")
    results["protocol"]["metrics"] = ["ndcg@10", "hr@10"]
    results["models"][0]["metrics"]["hr@10"] = {"mean": 0.5}
    assert plain(results).startswith("In plain words: for 50 of 100 users")
