"""rankine models: what can be named in a recipe."""

from __future__ import annotations

import dataclasses

from rich.table import Table

from rankine.cli.show import console
from rankine.models import MODELS


def models_command() -> None:
    """List the models with their settings and defaults."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("name", "model", "looks at", "settings"):
        table.add_column(name)
    for name, model in MODELS.items():
        settings = ", ".join(f"{f.name}={f.default!r}" for f in dataclasses.fields(model.Config))
        table.add_row(name, model.label, model.summary, settings)
    console.print(table)
