"""The results of a run as the report reads them: a plain mapping (`metrics.json`) becomes a few small dataclasses.

Every part may be missing or null; a number that is missing, NaN or infinite is `None` here and a dash on the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankine.errors import DataError

LOWER_IS_BETTER = frozenset({"rmse", "mse", "mae", "logloss", "brier", "ece", "calibration"})
ACRONYMS = frozenset({"ndcg", "mrr", "hr", "map", "rmse", "mse", "mae", "auc", "gauc", "ece"})
OTHER_MARK = 8


@dataclass(frozen=True)
class Metric:
    """A metric by its name, such as `recall@20` or `rmse`."""

    name: str

    @property
    def base(self) -> str:
        return self.name.partition("@")[0].lower()

    @property
    def k(self) -> int | None:
        """Length of the list the metric looks at, if its name states one."""
        tail = self.name.partition("@")[2].split()
        return int(tail[0]) if tail and tail[0].isdigit() else None

    @property
    def lower_is_better(self) -> bool:
        return self.base in LOWER_IS_BETTER

    @property
    def text(self) -> str:
        """The name inside a sentence: recall@20, NDCG@20, log loss."""
        word = self.base.upper() if self.base in ACRONYMS else self.base.replace("logloss", "log loss")
        return word + self.name[len(self.base) :]

    @property
    def title(self) -> str:
        """The name as a heading: Recall@20."""
        return self.text[:1].upper() + self.text[1:]


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, where one was computed."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def span(self) -> tuple[float, float]:
        """Both ends of the interval; the mean twice where there is none."""
        if self.low is None or self.high is None:
            return self.mean, self.mean
        return self.low, self.high

    @property
    def width(self) -> float:
        return self.span[1] - self.span[0]


@dataclass(frozen=True)
class Curve:
    """A metric on the validation part by epoch; `best` is the epoch that was kept."""

    metric: Metric
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    best: int | None

    def at(self, epoch: int) -> float | None:
        return dict(zip(self.epochs, self.values, strict=True)).get(epoch)


@dataclass(frozen=True)
class Bucket:
    """The primary metric over the targets that were seen this often in training."""

    name: str
    n: int | None
    estimate: Estimate | None


@dataclass(frozen=True)
class Model:
    """One model: who it is, its figures, its learning curve, and its figures by warmth of the target."""

    name: str
    label: str
    summary: str
    mark: int
    baseline: str | None
    letter: str
    metrics: Mapping[str, Estimate]
    popularity: float | None
    fit_s: float | None
    score_ms: float | None
    curve: Curve | None
    buckets: tuple[Bucket, ...]
    trials: int | None = None


@dataclass(frozen=True)
class Pair:
    """A tested difference, `a` minus `b`."""

    a: str
    b: str
    metric: str
    difference: Estimate
    p: float | None
    p_holm: float | None
    distinguishable: bool


def number(value: Any) -> float | None:
    """`value` as a float, or `None` unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def whole(value: Any) -> int | None:
    """`value` as an int, or `None` unless it is a finite number."""
    found = number(value)
    return None if found is None else round(found)


def table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping at `key`, empty where it is missing or null. Raises DataError for anything else."""
    found = values.get(key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise DataError(f"`{key}` of the results must be a table; got {type(found).__name__}")
    return found


def rows(values: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The mappings listed at `key`, none where it is missing or null. Raises DataError for anything else."""
    found = values.get(key)
    if found is None:
        return []
    if not isinstance(found, Sequence) or isinstance(found, str) or not all(isinstance(r, Mapping) for r in found):
        raise DataError(f"`{key}` of the results must be a list of tables; got {type(found).__name__}")
    return list(found)


def estimate(value: Any, mean: str = "mean") -> Estimate | None:
    """The estimate in a mapping with `mean`, `low` and `high`, or in a bare number."""
    if not isinstance(value, Mapping):
        found = number(value)
        return None if found is None else Estimate(found)
    centre = number(value.get(mean))
    return None if centre is None else Estimate(centre, number(value.get("low")), number(value.get("high")))


def read_model(values: Mapping[str, Any]) -> Model:
    """One entry of `models`."""
    name = str(values.get("name") or values.get("label") or "model")
    metrics = {key: found for key, value in table(values, "metrics").items() if (found := estimate(value))}
    mark = whole(values.get("mark"))
    return Model(
        name=name,
        label=str(values.get("label") or name),
        summary=str(values.get("summary") or ""),
        mark=mark if mark is not None and 1 <= mark <= OTHER_MARK else OTHER_MARK,
        baseline=values.get("baseline"),
        letter=str(values.get("letter") or ""),
        metrics=metrics,
        popularity=number(values.get("popularity")),
        fit_s=number(values.get("fit_s")),
        score_ms=number(values.get("score_ms")),
        curve=_curve(table(values, "curve")),
        buckets=tuple(_bucket(row) for row in rows(values, "by_temperature")),
        trials=whole(values.get("trials")),
    )


def read_pair(values: Mapping[str, Any]) -> Pair | None:
    """One entry of `pairs`, or `None` if it lacks a number for the difference."""
    difference = estimate(values, "difference")
    if difference is None:
        return None
    return Pair(
        a=str(values.get("a")),
        b=str(values.get("b")),
        metric=str(values.get("metric")),
        difference=difference,
        p=number(values.get("p")),
        p_holm=number(values.get("p_holm")),
        distinguishable=bool(values.get("distinguishable")),
    )


def _curve(values: Mapping[str, Any]) -> Curve | None:
    epochs, points = values.get("epochs") or [], values.get("values") or []
    known = [(int(e), v) for e, p in zip(epochs, points, strict=False) if (v := number(p)) is not None]
    if not known:
        return None
    at, heights = zip(*known, strict=True)
    return Curve(Metric(str(values.get("metric") or "metric")), at, heights, whole(values.get("best")))


def _bucket(values: Mapping[str, Any]) -> Bucket:
    return Bucket(str(values.get("bucket")), whole(values.get("n")), estimate(values))
