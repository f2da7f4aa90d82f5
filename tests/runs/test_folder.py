from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.errors import ConfigError, DataError, ModelError, RequestError
from rankine.pipeline import Request
from rankine.recommender import Recommender
from rankine.runs import Run, folder, load, run

FILES = {
    "recipe.toml", "environment.json", "metrics.json", "per_unit.parquet", "report.html", "run.json", "models",
    "items.parquet", "visitors.parquet",
}  # fmt: skip
QUICK = """
data = { shop = "small", n_users = 60, n_items = 48, n_topics = 4, n_events = 1500, n_days = 10 }
evaluate = { metrics = ["recall@5"] }
models = { popularity = {} }
"""


@pytest.fixture
def quick(write_recipe: Callable[..., Path], tmp_path: Path) -> Callable[..., Run]:
    """Runs the quick recipe, with changes to its text, into a folder of this test."""

    def go(text: str = QUICK, out: str = "out", **options: Any) -> Run:
        return run(load(write_recipe(text, "quick")), text, out=tmp_path / out, **options)

    return go


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


# what a run leaves


def test_a_run_folder_holds_what_the_docs_say(shop_run: Run, shop_recipe: Path) -> None:
    assert {p.name for p in shop_run.folder.iterdir()} == FILES
    assert (shop_run.folder / "recipe.toml").read_text() == shop_recipe.read_text()
    assert load(shop_run.folder / "recipe.toml").models == load(shop_recipe).models
    environment = json.loads((shop_run.folder / "environment.json").read_text())
    assert {"rankine", "python", "numpy", "torch"} <= environment["versions"].keys()
    assert environment["cores"] >= 1
    assert shop_run.metrics["run"]["command"] == "rankine run tiny-shop.toml"
    assert not list(shop_run.folder.parent.glob("*.partial"))


def test_every_model_is_saved_without_a_file_that_could_run_code(shop_run: Run) -> None:
    models = shop_run.folder / "models"
    assert {p.name for p in models.iterdir()} == {"popularity", "popularity-context", "markov", "vsknn", "als"}
    assert {p.suffix for p in models.rglob("*") if p.is_file()} == {".json", ".safetensors", ".parquet"}


def test_saved_models_load_in_the_order_of_the_comparison(shop_run: Run) -> None:
    order = [model["name"].split(" ")[0] for model in shop_run.metrics["models"]]
    assert [r.name for r in shop_run.recommenders()] == order
    for name in ("vsknn", "popularity-context"):
        saved = Recommender.load(shop_run.folder / "models" / name)
        assert len(saved.recommend(history=["i-none"], k=3)) == 3


def test_models_are_saved_fitted_to_all_events_with_the_settings_of_the_comparison(shop_run: Run) -> None:
    data = shop_run.metrics["data"]
    counted = shop_run.recommenders()[0].encoder
    assert len(counted.users) == data["n_users"]
    items = pl.read_parquet(shop_run.folder / "items.parquet")
    assert items["n_events"].sum() == data["n_events"] > shop_run.metrics["split"]["train"]["n_events"]
    als = next(r for r in shop_run.recommenders() if r.name == "als")
    card = next(model for model in shop_run.metrics["models"] if model["name"] == "als")
    assert als.model.config.epochs == card["settings"]["epochs"]
    assert als.model.config.embedding_dim == 8


def test_the_report_is_one_file_that_names_every_model(shop_run: Run) -> None:
    page = (shop_run.folder / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!")
    for model in shop_run.metrics["models"]:
        assert model["label"] in page
    assert "A tiny shop" in page
    assert not re.search(r"(?:src|href)=\"https?:", page)


def test_a_finished_run_answers_requests(shop_run: Run) -> None:
    opened = Run.open(shop_run.folder)
    pipeline = opened.pipeline()
    visitor: dict[str, Any] = opened.visitors().sort("last_time", descending=True).row(0, named=True)
    known = Request(
        user=visitor["user_id"], history=visitor["items"], weights=visitor["weights"], session_len=0, k=5,
        timestamp=visitor["last_time"],
    )  # fmt: skip
    answer = pipeline.answer(known)
    assert len({place.item_id for place in answer.places}) == 5
    assert answer.source in ("history", "popular")  # whichever did better; without a session nothing rests on one
    assert all(place.title for place in answer.places)
    session = pipeline.answer(Request(history=visitor["items"][-2:], k=5))
    assert session.source == "session"
    assert len(pipeline.answer(Request(user="nobody", k=60)).places) == 60
    with pytest.raises(RequestError, match="unknown context column `devise`; did you mean `device`"):
        pipeline.answer(Request(context={"devise": "phone"}))


def test_a_run_that_is_read_back_says_what_it_is(shop_run: Run) -> None:
    opened = Run.open(str(shop_run.folder))
    assert opened.name == "tiny-shop"
    assert opened.schema.events["device"] == "category"
    assert opened.visitors().columns == ["user_id", "items", "weights", "last_time", "hidden"]
    assert opened.visitors()["user_id"].n_unique() == len(opened.visitors())


def test_a_folder_that_is_no_run_is_not_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigError, match=r"is no run folder \(no run.json\): make one with `rankine run"):
            Run.open(path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ConfigError, match=r"run\.json` is not valid JSON"):
        _ = Run.open(tmp_path).name


# the same run again


def test_equal_seeds_give_equal_metrics_but_for_times(quick: Callable[..., Run]) -> None:
    text = QUICK.replace(
        "models = { popularity = {} }",
        "split = { test = 0.2, valid = 0.1 }\n[models]\nvsknn = {}\nals = {epochs = 3}\n",
    )
    first, second = quick(text, "one"), quick(text, "two")
    other = quick(f"seed = 7\n{text}", "three")
    assert timeless(first) == timeless(second)
    assert timeless(first) != timeless(other)
    assert (first.folder / "per_unit.parquet").read_bytes() == (second.folder / "per_unit.parquet").read_bytes()
    for name in ("als", "vsknn"):
        weights = f"models/{name}/weights.safetensors"
        assert (first.folder / weights).read_bytes() == (second.folder / weights).read_bytes()


def timeless(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.folder / "metrics.json").read_text())
    for key in ("created", "seconds"):
        found["run"].pop(key)
    for model in found["models"]:
        model.pop("fit_s")
        model.pop("score_ms")
    return found


def test_the_run_before_is_kept_once(quick: Callable[..., Run], tmp_path: Path) -> None:
    first = contents(quick().folder)
    second = contents(quick(f"seed = 7\n{QUICK}").folder)
    assert contents(tmp_path / "out.previous") == first
    quick(f"seed = 8\n{QUICK}")
    assert contents(tmp_path / "out.previous") == second
    assert {p.name for p in tmp_path.iterdir()} == {"quick.toml", "out", "out.previous"}


def test_a_run_goes_to_runs_and_the_name_of_its_recipe(
    write_recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(load(write_recipe(QUICK, "mine")), QUICK).folder == Path("runs/mine")
    assert (tmp_path / "runs" / "mine" / "run.json").is_file()


# whole or not at all


@pytest.mark.parametrize("step", ["write_results", "write_models", "compare_models"])
def test_a_failure_in_the_middle_leaves_what_was_there(
    step: str, quick: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(quick().folder)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, step, fail)
    with pytest.raises(KeyboardInterrupt):
        quick()
    assert contents(tmp_path / "out") == before
    with pytest.raises(KeyboardInterrupt):
        quick(out="fresh")
    assert {p.name for p in tmp_path.iterdir()} == {"quick.toml", "out"}


def test_what_an_earlier_crash_left_is_swept_away(quick: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "out.partial" / "models").mkdir(parents=True)
    (tmp_path / "out.partial" / "models" / "old.json").write_text("{}")
    made = quick()
    assert {p.name for p in (made.folder / "models").iterdir()} == {"popularity"}
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("name", ["a folder", "a file"])
def test_a_folder_that_is_no_run_is_refused_before_any_work(
    name: str, quick: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = tmp_path / "out"
    if name == "a file":
        precious.write_text("precious")
    else:
        precious.mkdir()
        (precious / "thesis.txt").write_text("precious")
    monkeypatch.setattr(folder, "open_source", lambda *_: pytest.fail("it had begun"))
    with pytest.raises(ConfigError, match=r"`.*out` exists and is no run folder: choose another name with --out"):
        quick()
    assert (precious if name == "a file" else precious / "thesis.txt").read_text() == "precious"
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("out", [".", "..", "/"])
def test_a_place_without_a_name_is_refused(out: str, write_recipe: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"is no name for a run folder|is no run folder"):
        run(load(write_recipe(QUICK)), QUICK, out=Path(out))


def test_rejected_rows_go_into_the_run_or_beside_the_one_that_was_not_made(
    write_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = [f"u{n // 10 % 7},i{n % 5},{1_760_000_000 + 60 * n}" for n in range(200)]
    rows[50] = "u1,i1,not a time"
    (data / "events.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    text = f'data = {{ path = "{data}" }}\nsessions = {{ gap_minutes = 0.5 }}\nmodels = {{ popularity = {{}} }}\n'
    with pytest.raises(DataError):  # events are a minute apart: no session has two
        run(load(write_recipe(text)), text, out=tmp_path / "out")
    kept = [json.loads(line) for line in (tmp_path / "out.rejects.jsonl").read_text().splitlines()]
    assert [(row["column"], row["value"], row["line"]) for row in kept] == [("timestamp", "not a time", 52)]
    assert {p.name for p in tmp_path.iterdir()} == {"data", "tiny.toml", "out.rejects.jsonl"}
    text = text.replace("gap_minutes = 0.5", "gap_minutes = 5")
    made = run(load(write_recipe(text)), text, out=tmp_path / "out")
    assert len((made.folder / "rejects.jsonl").read_text().splitlines()) == 1
    assert (made.metrics["data"]["read"], made.metrics["data"]["rejected"]) == (200, 1)
    assert made.metrics["data"]["n_events"] == 199


def test_a_model_that_cannot_be_fitted_stops_the_run_before_the_others_are(
    quick: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rankine.runs import learn

    monkeypatch.setattr(learn, "fit_arrays", lambda *_, **__: pytest.fail("it had begun"))
    with pytest.raises(ModelError, match="`mf` needs a `value` per event"):
        quick(QUICK.replace("popularity = {}", "popularity = {}, mf = {}"))


def test_numbers_that_json_does_not_know_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder._write_json(tmp_path / "x.json", {"value": np.nan})
