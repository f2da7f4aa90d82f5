"""Recipes: an experiment in at most 15 lines of TOML, and the figures it is expected to reach."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from rankine.config import from_dict, read_toml, require
from rankine.data.split import SplitConfig
from rankine.errors import ConfigError, closest
from rankine.evaluation.metrics import MetricName
from rankine.features.config import FeaturesConfig
from rankine.models import MODELS

Protocol = Literal["next_item", "user_items", "event_items", "candidates", "ratings", "impressions", "logged"]
DEFAULT_METRICS = {
    "next_item": ("recall@20", "ndcg@20", "mrr@20", "coverage@20", "novelty@20"),
    "user_items": ("recall@20", "ndcg@20", "map@20", "coverage@20", "novelty@20"),
    "event_items": ("hr@10", "ndcg@10"),
    "candidates": ("hr@10", "ndcg@10"),
    "ratings": ("rmse", "mae"),
    "impressions": ("auc", "logloss"),
    "logged": ("snips", "ips", "click_rate", "matched", "effective_rows"),
}
FAMILIES: dict[str, tuple[str, ...]] = {
    "next_item": ("rank", "list"),
    "user_items": ("rank", "list"),
    "event_items": ("rank", "list"),
    "candidates": ("rank",),
    "ratings": ("rating",),
    "impressions": ("binary",),
    "logged": ("policy",),
}
"""The metrics that fit a protocol."""
RANKING = ("next_item", "user_items", "event_items", "candidates")
"""The protocols that rank items."""


@dataclass(frozen=True, kw_only=True)
class SessionsConfig:
    """How events become sessions: the idle gap that ends one where the data has no session_id, and what is left out."""

    gap_minutes: float | None = None
    collapse_repeats: bool = False
    min_length: int = 1
    min_support: int = 1
    iterate: bool = False

    def __post_init__(self) -> None:
        require(self, "gap_minutes", above=0)
        require(self, "min_length", at_least=1)
        require(self, "min_support", at_least=1)


@dataclass(frozen=True, kw_only=True)
class CandidatesConfig:
    """A table of candidate lists: its file and the columns that hold the user and the list of negative items."""

    file: str
    user: str = "user_id"
    negatives: str = "negatives"


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What is asked, of which metrics, the first of them deciding.

    unknown_targets: `miss` counts a target not known in training against every model, `drop` leaves it out before counting;
    first: next_item also asks for the first event of a session; refit: models are fitted again with the validation part, after
    it chose their epochs; else they learn from the training part alone. logged: `propensity` is the column that says how likely the
    log was to show the item, `temperature` how evenly a policy shows items (0: the best one always).
    """

    protocol: Protocol = "next_item"
    metrics: tuple[str, ...] = ()
    exclude_seen: bool = True
    unknown_targets: Literal["miss", "drop"] = "miss"
    first: bool = False
    candidates: CandidatesConfig | None = None
    max_cases: int | None = None
    refit: bool = True
    propensity: str = "propensity"
    temperature: float = 0.0

    def __post_init__(self) -> None:
        require(self, "max_cases", at_least=1)
        require(self, "temperature", at_least=0)
        if (self.protocol == "candidates") != (self.candidates is not None):
            raise ConfigError("the protocol `candidates` and the table [evaluate.candidates] go together")
        families = [MetricName.parse(metric).metric.family for metric in self.names]
        for metric, family in zip(self.names, families, strict=True):
            if family not in FAMILIES[self.protocol]:
                usual = ", ".join(f"`{name}`" for name in DEFAULT_METRICS[self.protocol])
                raise ConfigError(f"metric `{metric}` does not fit the protocol `{self.protocol}`: use such as {usual}")
        if families[0] == "list":
            raise ConfigError(
                f"metric `{self.names[0]}` has no value per case and cannot decide: name another one first"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics, or the usual ones of the protocol."""
        return self.metrics or DEFAULT_METRICS[self.protocol]


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """A published figure: reached within the tolerance, or (`or_better`) on the good side of it."""

    model: str
    metric: str
    value: float
    tolerance: float
    source: str
    or_better: bool = False

    def ok(self, reached: float) -> bool:
        """Whether a figure counts as reached."""
        gap = reached - self.value
        if not MetricName.parse(self.metric).metric.higher_is_better:
            gap = -gap
        return gap >= -self.tolerance and (self.or_better or gap <= self.tolerance)


@dataclass(frozen=True, kw_only=True)
class Expect:
    """The [expect] of a recipe: {model: {metric: value}}, or [value, tolerance] where one figure has its own."""

    source: str
    tolerance: float
    figures: Mapping[str, Mapping[str, float | tuple[float, float]]]
    or_better: bool = False

    def expectations(self) -> list[Expectation]:
        """One Expectation per figure."""
        rows = []
        for model, metrics in self.figures.items():
            for metric, figure in metrics.items():
                value, tolerance = figure if isinstance(figure, tuple) else (figure, self.tolerance)
                rows.append(
                    Expectation(
                        model=model,
                        metric=metric,
                        value=value,
                        tolerance=tolerance,
                        source=self.source,
                        or_better=self.or_better,
                    )
                )
        return rows


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What a search did for a model: trials, the settings it searched, the best validation value and that of the default."""

    trials: int
    settings: tuple[str, ...] = ()
    value: float | None = None
    default: float | None = None

    def __post_init__(self) -> None:
        require(self, "trials", at_least=1)


@dataclass(frozen=True, kw_only=True)
class StagesConfig:
    """Two models of the recipe, one behind the other: `retrieve` finds `candidates` items, `rank` puts them in order."""

    retrieve: str
    rank: str
    candidates: int = 200

    def __post_init__(self) -> None:
        require(self, "candidates", at_least=1)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Data, split, question and models. A model's key is its name in MODELS, plus a word where a recipe has several variants.

    A key may name several models of the same settings, with commas between them: `lr, fm`.
    shared: settings of every model that has them, unless it says otherwise. fits: from how many seeds each model is fitted; figures
    are means over them. features: what click models see of an event. stages: rankings of two models, by the name that the
    comparison gives them.
    """

    name: str
    data: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]
    title: str = ""
    seed: int = 42
    fits: int = 1
    shared: Mapping[str, Any] = field(default_factory=dict)
    features: FeaturesConfig | None = None
    stages: Mapping[str, StagesConfig] = field(default_factory=dict)
    sessions: SessionsConfig = field(default_factory=SessionsConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    expect: Expect | None = None
    tuned: Mapping[str, Tuned] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError(f"recipe `{self.name}` names no model: add a table [models] such as `popularity = {{}}`")
        object.__setattr__(
            self, "models", {key: dict(v) for keys, v in self.models.items() for key in keys.split(", ")}
        )
        for key, values in self.models.items():
            if not re.fullmatch(r"\w+( [\w.]+)?", key):
                how = "a name, or a name and one word for its variant: `popularity week`"
                raise ConfigError(f"model {key!r} must be {how}")
            from_dict(MODELS[model_name(key)].Config, values, f"`{key}` under [models]")
        self._share()
        require(self, "fits", at_least=1)
        self._check_stages()
        for key in self.tuned:
            if key not in self.models:
                raise ConfigError(f"[tuned] names the model `{key}`{closest(key, self.models)}")
        for expected in self.expectations:
            if expected.model not in self.keys:
                raise ConfigError(f"[expect] names the model `{expected.model}`{closest(expected.model, self.keys)}")
            if expected.metric not in self.evaluate.names:
                raise ConfigError(
                    f"[expect] names the metric `{expected.metric}`{closest(expected.metric, self.evaluate.names)}"
                )

    def _share(self) -> None:
        """Give the shared settings to the models that have them."""
        known = {key: {f.name for f in fields(MODELS[model_name(key)].Config)} for key in self.models}
        for name in self.shared:
            if not any(name in names for names in known.values()):
                raise ConfigError(
                    f"[shared] names `{name}`, which no model has{closest(name, set().union(*known.values()))}"
                )
        for key, values in self.models.items():
            merged = {n: v for n, v in self.shared.items() if n in known[key]} | dict(values)
            from_dict(MODELS[model_name(key)].Config, merged, f"`{key}` with the settings of [shared]")
            object.__setattr__(self, "models", {**self.models, key: merged})

    def _check_stages(self) -> None:
        if self.stages and self.evaluate.protocol not in RANKING:
            ranking = ", ".join(f"`{name}`" for name in RANKING)
            raise ConfigError(
                f"[stages] rank items: `{self.evaluate.protocol}` does not ask for that; use one of {ranking}"
            )
        for key, stages in self.stages.items():
            if not re.fullmatch(r"\w[\w. ]*\w", key) or folder_of(key) in {folder_of(other) for other in self.models}:
                raise ConfigError(f"{key!r} under [stages] must be a name of its own, such as `found then ranked`")
            for name in (stages.retrieve, stages.rank):
                if name not in self.models:
                    raise ConfigError(f"`{key}` under [stages] names the model `{name}`{closest(name, self.models)}")

    @property
    def keys(self) -> list[str]:
        """What the comparison compares: the models, and two of them one behind the other."""
        return [*self.models, *self.stages]

    @property
    def seeds(self) -> list[int]:
        """The seeds that models are fitted from."""
        return [self.seed + n for n in range(self.fits)]

    @property
    def expectations(self) -> list[Expectation]:
        """The published figures that the recipe claims to reach."""
        return self.expect.expectations() if self.expect else []


def model_name(key: str) -> str:
    """The name in MODELS of a recipe's model key: `vsknn` of `vsknn wide`."""
    return key.split(" ")[0]


def folder_of(key: str) -> str:
    """The name of the folder in which a model of a run is saved."""
    return key.replace(" ", "-")


def load(source: str | Path) -> Recipe:
    """The recipe in a file, or one that ships with Rankine by its name. Raises ConfigError."""
    path = find(source)
    return from_dict(Recipe, {"name": path.stem, **read_toml(path)}, f"recipe {path.name}")


def find(source: str | Path) -> Path:
    """The file of a recipe: a path, or the name of one that ships with Rankine."""
    path = Path(source)
    if path.suffix == ".toml":
        return path
    shipped = {p.stem: p for p in shipped_recipes()}
    if str(source) not in shipped:
        raise ConfigError(f"no recipe `{source}` (a file needs its ending .toml){closest(str(source), shipped)}")
    return shipped[str(source)]


def shipped_recipes() -> list[Path]:
    """The recipe files that ship with Rankine: beside the sources, or in the installed share folder."""
    folders = (Path(__file__).resolve().parents[3] / "recipes", Path(sys.prefix) / "share" / "rankine" / "recipes")
    for folder in folders:
        if folder.is_dir():
            return sorted(folder.glob("*.toml"))
    return []
