"""The run folder: what an experiment leaves behind, and what a service starts from.

recipe.toml  environment.json  metrics.json  per_unit.parquet  report.html  run.json  rejects.jsonl (where rows were rejected)
models/NAME/  items.parquet  visitors.parquet
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from rankine.config import to_dict
from rankine.data.schema import Schema
from rankine.errors import ConfigError
from rankine.evaluation.compare import Comparison
from rankine.evaluation.report import write as write_report
from rankine.pipeline import Pipeline
from rankine.progress import track
from rankine.recommender import Recommender, Stages, fit_arrays
from rankine.retrieval.stages import TwoStageConfig
from rankine.runs.catalogue import catalogue, visitors
from rankine.runs.experiment import Experiment, run_experiment
from rankine.runs.prepare import fit_encoder
from rankine.runs.recipe import Recipe, folder_of
from rankine.runs.results import compare_models, per_unit, results, versions
from rankine.runs.source import open_source


@dataclass(frozen=True)
class Run:
    """A finished run, read back from its folder."""

    folder: Path

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """The run in a folder. Raises ConfigError for a folder that is none."""
        path = Path(folder)
        if not (path / "run.json").is_file():
            raise ConfigError(f"`{path}` is no run folder (no run.json): make one with `rankine run RECIPE`")
        run = cls(path)
        if missing := sorted({"name", "chain", "schema"} - run._facts.keys()):
            raise ConfigError(f"`{path / 'run.json'}` lacks {', '.join(missing)}: run the recipe again")
        return run

    @property
    def name(self) -> str:
        """The name of its recipe."""
        return str(self._facts["name"])

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return _read_json(self.folder / "run.json")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json."""
        return _read_json(self.folder / "metrics.json")

    @property
    def schema(self) -> Schema:
        """The schema of the data that the run saw."""
        return Schema.from_dict(self._facts["schema"])

    def recommenders(self) -> list[Recommender]:
        """The saved models, best first; two of them one behind the other share what each of them is."""
        stages, chain = self._facts.get("stages", {}), self._facts["chain"]
        names = {name for key in chain for name in stages.get(key, {"": key}).values() if isinstance(name, str)}
        loaded = {name: Recommender.load(self.folder / "models" / name) for name in sorted(names)}
        return [_stages(key, stages[key], loaded) if key in stages else loaded[key] for key in chain]

    def pipeline(self) -> Pipeline:
        """The chain that answers requests."""
        return Pipeline(self.recommenders(), _read_table(self.folder / "items.parquet"))

    def visitors(self) -> pl.DataFrame:
        """Histories of known users: user_id, items, weights, last_time, hidden."""
        return _read_table(self.folder / "visitors.parquet")


def run(
    recipe: Recipe, recipe_text: str, *, root: Path | None = None, out: Path | None = None, command: str = ""
) -> Run:
    """Run a recipe and leave a run folder, by default runs/NAME; a folder of that name becomes NAME.previous.

    The folder appears whole or not at all. Raises RankineError, for a folder that is no run before any work.
    """
    target = out or Path("runs") / recipe.name
    check_target(target)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        source = open_source(recipe, root, partial / "rejects.jsonl")
        experiment = run_experiment(recipe, source)
        comparison = compare_models(experiment)
        (partial / "recipe.toml").write_text(recipe_text, encoding="utf-8")
        write_results(partial, experiment, comparison, command)
        write_models(partial, experiment, comparison)
    except BaseException:
        keep_rejects(partial, target)
        raise
    replace_folder(partial, target)
    return Run.open(target)


def write_results(folder: Path, experiment: Experiment, comparison: Comparison, command: str) -> None:
    """metrics.json, environment.json, per_unit.parquet and report.html."""
    found = results(experiment, comparison, command)
    _write_json(folder / "metrics.json", found)
    _write_json(folder / "environment.json", environment())
    per_unit(experiment).write_parquet(folder / "per_unit.parquet")
    write_report(found, folder / "report.html")


def write_models(folder: Path, experiment: Experiment, comparison: Comparison) -> None:
    """The models fitted once more, to all events, with the settings that the comparison kept; and what a service needs besides."""
    recipe, dataset = experiment.recipe, experiment.source.dataset
    encoder = fit_encoder(recipe, dataset)
    data = encoder.events(dataset.events)
    for key in track([key for key in comparison.order if key in recipe.models], "fitting to all events"):
        fitted = fit_arrays(key, encoder, data, experiment.models[key].settings, seed=recipe.seed)
        fitted.save(folder / "models" / folder_of(key))
    catalogue(dataset).write_parquet(folder / "items.parquet")
    visitors(dataset, encoder).write_parquet(folder / "visitors.parquet")
    stages = {
        key: {"retrieve": folder_of(entry.retrieve), "rank": folder_of(entry.rank), "candidates": entry.candidates}
        for key, entry in recipe.stages.items()
    }
    chain = [key if key in stages else folder_of(key) for key in comparison.order]
    facts = {"name": recipe.name, "chain": chain, "stages": stages, "schema": to_dict(dataset.schema)}
    _write_json(folder / "run.json", facts)


def environment() -> dict[str, Any]:
    """Where the figures were reached."""
    return {"versions": versions(), "cores": os.cpu_count(), "machine": platform.machine(), "system": platform.system()}


def check_target(target: Path) -> None:
    """Raise ConfigError where a run folder cannot go."""
    if target.name in ("", ".."):
        raise ConfigError(f"`{target}` is no name for a run folder: choose one such as runs/first with --out")
    if target.exists() and not (target / "run.json").is_file():
        raise ConfigError(f"`{target}` exists and is no run folder: choose another name with --out")


def replace_folder(new: Path, target: Path) -> None:
    """Put a finished folder in its place; what stood there becomes NAME.previous."""
    check_target(target)
    if target.exists():
        previous = target.with_name(target.name + ".previous")
        shutil.rmtree(previous, ignore_errors=True)
        target.rename(previous)
    new.rename(target)


def keep_rejects(partial: Path, target: Path) -> None:
    """After a failure keep the rejected rows beside the run that was not made."""
    rejects = partial / "rejects.jsonl"
    if rejects.is_file():
        rejects.replace(target.with_name(target.name + ".rejects.jsonl"))
    shutil.rmtree(partial, ignore_errors=True)


def _stages(key: str, entry: Mapping[str, Any], loaded: Mapping[str, Recommender]) -> Stages:
    config = TwoStageConfig(candidates=entry["candidates"])
    return Stages(key, loaded[entry["retrieve"]], loaded[entry["rank"]], config)


def _read_table(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigError(f"`{path}` cannot be read ({error}): run the recipe again") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"`{path}` is not valid JSON: {error}; make the run again") from None
    return found


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")
