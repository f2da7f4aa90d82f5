"""Where a recipe's data comes from: a folder of files, or a generated shop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rankine.config import from_dict, to_dict
from rankine.data.dataset import Dataset
from rankine.data.readers import DataConfig, read_dataset
from rankine.data.sessions import filter_support, with_sessions
from rankine.data.synthetic import (
    ClicksConfig,
    Oracle,
    ShopConfig,
    generate,
    generate_clicks,
    shop_config,
)
from rankine.errors import ConfigError
from rankine.runs.recipe import Recipe


@dataclass(frozen=True)
class Source:
    """A dataset ready for its split, what was read and rejected on the way, and the oracle of a generated one."""

    dataset: Dataset
    folder: Path | None = None
    oracle: Oracle | None = None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def open_source(recipe: Recipe, root: Path | None = None, rejects: Path | None = None) -> Source:
    """Read or generate the recipe's data and cut it into sessions as the recipe says. Raises ConfigError, DataError."""
    if "shop" in recipe.data:
        source = _shop(recipe)
    elif "clicks" in recipe.data:
        source = _clicks(recipe)
    else:
        source = _files(recipe, root, rejects)
    return replace(source, **_with_sessions(source, recipe))


def _shop(recipe: Recipe) -> Source:
    settings = {name: value for name, value in recipe.data.items() if name != "shop"}
    usual = to_dict(shop_config(str(recipe.data["shop"]), seed=recipe.seed))
    shop = generate(from_dict(ShopConfig, {**usual, **settings}, "[data] with a shop"))
    return Source(shop.dataset, oracle=shop.oracle)


def _clicks(recipe: Recipe) -> Source:
    if others := [name for name in recipe.data if name != "clicks"]:
        raise ConfigError(
            f"[data] with `clicks` has no `{others[0]}`: settings stand inside, `clicks = {{ n_rows = 100000 }}`"
        )
    config = from_dict(ClicksConfig, {"seed": recipe.seed, **recipe.data["clicks"]}, "`clicks` of [data]")
    made = generate_clicks(config)
    note = f"generated clicks: their true probabilities reach an AUC of {made.best_auc:.4f} and a log loss of {made.best_logloss:.4f}"
    return Source(made.dataset, notes=(note,))


def _files(recipe: Recipe, root: Path | None, rejects: Path | None) -> Source:
    if "path" not in recipe.data:
        raise ConfigError('[data] needs `path = "FOLDER"`, `shop = "small"` or `clicks = {}`')
    config = from_dict(DataConfig, recipe.data, "[data]")
    folder = (root or Path()) / Path(config.path).expanduser()
    if not folder.exists():
        where = f"below {root}" if root else "here; --data DIR or $RANKINE_DATA names the folder to look in"
        raise ConfigError(f"recipe `{recipe.name}` reads `{config.path}`, which is not {where}")
    read = read_dataset(config, root=root, rejects=rejects)
    return Source(read.dataset, folder, counts=read.counts, notes=tuple(read.warnings))


def _with_sessions(source: Source, recipe: Recipe) -> dict[str, Any]:
    dataset, notes, settings = source.dataset, list(source.notes), recipe.sessions
    if settings.gap_minutes is not None and not dataset.has_sessions:
        dataset = with_sessions(dataset, gap_minutes=settings.gap_minutes)
    if settings.min_length > 1 or settings.min_support > 1:
        dataset, removed = filter_support(dataset, settings.min_length, settings.min_support, iterate=settings.iterate)
        notes.append("filtered: " + ", ".join(f"{count:,} {what}" for what, count in removed.items()))
    return {"dataset": dataset, "notes": tuple(notes)}
