from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rankine.runs import Recipe
from rankine.runs.ledger import claims, ledger_page, reproduce
from rankine.runs.recipe import load, shipped_recipes

KEYS = ["recipe", "model", "metric", "value", "published", "tolerance", "source", "ok", "seconds"]
TEXT = """
data = {{ shop = "small", n_users = 60, n_items = 48, n_topics = 4, n_events = 1500, n_days = 10 }}
models = {{ popularity = {{}} }}
[expect]
source = "a table"
tolerance = 0.01
figures.popularity = {{ "recall@20" = [0.5, 0.5], "mrr@20" = {mrr} }}
"""


def test_a_figure_is_one_row_with_what_was_reached(parsed: Callable[..., Recipe]) -> None:
    rows = list(reproduce(parsed(TEXT.format(mrr=0.99)), None))
    assert [list(row) for row in rows] == [KEYS, KEYS]
    near, off = rows
    assert (near["recipe"], near["model"], near["metric"], near["source"]) == (
        "tiny",
        "popularity",
        "recall@20",
        "a table",
    )
    assert (near["ok"], off["ok"]) == (True, False)
    assert (off["published"], off["tolerance"]) == (0.99, 0.01)
    assert 0 < off["value"] < 0.9
    assert near["seconds"] == off["seconds"] >= 0
    again = list(reproduce(parsed(TEXT.format(mrr=off["value"])), None))
    assert [row["ok"] for row in again] == [True, True]
    assert json.loads(json.dumps(again)) == again


def test_reproducing_writes_nothing(parsed: Callable[..., Recipe], tmp_path: Path, monkeypatch: object) -> None:
    recipe = parsed(TEXT.format(mrr=0.5))
    before = sorted(tmp_path.rglob("*"))
    list(reproduce(recipe, None))
    assert sorted(tmp_path.rglob("*")) == before


def test_every_claim_of_a_recipe_that_ships_is_in_the_ledger() -> None:
    wanted = sum(len(load(path).expectations) for path in shipped_recipes())
    rows = claims()
    assert len(rows) == wanted >= 14
    page = ledger_page()
    assert page.endswith("|\n")
    assert page.count("\n| `") == wanted
    for row in rows:
        assert (
            f"| `{row['recipe']}` | `{row['model']}` | {row['metric']} | {row['published']:g} | {row['tolerance']:g}"
            in page
        )


def test_the_figures_that_must_be_shown_are_claimed() -> None:
    found = {(row["recipe"], row["model"], row["metric"]): (row["published"], row["tolerance"]) for row in claims()}
    assert found["ml100k-rating", "bias", "rmse"] == (0.944, 0.005)
    assert found["ml100k-rating", "mf", "rmse"] == (0.934, 0.007)
    assert found["rsc15-neighbours", "vsknn", "recall@20"] == (0.681, 0.01)
    assert found["ml1m-popularity", "popularity", "hr@10"] == (0.4531, 0.0005)
    assert found["gowalla-popularity", "popularity", "ndcg@20"] == (0.0317, 0.0005)
