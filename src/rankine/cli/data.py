"""rankine data: look at a dataset, or write a generated one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from rankine.cli.show import console
from rankine.data.describe import describe, render
from rankine.data.synthetic import shop_config, write

app = typer.Typer(help="Look at a dataset, or write a generated one.", no_args_is_help=True)


@app.command("describe")
def describe_command(folder: Annotated[Path, typer.Argument(help="A dataset folder.")]) -> None:
    """Print counts, time span, sparsity, repeats, cold share, popularity, and what looks wrong."""
    typer.echo(render(describe(folder)))


@app.command("shop")
def shop_command(
    folder: Annotated[Path, typer.Argument(help="Where the tables are written.")],
    size: Annotated[str, typer.Option(help="small, medium or large.")] = "small",
    seed: Annotated[int, typer.Option(help="Equal seeds write equal shops.")] = 42,
) -> None:
    """Write a generated shop: users, items and events with planted taste."""
    start = time.perf_counter()
    write(shop_config(size, seed=seed), folder)
    console.print(f"Wrote a {size} shop to {folder} in {time.perf_counter() - start:.1f} s")
