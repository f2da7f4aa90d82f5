"""What a search leaves behind: the trials as a table, and the recipe with the best settings filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from rankine.models.tuning import Value
from rankine.runs.recipe import Recipe
from rankine.runs.study import Study, Tried

SCHEMA = {"model": pl.String, "trial": pl.Int64, "state": pl.String, "value": pl.Float64, "best": pl.Boolean, "epochs": pl.Int64,
          "seconds": pl.Float64, "settings": pl.String, "error": pl.String}  # fmt: skip


@dataclass(frozen=True)
class Winner:
    """A model after its search."""

    key: str
    study: Study

    @property
    def best(self) -> Tried:
        """The best trial."""
        return self.study.best

    @property
    def start(self) -> Tried:
        """Trial 0: the settings of the recipe, with the model's defaults for the rest."""
        return self.study.tried[0]

    def count(self, state: str) -> int:
        """How many trials ended so."""
        return sum(tried.state == state for tried in self.study.tried)

    @property
    def settings(self) -> dict[str, Value]:
        """What was searched, at its best, and the epochs that went with it."""
        return {**self.best.settings, **({} if self.best.epochs is None else {"epochs": self.best.epochs})}

    @property
    def facts(self) -> dict[str, Any]:
        """What a report says about the search, as it stands under [tuned] of a recipe."""
        value, default = (round(tried.value or 0.0, 6) for tried in (self.best, self.start))
        return {"trials": len(self.study.tried), "settings": list(self.study.space), "value": value, "default": default}


def merged(settings: Mapping[str, Any], tried: Mapping[str, Value]) -> dict[str, Any]:
    """The settings with those that were tried; one tried without a value is left out."""
    return {name: value for name, value in {**settings, **tried}.items() if value is not None}


def write_trials(winners: Sequence[Winner], path: Path) -> None:
    """One row per trial: model, trial, state, value, whether it is the best, epochs, seconds, settings as JSON, error."""
    rows = [
        {
            "model": winner.key,
            "trial": tried.number,
            "state": tried.state,
            "value": tried.value,
            "best": tried == winner.best,
            "epochs": tried.epochs,
            "seconds": tried.seconds,
            "settings": json.dumps(tried.settings),
            "error": tried.error,
        }
        for winner in winners
        for tried in winner.study.tried
    ]
    pl.DataFrame(rows, schema=SCHEMA).write_parquet(path)


def write_tuned(values: Mapping[str, Any], recipe: Recipe, winners: Sequence[Winner], path: Path) -> None:
    """The recipe as it was read, named NAME-tuned, with the best settings and what was done to find them."""
    models = dict(recipe.models)
    models.update({winner.key: merged(recipe.models[winner.key], winner.settings) for winner in winners})
    before = values.get("tuned", {})
    found = {winner.key: winner.facts for winner in winners if winner.study.space or winner.key not in before}
    tuned = {**before, **found}
    path.write_text(
        toml({**values, "name": f"{recipe.name}-tuned", "models": models, "tuned": tuned}), encoding="utf-8"
    )


def toml(values: Mapping[str, Any]) -> str:
    """A recipe as TOML: [models] and [tuned] as tables with a line each, everything else on a line of its own before them."""
    tables = {name: values[name] for name in ("models", "tuned") if name in values}
    lines = [f"{_key(name)} = {_plain(value)}" for name, value in values.items() if name not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{_key(key)} = {_plain(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_plain(entry)}" for key, entry in value.items() if entry is not None)
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, (int, float)) else value.isoformat()


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _plain(name)
