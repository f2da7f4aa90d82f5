"""Each verb on a small shop."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rankine.cli import demo
from rankine.data.synthetic import config
from rankine.runs import Run
from rankine.runs.ledger import ledger_page

KEYS = ["recipe", "model", "metric", "value", "published", "tolerance", "source", "ok", "seconds"]
Call = Callable[..., Any]


def table(text: str) -> list[list[str]]:
    """The rows below the head of a ranking, cut at two blanks."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if re.match(r" *#  ", line))
    rows = [line for line in lines[start + 1 :] if re.match(r" *\d+  ", line)]
    return [re.split(r"\s{2,}", row.strip()) for row in rows]


# run, reproduce


def test_a_run_shows_its_table_its_figures_and_where_the_report_is(made: Any, shop: Run) -> None:
    assert (made.code, made.err) == (0, "")
    lines = made.out.splitlines()
    assert lines[0].split() == [
        "model", "recall@20", "95", "%", "interval", "ndcg@20", "mrr@20", "coverage@20", "novelty@20", "fit", "per", "case",
    ]  # fmt: skip
    for letter, model in zip("AB", shop.metrics["models"], strict=True):
        (line,) = [line for line in lines if line.startswith(f"{letter} ") and f" {model['name']} " in line]
        assert f"{model['metrics']['recall@20']['mean']:.3f}" in line
    assert any("best reachable" in line and f"{shop.metrics['oracle']['recall@20']:.3f}" in line for line in lines)
    value = shop.metrics["expect"][1]["value"]
    assert f"reached: vsknn recall@20 {value:.4f}, published 0.7 +- 0.5 (a table [of sorts])" in lines
    assert any(line.startswith("MISSED: vsknn mrr@20") for line in lines)
    assert (shop.folder / "report.html").is_file()
    assert shop.metrics["run"]["command"].startswith("rankine run ")


def test_reproduce_prints_one_line_of_json_per_figure_and_fails_where_one_is_off(
    recipe: Path, rankine: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = rankine("reproduce", recipe)
    assert (found.code, found.err) == (1, "")
    rows = [json.loads(line) for line in found.out.splitlines()]
    assert [list(row) for row in rows] == [KEYS, KEYS]
    assert [(row["model"], row["metric"], row["ok"]) for row in rows] == [
        ("vsknn", "mrr@20", False),
        ("vsknn", "recall@20", True),
    ]
    assert all(row["recipe"] == "tiny-shop" and row["source"] == "a table [of sorts]" for row in rows)
    right = tmp_path / "right.toml"
    right.write_text(recipe.read_text().replace("[0.99, 0.01]", f"[{rows[0]['value']}, 0.001]"))
    assert rankine("reproduce", right).code == 0
    assert {p.name for p in tmp_path.iterdir()} == {"right.toml"}


def test_the_ledger_is_printed_as_it_is(rankine: Call) -> None:
    found = rankine("reproduce", "--list")
    assert (found.code, found.out) == (0, ledger_page())


def test_data_is_looked_for_below_the_option_or_the_variable(
    rankine: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "log.toml"
    recipe.write_text(
        'data = { path = "log" }\nsplit = { by = "random" }\nmodels = { popularity = {} }\nevaluate = { first = true }\n'
    )
    (tmp_path / "here" / "log").mkdir(parents=True)
    log = {"user_id": ["a", "b"] * 50, "item_id": ["x", "y", "z", "x"] * 25, "session_id": ["1", "2", "3", "4"] * 25}
    pl.DataFrame(log).write_csv(tmp_path / "here" / "log" / "events.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RANKINE_DATA", raising=False)
    assert "which is not here; --data DIR or $RANKINE_DATA names the folder" in rankine("run", recipe).err
    assert rankine("run", recipe, "--data", "here").code == 0
    monkeypatch.setenv("RANKINE_DATA", "here")
    assert rankine("run", recipe).code == 0
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {"log", "log.previous"}
    assert "which is not below there" in rankine("run", recipe, "--data", "there").err


# recommend


def test_a_known_user_gets_a_ranking_with_titles(rankine: Call, folder: Path, shop: Run) -> None:
    user = shop.visitors().filter(pl.col("items").list.len() > 5)["user_id"][0]
    found = rankine("recommend", folder, "--user", user, "--k", "7")
    assert (found.code, found.err) == (0, "")
    rows = table(found.out)
    assert [row[0] for row in rows] == list("1234567")
    titles = dict(pl.read_parquet(folder / "items.parquet").select("item_id", "title").iter_rows())
    assert all(titles[row[1]] == row[2] for row in rows)
    assert {row[4] for row in rows} == {"popular"}  # what the user did before is no present session
    assert "is not known" not in found.out


def test_an_unknown_user_is_told_apart_and_still_answered(rankine: Call, folder: Path) -> None:
    found = rankine("recommend", folder, "--user", "[nobody]", "--k", "3")
    assert found.code == 0
    assert found.out.splitlines()[0] == "User '[nobody]' is not known; the answer rests on the session and the context."
    assert len(table(found.out)) == 3


def test_the_present_session_decides(rankine: Call, folder: Path, shop: Run) -> None:
    history = shop.visitors().filter(pl.col("items").list.len() > 5)["items"][0].to_list()[-2:]
    rows = table(rankine("recommend", folder, "--history", ",".join(history), "--k", "5").out)
    assert {row[4] for row in rows} <= {"session", "popular"}
    assert rows[0][4:6] == ["session", "vsknn"]
    left_out = table(rankine("recommend", folder, "--history", ",".join(history), "--k", "60", "--exclude-seen").out)
    assert not {row[1] for row in left_out} & set(history)
    assert len(left_out) == 60 - len(set(history))


def test_an_unknown_item_is_no_error(rankine: Call, folder: Path) -> None:
    found = rankine("recommend", folder, "--history", "no-such-item", "--k", "2")
    assert found.code == 0
    assert [row[4] for row in table(found.out)] == ["popular", "popular"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--context", "devise=phone"), "unknown context column `devise`; did you mean `device`?"),
        (("--context", "device"), "--context expects name=value; got 'device'"),
        (("--context", "=phone"), "--context expects name=value; got '=phone'"),
        (("--k", "0"), "`k` must be between 1 and 1000; got 0"),
        (("--k", "1001"), "`k` must be between 1 and 1000; got 1001"),
    ],
)
def test_a_bad_request_says_what_was_expected(
    arguments: tuple[str, ...], message: str, rankine: Call, folder: Path
) -> None:
    found = rankine("recommend", folder, *arguments)
    assert (found.code, found.err) == (2, f"rankine: {message}\n")


def test_context_may_be_given_several_times(rankine: Call, folder: Path) -> None:
    found = rankine("recommend", folder, "--context", "device=phone", "--context", "referrer=a=b", "--k", "2")
    assert found.code == 0
    assert len(table(found.out)) == 2


def test_brackets_and_colons_of_a_title_are_shown_as_they_are(rankine: Call, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "run"
    shutil.copytree(folder, other)
    items = pl.read_parquet(other / "items.parquet").with_columns(title=pl.lit("[bold]Mug[/] :smile:"))
    items.write_parquet(other / "items.parquet")
    assert {row[2] for row in table(rankine("recommend", other, "--k", "4").out)} == {"[bold]Mug[/] :smile:"}


# data


def test_a_shop_is_written_and_described(rankine: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        config.SIZES, "small", {"n_users": 50, "n_items": 60, "n_topics": 4, "n_events": 2000, "n_days": 10}
    )
    found = rankine("data", "shop", tmp_path / "shop", "--seed", "5")
    assert found.code == 0
    assert re.fullmatch(r"Wrote a small shop to .*shop in [\d.]+ s\n", found.out)
    assert {"users.parquet", "items.parquet", "events.parquet"} <= {p.name for p in (tmp_path / "shop").iterdir()}
    events = pl.read_parquet(tmp_path / "shop" / "events.parquet")
    assert rankine("data", "shop", tmp_path / "same", "--seed", "5").code == 0
    assert pl.read_parquet(tmp_path / "same" / "events.parquet").equals(events)
    described = rankine("data", "describe", tmp_path / "shop")
    assert (described.code, described.err) == (0, "")
    assert f"{len(events):,}" in described.out
    assert f"{events['user_id'].n_unique() - 1:,}" in described.out  # null stands for visitors without a name


# demo


def test_the_demo_shows_three_visitors(
    rankine: Call, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "find", lambda _: recipe)
    found = rankine("demo", "--out", tmp_path / "demo")
    assert (found.code, found.err) == (0, "")
    for title in ("Known user u-", "New user, nothing known but a phone in the evening", "Anonymous session that saw "):
        assert title in found.out
    parts = re.split(r"\n(?=Known user|New user|Anonymous session)", found.out)[1:]
    assert [len(table(part)) for part in parts] == [5, 5, 5]
    assert f"rankine serve {tmp_path / 'demo'}" in found.out
    assert Run.open(tmp_path / "demo").metrics["run"]["command"] == "rankine demo"


@pytest.mark.slow
def test_the_whole_demo_ends_by_itself(spawn: Call, tmp_path: Path) -> None:
    found = spawn("demo", "--out", "demo")
    assert (found.returncode, found.stderr) == (0, "")
    models = {model["name"]: model for model in Run.open(tmp_path / "demo").metrics["models"]}
    assert models["vsknn"]["metrics"]["recall@20"]["mean"] > models["popularity"]["metrics"]["recall@20"]["mean"]
    assert found.stdout.count("\n 1  ") + found.stdout.count("\n1  ") == 3
