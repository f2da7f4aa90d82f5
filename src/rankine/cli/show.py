"""What several verbs print: tables of models and rankings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rankine.pipeline import Answer
from rankine.runs import Run

console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)  # titles may hold [brackets] and :colons:
if not console.is_terminal:
    console.width = 200  # a file or a pipe has no width to respect


def data_root(given: Path | None) -> Path | None:
    """The folder that data paths of recipes start from: the option, else $RANKINE_DATA, else none."""
    if given is not None:
        return given
    return Path(os.environ["RANKINE_DATA"]) if os.environ.get("RANKINE_DATA") else None


def comparison(found: Mapping[str, Any]) -> Table:
    """The models of a run, best first, with letters, intervals and times."""
    primary, metrics = found["protocol"]["primary"], found["protocol"]["metrics"]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    table.add_column("model")
    table.add_column(primary, justify="right")
    table.add_column("95 % interval", justify="right")
    for metric in metrics[1:]:
        table.add_column(metric, justify="right")
    table.add_column("fit", justify="right")
    table.add_column("per case", justify="right")
    digits = 3 if "@" in primary else 4
    for model in found["models"]:
        first = model["metrics"][primary]
        rest = [f"{model['metrics'][m]['mean']:.{digits}f}" if m in model["metrics"] else "" for m in metrics[1:]]
        table.add_row(
            model["letter"],
            model["name"],
            f"{first['mean']:.{digits}f}",
            span(first, digits),
            *rest,
            f"{model['fit_s']:.2f} s",
            f"{model['score_ms']:.2f} ms",
        )
    if found["oracle"]:
        best = [f"{found['oracle'][m]:.3f}" if m in found["oracle"] else "" for m in metrics]
        table.add_row("", "best reachable", best[0], "", *best[1:], "", "", style="dim")
    return table


def span(figure: Mapping[str, float | None], digits: int) -> str:
    """The ends of an interval, empty where there is none."""
    low, high = figure["low"], figure["high"]
    return "" if low is None or high is None else f"{low:.{digits}f} to {high:.{digits}f}"


def summary(run: Run) -> None:
    """The headline, the table and where the rest is."""
    found = run.metrics
    console.print(comparison(found))
    console.print(
        "Models that share a letter are not distinguishable (paired bootstrap, Holm-corrected, 5 %).", style="dim"
    )
    for row in found["expect"]:
        verdict = "reached" if row["ok"] else "MISSED"
        console.print(
            f"{verdict}: {row['model']} {row['metric']} {row['value']:.4f}, "
            f"published {row['published']:g} +- {row['tolerance']:g} ({row['source']})"
        )
    console.print(f"Report: {run.folder / 'report.html'}")


def ranking(answer: Answer) -> Table:
    """One answer, best first, with what each place rests on."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("#", justify="right")
    for name in ("item", "title", "category", "source", "model", "why"):
        table.add_column(name)
    for number, place in enumerate(answer.places, start=1):
        table.add_row(
            str(number), place.item_id, place.title or "", place.category or "", place.source, place.model, place.reason
        )
    return table
