"""rankine reproduce: a published figure, and how far off we are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rankine.cli.show import data_root
from rankine.errors import ConfigError
from rankine.runs import load
from rankine.runs.ledger import ledger_page, reproduce


def reproduce_command(
    name: Annotated[str | None, typer.Argument(help="A recipe that has [expect].")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the data sets; default $RANKINE_DATA.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Print the ledger of all published figures.")] = False,
) -> None:
    """Run a recipe with published figures; one JSON line per figure, exit status 1 if any is off."""
    if list_:
        typer.echo(ledger_page(), nl=False)
        return
    if name is None:
        raise ConfigError("name a recipe, or use --list to see those with published figures")
    recipe = load(name)
    if not recipe.expect:
        raise ConfigError(f"recipe `{recipe.name}` has no [expect]: use `rankine run {name}`")
    all_ok = True
    for row in reproduce(recipe, data_root(data)):
        typer.echo(json.dumps(row))
        all_ok &= row["ok"]
    if not all_ok:
        raise typer.Exit(1)
