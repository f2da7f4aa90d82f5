"""What holds for all verbs: help, errors, and plain text where nobody looks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from rankine import __version__
from rankine.cli import app
from rankine.models import MODELS

ANSI = re.compile(r"\x1b\[")


def verbs(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb with its command."""
    top: Any = typer.main.get_command(app)
    for name, command in (group or top).commands.items():
        if hasattr(command, "commands"):
            yield from verbs(command, (*path, name))
        else:
            yield (*path, name), command


every_verb = pytest.mark.parametrize(("path", "command"), [pytest.param(*v, id=" ".join(v[0])) for v in verbs()])


@every_verb
def test_help_says_what_a_verb_does_and_what_each_option_means(path: tuple[str, ...], command: Any) -> None:
    found = CliRunner().invoke(app, [*path, "--help"])
    assert found.exit_code == 0
    assert str(command.help).split(":")[0].split(".")[0] in " ".join(found.stdout.split())
    for parameter in command.params:
        if parameter.name != "help":
            assert getattr(parameter, "help", None), parameter.name
            assert str(parameter.help).split()[0] in found.stdout
    assert not ANSI.search(found.stdout)


def test_the_first_page_lists_every_verb() -> None:
    found = CliRunner().invoke(app, ["--help"])
    assert found.exit_code == 0
    for path, _ in verbs():
        assert re.search(rf"^  {path[0]} ", found.stdout, re.MULTILINE), path
    assert "[OPTIONS] COMMAND" in CliRunner().invoke(app, []).output


def test_the_version_is_that_of_the_package() -> None:
    found = CliRunner().invoke(app, ["--version"])
    assert (found.exit_code, found.stdout) == (0, f"rankine {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "no-such"), "no recipe `no-such`"),
        (("run", "no-such.toml"), "no file `no-such.toml`"),
        (
            ("run", "rsc15-neighbours", "--data", "nowhere"),
            "recipe `rsc15-neighbours` reads `rsc15-100k`, which is not",
        ),
        (("recommend", "no-such"), "`no-such` is no run folder"),
        (("serve", "no-such"), "`no-such` is no run folder"),
        (("reproduce",), "name a recipe, or use --list"),
        (("reproduce", "shop-small"), "recipe `shop-small` has no [expect]: use `rankine run shop-small`"),
        (("reproduce", "online-retale"), "did you mean `online-retail`?"),
        (("data", "describe", "no-such"), "no file or folder `no-such`"),
        (("data", "shop", "out", "--size", "huge"), "cannot have the size 'huge'"),
    ],
)
def test_what_a_user_can_mend_is_one_line_on_standard_error(
    arguments: tuple[str, ...],
    message: str,
    rankine: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    found = rankine(*arguments)
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("rankine: ")
    assert found.err.count("\n") == 1
    assert message in found.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "arguments", [("runn",), ("run",), ("run", "shop-small", "--oout", "x"), ("recommend", ".", "--k", "x")]
)
def test_a_command_line_that_makes_no_sense_is_refused(arguments: tuple[str, ...], rankine: Callable[..., Any]) -> None:
    found = rankine(*arguments)
    assert (found.code, found.out) == (2, "")
    assert "Traceback" not in found.err
    assert "Error: " in found.err


def test_a_file_that_cannot_be_written_is_no_traceback(
    recipe: Path, rankine: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    found = rankine("run", recipe, "--out", tmp_path / "file" / "run")
    assert found.code == 2
    assert re.fullmatch(r"rankine: .*: `.*`\n", found.err)


def test_no_escape_code_reaches_a_pipe(spawn: Callable[..., Any], folder: Path) -> None:
    for arguments in (("recommend", folder, "--k", "3", "--user", "nobody"), ("run", "no-such")):
        found = spawn(*arguments)
        assert not ANSI.search(found.stdout + found.stderr), arguments
        assert "Traceback" not in found.stderr
        assert found.returncode == (0 if arguments[0] == "recommend" else 2)


def test_a_reader_that_has_left_is_no_traceback(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [str(Path(sys.executable).with_name("rankine")), "recommend", str(folder)]
    found = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(writer)
    assert "Traceback" not in found.stderr


def test_models_are_listed_with_their_settings(rankine: Callable[..., Any]) -> None:
    found = rankine("models")
    assert (found.code, found.err) == (0, "")
    first = [line.split()[0] for line in found.out.splitlines()[1:] if not line.startswith(" ")]
    assert first == list(MODELS)
    assert "neighbours=100" in found.out
    assert "MISSING" not in found.out
