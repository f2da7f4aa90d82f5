from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.runs import Recipe
from rankine.runs.examples import PLACES, chain, examples
from rankine.runs.experiment import Experiment, run_experiment
from rankine.runs.results import compare_models
from rankine.runs.source import Source


def shown(experiment: Experiment) -> list[dict[str, Any]]:
    return examples(experiment, compare_models(experiment))


def test_three_visitors_are_shown_with_titles(shop_experiment: Experiment) -> None:
    found = shown(shop_experiment)
    assert [example["title"] for example in found] == ["A known user", "An anonymous session", "A new visitor"]
    titles = dict(shop_experiment.source.dataset.items.select("item_id", "title").iter_rows())
    for example in found:
        assert [row["rank"] for row in example["rows"]] == list(range(1, PLACES + 1))
        assert all(row["title"] == titles[row["item_id"]] for row in example["rows"])
        assert example["model"] in {"popularity", "markov", "vsknn", "als"}
        assert example["text"].endswith(".")
    known, session, new = found
    names = shop_experiment.source.dataset.users["name"].to_list()
    assert known["text"].split(",")[0] in names
    assert " Before: " in session["text"]
    assert "Nothing known but this moment." in new["text"]
    assert new["target"] == []


def test_the_item_that_came_next_is_marked(experiment: Callable[..., Experiment]) -> None:
    marked = 0
    for seed in range(6):
        done = experiment(f"seed = {seed}\nmodels = {{ popularity = {{}}, vsknn = {{}} }}")
        for example in shown(done):
            assert len(example["target"]) == (0 if example["title"] == "A new visitor" else 1)
            hit = [row["item_id"] for row in example["rows"] if row["target"]]
            assert hit in ([], example["target"])  # without titles an item is called by its id
            marked += len(hit)
    assert marked > 0


def test_equal_seeds_show_equal_visitors(shop_experiment: Experiment) -> None:
    assert shown(shop_experiment) == shown(shop_experiment)


def test_the_context_of_the_request_counts_also_without_a_clock(
    parsed: Callable[..., Recipe], log: Callable[..., pl.DataFrame]
) -> None:
    recipe = parsed(
        'data = { path = "here" }\nsplit = { by = "random" }\nmodels = { popularity = { context = ["device"] } }'
        "\nevaluate = { first = true }"
    )
    devices = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("phone")).otherwise(pl.lit("laptop"))
    events = log().drop("timestamp", "fold", "split").with_columns(device=devices)
    done = run_experiment(recipe, Source(Dataset.from_frames(events)))
    (new,) = [example for example in shown(done) if example["title"] == "A new visitor"]
    assert new["text"].split(".")[0] in ("Phone", "Laptop")
    assert {row["source"] for row in new["rows"]} == {"context"}


def test_ratings_have_no_ranking_to_show(experiment: Callable[..., Experiment]) -> None:
    assert shown(experiment('evaluate = { protocol = "ratings" }\nmodels = { bias = {} }')) == []


def test_what_a_user_took_before_is_not_shown_again_where_the_question_leaves_it_out(
    experiment: Callable[..., Experiment],
) -> None:
    done = experiment('split = { by = "last" }\nevaluate = { protocol = "user_items" }\nmodels = { popularity = {} }')
    assert done.cases.exclude is not None
    (known, new) = shown(done)
    before = known["text"].split("Before: ")[1].rstrip(".").split("; ")
    assert not set(before) & {row["item_id"] for row in known["rows"]}
    assert (known["title"], new["title"]) == ("A known user", "A new visitor")


def test_the_chain_asks_the_best_model_first(shop_experiment: Experiment) -> None:
    comparison = compare_models(shop_experiment)
    assert [r.name for r in chain(shop_experiment, comparison).recommenders] == [
        key.split(" ")[0] for key in comparison.order
    ]


@pytest.mark.parametrize("name", [None, "name"])
def test_a_user_without_a_name_is_called_by_id(
    name: str | None, experiment: Callable[..., Experiment], log: Callable[..., pl.DataFrame]
) -> None:
    (known, *_) = shown(experiment("models = { vsknn = {}, popularity = {} }"))
    assert known["text"].startswith("User u")
