"""Splits, protocols, the audit, the oracle and the learning curve, from the recipe to the figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from rankine.data import audit
from rankine.data.dataset import Dataset
from rankine.data.split import Fold, make_folds
from rankine.errors import ConfigError, DataError, LeakError, ModelError, SplitError
from rankine.features.encode import Encoder
from rankine.features.events import EventArrays
from rankine.models import MODELS
from rankine.recommender import Recommender, fit_arrays
from rankine.runs import Recipe, learn, load, prepare
from rankine.runs import experiment as module
from rankine.runs.experiment import Experiment, run_experiment
from rankine.runs.learn import Rehearsal
from rankine.runs.questions import known_events, make_cases
from rankine.runs.source import Source, open_source

BASELINES = "models = { popularity = {}, item_to_item = {} }"
SPLITS = {
    "time": 'split = { by = "time", test = "3d" }',
    "session_time": 'split = { by = "session_time", test = 0.2 }',
    "last": 'split = { by = "last" }',
    "user": 'split = { by = "user", test = 0.3 }',
    "random": 'split = { by = "random", test = 0.2 }',
    "random folds": 'split = { by = "random", folds = 3 }',
    "random draws": 'split = { by = "random", test = 0.2, repeats = 3 }',
    "random per user": 'split = { by = "random", test = 0.3, per_user = true }',
    "column": 'split = { by = "column" }',
    "column folds": 'split = { by = "column", column = "fold", folds = 3 }',
}
PROTOCOLS = {
    "next_item": 'evaluate = { protocol = "next_item", metrics = ["recall@5", "coverage@5"], first = true }',
    "user_items": 'evaluate = { protocol = "user_items", metrics = ["recall@5", "map@5"], exclude_seen = false }',
    "ratings": 'evaluate = { protocol = "ratings" }',
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("split", SPLITS)
def test_every_split_goes_with_every_question(
    split: str, protocol: str, experiment: Callable[..., Experiment], found: Callable[..., dict[str, Any]]
) -> None:
    models = "models = { bias = {} }" if protocol == "ratings" else BASELINES
    done = experiment(f"{SPLITS[split]}\n{PROTOCOLS[protocol]}\n{models}")
    assert len(done.folds) == (3 if split.endswith(("folds", "draws")) else 1)
    written = found(done)
    assert written["split"]["n_folds"] == len(done.folds)
    assert written["split"]["fold"] == ("draw" if "draws" in split else "fold")
    assert written["split"]["test"]["n_cases"] == done.n_cases > 0
    metric = written["protocol"]["primary"]
    for model in written["models"]:
        assert model["metrics"][metric]["mean"] > 0
        fitted = done.models[model["name"]]
        assert len(fitted.evaluations) == len(done.folds)
        assert len(fitted.evaluation.values[metric]) == done.n_cases
    ordered = split == "time" or (split == "column")
    assert done.folds[0].ordered == ordered
    assert bool([check for check in written["checks"] if "future" in check["text"]]) or ordered


def test_folds_are_judged_as_one(experiment: Callable[..., Experiment], log: Callable[..., pl.DataFrame]) -> None:
    done = experiment(f"{SPLITS['random folds']}\n{PROTOCOLS['ratings']}\nmodels = {{ bias = {{}} }}")
    parts, whole = done.models["bias"].evaluations, done.models["bias"].evaluation
    squares = np.concatenate([part.values["rmse"] for part in parts])
    assert done.n_cases == len(squares) == len(log())
    assert whole.mean("rmse") == pytest.approx(np.sqrt(squares.mean()))
    assert sorted(whole.unit_names.to_list()) == sorted(log()["user_id"].unique().to_list())
    assert done.models["bias"].fit_s > 0


def test_held_out_users_are_asked_with_their_known_events(
    experiment: Callable[..., Experiment], log: Callable[..., pl.DataFrame]
) -> None:
    text = f"{SPLITS['user']}\n{PROTOCOLS['user_items']}\nmodels = {{ popularity = {{}}, item_to_item = {{}} }}"
    done = experiment(text.replace("test = 0.3", "test = 0.3, valid = 0.2"))
    (fold,) = done.folds
    assert fold.fold_in is not None
    test_users = set(fold.test["user_id"])
    assert not test_users & set(fold.before_test().events["user_id"])
    known = fold.fold_in.filter(pl.col("user_id").is_in(test_users)).sort("row")
    encoder = done.models["popularity"].recommender.encoder  # type: ignore[union-attr]
    names = done.models["popularity"].evaluation.unit_names
    for case, user in enumerate(names):
        history = encoder.items.names(done.cases.queries.history[case])
        assert history == known.filter(pl.col("user_id") == user)["item_id"].to_list()
    better = done.models["item_to_item"].evaluation.mean("recall@5")
    assert better > done.models["popularity"].evaluation.mean("recall@5")


def test_no_event_is_known_twice(log: Callable[..., pl.DataFrame], parsed: Callable[..., Recipe]) -> None:
    recipe = parsed(f'data = {{ path = "here" }}\nsplit = {{ by = "user", test = 0.3, valid = 0.2 }}\n{BASELINES}')
    (fold,) = make_folds(Dataset.from_frames(log()), recipe.split, recipe.seed)
    for before in (fold.train, fold.before_test()):
        rows = known_events(before, fold)["row"].to_list()
        assert rows == sorted(set(rows))
        assert set(before.events["row"]) <= set(rows)
        assert fold.fold_in is not None
        assert set(fold.fold_in["row"]) <= set(rows)
        assert not set(fold.test["row"]) & set(rows)


def lists(log: pl.DataFrame, folder: Path, n: int = 8, name: str = "lists.parquet") -> None:
    """For every user a list of items to rank beside the target."""
    rng = np.random.default_rng(5)
    items = sorted(log["item_id"].unique().to_list())
    users = sorted(log["user_id"].unique().to_list())
    negatives = [rng.choice(items, n, replace=False).tolist() for _ in users]
    pl.DataFrame({"who": users, "others": negatives}).write_parquet(folder / name)


CANDIDATES = """
split = { by = "last", valid = 1 }
evaluate = { protocol = "candidates", candidates = { file = "lists.parquet", user = "who", negatives = "others" } }
models = { popularity = {}, als = { epochs = 3, embedding_dim = 4 } }
"""


def test_candidate_lists_are_ranked(
    experiment: Callable[..., Experiment], log: Callable[..., pl.DataFrame], tmp_path: Path
) -> None:
    lists(log(), tmp_path)
    done = experiment(
        CANDIDATES.replace('"candidates",', '"candidates", metrics = ["hr@5", "mrr@9"],'), folder=tmp_path
    )
    (fold,) = done.folds
    counts = dict(fold.before_test().events.group_by("item_id").len().iter_rows())
    others = dict(pl.read_parquet(tmp_path / "lists.parquet").iter_rows())
    target = dict(fold.test.select("user_id", "item_id").iter_rows())
    evaluation = done.models["popularity"].evaluation
    assert len(evaluation.unit_names) == 40
    for case, user in enumerate(evaluation.unit_names):
        above = [item for item in others[user] if item != target[user] and counts[item] >= counts[target[user]]]
        assert evaluation.values["mrr@9"][case] == pytest.approx(1 / (1 + len(above)))
        assert evaluation.values["hr@5"][case] == (len(above) < 5)


def test_lists_are_for_the_test_and_the_validation_part_ranks_all_items(
    experiment: Callable[..., Experiment], log: Callable[..., pl.DataFrame], tmp_path: Path
) -> None:
    users = log().filter(pl.int_range(pl.len()) >= 880)["user_id"].unique()
    pl.DataFrame({"who": users, "others": [["i1", "i2"]] * len(users)}).write_parquet(tmp_path / "lists.parquet")
    part = pl.int_range(pl.len())
    split = pl.when(part < 800).then(pl.lit("train")).when(part < 880).then(pl.lit("valid")).otherwise(pl.lit("test"))
    events = log().with_columns(split=split).unique(["user_id", "split"], keep="first", maintain_order=True)
    events = pl.concat([log().head(800).with_columns(split=pl.lit("train")), events.filter(pl.col("split") != "train")])
    done = experiment(CANDIDATES.replace('{ by = "last", valid = 1 }', '{ by = "column" }'), events, tmp_path)
    assert len(done.cases) == len(users) < done.folds[0].valid["user_id"].n_unique()  # who has no list of their own
    curve = done.models["als"].curve
    assert curve is not None
    assert curve["epochs"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("lists.parquet", "list.parquet"), "list.parquet` is no Parquet file that can be read"),
        (('user = "who"', 'user = "whom"'), "`lists.parquet` has no column `whom`; did you mean `who`"),
        (('negatives = "others"', 'negatives = "othres"'), "has no column `othres`; did you mean `others`"),
    ],
)
def test_candidate_lists_that_cannot_be_read_are_named(
    change: tuple[str, str], message: str, experiment: Callable[..., Experiment], log: Callable[..., pl.DataFrame],
    tmp_path: Path,
) -> None:  # fmt: skip
    lists(log(), tmp_path)
    with pytest.raises(ConfigError, match=message):
        experiment(CANDIDATES.replace(*change), folder=tmp_path)
    (tmp_path / "lists.parquet").write_text("no table")
    with pytest.raises(ConfigError, match="is no Parquet file"):
        experiment(CANDIDATES, folder=tmp_path)


def test_candidate_lists_need_a_folder(experiment: Callable[..., Experiment]) -> None:
    with pytest.raises(ConfigError, match=r"\[data\] needs a `path`"):
        experiment(CANDIDATES)


# refusals


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("models = { popularity = {}, mf = {} }", ModelError, "`mf` needs a `value`"),
        ('evaluate = { protocol = "ratings" }\nmodels = { popularity = {} }', ConfigError, "`popularity` predicts no"),
        ('split = { by = "time", test = "90d" }\nmodels = { popularity = {} }', SplitError, "must be shorter than"),
        ('split = { by = "column", column = "flod" }\nmodels = { popularity = {} }', SplitError, "mean `fold`"),
    ],
)
def test_what_cannot_be_run_is_refused_before_any_fit(
    text: str, error: type[Exception], message: str, experiment: Callable[..., Experiment],
    log: Callable[..., pl.DataFrame], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(learn, "fit_arrays", lambda *_, **__: pytest.fail("it had begun"))
    events = log() if "ratings" in text else log().drop("value")
    with pytest.raises(error, match=message):
        experiment(text, events)


def test_events_without_sessions_cannot_be_asked_what_comes_next(
    experiment: Callable[..., Experiment], log: Callable[..., pl.DataFrame]
) -> None:
    with pytest.raises(DataError, match="need sessions: map `session_id`, or set `gap_minutes`"):
        experiment("models = { popularity = {} }", log().drop("session_id"))


# the audit


@pytest.mark.parametrize("leak", ["order", "shared row", "context"])
def test_a_leaky_split_stops_the_run(
    leak: str, experiment: Callable[..., Experiment], log: Callable[..., pl.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = log()
    if leak == "context":
        events = events.with_columns(shelf=pl.col("item_id"))
    else:
        monkeypatch.setattr(module, "make_folds", lambda *given: [leaky(fold, leak) for fold in make_folds(*given)])
    monkeypatch.setattr(module, "run_fold", lambda *_, **__: pytest.fail("it had begun"))
    with pytest.raises(LeakError, match="the audit found"):
        experiment("models = { popularity = {} }", events)


def leaky(fold: Fold, leak: str) -> Fold:
    """The fold with a few test events among the training ones."""
    moved = pl.concat([fold.train.events, fold.test.tail(5)])
    test = fold.test.head(-5) if leak == "order" else fold.test
    return dataclasses.replace(fold, train=fold.train.with_events(moved), test=test)


def test_an_encoder_that_saw_the_test_is_found(
    experiment: Callable[..., Experiment], log: Callable[..., pl.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Encoder.fit(Dataset.from_frames(log()))
    monkeypatch.setattr(Encoder, "fit", classmethod(lambda *_, **__: whole))
    with pytest.raises(LeakError, match="the encoder fit"):
        experiment("models = { popularity = {} }")


def test_a_query_that_holds_its_target_is_found(
    experiment: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    def peek(*given: Any, **options: Any) -> Any:
        cases = make_cases(*given, **options)
        assert cases.history_rows is not None
        values = cases.history_rows.values.copy()
        row = int(np.flatnonzero(cases.history_rows.lengths)[0])
        assert cases.target_rows is not None
        values[cases.history_rows.offsets[row]] = cases.target_rows.values[row]
        return dataclasses.replace(cases, history_rows=cases.history_rows.with_values(values))

    monkeypatch.setattr(prepare, "make_cases", peek)
    with pytest.raises(LeakError, match="`target in query`: 1 of"):
        experiment("models = { popularity = {} }")


def test_every_fold_is_audited(experiment: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    check = audit.check_duplicates

    def watch(fold: Fold) -> audit.Check:
        seen.append(fold.name)
        return check(fold)

    monkeypatch.setattr(audit, "check_duplicates", watch)
    experiment(f"{SPLITS['random folds']}\n{PROTOCOLS['ratings']}\nmodels = {{ bias = {{}} }}")
    assert seen == ["fold 1 of 3", "fold 2 of 3", "fold 3 of 3"]


# the oracle


def test_nobody_beats_the_oracle(shop_experiment: Experiment, found: Callable[..., dict[str, Any]]) -> None:
    oracle = shop_experiment.oracle
    assert oracle is not None
    assert oracle.values.keys() == {"recall@20", "ndcg@20", "mrr@20"}
    for fitted in shop_experiment.models.values():
        assert all(fitted.evaluation.mean(metric) < oracle.mean(metric) for metric in oracle.values), fitted.key
    assert found(shop_experiment)["oracle"] == {metric: oracle.mean(metric) for metric in oracle.values}


@pytest.mark.parametrize(
    "text",
    [
        "sessions = { collapse_repeats = false }",
        'sessions = { collapse_repeats = true }\nevaluate = { protocol = "user_items" }',
    ],
)
def test_the_oracle_is_silent_where_it_does_not_know(text: str, parsed: Callable[..., Recipe]) -> None:
    shop = 'data = { shop = "small", n_users = 60, n_items = 48, n_topics = 4, n_events = 1500, n_days = 10 }'
    recipe = parsed(f"{shop}\n{text}\nmodels = {{ popularity = {{}} }}")
    assert run_experiment(recipe, open_source(recipe)).oracle is None


# the learning curve


def test_the_best_epoch_on_the_validation_part_is_kept(shop_experiment: Experiment) -> None:
    als = shop_experiment.models["als"]
    assert als.curve is not None
    assert als.curve["metric"] == "recall@20"
    assert als.curve["epochs"] == [1, 2, 3, 4, 5]
    best = als.curve["epochs"][int(np.argmax(als.curve["values"]))]
    assert als.curve["best"] == best == als.settings["epochs"] == als.model.config.epochs
    assert all(
        fitted.curve is None for key, fitted in shop_experiment.models.items() if not MODELS[key.split()[0]].iterative
    )


def test_a_model_that_learns_by_heart_stops_early(experiment: Callable[..., Experiment]) -> None:
    text = """
    split = { by = "random", test = 0.2, valid = 0.2 }
    evaluate = { protocol = "ratings" }
    models = { mf = { epochs = 12, embedding_dim = 32, learning_rate = 0.1, l2 = 0.0, batch_size = 16 } }
    """
    mf = experiment(text).models["mf"]
    assert mf.curve is not None
    assert mf.curve["best"] == 1 + int(np.argmin(mf.curve["values"])) < 12
    assert mf.settings["epochs"] == mf.curve["best"]
    assert mf.curve["values"][-1] > min(mf.curve["values"])


def test_without_a_validation_part_the_settings_stay(experiment: Callable[..., Experiment]) -> None:
    als = experiment("models = { als = { epochs = 3, embedding_dim = 4 } }").models["als"]
    assert als.curve is None
    assert als.settings == {"epochs": 3, "embedding_dim": 4}


def rehearsed(best: int, metric: str = "recall@20") -> Rehearsal:
    """What a rehearsal without a fit would say."""
    curve = {"metric": metric, "epochs": [1, 2, 3], "values": [1.0, 1.0, 1.0], "best": best}
    return Rehearsal(cast(Recommender, None), curve, {"epochs": best}, 0.0)


def test_epochs_on_a_schedule_stay_as_they_are(experiment: Callable[[str], Experiment]) -> None:
    text = 'split = { by = "user", test = 0.3, valid = 0.2 }\n'
    for schedule in ("linear", "constant"):
        bpr = experiment(
            text + f'models = {{ bpr = {{ epochs = 6, embedding_dim = 4, schedule = "{schedule}" }} }}'
        ).models["bpr"]
        assert bpr.curve is not None
        kept = 6 if schedule == "linear" else bpr.curve["best"]
        assert bpr.settings["epochs"] == bpr.model.config.epochs == kept


def test_each_fold_takes_the_epochs_that_its_own_validation_part_chose(
    experiment: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    best, epochs = iter([3, 1, 2]), []

    def watch(name: str, encoder: Encoder, data: EventArrays, settings: dict[str, Any], **options: Any) -> Recommender:
        epochs.append(settings["epochs"])
        return fit_arrays(name, encoder, data, settings, **options)

    monkeypatch.setattr(learn, "rehearse", lambda *_: rehearsed(next(best), "rmse"))
    monkeypatch.setattr(learn, "fit_arrays", watch)
    text = 'split = { by = "random", folds = 3, valid = 0.1 }\nevaluate = { protocol = "ratings" }\n'
    mf = experiment(text + "models = { mf = { epochs = 3, embedding_dim = 4 } }").models["mf"]
    assert epochs == [3, 1, 2]
    assert mf.curve is not None
    assert mf.curve["best"] == 3  # the curve that is shown is that of the first fold
    assert len(mf.evaluations) == 3


def test_the_curve_of_held_out_users_uses_what_is_known_of_them(
    log: Callable[..., pl.DataFrame], parsed: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    histories = []

    def watch(*given: Any, **options: Any) -> Any:
        cases = make_cases(*given, **options)
        histories.append(cases.queries.history.lengths)
        return cases

    monkeypatch.setattr(prepare, "make_cases", watch)
    text = (
        'data = { path = "here" }\nsplit = { by = "user", test = 0.3, valid = 0.3 }\nmodels = { als = { epochs = 2 } }'
    )
    recipe = parsed(f'evaluate = {{ protocol = "user_items", exclude_seen = false }}\n{text}')
    run_experiment(recipe, Source(Dataset.from_frames(log())))
    assert len(histories) == 2  # the test and the validation part
    assert all((lengths > 0).all() for lengths in histories)


# data with gaps


def test_ratings_among_other_events_are_enough(
    experiment: Callable[..., Experiment], log: Callable[..., pl.DataFrame]
) -> None:
    some = log().with_row_index("n").with_columns(
        event_type=pl.when(pl.col("n") % 3 == 0).then(pl.lit("rating")).otherwise(pl.lit("view")),
        value=pl.when((pl.col("n") % 3 == 0) & (pl.col("n") > 150)).then("value"),
        user_id=pl.when(pl.col("n") > 100).then("user_id"),
    ).drop("n")  # fmt: skip
    text = 'evaluate = { protocol = "ratings" }\nmodels = { bias = {}, mf = { epochs = 2, embedding_dim = 4 } }'
    done = experiment(text, some)
    rated = done.folds[0].before_test().events["value"].drop_nulls().to_numpy()
    assert np.isfinite(done.models["mf"].evaluation.mean("rmse"))
    assert done.models["mf"].evaluation.mean("rmse") < rated.max() - rated.min()


def test_unknown_items_can_be_left_out_or_counted(
    experiment: Callable[..., Experiment], log: Callable[..., pl.DataFrame], found: Callable[..., dict[str, Any]]
) -> None:
    events = log().with_columns(
        item_id=pl.when(pl.int_range(pl.len()) % 9 == 0)
        .then(pl.format("new {}", pl.int_range(pl.len())))
        .otherwise("item_id")
    )
    text = "models = { popularity = {} }"
    miss = found(experiment(text, events))
    drop = found(experiment(f'evaluate = {{ unknown_targets = "drop" }}\n{text}', events))
    assert miss["protocol"]["n_unknown_targets"] > 0
    assert drop["protocol"]["n_unknown_targets"] == 0
    assert drop["split"]["test"]["n_cases"] < miss["split"]["test"]["n_cases"]
    said = " ".join(check["text"] for check in drop["checks"])
    assert "test events of items never seen in training were left out" in said
    first, second = (done["models"][0]["metrics"]["recall@20"]["mean"] for done in (miss, drop))
    assert first < second
    some = found(experiment(f"evaluate = {{ max_cases = 9 }}\n{text}", events))
    assert some["protocol"]["n_unknown_targets"] < min(10, miss["protocol"]["n_unknown_targets"])


def test_the_shop_recipe_is_seeded_by_the_recipe(shop_recipe: Path) -> None:
    recipe = load(shop_recipe)
    same, other = open_source(recipe), open_source(dataclasses.replace(recipe, seed=7))
    assert same.dataset.fingerprint() == open_source(recipe).dataset.fingerprint() != other.dataset.fingerprint()
