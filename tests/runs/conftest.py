"""One small shop, run once for all tests of this folder, and a way to write recipes and folders of events."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.runs import Recipe, Run, load, run
from rankine.runs.experiment import Experiment, run_experiment
from rankine.runs.results import compare_models, results
from rankine.runs.source import Source, open_source

SHOP = """
title = "A tiny shop"
data = { shop = "small", n_users = 150, n_items = 60, n_topics = 4, n_events = 5000, n_days = 20, new_item_share = 0.1 }
sessions = { collapse_repeats = true }
split = { by = "time", test = "3d", valid = "2d" }
[models]
popularity = {}
"popularity context" = { context = ["device"] }
markov = {}
vsknn = {}
als = { epochs = 5, embedding_dim = 8 }
"""
START = 1_760_000_000.0


@pytest.fixture(scope="session")
def shop_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "tiny-shop.toml"
    path.write_text(SHOP, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def shop_run(shop_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run folder of the tiny shop; tests read it and leave it as it is."""
    out = tmp_path_factory.mktemp("runs") / "shop"
    return run(load(shop_recipe), SHOP, out=out, command="rankine run tiny-shop.toml")


@pytest.fixture(scope="session")
def shop_experiment(shop_recipe: Path) -> Experiment:
    """The experiment of the tiny shop, in memory."""
    recipe = load(shop_recipe)
    return run_experiment(recipe, open_source(recipe))


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[..., Path]:
    """Writes a recipe file from text."""

    def write(text: str, name: str = "tiny") -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def parsed(write_recipe: Callable[..., Path]) -> Callable[..., Recipe]:
    """The recipe in a text."""

    def parse(text: str, name: str = "tiny") -> Recipe:
        return load(write_recipe(text, name))

    return parse


@pytest.fixture(scope="session")
def log() -> Callable[..., pl.DataFrame]:
    """Events of 40 users on 25 items over 20 days, in sessions, with a rating, a fold and a part of their own."""

    def make(n: int = 900, seed: int = 3) -> pl.DataFrame:
        rng = np.random.default_rng(seed)
        time = START + np.sort(rng.uniform(0, 20 * 86_400, n))
        user = rng.integers(0, 40, n)
        liked = user % 5
        item = np.where(rng.random(n) < 0.6, liked * 5 + rng.integers(0, 5, n), rng.integers(0, 25, n))
        return pl.DataFrame(
            {
                "user_id": [f"u{u}" for u in user],
                "item_id": [f"i{i}" for i in item],
                "timestamp": time,
                "session_id": [f"u{u}/{int((t - START) // 172_800)}" for u, t in zip(user, time, strict=True)],
                "value": 1.0 + (item % 5 == 0) + rng.integers(0, 3, n),
                "fold": rng.integers(1, 4, n),
                "split": np.where(np.arange(n) < 0.7 * n, "train", np.where(np.arange(n) < 0.85 * n, "valid", "test")),
            }
        )

    return make


@pytest.fixture
def experiment(parsed: Callable[..., Recipe], log: Callable[..., pl.DataFrame]) -> Callable[..., Experiment]:
    """Runs a recipe on the log; `data` is left out of its text."""

    def go(text: str, events: pl.DataFrame | None = None, folder: Path | None = None) -> Experiment:
        recipe = parsed(f'data = {{ path = "here" }}\n{text}')
        return run_experiment(recipe, Source(Dataset.from_frames(log() if events is None else events), folder))

    return go


@pytest.fixture
def found() -> Callable[[Experiment], dict[str, Any]]:
    """What an experiment writes to metrics.json, as it is read back; anything not finite fails."""

    def read(experiment: Experiment) -> dict[str, Any]:
        text = json.dumps(results(experiment, compare_models(experiment), "rankine run"), allow_nan=False)
        return dict(json.loads(text))

    return read
