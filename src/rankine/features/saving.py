"""Features on disk: JSON for what was set and fitted, Parquet for vocabularies and side tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from rankine.config import from_dict, to_dict
from rankine.data.schema import Kind
from rankine.data.vocab import Vocab
from rankine.features.columns import Category, Column, Hashed, Tags
from rankine.features.config import FeaturesConfig
from rankine.features.features import Features
from rankine.features.numbers import Log, Quantile, Scaled
from rankine.features.selection import Chosen

COLUMNS: dict[str, Callable[..., Column]] = {c.kind: c for c in (Category, Hashed, Tags, Quantile, Log, Scaled)}


def save_features(features: Features, folder: Path) -> None:
    """Write `features.json`, `users.parquet`, `items.parquet` and a vocabulary per column that has one into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    fields: list[dict[str, Any]] = []
    for place, chosen in enumerate(features.chosen):
        column = features.columns[chosen.name]
        fields.append({"name": chosen.name, "table": chosen.table, "column": chosen.column, "kind": str(chosen.kind)})
        fields[-1] |= {"encoding": _facts(column, folder / f"values-{place}.parquet")}
    facts = {"config": to_dict(features.config), "fields": fields}
    (folder / "features.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    features.users.write_parquet(folder / "users.parquet")
    features.items.write_parquet(folder / "items.parquet")


def load_features(folder: Path) -> Features:
    """The features that `save_features` wrote."""
    facts = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    fields = facts["fields"]
    return Features(
        config=from_dict(FeaturesConfig, facts["config"]),
        chosen=tuple(Chosen(f["name"], f["table"], f["column"], Kind(f["kind"])) for f in fields),
        columns={f["name"]: _column(f["encoding"], folder / f"values-{n}.parquet") for n, f in enumerate(fields)},
        users=pl.read_parquet(folder / "users.parquet"),
        items=pl.read_parquet(folder / "items.parquet"),
    )


def _facts(column: Column, path: Path) -> dict[str, Any]:
    """The column as plain values; its vocabulary goes to the path."""
    facts: dict[str, Any] = {"kind": column.kind}
    for name, value in vars(column).items():
        if isinstance(value, Vocab):
            value.save(path)
        elif isinstance(value, Column):
            facts[name] = _facts(value, path)
        else:
            facts[name] = value
    return facts


def _column(facts: dict[str, Any], path: Path) -> Column:
    values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in facts.items()}
    kind = str(values.pop("kind"))
    if kind == Category.kind:
        values["vocab"] = Vocab.load(path)
    if kind == Tags.kind:
        values["each"] = _column(values["each"], path)
    return COLUMNS[kind](**values)
