"""Prints results as a Markdown table: `table.py factorization`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

HEAD = ("work", "system", "value", "unit", "quality", "MB", "CPU s", "best peer", "floor")
KEYS = ("work", "system", "value", "unit", "quality", "peak_mb", "cpu_s", "ratio_to_best_peer", "ratio_to_floor")


def main(path: Path) -> None:
    """One line per row; ratios are times the best peer and times the floor."""
    found = json.loads(path.read_text(encoding="utf-8"))
    print(", ".join(f"{name} {value}" for name, value in found["machine"].items()), end="\n\n")
    for cells in (HEAD, ["---"] * len(HEAD), *([text(row[key]) for key in KEYS] for row in found["rows"])):
        print(f"| {' | '.join(cells)} |")


def text(value: object) -> str:
    """A cell."""
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
    return "" if value is None else str(value)


if __name__ == "__main__":
    main(Path(__file__).resolve().parent.parent / "results" / f"{sys.argv[1]}.json")
