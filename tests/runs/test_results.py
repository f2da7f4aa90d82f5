"""What is written down about an experiment agrees with what happened."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.evaluation.compare import interval
from rankine.evaluation.report import render
from rankine.runs import Recipe, Run
from rankine.runs.experiment import Experiment
from rankine.runs.results import BUCKETS, _part, per_unit

RATINGS = """
split = { by = "random", folds = 3 }
evaluate = { protocol = "ratings" }
models = { bias = {}, mf = { epochs = 2, embedding_dim = 4 } }
"""


def numbers(value: Any) -> Iterator[float]:
    """Every number in a tree of JSON values."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, float):
        yield value


def read(run: Run) -> dict[str, Any]:
    def refuse(name: str) -> float:
        raise AssertionError(f"{name} in metrics.json")

    text = (run.folder / "metrics.json").read_text(encoding="utf-8")
    return dict(json.loads(text, parse_constant=refuse))


def recomputed(units: pl.DataFrame, model: str, metric: str) -> float:
    """The figure over all cases, from means per unit."""
    rows = units.filter(pl.col("model") == model)
    return float(np.average(rows[metric].to_numpy(), weights=rows["n_cases"].to_numpy()))


def test_every_number_is_one(shop_run: Run) -> None:
    found = list(numbers(read(shop_run)))
    assert len(found) > 100
    assert all(math.isfinite(value) for value in found)


def test_figures_can_be_computed_again_from_the_values_per_session(shop_run: Run) -> None:
    units = pl.read_parquet(shop_run.folder / "per_unit.parquet")
    found = read(shop_run)
    assert units.columns == ["model", "session", "n_cases", "recall@20", "ndcg@20", "mrr@20"]
    assert not units.is_duplicated().any()
    for model in found["models"]:
        for metric in ("recall@20", "ndcg@20", "mrr@20"):
            assert recomputed(units, model["name"], metric) == pytest.approx(model["metrics"][metric]["mean"])
        assert model["metrics"]["coverage@20"]["mean"] <= 1
        rows = units.filter(pl.col("model") == model["name"])
        assert rows["n_cases"].sum() == found["split"]["test"]["n_cases"]
        assert len(rows) == found["split"]["test"]["n_units"]


def test_squared_errors_are_called_so_and_give_the_rmse(
    experiment: Callable[..., Experiment], found: Callable[..., dict[str, Any]]
) -> None:
    done = experiment(RATINGS)
    units = per_unit(done)
    assert units.columns == ["model", "user", "n_cases", "squared_error", "mae"]
    for model in found(done)["models"]:
        assert recomputed(units, model["name"], "squared_error") ** 0.5 == pytest.approx(
            model["metrics"]["rmse"]["mean"]
        )
        assert recomputed(units, model["name"], "mae") == pytest.approx(model["metrics"]["mae"]["mean"])


def test_counts_are_those_of_all_folds_together(
    experiment: Callable[..., Experiment], found: Callable[..., dict[str, Any]], log: Callable[..., pl.DataFrame]
) -> None:
    written = found(experiment(RATINGS))
    events = log()
    assert written["split"]["n_folds"] == 3
    assert written["split"]["test"]["n_cases"] == len(events)
    assert written["split"]["test"]["n_units"] == events["user_id"].n_unique()
    lonely = events.with_columns(item_id=pl.Series(["a", "b", "c", *events["item_id"].to_list()[3:]]))
    missed = found(experiment(RATINGS, lonely))
    assert missed["protocol"]["n_unknown_targets"] == 3
    said = " ".join(check["text"] for check in missed["checks"])
    assert "3 targets (0.3%) are items never seen in training" in said


def test_only_what_was_asked_is_counted(
    experiment: Callable[..., Experiment], found: Callable[..., dict[str, Any]]
) -> None:
    text = "evaluate = { max_cases = 25 }\nmodels = { popularity = {}, markov = {} }"
    whole, some = experiment("models = { popularity = {}, markov = {} }"), experiment(text)
    written = found(some)
    assert whole.n_cases > written["split"]["test"]["n_cases"] == 25
    units = per_unit(some).filter(pl.col("model") == "markov")
    assert (units["n_cases"] > 0).all()
    assert units["n_cases"].sum() == 25
    assert len(units) == written["split"]["test"]["n_units"] <= 25


def test_intervals_drawn_together_are_those_drawn_one_by_one(
    shop_experiment: Experiment, found: Callable[..., dict[str, Any]]
) -> None:
    for model in found(shop_experiment)["models"]:
        evaluation = shop_experiment.models[model["name"]].evaluation
        for metric in evaluation.values:
            alone = interval(evaluation, metric, seed=shop_experiment.recipe.seed)
            assert model["metrics"][metric] == pytest.approx(vars(alone), rel=1e-9)
            assert alone.low < alone.mean < alone.high


def test_targets_are_sorted_by_how_often_training_saw_them(
    shop_experiment: Experiment, found: Callable[..., dict[str, Any]]
) -> None:
    before = shop_experiment.folds[0].before_test()
    counts = dict(before.events.group_by("item_id").len().iter_rows())
    assert shop_experiment.cases.target_rows is not None
    targets = shop_experiment.source.dataset.events[shop_experiment.cases.target_rows.values]["item_id"].to_list()
    seen = np.array([counts.get(target, 0) for target in targets])
    model = found(shop_experiment)["models"][0]
    evaluation = shop_experiment.models[model["name"]].evaluation
    hits = evaluation.values["recall@20"]
    for bucket, (name, low, high) in zip(model["by_temperature"], BUCKETS, strict=True):
        inside = (seen >= low) & (seen <= (np.inf if high is None else high))
        assert (bucket["bucket"], bucket["n"]) == (name, inside.sum())
        assert bucket["mean"] == (pytest.approx(hits[inside].mean()) if inside.any() else None)
        if inside.any():
            alone = interval(
                _part(evaluation, np.flatnonzero(inside), "recall@20"), "recall@20", seed=42, n_resamples=500
            )
            assert (bucket["low"], bucket["high"]) == pytest.approx((alone.low, alone.high))
        else:
            assert bucket["low"] is bucket["high"] is None
    assert sum(bucket["n"] for bucket in model["by_temperature"]) == len(targets)


def test_letters_pairs_and_order_speak_of_the_same_models(shop_run: Run) -> None:
    found = read(shop_run)
    order = [model["name"] for model in found["models"]]
    means = [model["metrics"]["recall@20"]["mean"] for model in found["models"]]
    assert means == sorted(means, reverse=True)
    assert len(found["pairs"]) == len(order) * (len(order) - 1) // 2
    letters = {model["name"]: set(model["letter"]) for model in found["models"]}
    for pair in found["pairs"]:
        assert order.index(pair["a"]) < order.index(pair["b"])
        assert pair["difference"] >= 0
        if not pair["distinguishable"]:
            assert letters[pair["a"]] & letters[pair["b"]]


def test_an_error_is_better_when_it_is_lower(
    experiment: Callable[..., Experiment], found: Callable[..., dict[str, Any]]
) -> None:
    text = RATINGS.replace("bias = {}", '"bias flat" = { reg_user = 1e9, reg_item = 1e9 }, bias = {}')
    models = found(experiment(text))["models"]
    means = [model["metrics"]["rmse"]["mean"] for model in models]
    assert means == sorted(means)
    assert models[0]["name"] == "bias"  # the log has good items


def test_a_comparison_without_a_baseline_says_so(
    experiment: Callable[..., Experiment], found: Callable[..., dict[str, Any]]
) -> None:
    def said(models: str) -> str:
        return " ".join(check["text"] for check in found(experiment(f"models = {models}"))["checks"])

    assert "No popularity baseline" in said("{ vsknn = {} }")
    assert "No neighbourhood baseline" in said("{ popularity = {} }")
    assert "baseline" not in said("{ popularity = {}, vsknn = {} }")


def test_expected_figures_stand_beside_the_ones_reached(
    experiment: Callable[..., Experiment], found: Callable[..., dict[str, Any]]
) -> None:
    text = """
    models = { popularity = {} }
    [expect]
    source = "a table"
    tolerance = 0.001
    figures.popularity = { "recall@20" = 0.123, "mrr@20" = [0.5, 1.0] }
    """
    done = experiment(text)
    off, fine = found(done)["expect"]
    value = done.models["popularity"].evaluation.mean("recall@20")
    assert off == {
        "recipe": "tiny", "model": "popularity", "metric": "recall@20", "value": round(value, 5), "published": 0.123,
        "tolerance": 0.001, "source": "a table", "ok": False,
    }  # fmt: skip
    assert fine["ok"] is True


def test_the_data_card_counts_the_whole_log(
    experiment: Callable[..., Experiment], found: Callable[..., dict[str, Any]], log: Callable[..., pl.DataFrame]
) -> None:
    events = log().with_columns(user_id=pl.when(pl.col("user_id") == "u3").then(None).otherwise("user_id"))
    card = found(experiment("models = { popularity = {} }", events))["data"]
    assert (card["n_events"], card["n_users"], card["n_items"]) == (900, 39, 25)
    assert card["anonymous_share"] == pytest.approx(events["user_id"].null_count() / 900)
    assert (card["first"], card["last"]) == (events["timestamp"].min(), events["timestamp"].max())
    assert card["n_sessions"] == events["session_id"].n_unique()
    assert (card["read"], card["rejected"]) == (900, 0)


def test_a_variant_is_told_from_its_model_by_its_word(shop_run: Run, parsed: Callable[..., Recipe]) -> None:
    cards = {model["name"]: model for model in read(shop_run)["models"]}
    assert cards["popularity context"]["label"] == f"{cards['popularity']['label']}, context"
    assert cards["popularity context"]["settings"] == {"context": ["device"]}
    assert cards["popularity"]["settings"] == {}


CLICKS = """
fits = 2
split = { by = "random", test = 0.3, valid = 0.2 }
evaluate = { protocol = "impressions", metrics = ["auc", "logloss", "calibration"] }
models = { popularity = {}, lr = { epochs = 2 }, fm = { epochs = 2, embedding_dim = 2 } }
"""


def shown(events: pl.DataFrame) -> pl.DataFrame:
    """The log as impressions: an item whose number fits that of the user is mostly taken."""
    fits = events["item_id"].str.slice(1).cast(pl.Int64) % 5 == events["user_id"].str.slice(1).cast(pl.Int64) % 5
    taken = fits.to_numpy() ^ (np.random.default_rng(4).random(len(events)) < 0.1)
    return events.select("user_id", "item_id", "timestamp").with_columns(
        event_type=pl.lit("impression"), value=pl.Series(taken.astype(np.float64))
    )


def test_click_models_tell_how_they_predict_what_they_rest_on_and_how_large_they_are(
    experiment: Callable[..., Experiment], found: Callable[..., dict[str, Any]], log: Callable[..., pl.DataFrame]
) -> None:
    done = experiment(CLICKS, shown(log()))
    written = found(done)
    assert written["protocol"]["name"] == "impressions" and written["examples"] == []
    assert written["split"]["test"]["taken"] == pytest.approx(done.cases.values.mean())
    cards = {card["name"]: card for card in written["models"]}
    for card in cards.values():
        assert (
            0 <= card["metrics"]["auc"]["low"] <= card["metrics"]["auc"]["mean"] <= card["metrics"]["auc"]["high"] <= 1
        )
        assert card["clicks"]["n"] == len(done.cases) == sum(b["n"] for b in card["clicks"]["bins"])
        assert card["fits"]["n"] == 2 and len(card["fits"]["values"]["auc"]) == 2
        assert np.mean(card["fits"]["values"]["auc"]) == pytest.approx(card["metrics"]["auc"]["mean"])
    assert cards["popularity"]["training"] is cards["popularity"]["importance"] is None
    assert "n_parameters" not in cards["popularity"]
    fm, lr = cards["fm"], cards["lr"]
    assert fm["training"]["precision"] == "fp32" and fm["training"]["rows_per_s"] > 0
    assert lr["n_parameters"] == lr["table_parameters"] + 1
    assert fm["n_parameters"] == 3 * lr["table_parameters"] + 1
    layout = done.cases.queries.rows.layout
    assert [row["field"] for row in fm["importance"]["fields"]] == [f.name for f in layout.fields]
    assert len(fm["curve"]["loss"]) == len(fm["curve"]["epochs"]) and len(fm["curve"]["others"]) == 1
    said = " ".join(check["text"] for check in written["checks"])
    assert "neighbourhood baseline" not in said


def test_a_report_of_click_models_is_drawn_from_what_is_written(
    experiment: Callable[..., Experiment], found: Callable[..., dict[str, Any]], log: Callable[..., pl.DataFrame]
) -> None:
    html = render(found(experiment(CLICKS.replace("fits = 2", ""), shown(log()))))
    for anchor in ("prob", "fields", "size", "learn"):
        assert f'id="{anchor}"' in html
    assert 'id="ex"' not in html
