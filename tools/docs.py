"""Writes the generated pages of docs/ again: python -m tools.docs (or `make docs`). `pages()` is what the tests compare with."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from pathlib import Path

from rankine.models import MODELS
from rankine.models.base import Model
from rankine.runs.ledger import ledger_page
from rankine.serving.settings import table

DOCS = Path(__file__).resolve().parents[1] / "docs"


def pages() -> dict[str, str]:
    """The generated pages by file name."""
    return {"models.md": models_page(), "ledger.md": ledger_page(), "settings.md": settings_page()}


def models_page() -> str:
    """Every model: what it looks at, its mathematics and its settings."""
    lines = [
        "# Models",
        "",
        "Generated from the models themselves. A recipe names them by the name in front.",
        "",
        "| name | model | looks at | answers from |",
        "|---|---|---|---|",
    ]
    for name, model in MODELS.items():
        source = model().source.name.lower()
        lines.append(f"| [`{name}`](#{name}) | {model.label} | {model.summary} | {source} |")
    for name, model in MODELS.items():
        lines += ["", f"## {name}", "", *described(model)]
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """Every setting of the service."""
    lines = [
        "# Settings of the service",
        "",
        "A flag of `rankine serve` goes before the environment, which goes before the default. `rankine serve RUN` keeps its log beside "
        "the",
        "run folder, in `RUN.events.sqlite`, unless flag or environment name another file.",
        "",
        "| setting | environment | default | unit | what it is |",
        "|---|---|---|---|---|",
    ]
    return (
        "\n".join(lines + [f"| `{r.name}` | `{r.variable}` | `{r.default}` | {r.unit} | {r.help} |" for r in table()])
        + "\n"
    )


def described(model: type[Model]) -> list[str]:
    """The docstring of a model's file, and its settings with their defaults and the range that a search goes through."""
    page = inspect.getdoc(sys.modules[model.__module__]) or ""
    lines = ["```text", page, "```", ""]
    fields = dataclasses.fields(model.Config)
    if not fields:
        return [*lines, "No settings."]
    own = [part for part in model.Config.__mro__ if dataclasses.is_dataclass(part)]
    lines += [" ".join(" ".join((inspect.getdoc(part) or "").split()) for part in own), ""]
    lines += ["| setting | default | searched |", "|---|---|---|"]
    return lines + [f"| `{f.name}` | `{f.default!r}` | {model.tuning.get(f.name, '')} |" for f in fields]


def main() -> None:
    """Write every generated page."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
