"""The search on a tiny shop: budget, memory, and what it may not look at."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rankine.config import read_toml
from rankine.data.split import Fold
from rankine.errors import ConfigError, ModelError
from rankine.evaluation.report import render
from rankine.models import MODELS
from rankine.runs import Recipe, load
from rankine.runs import tune as search
from rankine.runs.experiment import CURVE_CASES, Experiment, run_experiment
from rankine.runs.learn import rehearse
from rankine.runs.limits import searches
from rankine.runs.prepare import validation
from rankine.runs.recipe import Tuned
from rankine.runs.results import compare_models, results
from rankine.runs.source import open_source
from rankine.runs.study import StudyFile, Tried
from rankine.runs.tune import tune
from rankine.runs.tuned import Winner, toml

HEAD = """
data = { shop = "small", n_users = 80, n_items = 40, n_topics = 4, n_events = 2000, n_days = 20, new_item_share = 0.1 }
sessions = { collapse_repeats = true }
"""
SPLIT = 'split = { by = "time", test = "3d", valid = "3d" }\n'
QUICK = HEAD + SPLIT + "[models]\npopularity = {}\nmarkov = {}\nsequential_rules = {}\n"
CURVED = HEAD + SPLIT + "[models]\nals = { epochs = 4, embedding_dim = 4 }\n"
CLICKS = """
data = { clicks = { n_rows = 600, n_ids = 300 } }
split = { by = "time", test = 0.2, valid = 0.2 }
evaluate = { protocol = "impressions" }
models = { lr = { epochs = 5 } }
"""
Searched = Callable[..., list[Winner]]


@pytest.fixture
def searched(write_recipe: Callable[..., Path], tmp_path: Path) -> Searched:
    """Tunes a recipe given as text, in tmp_path/search."""

    def go(text: str = QUICK, **options: Any) -> list[Winner]:
        path = write_recipe(text)
        return tune(load(path), read_toml(path), **{"out": tmp_path / "search", "n_trials": 4, **options})

    return go


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Winner], Path]:
    """One search of three models, four trials each, that tests read."""
    folder = tmp_path_factory.mktemp("tuned")
    path = folder / "quick.toml"
    path.write_text(QUICK, encoding="utf-8")
    return tune(load(path), read_toml(path), out=folder / "search", n_trials=4), folder / "search"


def trials(winners: list[Winner]) -> dict[str, list[tuple[Mapping[str, Any], float | None, str]]]:
    return {w.key: [(t.settings, t.value, t.state) for t in w.study.tried] for w in winners}


# the budget


def test_every_model_gets_the_same_number_of_trials_and_one_without_settings_a_single_one(
    quick: tuple[list[Winner], Path],
) -> None:
    counts = {w.key: len(w.study.tried) for w in quick[0]}
    assert counts == {"popularity": 4, "markov": 1, "sequential_rules": 4}


def test_the_first_trial_is_the_recipe_as_it_is_so_that_no_search_ends_below_it(
    quick: tuple[list[Winner], Path],
) -> None:
    for winner in quick[0]:
        plain = MODELS[winner.key].Config()
        assert winner.start.settings == {name: getattr(plain, name) for name in MODELS[winner.key].tuning}
        assert winner.best.value is not None
        assert winner.start.value is not None
        assert winner.best.value >= winner.start.value
        assert winner.best.value == max(t.value for t in winner.study.tried if t.value is not None)


def test_the_value_is_the_metric_of_a_run_that_fits_the_training_part_and_asks_the_validation_part(
    searched: Searched, write_recipe: Callable[..., Path]
) -> None:
    (winner,) = searched(CURVED, n_trials=1)
    recipe = load(write_recipe(CURVED))
    source = open_source(recipe)
    (fold,) = search.make_folds(source.dataset, recipe.split, recipe.seed)
    part = validation(recipe, fold, source, CURVE_CASES)
    curve = rehearse("als", recipe.models["als"], part, recipe.seed).curve
    assert winner.best.value == max(curve["values"])
    assert winner.best.epochs == curve["best"]
    assert winner.settings["epochs"] == curve["best"]


def test_a_model_that_stops_by_itself_is_judged_by_its_best_epoch_and_keeps_its_epochs(
    searched: Searched, tmp_path: Path
) -> None:
    (winner,) = searched(CLICKS, n_trials=2)
    recipe = load(tmp_path / "tiny.toml")
    curve = rehearse("lr", recipe.models["lr"], search.make_bench(recipe, open_source(recipe)), recipe.seed).curve
    assert winner.start.value == curve["values"][curve["epochs"].index(curve["best"])]
    assert winner.best.epochs is None
    assert load(tmp_path / "search" / "tuned.toml").models["lr"]["epochs"] == 5


def test_settings_that_the_recipe_states_are_kept_and_the_others_searched(searched: Searched) -> None:
    (winner,) = searched(CURVED, n_trials=2)
    assert "embedding_dim" not in winner.study.space
    assert set(winner.study.space) == set(MODELS["als"].tuning) - {"embedding_dim"}


def test_a_choice_that_the_data_cannot_serve_is_not_tried(quick: tuple[list[Winner], Path]) -> None:
    from rankine.features.encode import Encoder

    recipe = load(quick[1] / "tuned.toml")
    dataset = open_source(recipe).dataset
    data = Encoder.fit(dataset).events(dataset.events)
    assert set(search.open_settings("popularity", {}, data)) == {"recent_days"}
    assert search.open_settings("popularity", {}, dataclasses.replace(data, timestamp=None)) == {}


def test_only_the_models_that_are_named_are_tuned(searched: Searched, tmp_path: Path) -> None:
    winners = searched(only=["sequential_rules"], n_trials=2)
    assert [w.key for w in winners] == ["sequential_rules"]
    recipe = load(tmp_path / "search" / "tuned.toml")
    assert list(recipe.models) == ["popularity", "markov", "sequential_rules"]
    assert list(recipe.tuned) == ["sequential_rules"]


def test_a_search_that_may_take_no_time_gives_every_model_its_first_trial(searched: Searched) -> None:
    assert {len(w.study.tried) for w in searched(timeout_s=0.0)} == {1}


# going on


def test_a_search_goes_on_where_it_stopped_and_says_so(searched: Searched) -> None:
    said: list[str] = []
    first = trials(searched(n_trials=2, say=said.append))
    assert said == []
    longer = trials(searched(n_trials=5, say=said.append))
    assert said == [
        "Going on with the search that was found; trials done: popularity 2 of 5, markov 1 of 1, sequential_rules 2 of 5."
    ]
    assert {key: len(rows) for key, rows in longer.items()} == {"popularity": 5, "markov": 1, "sequential_rules": 5}
    for key, rows in first.items():
        assert longer[key][: len(rows)] == rows


def test_an_interruption_costs_one_trial_and_changes_nothing_that_follows(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trials(searched(out=tmp_path / "whole"))
    fits, real = [], search.fit_arrays

    def interrupted(key: str, *rest: Any, **options: Any) -> Any:
        fits.append(key)
        if len(fits) == 6:
            raise KeyboardInterrupt
        return real(key, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(search, "fit_arrays", interrupted)
        with pytest.raises(KeyboardInterrupt):
            searched()
    said: list[str] = []
    assert trials(searched(say=said.append)) == whole
    assert len(said) == 1


def test_a_finished_search_is_not_made_again(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trials(searched())
    monkeypatch.setattr(search, "fit_arrays", lambda *_, **__: pytest.fail("it fitted again"))
    assert trials(searched()) == first
    assert trials(searched(n_trials=2)) == first


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ('valid = "3d"', 'valid = "2d"', "`number of events`, `number of questions`, `split`"),
        ("markov = {}", "markov = { keep = 5 }", "`settings`"),
        ("n_items = 40", "n_items = 41", "`data`"),
        ("[models]", 'evaluate = { metrics = ["mrr@20"] }\n[models]', "`evaluate`"),
    ],
)
def test_trials_of_another_recipe_are_not_gone_on_from(before: str, after: str, what: str, searched: Searched) -> None:
    searched(n_trials=1)
    with pytest.raises(ConfigError, match=rf"study.sqlite` holds trials of `\w+` with another .*{what}.*--out"):
        searched(QUICK.replace(before, after), n_trials=1)


# what a search may not look at


class Poison:
    """Fails whoever looks at it."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        raise AssertionError(f"the search looked at `{name}` of the test events")

    def __len__(self) -> int:
        raise AssertionError("the search counted the test events")


def test_the_test_events_are_never_touched(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    def poisoned(*arguments: Any) -> list[Fold]:
        return [dataclasses.replace(fold, test=Poison()) for fold in make_folds(*arguments)]

    make_folds = search.make_folds
    clean = trials(searched(n_trials=2))
    monkeypatch.setattr(search, "make_folds", poisoned)
    assert trials(searched(n_trials=2)) == clean
    assert all(len(rows) in (1, 3) for rows in trials(searched(n_trials=3)).values())


def test_other_test_events_change_no_trial(
    searched: Searched, tmp_path: Path, log: Callable[..., pl.DataFrame]
) -> None:
    found = []
    for number, other in enumerate((log(), log().with_columns(
        item_id=pl.when(pl.col("split") == "test").then(pl.lit("i0")).otherwise("item_id")
    ))):  # fmt: skip
        folder = tmp_path / f"data{number}"
        folder.mkdir()
        other.drop("fold", "value").write_parquet(folder / "events.parquet")
        split = 'split = { by = "column", train_values = ["train"], valid_values = ["valid"], test_values = ["test"] }'
        text = f'data = {{ path = "{folder}" }}\n{split}\n[models]\nsequential_rules = {{}}\npopularity = {{}}\n'
        found.append(trials(searched(text, out=tmp_path / f"search{number}", n_trials=3)))
    assert found[0] == found[1]


# pruning, failing, repeating


def test_pruned_trials_count_and_are_no_winners(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    real = search.Validation.value

    def worse(self: search.Validation, key: str, model: Any) -> float:
        start, l2 = type(model.config)().l2, model.config.l2
        return real(self, key, model) if l2 == start else 1e-6 * l2  # only the default is good

    monkeypatch.setattr(search.Validation, "value", worse)
    (winner,) = searched(CURVED, n_trials=9)
    assert len(winner.study.tried) == 9
    assert winner.count("pruned") > 0
    assert winner.count("pruned") + winner.count("complete") == 9
    assert winner.best == winner.start
    assert all(t.state == "complete" for t in winner.study.tried[:5])


def test_settings_that_fail_are_a_trial_like_any_and_say_why(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = search.fit_arrays

    def fails(key: str, encoder: Any, data: Any, settings: Mapping[str, Any], **options: Any) -> Any:
        if settings.get("recent_days"):
            raise ModelError("too few days")
        return real(key, encoder, data, settings, **options)

    monkeypatch.setattr(search, "fit_arrays", fails)
    popularity = searched()[0]
    assert popularity.count("failed") > 0
    assert len(popularity.study.tried) == 4
    frame = pl.read_parquet(tmp_path / "search" / "trials.parquet").filter(pl.col("state") == "failed")
    assert set(frame["error"]) == {"too few days"}


def test_a_starting_point_that_fails_stops_the_search(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise ModelError("never")

    monkeypatch.setattr(search, "fit_arrays", fails)
    with pytest.raises(ModelError, match="never"):
        searched()


def test_settings_that_were_tried_before_are_not_fitted_again(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits, real = [], search.fit_arrays

    def counted(key: str, *rest: Any, **options: Any) -> Any:
        fits.append(key)
        return real(key, *rest, **options)

    monkeypatch.setattr(search, "fit_arrays", counted)
    (popularity,) = searched(only=["popularity"], n_trials=20)
    distinct = {json.dumps(t.settings) for t in popularity.study.tried}
    assert len(popularity.study.tried) == 20
    assert len(fits) == len(distinct) < 20
    values = {(json.dumps(t.settings), t.value) for t in popularity.study.tried}
    assert len(values) == len(distinct)


# what it leaves behind


def test_the_folder_holds_the_trials_and_a_recipe_that_can_be_run(quick: tuple[list[Winner], Path]) -> None:
    winners, folder = quick
    assert {path.name for path in folder.iterdir()} == {"study.sqlite", "trials.parquet", "tuned.toml"}
    frame = pl.read_parquet(folder / "trials.parquet")
    assert frame.columns == ["model", "trial", "state", "value", "best", "epochs", "seconds", "settings", "error"]
    assert frame.group_by("model").len().sort("model")["len"].to_list() == [1, 4, 4]
    assert frame.filter("best")["model"].to_list() == [w.key for w in winners]
    recipe = load(folder / "tuned.toml")
    assert recipe.name == "quick-tuned"
    assert recipe.tuned["markov"] == Tuned(
        trials=1, value=recipe.tuned["markov"].value, default=recipe.tuned["markov"].value
    )
    for winner in winners:
        assert recipe.models[winner.key] == {k: v for k, v in winner.best.settings.items() if v is not None}
        assert recipe.tuned[winner.key].settings == tuple(MODELS[winner.key].tuning)
        assert recipe.tuned[winner.key].value == pytest.approx(winner.best.value, abs=1e-6)


@pytest.fixture(scope="module")
def tuned_run(quick: tuple[list[Winner], Path]) -> Experiment:
    recipe = load(quick[1] / "tuned.toml")
    return run_experiment(recipe, open_source(recipe))


def test_the_report_says_how_many_trials_each_model_had(tuned_run: Experiment) -> None:
    found = results(tuned_run, compare_models(tuned_run), "rankine run tuned.toml")
    assert {m["name"]: m["trials"] for m in found["models"]} == {"popularity": 4, "markov": 1, "sequential_rules": 4}
    text = "Settings were chosen on the validation part; trials: popularity 4, sequential_rules 4."
    assert {"ok": True, "text": text} in found["checks"]
    page = render(found)
    assert text in page
    assert "Tuning trials" in page


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"sequential_rules": None}, "trials: popularity 4. Not tuned: sequential_rules."),
        ({"popularity": Tuned(trials=2, settings=("recent_days",))}, "trials: popularity 2, sequential_rules 4."),
    ],
)
def test_unequal_effort_is_a_warning(change: dict[str, Tuned | None], text: str, tuned_run: Experiment) -> None:
    tuned = {key: value for key, value in {**tuned_run.recipe.tuned, **change}.items() if value is not None}
    changed = dataclasses.replace(tuned_run, recipe=dataclasses.replace(tuned_run.recipe, tuned=tuned))
    (note,) = searches(changed)
    assert not note["ok"]
    assert note["text"].endswith(text)
    (_, folds) = searches(dataclasses.replace(changed, folds=changed.folds * 2))
    assert not folds["ok"]


def test_a_recipe_without_a_search_shows_no_trials(shop_experiment: Experiment) -> None:
    assert searches(shop_experiment) == []
    found = results(shop_experiment, compare_models(shop_experiment), "")
    assert {m["trials"] for m in found["models"]} == {None}
    assert "Tuning trials" not in render(found)


def test_tuning_a_tuned_recipe_keeps_what_is_known_of_the_first_search(
    quick: tuple[list[Winner], Path], tmp_path: Path
) -> None:
    path = quick[1] / "tuned.toml"
    tune(load(path), read_toml(path), out=tmp_path / "again", n_trials=3)
    again = load(tmp_path / "again" / "tuned.toml")
    assert again.tuned["sequential_rules"].trials == 4  # nothing was left open
    assert again.models["sequential_rules"] == load(path).models["sequential_rules"]


def test_what_is_written_is_read_back_as_it_was(tmp_path: Path) -> None:
    values = {
        "name": 'a "name" \\ with ünicode and a \x7f', "seed": 7, "data": {"path": "x", "events": {"a b": [1, 2.5, True]}},
        "small": 1e-7, "big": 1e22, "empty": {}, "models": {"a b": {"x": "y"}, "c": {}}, "tuned": {"c": {"trials": 3}},
    }  # fmt: skip
    path = tmp_path / "x.toml"
    path.write_text(toml(values), encoding="utf-8")
    assert read_toml(path) == values


def test_tuned_models_are_models_of_the_recipe(parsed: Callable[..., Recipe]) -> None:
    with pytest.raises(ConfigError, match=r"\[tuned\] names the model `popularty`; did you mean `popularity`"):
        parsed(QUICK + "[tuned]\npopularty = { trials = 3 }\n")
    with pytest.raises(ConfigError, match=r"`trials` .*at least 1"):
        parsed(QUICK + "[tuned]\npopularity = { trials = 0 }\n")


# what cannot be tuned


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (QUICK.replace(', valid = "3d"', ""), {}, r"no validation part to tune on: add `valid = 0\.1` to its `split`"),
        (QUICK, {"only": ["popularty"]}, "recipe `tiny` has no model `popularty`; did you mean `popularity`"),
        (QUICK, {"n_trials": 0}, "`--trials` must be at least 1; got 0"),
    ],
)
def test_what_cannot_be_tuned_is_said_before_any_trial(
    text: str, options: dict[str, Any], message: str, searched: Searched, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        searched(text, **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "search").exists()


def test_the_line_that_the_message_names_mends_the_recipe(searched: Searched) -> None:
    assert searched(QUICK.replace('valid = "3d"', "valid = 0.1"), n_trials=1)


def test_a_folder_or_file_that_holds_something_else_is_left_alone(searched: Searched, tmp_path: Path) -> None:
    folder = tmp_path / "search"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="exists and holds no search"):
        searched()
    (folder / "study.sqlite").write_text("no database")
    with pytest.raises(ConfigError, match="is no SQLite file"):
        searched()
    assert (folder / "notes.txt").read_text() == "mine"


def test_without_optuna_the_message_names_what_to_install() -> None:
    code = "import sys; sys.modules['optuna'] = None; sys.argv = ['rankine', 'tune', 'shop-small']; from rankine.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == 'rankine: a search needs optuna, which is not installed: `pip install "rankine[tune]"`\n'


def test_a_rating_metric_is_searched_downwards(
    tmp_path: Path, log: Callable[..., pl.DataFrame], searched: Searched
) -> None:
    folder = tmp_path / "ratings"
    folder.mkdir()
    log().drop("fold", "split", "session_id").write_parquet(folder / "events.parquet")
    text = f'data = {{ path = "{folder}" }}\nsplit = {{ by = "random", test = 0.2, valid = 0.2 }}\n'
    (winner,) = searched(text + 'evaluate = { protocol = "ratings" }\n[models]\nbias = {}\n')
    values = [t.value for t in winner.study.tried if t.value is not None]
    assert winner.best.value == min(values) < max(values)


def test_the_same_search_draws_the_same_trials_and_another_seed_others(searched: Searched, tmp_path: Path) -> None:
    found = [trials(searched(text, out=tmp_path / str(n), only=["sequential_rules"], n_trials=6))["sequential_rules"]
             for n, text in enumerate((QUICK, QUICK, f"seed = 7\n{QUICK}"))]  # fmt: skip
    assert found[0] == found[1]
    assert [row[0] for row in found[0]] != [row[0] for row in found[2]]


def test_a_study_that_has_no_finished_trial_has_no_best(tmp_path: Path) -> None:
    with StudyFile(tmp_path / "s.sqlite") as file:
        study = file.study("m", {}, {}, facts={}, seed=0, maximise=True)
        with pytest.raises(ConfigError, match="no trial of `m` has been finished"):
            _ = study.best
        assert study.tell(study.ask(), "complete", 0.5) == study.best == Tried(0, {}, "complete", 0.5)
