"""The ledger: every published figure that a recipe claims, and the run that shows it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rankine.runs.experiment import run_experiment
from rankine.runs.recipe import Recipe, load, shipped_recipes
from rankine.runs.results import expectations
from rankine.runs.source import open_source


def reproduce(recipe: Recipe, root: Path | None) -> Iterator[dict[str, Any]]:
    """Run a recipe and give one row per figure: recipe, model, metric, value, published, tolerance, source, ok, seconds."""
    start = time.perf_counter()
    experiment = run_experiment(recipe, open_source(recipe, root))
    seconds = round(time.perf_counter() - start, 1)
    for row in expectations(experiment):
        yield {**row, "seconds": seconds}


def claims() -> list[dict[str, Any]]:
    """Every figure that the shipped recipes claim, without running anything."""
    rows = []
    for path in shipped_recipes():
        recipe = load(path)
        rows += [
            {
                "recipe": recipe.name,
                "model": e.model,
                "metric": e.metric,
                "published": e.value,
                "tolerance": e.tolerance,
                "or_better": e.or_better,
                "source": e.source,
            }
            for e in recipe.expectations
        ]
    return rows


def ledger_page() -> str:
    """The ledger as a page of Markdown."""
    lines = [
        "# Published figures",
        "",
        "Every row is a claim of a recipe; `rankine reproduce NAME` runs it and says how far off it is.",
        "",
        "| recipe | model | metric | published | tolerance | source |",
        "|---|---|---|---|---|---|",
    ]
    for row in claims():
        tolerance = f"{row['tolerance']:g}" + (" or better" if row["or_better"] else "")
        lines.append(
            f"| `{row['recipe']}` | `{row['model']}` | {row['metric']} | {row['published']:g} | {tolerance} | {row['source']} |"
        )
    return "\n".join(lines) + "\n"
