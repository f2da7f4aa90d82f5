"""A run of a small shop made by the command line, and ways to call it in this process and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankine.cli import app, main
from rankine.runs import Run

SHOP = """
title = "A tiny shop"
data = { shop = "small", n_users = 150, n_items = 60, n_topics = 4, n_events = 5000, n_days = 20, new_item_share = 0.1 }
sessions = { collapse_repeats = true }
split = { by = "time", test = "3d" }
[models]
vsknn = {}
popularity = {}
[expect]
source = "a table [of sorts]"
tolerance = 0.5
figures.vsknn = { "mrr@20" = [0.99, 0.01], "recall@20" = 0.7 }
"""


@dataclass(frozen=True)
class Result:
    """What a command left: exit status, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "tiny-shop.toml"
    path.write_text(SHOP, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def made(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """What `rankine run` said when it made the run."""
    out = tmp_path_factory.mktemp("runs") / "shop"
    found = CliRunner().invoke(app, ["run", str(recipe), "--out", str(out)], catch_exceptions=False)
    return Result(found.exit_code, found.stdout, found.stderr)


@pytest.fixture(scope="session")
def folder(made: Result) -> Path:
    """The run folder."""
    (line,) = [line for line in made.out.splitlines() if line.startswith("Report: ")]
    return Path(line.removeprefix("Report: ")).parent


@pytest.fixture(scope="session")
def shop(folder: Path) -> Run:
    return Run.open(folder)


@pytest.fixture
def rankine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Calls the command line as the script does, in this process."""

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["rankine", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        written = capsys.readouterr()
        return Result(code, written.out, written.err)

    return call


@pytest.fixture
def spawn(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls the installed script in a process of its own, in an empty folder, without a terminal."""

    def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        script = Path(sys.executable).with_name("rankine")
        command = [str(script), *map(str, arguments)]
        kept = {name: value for name, value in os.environ.items() if name != "RANKINE_DATA"}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env={**kept, **environment}, check=False
        )

    return call
