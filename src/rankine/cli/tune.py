"""rankine tune: the best settings of every model of a recipe, each with the same budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rankine.cli.show import console, data_root
from rankine.config import read_toml
from rankine.data.split_time import seconds_of
from rankine.errors import ConfigError
from rankine.runs import load
from rankine.runs.recipe import find

if TYPE_CHECKING:
    from rankine.runs.tuned import Winner


def tune_command(
    recipe: Annotated[str, typer.Argument(help="A recipe file with a validation part, or the name of one that ships.")],
    trials: Annotated[int, typer.Option(help="Trials of each model; the first is the recipe as it is.")] = 30,
    timeout: Annotated[
        str | None, typer.Option(help="Begin no more rounds of trials after this time, such as 45m or 2h.")
    ] = None,
    models: Annotated[str, typer.Option(help="Keys of the models to tune, with commas between; default all.")] = "",
    data: Annotated[
        Path | None, typer.Option(help="Folder that the recipe's data path starts from; default $RANKINE_DATA.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The search folder; default runs/NAME.tune.")] = None,
) -> None:
    """Search settings on the validation part, as many trials for every model; run again to go on after a stop."""
    from rankine.runs.tune import tune

    path = find(recipe)
    loaded = load(path)
    folder = out or Path("runs") / f"{loaded.name}.tune"
    only = [key.strip() for key in models.split(",") if key.strip()]
    limit = None if timeout is None else seconds(timeout)
    try:
        winners = tune(loaded, read_toml(path), root=data_root(data), out=folder, only=only, n_trials=trials, timeout_s=limit,
                       say=console.print)  # fmt: skip
    except KeyboardInterrupt:
        console.print(f"\nStopped. Finished trials are kept in {folder}: the same command goes on from there.")
        raise typer.Exit(130) from None
    console.print(table(winners, loaded.evaluate.names[0]))
    console.print(f"Compare them on the test: rankine run {folder / 'tuned.toml'}")


def seconds(text: str) -> float:
    """The seconds of a duration. Raises ConfigError."""
    try:
        return seconds_of(text, "--timeout")
    except ConfigError:
        raise ConfigError(f"--timeout expects a time such as 90s, 45m or 2h; got {text!r}") from None


def table(winners: Sequence[Winner], metric: str) -> Table:
    """One row per model: its trials, what the default and the best settings reach, and the best settings."""
    found = Table(box=None, header_style="bold", pad_edge=False)
    found.add_column("model")
    for name in ("trials", "pruned", "failed", f"default {metric}", "best", "gain"):
        found.add_column(name, justify="right")
    found.add_column("best settings")
    for winner in winners:
        default, best = winner.start.value or 0.0, winner.best.value or 0.0
        counts = [str(n) for n in (len(winner.study.tried), winner.count("pruned"), winner.count("failed"))]
        settings = ", ".join(f"{name}={'none' if value is None else value}" for name, value in winner.settings.items())
        gain = f"{abs(best - default) / default:.1%}" if default else ""
        found.add_row(winner.key, *counts, f"{default:.4f}", f"{best:.4f}", gain, settings or "nothing to search")
    return found
