"""Who is better than whom by the primary metric, read from the corrected tests and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from rankine.evaluation.report.results import OTHER_MARK, Metric, Model, Pair, read_model, read_pair
from rankine.evaluation.report.values import Estimate, number, rows, table

LOGGED = "click_rate"  # what a log earned, the same for every model
POLICIES = frozenset({"ips", "snips"})  # estimates of what a model would have earned


@dataclass(frozen=True)
class Gain:
    """By how much one model is better than another: positive is better, whatever the metric."""

    estimate: Estimate
    distinguishable: bool


@dataclass(frozen=True)
class Reference:
    """A value that all models are held against: what it is beside its number, and in a sentence."""

    value: float
    label: str
    meaning: str


@dataclass(frozen=True)
class Comparison:
    """The models best first, the tests between them, and the best value any model can reach."""

    primary: Metric
    models: tuple[Model, ...]
    pairs: tuple[Pair, ...]
    oracle: float | None

    @cached_property
    def scored(self) -> tuple[Model, ...]:
        """The models that have a value of the primary metric, best first."""
        return tuple(m for m in self.models if self.primary.name in m.metrics)

    @cached_property
    def tested(self) -> bool:
        """Whether any two models were tested against each other by the primary metric."""
        return bool(self._gains)

    @cached_property
    def reference(self) -> Reference | None:
        """The best value any model can reach, or what a log of shown items earned by itself; `None` where neither is known."""
        if self.oracle is not None:
            return Reference(self.oracle, "best reachable", "best any model can reach on this data")
        earned = [m.metrics[LOGGED].mean for m in self.scored if LOGGED in m.metrics]
        if self.primary.base not in POLICIES or not earned:
            return None
        return Reference(earned[0], "the log earned", "mean reward of the log itself")

    @cached_property
    def leaders(self) -> tuple[Model, ...]:
        """The best model and those that no test tells from it or from each other; at least the best one."""
        found: list[Model] = []
        for model in self.scored:
            if all(self.same(model, other) for other in found):
                found.append(model)
        return tuple(found)

    @cached_property
    def highlighted(self) -> tuple[Model, ...]:
        """The leaders where tests name them; nobody where no test was made."""
        return self.leaders if self.tested else ()

    def value(self, model: Model) -> Estimate:
        """The primary metric of a scored model."""
        return model.metrics[self.primary.name]

    def gain(self, a: Model, b: Model) -> Gain | None:
        """How much better `a` is than `b`, or `None` if the two were not tested."""
        return self._gains.get((a.name, b.name))

    def beats(self, a: Model, b: Model) -> bool:
        """Whether the corrected test says that `a` is better than `b`."""
        gain = self.gain(a, b)
        return gain is not None and gain.distinguishable and gain.estimate.mean > 0

    def same(self, a: Model, b: Model) -> bool:
        """Whether the two were tested and are not distinguishable."""
        gain = self.gain(a, b)
        return gain is not None and not gain.distinguishable

    def baseline(self, kind: str) -> Model | None:
        """The best baseline of a kind: `popularity` or `neighbourhood`."""
        return next((m for m in self.scored if m.baseline == kind), None)

    @cached_property
    def _gains(self) -> dict[tuple[str, str], Gain]:
        known = {m.name for m in self.scored}
        found: dict[tuple[str, str], Gain] = {}
        for pair in self.pairs:
            if pair.metric == self.primary.name and {pair.a, pair.b} <= known:
                forward, backward = pair.difference, _negative(pair.difference)
                if self.primary.lower_is_better:
                    forward, backward = backward, forward
                found[pair.a, pair.b] = Gain(forward, pair.distinguishable)
                found[pair.b, pair.a] = Gain(backward, pair.distinguishable)
        return found


def read_comparison(results: Mapping[str, Any]) -> Comparison:
    """The comparison in the content of a `metrics.json`. Raises DataError for a part of the wrong kind."""
    models = _told_apart([read_model(row) for row in rows(results, "models")])
    primary = Metric(_primary(results, models))
    pairs = [pair for row in rows(results, "pairs") if (pair := read_pair(row))]
    oracle = number(table(results, "oracle").get(primary.name))
    return Comparison(primary, tuple(_best_first(models, primary)), tuple(pairs), oracle)


def _told_apart(models: Sequence[Model]) -> list[Model]:
    """The models, those whose mark another one has with a free one, as long as there are any; baselines keep theirs."""
    order = sorted(range(len(models)), key=lambda i: (models[i].baseline is None, models[i].name))
    owner: dict[int, int] = {}
    for i in order:
        owner.setdefault(models[i].mark, i)
    free = iter(mark for mark in range(1, OTHER_MARK + 1) if mark not in owner)
    marks = {i: models[i].mark if owner[models[i].mark] == i else next(free, models[i].mark) for i in order}
    return [replace(model, mark=marks[i]) for i, model in enumerate(models)]


def _primary(results: Mapping[str, Any], models: Sequence[Model]) -> str:
    protocol = table(results, "protocol")
    named = protocol.get("primary") or next(iter(protocol.get("metrics") or []), None)
    return str(named or next((name for m in models for name in m.metrics), "metric"))


def _best_first(models: Sequence[Model], primary: Metric) -> list[Model]:
    sign = 1 if primary.lower_is_better else -1
    unknown = float("inf")

    def key(model: Model) -> float:
        value = model.metrics.get(primary.name)
        return unknown if value is None else sign * value.mean

    return sorted(models, key=key)


def _negative(value: Estimate) -> Estimate:
    low, high = value.low, value.high
    return Estimate(-value.mean, None if high is None else -high, None if low is None else -low)
