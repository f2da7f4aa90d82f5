"""Click models through a whole experiment: impressions, logs with propensities, several seeds, two stages."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.errors import ConfigError, ModelError
from rankine.models.ctr.base import CTRModel
from rankine.pipeline import Request
from rankine.recommender import Recommender, Stages
from rankine.runs import Recipe, Run, load, run
from rankine.runs.experiment import Experiment, run_experiment
from rankine.runs.ledger import reproduce
from rankine.runs.source import Source, open_source

CLICKS = """
split = { by = "column" }
evaluate = { protocol = "impressions"%s }
%s
models = { %s }
"""


@pytest.fixture(scope="session")
def clicks() -> pl.DataFrame:
    """1,800 impressions: users like items of their own kind, and everybody clicks more in the evening."""
    rng = np.random.default_rng(4)
    n = 1800
    user, item, evening = rng.integers(0, 30, n), rng.integers(0, 12, n), rng.random(n) < 0.5
    odds = -1.5 + 3.0 * (user % 3 == item % 3) + 1.0 * evening
    return pl.DataFrame(
        {
            "user_id": [f"u{u}" for u in user],
            "item_id": [f"i{i}" for i in item],
            "event_type": ["impression"] * n,
            "time_of_day": np.where(evening, "evening", "noon"),
            "price": np.where(item % 3 == 0, 1.0, 2.0) + rng.random(n),
            "value": (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float),
            "chance": np.full(n, 1 / 12),
            "split": np.where(np.arange(n) < 1200, "train", np.where(np.arange(n) < 1500, "valid", "test")),
        }
    )


def of(models: str, evaluate: str = "") -> str:
    shared = (
        "shared = { epochs = 6, batch_size = 128, learning_rate = 0.05 }" if "lr" in models or "fm" in models else ""
    )
    return CLICKS % (evaluate and f", {evaluate}", shared, models)


def test_impressions_are_predicted_from_user_item_and_context(
    experiment: Callable[..., Experiment], clicks: pl.DataFrame, found: Callable[..., dict[str, Any]]
) -> None:
    done = experiment(of("popularity = {}, lr = {}, fm = {}"), clicks)
    auc = {key: fitted.evaluation.mean("auc") for key, fitted in done.models.items()}
    assert auc["fm"] > auc["lr"] + 0.1 > auc["popularity"] + 0.1
    written = found(done)
    assert written["protocol"]["primary"] == "auc"
    cards = {card["name"]: card for card in written["models"]}
    assert cards["fm"]["metrics"]["auc"]["low"] < auc["fm"] < cards["fm"]["metrics"]["auc"]["high"]
    assert cards["popularity"]["curve"] is None
    curve = cards["fm"]["curve"]
    assert curve["metric"] == "auc"
    assert len(curve["loss"]) == len(curve["values"]) == len(curve["epochs"])
    assert curve["best"] in curve["epochs"]


def test_a_model_keeps_what_the_validation_part_chose_unless_it_is_fitted_again(
    experiment: Callable[..., Experiment], clicks: pl.DataFrame
) -> None:
    kept = experiment(of("fm = {}", "refit = false"), clicks)
    again = experiment(of("fm = {}"), clicks)
    for done, n_rows in ((kept, 1200), (again, 1500)):
        fm = done.models["fm"]
        assert fm.recommender is not None
        assert fm.recommender.training is not None
        assert fm.curve is not None
        assert fm.recommender.training.n_rows == n_rows * fm.recommender.training.epochs
        assert fm.settings["epochs"] == fm.curve["best"]
        assert fm.settings["drop_epochs"] == tuple(e for e in fm.curve["drops"] if e < fm.curve["best"])
    assert kept.models["fm"].recommender.training.figures  # type: ignore[union-attr]
    assert again.models["fm"].recommender.training.epochs == again.models["fm"].settings["epochs"]  # type: ignore[union-attr]


def test_models_without_a_training_loop_learn_from_the_training_part_alone_too(
    experiment: Callable[..., Experiment], clicks: pl.DataFrame
) -> None:
    done = experiment(of("popularity = {}", "refit = false"), clicks)
    assert done.models["popularity"].model.state()["counts"].sum() == clicks.head(1200)["value"].sum()


def test_figures_are_means_over_seeds_and_the_first_is_kept(
    experiment: Callable[..., Experiment], clicks: pl.DataFrame, found: Callable[..., dict[str, Any]]
) -> None:
    text = of("popularity = {}, fm = { epochs = 2 }", "refit = false")
    alone = [experiment(f"seed = {seed}\n{text}", clicks).models["fm"] for seed in (42, 43)]
    both = experiment(f"fits = 2\n{text}", clicks)
    fm = both.models["fm"]
    for metric in ("auc", "logloss"):
        assert fm.evaluation.mean(metric) == pytest.approx(np.mean([one.evaluation.mean(metric) for one in alone]))
    assert alone[0].evaluation.mean("auc") != alone[1].evaluation.mean("auc")
    first = alone[0].model.state()
    assert all((fm.model.state()[name] == value).all() for name, value in first.items())
    assert fm.curve is not None
    assert fm.curve["values"] == alone[0].curve["values"]  # type: ignore[index]
    assert [other["values"] for other in fm.curve["others"]] == [alone[1].curve["values"]]  # type: ignore[index]
    card = next(card for card in found(both)["models"] if card["name"] == "fm")
    assert card["fits"]["values"]["auc"] == [one.evaluation.mean("auc") for one in alone]


def test_the_propensity_of_a_log_is_no_feature(experiment: Callable[..., Experiment], clicks: pl.DataFrame) -> None:
    text = of("popularity = {}, lr = {}").replace('"impressions"', '"logged", propensity = "chance", temperature = 1.0')
    done = experiment(text, clicks)
    lr = done.models["lr"]
    assert isinstance(lr.model, CTRModel)
    assert {f.name for f in lr.model.layout.fields} == {"user_id", "item_id", "time_of_day", "price"}
    assert 0 < lr.evaluation.mean("snips") < 1
    assert lr.evaluation.mean("click_rate") == pytest.approx(clicks.tail(300)["value"].mean())
    assert any(check.name == "propensity" and check.ok for check in done.checks)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (of("als = {}"), ConfigError, "`als` knows no probabilities: the protocol `impressions`"),
        (of("lr = {}").replace("shared", "features = { drop = ['colour'] }\nshared"), ConfigError, "`drop` .*colour"),
        (of("lr = {}", 'metrics = ["recall@5"]'), ConfigError, "`recall@5` does not fit the protocol `impressions`"),
        (of("lr = {}").replace('"impressions"', '"logged"'), Exception, "no column `propensity`"),
        (
            of("lr = { negatives = 'same_context', negatives_context = 'colour' }"),
            ModelError,
            "context column `colour`",
        ),
    ],
)
def test_what_does_not_fit_clicks_is_refused(
    text: str, error: type[Exception], message: str, experiment: Callable[..., Experiment], clicks: pl.DataFrame
) -> None:
    with pytest.raises(error, match=message):
        experiment(text, clicks)


# two stages

STAGES = """
split = { by = "column" }
evaluate = { protocol = "user_items", metrics = ["recall@3", "ndcg@3", "coverage@3"] }
shared = { epochs = 3, batch_size = 128, embedding_dim = 4 }
[models]
popularity = {}
item_to_item = {}
fm = { learning_rate = 0.05 }
[stages]
"found then ranked" = { retrieve = "item_to_item", rank = "fm", candidates = 6 }
"""


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory, log: Callable[..., pl.DataFrame]) -> Run:
    """The run folder of a recipe with two stages."""
    folder = tmp_path_factory.mktemp("staged")
    (folder / "data").mkdir()
    log().drop("value", "fold").write_parquet(folder / "data" / "events.parquet")
    text = f'data = {{ path = "data" }}\n{STAGES}'
    (folder / "staged.toml").write_text(text)
    return run(load(folder / "staged.toml"), text, root=folder, out=folder / "run")


def test_two_stages_are_compared_like_a_model(staged: Run) -> None:
    cards = {card["name"]: card for card in staged.metrics["models"]}
    assert set(cards) == {"popularity", "item_to_item", "fm", "found then ranked"}
    two = cards["found then ranked"]
    assert two["letter"]
    ceiling = two["stages"]["ceiling"]
    assert two["stages"]["candidates"] == 6
    assert set(ceiling) == {"recall@3", "ndcg@3"}
    for metric, most in ceiling.items():
        assert two["metrics"][metric]["mean"] <= most <= 1
    report = (staged.folder / "report.html").read_text(encoding="utf-8")
    assert two["label"] in report


def test_a_run_folder_names_the_pair_and_holds_each_model_once(staged: Run) -> None:
    facts = json.loads((staged.folder / "run.json").read_text())
    assert facts["stages"] == {"found then ranked": {"retrieve": "item_to_item", "rank": "fm", "candidates": 6}}
    assert {p.name for p in (staged.folder / "models").iterdir()} == {"popularity", "item_to_item", "fm"}
    recommenders = Run.open(staged.folder).recommenders()
    assert [r.title for r in recommenders] == [card["name"] for card in staged.metrics["models"]]
    pair = next(r for r in recommenders if isinstance(r, Stages))
    (ranker,) = (r for r in recommenders if r.name == "fm")
    assert pair.model.second is ranker.model
    with pytest.raises(ModelError, match="save each"):
        pair.save(staged.folder / "no")


def test_two_stages_answer_requests_and_ask_the_second_for_the_candidates_only(
    staged: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = staged.pipeline()
    pair = next(r for r in pipeline.recommenders if isinstance(r, Stages))
    pipeline.recommenders.remove(pair)
    pipeline.recommenders.insert(0, pair)
    asked: list[int] = []
    score = type(pair.model.second).score

    def watch(self: Any, queries: Any, items: Any = None) -> Any:
        asked.append(len(items))
        return score(self, queries, items)

    monkeypatch.setattr(type(pair.model.second), "score", watch)
    answer = pipeline.answer(Request(user="u3", history=["i1", "i2"], k=5, exclude=["i4"]))
    assert asked == [6]
    assert answer.model == "found then ranked"
    assert len({place.item_id for place in answer.places}) == 5
    assert "i4" not in {place.item_id for place in answer.places}
    assert [p.score for p in answer.places] == sorted((p.score for p in answer.places), reverse=True)


def test_the_ceiling_is_what_a_perfect_second_stage_would_reach(
    log: Callable[..., pl.DataFrame], parsed: Callable[..., Recipe]
) -> None:
    from rankine.runs.stages import ceiling

    recipe = parsed(f'data = {{ path = "here" }}\n{STAGES}')
    done = run_experiment(recipe, Source(Dataset.from_frames(log().drop("value", "fold"))))
    pair = done.models["found then ranked"].model
    cases = done.cases
    expected = []
    items = pair.candidates(cases.queries)  # type: ignore[attr-defined]
    for row in range(len(cases)):
        hits = len(set(items[row]) & set(cases.targets[row]))
        expected.append(min(hits, 3) / len(cases.targets[row]))
        assert not set(items[row]) & set(cases.exclude[row])  # type: ignore[index]
    assert ceiling(pair, cases, ("recall@3",))["recall@3"] == pytest.approx(np.mean(expected))  # type: ignore[arg-type]


# recipes


def test_shared_settings_go_to_the_models_that_have_them(parsed: Callable[..., Recipe]) -> None:
    recipe = parsed(
        'data = { shop = "small" }\nshared = { embedding_dim = 8, epochs = 3 }\n[models]\n'
        '"popularity, fm" = {}\nals = { epochs = 9 }\n"lr, lr fast" = {}\n'
    )
    assert recipe.models == {
        "popularity": {}, "fm": {"embedding_dim": 8, "epochs": 3}, "als": {"embedding_dim": 8, "epochs": 9},
        "lr": {"epochs": 3}, "lr fast": {"epochs": 3},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shared = { embeding_dim = 8 }\nmodels = { fm = {} }", r"\[shared\] names `embeding_dim`.*`embedding_dim`"),
        ("shared = { embedding_dim = 0 }\nmodels = { fm = {} }", "`embedding_dim` .*at least 1"),
        ("fits = 0\nmodels = { fm = {} }", "`fits` .*at least 1"),
        (
            'models = { fm = {} }\nstages = { two = { retrieve = "asl", rank = "fm" } }',
            r"`two` under \[stages\] names the model `asl`",
        ),
        ('models = { fm = {} }\nstages = { fm = { retrieve = "fm", rank = "fm" } }', "must be a name of its own"),
        ('models = { fm = {} }\nstages = { "../x" = { retrieve = "fm", rank = "fm" } }', "must be a name of its own"),
        ('models = { fm = {} }\nstages = { two = { retrieve = "fm" } }', "needs the setting `rank`"),
        (
            'models = { fm = {} }\nstages = { two = { retrieve = "fm", rank = "fm" } }\nevaluate = { protocol = "impressions" }',
            r"\[stages\] rank items: `impressions` does not ask for that",
        ),
        ("features = { min_cuont = 3 }\nmodels = { fm = {} }", "`min_cuont` .*`min_count`"),
    ],
)
def test_what_is_wrong_with_a_click_recipe_is_named(text: str, message: str, parsed: Callable[..., Recipe]) -> None:
    with pytest.raises(ConfigError, match=message):
        parsed(f'data = {{ shop = "small" }}\n{text}')


def test_generated_clicks_are_data(parsed: Callable[..., Recipe]) -> None:
    text = 'data = { clicks = { n_rows = 400, n_ids = 300 } }\nevaluate = { protocol = "impressions" }\nmodels = { lr = {} }'
    source = open_source(parsed(text))
    assert len(source.dataset.events) == 400
    assert "reach an AUC of" in source.notes[0]
    other = open_source(dataclasses.replace(parsed(text), seed=7))
    assert other.dataset.fingerprint() != source.dataset.fingerprint()
    with pytest.raises(ConfigError, match=r"`n_rwos` .*`n_rows`"):
        open_source(parsed(text.replace("n_rows", "n_rwos")))
    with pytest.raises(ConfigError, match="has no `seed`: settings stand inside"):
        open_source(parsed(text.replace("data = {", "data = { seed = 3,")))


def test_a_recipe_with_several_fits_reproduces_the_mean(write_recipe: Callable[..., Path]) -> None:
    text = """
    data = { clicks = { n_rows = 900, n_ids = 300 } }
    fits = 2
    split = { by = "time", test = 0.2 }
    evaluate = { protocol = "impressions" }
    models = { lr = { epochs = 1 } }
    expect = { source = "itself", tolerance = 1.0, figures = { lr = { auc = 0.5 } } }
    """
    recipe = load(write_recipe(text))
    (row,) = reproduce(recipe, None)
    lr = run_experiment(recipe, open_source(recipe)).models["lr"]
    assert row["value"] == round(lr.evaluation.mean("auc"), 5)
    assert len(lr.evaluation.fits) == 2


def test_a_saved_click_model_answers_as_before(
    experiment: Callable[..., Experiment], clicks: pl.DataFrame, tmp_path: Path
) -> None:
    fitted = experiment(of("fm = {}"), clicks).models["fm"].recommender
    assert fitted is not None
    fitted.save(tmp_path / "fm")
    loaded = Recommender.load(tmp_path / "fm")
    for context in ({}, {"time_of_day": "evening"}, {"time_of_day": "dawn", "price": 1.5}):
        for user in ("u1", "nobody", None):
            items = ["i1", "i2", "never heard of"]
            assert loaded.probability(items, user, context=context) == fitted.probability(items, user, context=context)
            assert loaded.recommend(user, context=context, k=4) == fitted.recommend(user, context=context, k=4)
    evening, noon = (loaded.probability(["i3"], "u3", context={"time_of_day": t})[0] for t in ("evening", "noon"))
    assert evening > noon > 0
