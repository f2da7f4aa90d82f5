"""The command line: one file per verb."""

from __future__ import annotations

import os
import sys

import typer

from rankine import __version__
from rankine.cli import data, demo, models, recommend, reproduce, run, serve, tune
from rankine.errors import RankineError

app = typer.Typer(
    name="rankine", help="A ranking engine: from raw events to served recommendations.", no_args_is_help=True,
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip
app.add_typer(data.app, name="data")
app.command("run")(run.run_command)
app.command("tune")(tune.tune_command)
app.command("models")(models.models_command)
app.command("recommend")(recommend.recommend_command)
app.command("serve")(serve.serve_command)
app.command("reproduce")(reproduce.reproduce_command)
app.command("demo")(demo.demo_command)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"rankine {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """A ranking engine: from raw events to served recommendations."""


def main() -> None:
    """Run the command line; what a user can mend is one line on standard error and exit status 2."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads must not spin on a busy machine
    try:
        app()
    except RankineError as error:
        typer.echo(f"rankine: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        where = f": `{error.filename}`" if error.filename else ""
        typer.echo(f"rankine: {error.strerror or error}{where}", err=True)
        sys.exit(2)
