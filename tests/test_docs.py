"""The docs say what is so: their blocks run, their tables are those of the code, their links lead somewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import filecmp
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import typing
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import polars as pl
import pytest
import typer.main

from rankine.cli import app
from rankine.config import from_dict
from rankine.data.readers import DataConfig, TableConfig, read_dataset
from rankine.data.schema import EVENT_TYPES, EventType, Kind, Rules
from rankine.data.split import SplitConfig
from rankine.data.synthetic.config import SIZES, ShopConfig, shop_config
from rankine.evaluation.metrics import METRICS
from rankine.features.config import FeaturesConfig
from rankine.models import MODELS
from rankine.models.base import Source
from rankine.runs.recipe import (
    DEFAULT_METRICS,
    CandidatesConfig,
    EvaluateConfig,
    Expect,
    Recipe,
    SessionsConfig,
    StagesConfig,
    Tuned,
    shipped_recipes,
)
from rankine.serving import settings
from rankine.serving.requests import RECOMMEND

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RANKINE = ".venv/bin/rankine "
TOLERANCE = 0.02  # between a figure in a page and the same on this machine

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line of its fence."""

    kind: str
    text: str
    line: int


def blocks(page: Path, kind: str | None = None) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    every = [Block(m[1], m[2], text[: m.start()].count("\n") + 1) for m in found]
    return [block for block in every if kind in (None, block.kind)]


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def tables(page: str) -> dict[tuple[str, ...], list[list[str]]]:
    """The rows of all tables of docs/`page` by the words of their heads; tables with one head are put together."""
    found: dict[tuple[str, ...], list[list[str]]] = {}
    for part in re.findall(r"(?:^\|.*\|$\n?)+", prose(ROOT / "docs" / page), re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.strip().split("\n")]
        found.setdefault(tuple(head), []).extend(rows)
    return found


def names(cells: list[str]) -> list[str]:
    """What stands in backticks in these cells."""
    return re.findall(r"`([^`]+)`", " ".join(cells))


# what the pages show


def test_the_first_thing_to_run_stands_near_the_top_of_the_readme() -> None:
    first = blocks(ROOT / "README.md")[0]
    assert (first.kind, first.text) == ("bash", "make demo\n")
    assert first.line < 25


@every_page
def test_a_page_names_no_place_on_one_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w./:~])/(?:home|root|work|tmp|Users|mnt|opt|srv)\b\S*", text)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), target
        if anchor:
            assert anchor in anchors(goal), target


def anchors(page: Path) -> set[str]:
    """As hosts of Markdown make them: lower case, no punctuation, hyphens for blanks."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert page.name == "index.md" or f"({page.relative_to(ROOT / 'docs').as_posix()})" in index


def test_generated_pages_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("tools_docs", ROOT / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name, text in tool.pages().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, f"write docs/{name} again: make docs"


# the command line


def commands(group: click.Command | None = None, path: str = "") -> dict[str, click.Command]:
    """Every verb with its command, such as `data describe`."""
    found = {}
    for name, command in getattr(group or typer.main.get_command(app), "commands", {}).items():
        found[f"{path}{name}"] = command
        found |= commands(command, f"{path}{name} ")
    return found


@every_page
def test_verbs_and_flags_exist(page: Path) -> None:
    known = commands()
    text = page.read_text(encoding="utf-8")
    calls = [*re.findall(r"`(?:\.venv/bin/)?rankine ([^`\n]+)`", text)]
    calls += re.findall(r"^(?:\w+=\S+ )*\.venv/bin/rankine ([^\n#]+)", text, re.MULTILINE)
    for call in calls:
        words = [word for word in shlex.split(call) if word != "..."]
        verb = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        if verb.isupper():
            continue  # `rankine VERB`
        assert verb in known, call
        assert len(words) == 1 or not hasattr(known[verb], "commands"), call
        options = {
            option for parameter in known[verb].params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        flags = [word for word in words if word.startswith("-")]
        assert set(flags) <= options, call
    for flag in re.findall(r"`(--[a-z-]+)", text):
        assert any(flag in parameter.opts for command in known.values() for parameter in command.params), flag


def test_every_verb_is_explained() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for verb, command in commands().items():
        assert hasattr(command, "commands") or f"rankine {verb}" in text, verb


# recipes and settings


def test_recipes_in_the_pages_are_valid() -> None:
    found = [block for page in PAGES for block in blocks(page, "toml") if page.name != "add-a-model.md"]
    assert len(found) >= 4
    for block in found:
        check_toml(tomllib.loads(block.text))


def check_toml(values: dict[str, Any]) -> None:
    """A recipe, a part of one, what a schema.toml holds, or one table of it."""
    if values.keys() <= {f.name for f in dataclasses.fields(Recipe)}:
        figures = values.get("expect", {}).get("figures", {})
        whole = {"name": "page", "data": {"shop": "small"}, "models": {name: {} for name in figures}, **values}
        if figures and "evaluate" not in values:
            whole["evaluate"] = {"protocol": "ratings"}
        recipe = from_dict(Recipe, whole)
        if "path" in recipe.data:
            from_dict(DataConfig, recipe.data)
    elif values.keys() <= {f.name for f in dataclasses.fields(DataConfig)}:
        from_dict(DataConfig, {"path": "here", **values})
    else:
        from_dict(TableConfig, values)


def test_recipes_that_ship_are_short() -> None:
    assert len(shipped_recipes()) >= 7
    for path in shipped_recipes():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 15, path.name


def keys_of(config: type) -> dict[str, str]:
    """The keys of a settings class and their defaults, as a page writes them: none for a mapping or a table."""
    found = {}
    for field in dataclasses.fields(config):
        if field.default is dataclasses.MISSING:
            found[field.name] = "required" if field.default_factory is dataclasses.MISSING else "none"
        elif field.default is None:
            found[field.name] = "none"
        else:
            found[field.name] = f"`{json.dumps(field.default, default=str)}`"
    return found


CONFIGS: dict[str, tuple[type, ...]] = {
    "recipes.md": (Recipe, SessionsConfig, SplitConfig, EvaluateConfig, StagesConfig, CandidatesConfig, Expect),
    "data.md": (DataConfig, TableConfig, EventType, Rules),
    "tuning.md": (Tuned,),
    "features.md": (FeaturesConfig,),
}
IN_WORDS = {
    "see below",  # a table of its own
    "by protocol",  # an empty list of metrics
    "the file's name",
}


@pytest.mark.parametrize("page", CONFIGS)
def test_every_key_is_explained_with_its_default(page: str) -> None:
    shown = [(name, default) for key, default, _ in tables(page)["key", "default", "what"] for name in names([key])]
    wanted = [pair for config in CONFIGS[page] for pair in keys_of(config).items()]
    assert sorted(name for name, _ in shown) == sorted(name for name, _ in wanted)
    for pair in shown:
        assert pair in wanted or pair[1] in IN_WORDS, pair


def test_the_settings_of_the_shop_are_listed_with_their_defaults() -> None:
    rows = tables("data.md")
    shown = {names([name])[0]: default for name, default, _ in rows["setting", "default (small)", "what"]}
    assert shown == keys_of(ShopConfig)
    for size, *counts in rows["size", "users", "items", "events", "days"]:
        shop = shop_config(names([size])[0])
        expected = [f"{n:,}" for n in (shop.n_users, shop.n_items, shop.n_events, shop.n_days)]
        assert counts == expected
    assert names([row[0] for row in rows["size", "users", "items", "events", "days"]]) == list(SIZES)


def test_every_setting_of_the_service_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for row in settings.table():
        assert f"| `{row.name}` | `{row.variable}` | `{row.default}` |" in text


# tables that repeat what the code says


def test_event_types_are_worth_what_the_table_says() -> None:
    rows = tables("data.md")["event_type", "feedback", "weight", ""]
    shown = {names([name])[0]: (feedback, float(weight)) for name, feedback, weight, _ in rows}
    assert shown == {name: (str(t.feedback), t.weight) for name, t in EVENT_TYPES.items()}
    hiding = [names([name])[0] for name, _, _, note in rows if note.startswith("hides")]
    assert hiding == [name for name, t in EVENT_TYPES.items() if t.hides]


def choices(config: type, field: str) -> list[str]:
    return list(typing.get_args(typing.get_type_hints(config)[field]))


def test_kinds_splits_protocols_metrics_and_sources_are_complete() -> None:
    data, recipes, evaluation, serving = map(tables, ("data.md", "recipes.md", "evaluation.md", "serving.md"))
    first: dict[str, list[str]] = {
        "kinds": names([row[0] for row in data["kind", "what", "how it may be written"]]),
        "splits": names([row[0] for row in evaluation["`by`", "test is", "in order of time"]]),
        "protocols": names([row[0] for row in evaluation["protocol", "one question is", "ranked are"]]),
        "metrics": [
            n.partition("@")[0] for n in names([r[0] for r in evaluation["metric", "one case gives", "better"]])
        ],
        "sources": names([row[0] for row in serving["source", "rests on"]]),
    }
    assert first == {
        "kinds": [str(kind) for kind in Kind],
        "splits": choices(SplitConfig, "by"),
        "protocols": choices(EvaluateConfig, "protocol"),
        "metrics": list(METRICS),
        "sources": [source.name.lower() for source in sorted(Source, reverse=True)],
    }
    for name, _, better in evaluation["metric", "one case gives", "better"]:
        metric = METRICS[names([name])[0].partition("@")[0]]
        assert ("@k" in name, better) == (
            metric.family in ("rank", "list"),
            "higher" if metric.higher_is_better else "lower",
        )
    usual = {names([row[0]])[0]: tuple(names(row[1:])) for row in recipes["protocol", "metrics without `metrics`"]}
    assert usual == DEFAULT_METRICS


def test_parameters_of_the_service_are_complete() -> None:
    rows = tables("serving.md")["parameter", "default", "what"]
    shown = {names([name])[0]: default.strip("`") for name, default, _ in rows}
    assert shown.pop("context.NAME") == "none"
    words = {None: "none", (): "empty", False: "false"}
    expected = {name: words.get(p.default, str(p.default)) for name, p in RECOMMEND.items()}
    assert shown == {**expected, "at": "now"}


def test_models_that_pages_name_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"\]\((?:docs/)?models\.md#([\w-]+)\)", prose(page)):
            assert name in MODELS, f"{page.name}: {name}"
    rows = tables("models.md")["name", "model", "looks at", "answers from"]
    assert [names([row[0]])[0] for row in rows] == list(MODELS)
    ledger = tables("ledger.md")["recipe", "model", "metric", "published", "tolerance", "source"]
    assert {names([row[1]])[0].split(" ")[0] for row in ledger} <= set(MODELS)


# blocks that run


@dataclasses.dataclass
class Workshop:
    """A folder in which pages are played: commands run in order, what they print is compared with the page."""

    folder: Path
    port: int
    server: subprocess.Popen[str] | None = None

    def play(self, page: Path, skip: str = "\0") -> int:
        """Run the blocks of a page; how many answers were compared."""
        output, compared = None, 0
        for block in blocks(page):
            if block.kind in ("bash", "python") and skip not in block.text:
                output = self.run(block)
            elif block.kind == "text" and output is not None:
                compare(block, output.replace(f":{self.port}", ":8000"), page)
                output, compared = None, compared + 1
        return compared

    def run(self, block: Block) -> str:
        """What a block prints on standard output; a service is left running."""
        if "rankine serve" in block.text:
            return self.serve(block.text)
        if block.kind == "python":
            return self.evaluate(block.text)
        text = block.text.replace("make demo", f"{RANKINE}demo").replace(":8000", f":{self.port}")
        lines = text.splitlines(keepends=True)
        printed = self.shell("".join(line for line in lines if not line.startswith(RANKINE)))
        return printed + "".join(self.call(line) for line in lines if line.startswith(RANKINE))

    def shell(self, text: str) -> str:
        done = subprocess.run(["bash", "-ec", text], cwd=self.folder, env=environment(self.port), capture_output=True,
                              text=True, timeout=120)  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def call(self, line: str) -> str:
        """What a command prints; here, not in a process of its own, because imports take longer than most commands."""
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(io.StringIO()) as printed:
            app(shlex.split(line.removeprefix(RANKINE)), standalone_mode=False)
        return printed.getvalue()

    def evaluate(self, text: str) -> str:
        """What a Python block prints, here too."""
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(text, "block", "exec"), {})
        return printed.getvalue()

    def serve(self, command: str) -> str:
        """Start a service, after killing the one that may be running, and wait until it answers."""
        self.stop()
        self.server = subprocess.Popen(["bash", "-ec", f"exec env {command}"], cwd=self.folder, text=True,
                                       env=environment(self.port), stdout=subprocess.PIPE)  # fmt: skip
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        for _ in range(200):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz"):
                return line
            time.sleep(0.05)
        raise AssertionError(f"no answer from {command!r}: {line}")

    def stop(self) -> None:
        if self.server is not None:
            self.server.send_signal(signal.SIGKILL)
            self.server.communicate()
            self.server = None


def environment(port: int) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("RANKINE_", "PYTEST_", "COV_"))}
    return {**kept, "RANKINE_PORT": str(port), "PYTHONPATH": str(ROOT / "src")}


def compare(block: Block, output: str, page: Path) -> None:
    """The output must be the block; `...` stands for anything, blanks do not count, decimals may differ a little."""
    decimal = r"\d+\.\d+"
    parts = re.split(rf"(\.\.\.|{decimal})", block.text)
    pattern = "".join(
        ".*" if part == "..." else rf"({decimal})~" if re.fullmatch(decimal, part) else re.escape("".join(part.split()))
        for part in parts
    )
    found = re.fullmatch(pattern, "".join(re.sub(rf"({decimal})", r"\1~", output).split()), re.DOTALL)
    place = f"{page.relative_to(ROOT)} line {block.line}"
    assert found, f"{place} shows\n{block.text}\nbut it printed\n{output}"
    shown = [part for part in parts if re.fullmatch(decimal, part)]
    for ours, theirs in zip(shown, found.groups(), strict=True):
        assert abs(float(ours) - float(theirs)) <= TOLERANCE, f"{place} shows {ours}, but it is {theirs}"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("workshop")
    script = folder / ".venv" / "bin" / "rankine"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from rankine.cli import main; main()" "$@"\n')
    script.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = Workshop(folder, port)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RANKINE_")]:
            patch.delenv(name)
        yield made
    made.stop()


@pytest.fixture(scope="module")
def tutorial(workshop: Workshop) -> Workshop:
    """The folder after the tutorial: the demo's run and a shop of one's own."""
    assert workshop.play(ROOT / "docs" / "tutorial.md") >= 12
    return workshop


def test_the_tutorial_runs_and_prints_what_it_shows(tutorial: Workshop) -> None:
    made = {path.name for path in (tutorial.folder / "runs").iterdir()}
    assert {"demo", "my-shop", "my-shop.events.sqlite", "big-shop"} <= made


@pytest.mark.parametrize(("page", "n_answers"), [("serving.md", 13), ("data.md", 0), ("recipes.md", 0),
                                                 ("evaluation.md", 0), ("conventions.md", 1), ("tuning.md", 2),
                                                 ("features.md", 2)])  # fmt: skip
def test_other_pages_run_and_print_what_they_show(page: str, n_answers: int, tutorial: Workshop) -> None:
    assert tutorial.play(ROOT / "docs" / page, skip="~/data") == n_answers


def test_the_run_folder_holds_what_the_page_lists(tutorial: Workshop) -> None:
    listed = {names([row[0]])[0] for row in tables("evaluation.md")["file", "what"]}
    run = tutorial.folder / "runs" / "my-shop"
    assert {path.name for path in run.iterdir()} == {name.partition("/")[0] for name in listed}
    model = {path.name for path in (run / "models" / "markov").iterdir()}
    assert model == {"recommender.json", "encoder.json", "weights.safetensors", "vocab"}
    rows = {names([row[0]])[0]: names(row[1:]) for row in tables("evaluation.md")["file", "what"]}
    units = pl.read_parquet(run / "per_unit.parquet").columns
    assert {"model", "session", "n_cases"} == set(rows["per_unit.parquet"]) & set(units)
    assert rows["items.parquet"] == ["item_id", "title", "category", "n_events"]
    assert set(rows["items.parquet"]) == set(pl.read_parquet(run / "items.parquet").columns)
    assert set(rows["visitors.parquet"]) == set(pl.read_parquet(run / "visitors.parquet").columns)


def test_routes_are_those_of_the_service(tutorial: Workshop) -> None:
    if tutorial.server is None:
        tutorial.serve(".venv/bin/rankine serve runs/demo")
    with urllib.request.urlopen(f"http://127.0.0.1:{tutorial.port}/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(names([row[0] for row in tables("serving.md")["route", "what"]])) == routes


def test_the_readme_snippet_prints_three_lines(workshop: Workshop) -> None:
    (snippet,) = blocks(ROOT / "README.md", "python")
    lines = workshop.run(snippet).splitlines()
    assert len(lines) == 3
    assert all(re.fullmatch(r"i-\d{5} \d+\.\d+", line) for line in lines)


def test_the_order_export_of_the_data_page_is_read_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "schema.toml").write_text(blocks(ROOT / "docs" / "data.md", "toml")[0].text, encoding="utf-8")
    head = "order,customer,articles,ordered_at,status,total,coupon\n"
    (tmp_path / "orders-2025.csv").write_text(
        f'{head}1,7,"[""a1"",""a2""]",2025-11-02T10:00:00Z,paid,20.5,12\n2,7,"[""a1""]",2025-11-03,open,9,\n'
    )
    (tmp_path / "orders-2026.csv").write_text(f'{head}3,8,"[""a2""]",2026-01-05 08:30,paid,3,12\n')
    (tmp_path / "articles.csv").write_text("number,name,secret\na1,Cup,x\na2,Pot,y\n")
    read = read_dataset(tmp_path)
    assert read.counts["events"] == {"read": 4, "accepted": 3, "rejected": 0, "filtered": 1}
    assert read.dataset.events["item_id"].to_list() == ["a1", "a2", "a2"]
    assert read.dataset.events["event_type"].unique().to_list() == ["purchase"]
    assert read.dataset.schema.context == {"order": Kind.NUMBER, "coupon": Kind.CATEGORY}
    assert read.dataset.items.columns == ["item_id", "title"]
    assert read.dataset.schema.event_type("dislike").weight == -1


# the page that adds a model

CHECK = """
import sys
from pathlib import Path

import pytest
import rankine
from rankine.cli import app

root = Path(sys.argv[1])
assert Path(rankine.__file__).is_relative_to(root), rankine.__file__
assert pytest.main([sys.argv[2], "-k", "recency", "-p", "no:cacheprovider", "-p", "no:xdist"]) == 0
shop = rankine.generate(rankine.shop_config(n_users=60, n_items=80, n_events=1500)).dataset
fitted = rankine.fit("recency", shop)
fitted.save(root / "saved")
ranking = rankine.Recommender.load(root / "saved").recommend(k=5)
assert ranking == fitted.recommend(k=5) and len(ranking) == 5
assert ranking[0].item_id == shop.events["item_id"][-1], ranking
app(["run", str(root / "recency.toml"), "--out", str(root / "run")], standalone_mode=False)
app(["models"], standalone_mode=False)
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package to which the page's file and the page's line were added."""
    root, page = tmp_path_factory.mktemp("extended"), ROOT / "docs" / "add-a-model.md"
    shutil.copytree(ROOT / "src" / "rankine", root / "rankine")
    (file,) = blocks(page, "python")
    (line,) = blocks(page, "text")
    assert line.text.count("\n") == 1
    (path,) = re.findall(r"^`src/(rankine/models/\S+\.py)`", prose(page), re.MULTILINE)
    (root / path).write_text(file.text, encoding="utf-8")
    table = root / "rankine" / "models" / "__init__.py"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    lines.insert(lines.index("MODELS = _Models(\n") + 2, line.text)
    table.write_text("".join(lines), encoding="utf-8")
    return root


def test_a_model_is_one_file_and_one_line(extended: Path) -> None:
    def changes(found: filecmp.dircmp[str], below: str = "") -> Iterator[str]:
        yield from (f"{below}{name}" for name in (*found.left_only, *found.right_only, *found.diff_files))
        for name, inner in found.subdirs.items():
            yield from changes(inner, f"{below}{name}/")

    found = filecmp.dircmp(ROOT / "src" / "rankine", extended / "rankine", ignore=["__pycache__"])
    assert sorted(changes(found)) == ["models/__init__.py", "models/baselines/recency.py"]
    before, after = (folder / "models" / "__init__.py" for folder in (ROOT / "src" / "rankine", extended / "rankine"))
    assert len(after.read_text().splitlines()) == len(before.read_text().splitlines()) + 1


def test_the_new_model_passes_the_contract_and_is_saved_listed_and_run(extended: Path) -> None:
    (recipe,) = blocks(ROOT / "docs" / "add-a-model.md", "toml")
    data = 'data = { shop = "small", n_users = 60, n_items = 80, n_events = 1500 }\n'
    (extended / "recency.toml").write_text(f"{data}{recipe.text}popularity = {{}}\n", encoding="utf-8")
    tests = str(ROOT / "tests" / "contract" / "test_models.py")
    done = subprocess.run([sys.executable, "-c", CHECK, str(extended), tests], capture_output=True, text=True, cwd=ROOT,
                          env={**environment(0), "PYTHONPATH": str(extended)}, timeout=300)  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) > 5
    assert re.search(r"^recency +Recency +taken a moment ago +min_events=1", done.stdout, re.MULTILINE), done.stdout
    run: Mapping[str, Any] = json.loads((extended / "run" / "run.json").read_text())
    assert sorted(run["chain"]) == ["popularity", "recency"]
