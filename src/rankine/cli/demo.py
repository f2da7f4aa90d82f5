"""rankine demo: the whole way on a generated shop."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from rankine.cli.show import console, ranking, summary
from rankine.pipeline import Request
from rankine.runs import Run, load, run
from rankine.runs.recipe import find

RECIPE = "shop-small"


def demo_command(out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo")) -> None:
    """Generate a shop, train and compare models, and rank for a known user, a new user and an anonymous session."""
    start = time.perf_counter()
    console.print(
        "Generating a shop and training the models of recipes/shop-small.toml (about a minute the first time)",
        style="dim",
    )
    path = find(RECIPE)
    made = run(load(path), path.read_text(encoding="utf-8"), out=out, command="rankine demo")
    summary(made)
    pipeline = made.pipeline()
    for title, request in visits(made).items():
        console.print(f"\n{title}", style="bold")
        console.print(ranking(pipeline.answer(request)))
    console.print(f"\nDone in {time.perf_counter() - start:.0f} s. Serve it: .venv/bin/rankine serve {out}")


def visits(made: Run) -> dict[str, Request]:
    """Three requests: a user with a past, one who has just registered, and a session without a name."""
    table = made.visitors().filter(made.visitors()["items"].list.len() >= 10)
    row: dict[str, Any] = table.sort("last_time", "user_id", descending=[True, False]).row(0, named=True)
    pipeline, now = made.pipeline(), row["last_time"]
    session = list(dict.fromkeys(row["items"]))[-2:]
    titles = " and ".join(pipeline.title(item) for item in session)
    known = Request(
        user=row["user_id"], history=row["items"], weights=row["weights"], session_len=0, timestamp=now, k=5
    )
    return {
        f"Known user {row['user_id']}, who took {len(row['items'])} items before": known,
        "New user, nothing known but a phone in the evening": Request(
            user="new", context={"device": "phone", "hour": 20}, k=5
        ),
        f"Anonymous session that saw {titles}": Request(
            history=session, context={"device": "laptop"}, timestamp=now, k=5, exclude_history=True
        ),
    }
