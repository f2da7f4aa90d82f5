from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rankine.cli import app
from rankine.cli.tune import seconds
from rankine.errors import ConfigError
from rankine.runs import tune as search

RECIPE = """
data = { shop = "small", n_users = 80, n_items = 40, n_topics = 4, n_events = 2000, n_days = 20, new_item_share = 0.1 }
split = { by = "time", test = "3d", valid = "3d" }
models = { popularity = {}, "sequential_rules short" = { steps = 2 }, markov = {} }
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    return "tiny.toml"


def test_the_table_has_a_row_per_model_and_ends_with_what_to_do_next(recipe: str) -> None:
    done = CliRunner().invoke(app, ["tune", recipe, "--trials", "2", "--timeout", "1h"], catch_exceptions=False)
    assert done.exit_code == 0
    head, *rows, last = done.stdout.splitlines()
    assert head.split() == [
        "model",
        "trials",
        "pruned",
        "failed",
        "default",
        "recall@20",
        "best",
        "gain",
        "best",
        "settings",
    ]
    assert [row.split()[0] for row in rows] == ["popularity", "sequential_rules", "markov"]
    assert rows[0].split()[1:4] == ["2", "0", "0"]
    assert rows[1].split()[-1].startswith("decay=")  # `steps` stands in the recipe
    assert rows[2].endswith("nothing to search")
    assert last == "Compare them on the test: rankine run runs/tiny.tune/tuned.toml"
    assert Path("runs/tiny.tune/tuned.toml").is_file()
    named = ["tune", recipe, "--trials", "2", "--models", "popularity, sequential_rules short"]
    again = CliRunner().invoke(app, named, catch_exceptions=False)
    assert "trials done: popularity 2 of 2, sequential_rules short 2 of 2." in again.stdout.splitlines()[0]


def test_an_interruption_ends_with_130_and_says_how_to_go_on(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search, "fit_arrays", interrupted)
        done = CliRunner().invoke(app, ["tune", recipe, "--trials", "1"])
    assert done.exit_code == 130
    assert "Finished trials are kept in runs/tiny.tune: the same command goes on from there." in done.stdout
    assert CliRunner().invoke(app, ["tune", recipe, "--trials", "1"]).exit_code == 0


@pytest.mark.parametrize("text", ["", "soon", "0.5", "-3m", "5 parsecs"])
def test_a_timeout_is_a_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="--timeout expects a time such as 90s, 45m or 2h; got"):
        seconds(text)
    assert seconds("90m") == 5400
