"""rankine run: a recipe becomes a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rankine.cli.show import data_root, summary
from rankine.runs import load, run
from rankine.runs.recipe import find


def run_command(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of one that ships with Rankine.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder that the recipe's data path starts from; default $RANKINE_DATA.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder; default runs/NAME.")] = None,
) -> None:
    """Train and compare the models of a recipe; leave metrics, report and models in a run folder."""
    path = find(recipe)
    made = run(
        load(path), path.read_text(encoding="utf-8"), root=data_root(data), out=out, command=f"rankine run {recipe}"
    )
    summary(made)
