"""How a model of a recipe comes to be: watched on the validation part, then fitted to everything before the test."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rankine.models import MODELS
from rankine.models.base import Model
from rankine.recommender import Recommender, can_stop, fit_arrays, new_model
from rankine.runs.prepare import Prepared, Validation
from rankine.runs.recipe import Recipe, model_name
from rankine.runs.warm_up import warm_up


@dataclass(frozen=True)
class Learned:
    """A fitted model, the settings it was fitted with, its learning curve where it has one, and how long the fit took."""

    recommender: Recommender
    settings: Mapping[str, Any]
    curve: dict[str, Any] | None
    seconds: float


@dataclass
class Watch:
    """Writes down what a model reaches on the validation part after each epoch, and its loss."""

    key: str
    part: Validation
    stop: Callable[[int, float], bool] = lambda *_: False
    epochs: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    losses: list[float | None] = field(default_factory=list)

    def validate(self, model: Model) -> float:
        """The figure of the model as it stands, higher is better."""
        self.values.append(self.part.value(self.key, model))
        return self.values[-1] if self.part.higher_is_better else -self.values[-1]

    def __call__(self, epoch: int, model: Model, **seen: float) -> bool:
        """A monitor that asks `stop`; where training validates, it has done so for this epoch."""
        self.epochs.append(epoch)
        self.losses.append(seen.get("loss"))
        if "validation" not in seen:
            self.validate(model)
        return self.stop(epoch, self.values[-1])

    @property
    def best(self) -> int:
        """The best epoch, the first of equal ones (1-based)."""
        return self.epochs[int((np.argmax if self.part.higher_is_better else np.argmin)(self.values))]


@dataclass(frozen=True)
class Rehearsal:
    """A fit to the training part: what came of it, its learning curve, and the settings that a fit to more events takes over."""

    recommender: Recommender
    curve: dict[str, Any]
    settings: Mapping[str, Any]
    seconds: float


def learn(key: str, recipe: Recipe, part: Prepared, valid: Validation | None, seed: int) -> Learned:
    """Fit one model of the recipe on what it may learn from.

    A model with epochs takes as many as were best on the validation events of this very fold, unless they follow a schedule. Where
    models are not fitted again, one whose training kept its best epoch stays as it is.
    """
    settings, curve = dict(recipe.models[key]), None
    warm_up(model_name(key), part.data, settings)
    if MODELS[model_name(key)].iterative and valid is not None:
        tried = rehearse(key, settings, valid, seed)
        settings, curve = {**settings, **tried.settings}, tried.curve
        if not recipe.evaluate.refit and can_stop(tried.recommender.model):
            return Learned(tried.recommender, settings, curve, tried.seconds)
    start = time.perf_counter()
    recommender = fit_arrays(key, part.encoder, part.data, settings, seed=seed)
    return Learned(recommender, settings, curve, time.perf_counter() - start)


def rehearse(key: str, settings: Mapping[str, Any], part: Validation, seed: int) -> Rehearsal:
    """Fit to the training part and ask the validation part after each epoch."""
    watch, start = Watch(key, part), time.perf_counter()
    fitted = fit_arrays(key, part.encoder, part.data, settings, seed=seed, monitor=watch, validate=watch.validate)
    seconds, training = time.perf_counter() - start, fitted.training
    curve = {"metric": part.metric, "epochs": watch.epochs, "values": watch.values, "best": watch.best}
    if any(loss is not None for loss in watch.losses):
        curve["loss"] = watch.losses
    kept: Mapping[str, Any] = {} if new_model(model_name(key), settings).scheduled else {"epochs": watch.best}
    if training is not None and can_stop(fitted.model):
        curve |= {"best": training.best_epoch, "drops": list(training.drop_epochs)}
        kept = training.schedule
    return Rehearsal(fitted, curve, kept, seconds)
