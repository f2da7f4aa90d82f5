from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.arrays import Ragged
from rankine.errors import ConfigError, ScoreError
from rankine.evaluation import evaluate
from rankine.evaluation.cases import Cases
from rankine.evaluation.evaluate import evaluate_clicks, evaluate_logged, evaluate_ranking, evaluate_ratings
from rankine.features.queries import Queries
from rankine.models.base import Source, VectorModel

N_ITEMS = 8
Scores = np.ndarray[Any, Any]


def cases_of(
    targets: list[list[int]], units: list[str], exclude: list[list[int]] | None = None, values: Any = None
) -> Cases:
    n = len(targets)
    names = pl.Series(sorted(set(units)))
    queries = Queries(
        user_idx=np.arange(n, dtype=np.int32),
        history=Ragged.empty(n),
        history_weight=np.empty(0, np.float32),
        session_len=np.zeros(n, np.int64),
        timestamp=np.full(n, np.nan),
        n_users=n,
        n_items=N_ITEMS,
    )
    return Cases(
        queries=queries,
        targets=Ragged.from_rows(targets),
        unit="user",
        unit_names=names,
        unit_idx=np.array([names.to_list().index(u) for u in units]),
        exclude=None if exclude is None else Ragged.from_rows(exclude),
        values=values,
        counts={"unknown_targets": sum(t == N_ITEMS for row in targets for t in row)},
    )


def by_row(scores: Scores) -> Any:
    """A scorer that knows its answers by the number of the user."""
    return lambda queries: scores[queries.user_idx]


SCORES = np.array([[8, 7, 6, 5, 4, 3, 2, 1], [1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 9, 9, 0, 0, 0]], np.float32)
COUNTS = np.array([4, 4, 2, 2, 1, 1, 1, 1])


def test_all_items_are_ranked_and_each_case_keeps_its_value() -> None:
    cases = cases_of([[1], [0], [3, 0]], ["a", "a", "b"])
    found = evaluate_ranking(by_row(SCORES), cases, ["mrr@8", "recall@2", "mrr@8 optimistic"], COUNTS)
    assert found.values["mrr@8"].tolist() == [1 / 2, 1 / 8, 1 / 2]
    assert found.values["mrr@8 optimistic"].tolist() == [1 / 2, 1, 1]
    assert found.values["recall@2"].tolist() == [1, 0, 0.5]
    assert found.mean("recall@2") == 0.5
    assert found.unit_names.to_list() == ["a", "b"]


def test_what_is_excluded_leaves_the_ranking() -> None:
    cases = cases_of([[2], [5]], ["a", "b"], exclude=[[0, 1], [0, 1, 2, 3, 4, 6, 7]])
    found = evaluate_ranking(by_row(SCORES), cases, ["mrr@8"], COUNTS)
    assert found.values["mrr@8"].tolist() == [1, 1]
    assert found.shown is not None
    assert found.shown[0].tolist() == [2, 3, 4, 5, 6, 7, -1, -1]


def test_coverage_and_novelty_look_at_the_lists_shown() -> None:
    cases = cases_of([[1], [0], [3]], ["a", "b", "c"])
    found = evaluate_ranking(by_row(SCORES), cases, ["coverage@2", "novelty@2", "hr@2"], COUNTS)
    shown = [0, 1, 0, 1, 3, 4]  # ties in the order of the catalogue
    assert found.mean("coverage@2") == len(set(shown)) / N_ITEMS
    assert found.mean("novelty@2") == pytest.approx(np.mean([-math.log2(COUNTS[i] / 16) for i in shown]))
    percentile = [8, 8, 6, 6, 4, 4, 4, 4]
    assert found.popularity == pytest.approx(np.mean([percentile[i] / 8 for i in shown]))
    assert found.target_counts is not None
    assert found.target_counts.tolist() == [4, 4, 2]


def test_blocks_do_not_show_in_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 4, (50, N_ITEMS)).astype(np.float32)
    targets = [rng.permutation(N_ITEMS + 1)[: rng.integers(1, 4)].tolist() for _ in range(50)]
    exclude = [sorted(set(rng.permutation(N_ITEMS)[:3].tolist()) - set(own)) for own in targets]
    cases, names = cases_of(targets, ["a"] * 50, exclude), ["ndcg@3", "map@3 optimistic", "coverage@3"]
    whole = evaluate_ranking(by_row(scores), cases, names, COUNTS)
    monkeypatch.setattr(evaluate, "BLOCK_VALUES", 7 * N_ITEMS)
    parts = evaluate_ranking(by_row(scores), cases, names, COUNTS)
    assert all(np.array_equal(whole.values[m], parts.values[m]) for m in whole.values)
    assert whole.totals == parts.totals


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_names_its_case(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "BLOCK_VALUES", 2 * N_ITEMS)  # two cases at a time
    scores = np.ones((5, N_ITEMS), np.float32)
    scores[3, 6] = scores[3, 7] = bad
    cases = cases_of([[0]] * 5, ["a"] * 5)
    with pytest.raises(ScoreError, match="wild: 2 scores are NaN or infinite, the first for case 3, item row 6"):
        evaluate_ranking(by_row(scores), cases, ["hr@1"], COUNTS, "wild")


class Vectors(VectorModel):
    """Users and items with vectors given."""

    label = "Vectors"
    source = Source.HISTORY

    def __init__(self, users: Scores, items: Scores) -> None:
        self.users, self.items = users.astype(np.float32), items.astype(np.float32)

    def query_vectors(self, queries: Queries) -> Scores:
        return self.users[queries.user_idx]

    def item_vectors(self) -> Scores:
        return self.items

    def evidence(self, queries: Queries) -> Scores:
        return np.ones(len(queries), bool)

    def state(self) -> dict[str, Scores]:
        return {}

    def load_state(self, state: Any) -> None: ...


@pytest.mark.parametrize("candidates", [False, True])
def test_products_of_vectors_are_judged_like_the_scores_they_stand_for(
    candidates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "VECTOR_BLOCK", 16)
    rng = np.random.default_rng(3)
    targets = [rng.permutation(N_ITEMS + 1)[: rng.integers(1, 4)].tolist() for _ in range(50)]
    exclude = [rng.permutation(N_ITEMS)[:3].tolist() for _ in targets]
    cases = cases_of(targets, ["a"] * 50, exclude)
    if candidates:
        cases = replace(cases, candidates=Ragged.from_rows([rng.permutation(N_ITEMS + 1)[:4] for _ in targets]))
        cases = replace(cases, targets=Ragged.from_rows([row[:1] for row in cases.candidates or ()]))
    model = Vectors(rng.integers(-2, 3, (50, 2)), rng.integers(-2, 3, (N_ITEMS, 2)))  # with many ties
    names = ["ndcg@3", "mrr@5 optimistic"] + ([] if candidates else ["coverage@3"])
    plain = evaluate_ranking(model.score, cases, names, COUNTS)
    quick = evaluate_ranking(model.scorer(), cases, names, COUNTS)
    assert all(np.array_equal(plain.values[m], quick.values[m]) for m in plain.values)
    assert plain.totals == quick.totals
    assert candidates or np.array_equal(plain.shown, quick.shown)  # type: ignore[arg-type]


def test_vectors_that_give_no_number_name_their_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "BLOCK_VALUES", 2 * N_ITEMS)
    users, items = np.full((5, 2), 0.25), np.ones((N_ITEMS, 2))
    items[6:] = 3e38
    cases = cases_of([[0]] * 5, ["a"] * 5)
    assert evaluate_ranking(Vectors(users, items).scorer(), cases, ["hr@1"], COUNTS, "steep").mean("hr@1") == 0
    users[3] = 1.0  # 3e38 + 3e38 is more than float32 holds
    with pytest.raises(ScoreError, match="wild: 2 scores are NaN or infinite, the first for case 3, item row 6"):
        evaluate_ranking(Vectors(users, items).scorer(), cases, ["hr@1"], COUNTS, "wild")


@pytest.mark.parametrize("n_columns", [N_ITEMS - 1, N_ITEMS + 1])
def test_scores_for_other_items_than_the_catalogue_are_an_error(n_columns: int) -> None:
    with pytest.raises(ScoreError, match=rf"expected scores \[2, 8\]; got \[2, {n_columns}\]"):
        evaluate_ranking(by_row(np.ones((2, n_columns))), cases_of([[0], [1]], ["a", "b"]), ["hr@1"], COUNTS)


def test_ratings_are_clipped_and_compared() -> None:
    cases = cases_of([[0], [1], [8]], ["a", "a", "b"], values=np.array([5.0, 2.0, 3.0]))

    def rate(user: Any, item: Any) -> Any:
        assert user.tolist() == [0, 1, 2]
        assert item.tolist() == [0, 1, 8]
        return np.array([7.0, 2.5, -4.0], np.float32)

    found = evaluate_ratings(rate, cases, ["rmse", "mae"], clip=(1.0, 5.0))
    assert found.values["rmse"].tolist() == [0, 0.25, 4]
    assert found.mean("rmse") == pytest.approx(math.sqrt(4.25 / 3))
    assert found.mean("mae") == pytest.approx(2.5 / 3)
    assert evaluate_ratings(rate, cases, ["mae"]).values["mae"].tolist() == [2, 0.5, 7]


def test_metrics_of_another_protocol_are_an_error() -> None:
    plain, valued = cases_of([[0]], ["a"]), cases_of([[0]], ["a"], values=np.array([1.0]))
    with pytest.raises(ConfigError, match="metric `rmse` needs cases with values"):
        evaluate_ranking(by_row(SCORES), plain, ["rmse"], COUNTS)
    with pytest.raises(ConfigError, match="metric `hr@1` needs a ranking"):
        evaluate_ratings(lambda user, item: np.ones(1, np.float32), valued, ["hr@1"])
    with pytest.raises(ConfigError, match="rating metrics need cases with values"):
        evaluate_ratings(lambda user, item: np.ones(1, np.float32), plain, ["rmse"])


def rated(labels: Any) -> Cases:
    return cases_of([[0]] * len(labels), ["a"] * len(labels), values=labels)


def test_binary_metrics_compare_probabilities_with_what_came() -> None:
    rng = np.random.default_rng(4)
    labels, p = rng.integers(0, 2, 50).astype(float), rng.random(50).astype(np.float32).round(1)
    found = evaluate_ratings(lambda users, items: p, rated(labels), ["logloss", "auc", "calibration"])
    pairs = [(a > b) + 0.5 * (a == b) for a in p[labels == 1] for b in p[labels == 0]]
    assert found.mean("auc") == pytest.approx(np.mean(pairs))
    clipped = np.clip(p.astype(float), 1e-7, 1 - 1e-7)
    assert found.mean("logloss") == pytest.approx(-np.mean(np.log(np.where(labels == 1, clipped, 1 - clipped))))
    assert 0 < found.mean("calibration") < 1
    with pytest.raises(ConfigError, match="`auc` needs values of 0 and of 1"):
        evaluate_ratings(lambda users, items: p, rated(labels + 1), ["auc"])


def labelled(labels: Any, users: Any = None) -> Cases:
    """One case per label, item 0 or an unknown one; without users each row counts alone."""
    labels = np.asarray(labels, np.float64)
    users = [f"u{u}" for u in (range(len(labels)) if users is None else users)]
    return cases_of([[N_ITEMS * (n % 2)] for n in range(len(labels))], users, values=labels)


def test_click_models_are_asked_in_blocks_about_the_item_of_each_case(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    labels, p = rng.integers(0, 2, 50), rng.random(50).astype(np.float32)
    asked: list[int] = []

    def probability(queries: Queries, item_idx: Any) -> Scores:
        asked.append(len(queries))
        assert item_idx.tolist() == [N_ITEMS * (u % 2) for u in queries.user_idx.tolist()]
        return p[queries.user_idx]

    names = ["auc", "logloss", "accuracy", "gauc", "calibration", "normalised_entropy"]
    cases = labelled(labels, rng.integers(0, 9, 50))
    whole = evaluate_clicks(probability, cases, names)
    monkeypatch.setattr(evaluate, "CLICK_BLOCK", 7)
    parts = evaluate_clicks(probability, cases, names)
    assert asked == [50, *[7] * 7, 1]
    assert whole.figures == parts.figures
    assert set(whole.figures) == set(names) == set(whole.resampled)
    assert whole.mean("accuracy") == pytest.approx(np.mean((p >= 0.5) == (labels == 1)))
    assert whole.mean("auc") == pytest.approx(np.mean([a > b for a in p[labels == 1] for b in p[labels == 0]]))
    assert whole.clicks is not None
    np.testing.assert_array_equal(whole.clicks.probability, p)
    assert whole.counts["unknown_targets"] == 25


def test_users_with_one_label_are_left_out_of_gauc_and_counted() -> None:
    cases = labelled([0, 1, 0, 1, 1, 0, 0], ["a", "a", "a", "b", "b", "c", "d"])
    p = np.array([0.1, 0.2, 0.3, 0.5, 0.5, 0.5, 0.5], np.float32)
    found = evaluate_clicks(lambda queries, items: p, cases, ["gauc"])
    assert found.mean("gauc") == 0.5
    assert found.counts["users_of_one_label"] == 3
    with pytest.raises(ConfigError, match="`gauc` needs a user with values of 0 and of 1; none of 7 has both"):
        evaluate_clicks(lambda queries, items: p, labelled(cases.values), ["gauc"])
    with pytest.raises(ConfigError, match="`gauc` is a mean over users, and the cases have none: they count by row"):
        evaluate_clicks(lambda queries, items: p, replace(cases, unit="row"), ["gauc"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 1.5])
def test_a_probability_that_is_none_names_its_case(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "CLICK_BLOCK", 2)
    p = np.array([0, 1, 0.5, bad, 0.5], np.float32)
    with pytest.raises(ScoreError, match=r"wild: 1 probabilities are NaN or outside 0 to 1, the first, .*, for case 3"):
        evaluate_clicks(lambda q, items: p[q.user_idx], labelled([0, 1, 0, 1, 0]), ["logloss"], "wild")
    with pytest.raises(ScoreError, match=r"expected one probability per case, \[2\]; got \[2, 1\]"):
        evaluate_clicks(lambda q, items: p[q.user_idx][:, None], labelled([0, 1, 0, 1, 0]), ["logloss"], "wild")


def test_labels_of_one_kind_have_a_log_loss_and_no_auc() -> None:
    half = np.full(3, 0.5, np.float32)
    found = evaluate_clicks(lambda queries, items: half, labelled([0, 0, 0]), ["logloss", "accuracy", "calibration"])
    assert found.mean("logloss") == pytest.approx(math.log(2))
    with pytest.raises(ConfigError, match=r"metric `auc` needs values of 0 and of 1; got \[0.0\]"):
        evaluate_clicks(lambda queries, items: half, labelled([0, 0, 0]), ["logloss", "auc"])
    with pytest.raises(ConfigError, match=r"metric `logloss` needs values of 0 and of 1; got \[0.0, 0.5, 1.0\]"):
        evaluate_clicks(lambda queries, items: half, labelled([0, 0.5, 1]), ["logloss"])


def test_click_metrics_belong_to_cases_with_clicks() -> None:
    with pytest.raises(ConfigError, match="metric `auc` needs cases with values: use the protocol `impressions`"):
        evaluate_ranking(by_row(SCORES), cases_of([[0]], ["a"]), ["auc"], COUNTS)
    with pytest.raises(ConfigError, match="click metrics need cases with values: use the protocol `impressions`"):
        evaluate_clicks(lambda queries, items: np.ones(1), cases_of([[0]], ["a"]), ["auc"])
    with pytest.raises(ConfigError, match="metric `rmse` does not fit these cases: use the protocol `ratings`"):
        evaluate_clicks(lambda queries, items: np.ones(2), labelled([0, 1]), ["rmse"])
    with pytest.raises(ConfigError, match="policy metrics need cases with propensities: use the protocol `logged`"):
        evaluate_logged(by_row(SCORES), labelled([0, 1]), ["ips"])


def test_a_policy_is_judged_by_the_rows_whose_item_it_shows() -> None:
    cases = cases_of([[0], [3], [3], [8]], ["0", "1", "2", "3"], values=np.array([1.0, 1, 1, 1]))
    cases = replace(cases, propensity=np.array([0.5, 0.5, 0.25, 0.1]))
    scores = np.concatenate([SCORES, SCORES[:1]])  # the best items: 0, all (the first of them), 3 and 4 (3), 0
    names = ["ips", "snips", "click_rate", "matched", "effective_rows"]
    found = evaluate_logged(by_row(scores), cases, names)
    assert found.values["ips"].tolist() == [2, 0, 4, 0]
    assert found.values["matched"].tolist() == [1, 0, 1, 0]
    assert found.figures == pytest.approx(
        {"ips": 1.5, "snips": 1, "click_rate": 1, "matched": 0.5, "effective_rows": 36 / 20}
    )
    vague = evaluate_logged(by_row(scores), cases, ["ips"], temperature=1e9)
    np.testing.assert_allclose(vague.values["ips"], [1 / 8 / 0.5, 1 / 8 / 0.5, 1 / 8 / 0.25, 0], rtol=1e-5)
    products = Vectors(np.eye(4, 4), scores.T)
    assert evaluate_logged(products.scorer(), cases, names).figures == pytest.approx(found.figures)
    with pytest.raises(ScoreError, match="in none of 4 rows may the item that was shown be shown again"):
        evaluate_logged(by_row(np.tile([0, 0, 0, 0, 0, 0, 0, 1], (4, 1))), cases, ["snips"])
