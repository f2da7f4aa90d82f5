"""The results of a run as the report reads them: a plain mapping (`metrics.json`) becomes a few small dataclasses.

Every part may be missing or null; a number that is missing, NaN or infinite is `None` here and a dash on the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from rankine.evaluation.report.clicks import Clicks, Drop, read_clicks, read_drops
from rankine.evaluation.report.values import Estimate, estimate, number, numbers, rows, table, whole

LOWER_IS_BETTER = frozenset({"rmse", "mse", "mae", "logloss", "normalised_entropy", "brier", "ece", "calibration"})
ACRONYMS = frozenset({"ndcg", "mrr", "hr", "map", "rmse", "mse", "mae", "auc", "gauc", "ece", "ips", "snips"})
NO_ZERO = frozenset({"auc", "gauc", "accuracy"})  # bars from zero would say nothing: half or more comes by itself
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
    def from_zero(self) -> bool:
        """Whether zero is where nothing was achieved, so that bars begin there."""
        return self.base not in NO_ZERO

    @property
    def text(self) -> str:
        """The name inside a sentence: recall@20, NDCG@20, log loss."""
        word = (
            self.base.upper() if self.base in ACRONYMS else self.base.replace("logloss", "log loss").replace("_", " ")
        )
        return word + self.name[len(self.base) :]

    @property
    def title(self) -> str:
        """The name as a heading: Recall@20."""
        return self.text[:1].upper() + self.text[1:]


@dataclass(frozen=True)
class Curve:
    """A metric on the validation part by epoch; `best` is the epoch that was kept.

    loss: mean training loss of the same epochs, where it was kept; drops: epochs after which the learning rate was lowered;
    others: the points of the same model from other seeds.
    """

    metric: Metric
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    best: int | None
    loss: tuple[float | None, ...] = ()
    drops: tuple[int, ...] = ()
    others: tuple[tuple[tuple[int, float], ...], ...] = ()

    def at(self, epoch: int) -> float | None:
        return dict(zip(self.epochs, self.values, strict=True)).get(epoch)


@dataclass(frozen=True)
class Bucket:
    """The primary metric over the targets that were seen this often in training."""

    name: str
    n: int | None
    estimate: Estimate | None


@dataclass(frozen=True)
class Stages:
    """A model that ranks what another one found: who finds, how many, and what share of the targets is among them by metric."""

    first: str
    candidates: int | None
    ceiling: Mapping[str, Estimate]


@dataclass(frozen=True)
class Seeds:
    """Figures of the same model fitted from several seeds, by metric."""

    n: int
    values: Mapping[str, tuple[float, ...]]

    def deviation(self, metric: str) -> float | None:
        """The standard deviation over the seeds, as of a sample."""
        found = self.values.get(metric, ())
        return stdev(found) if len(found) > 1 else None


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
    n_parameters: int | None = None
    table_parameters: int | None = None
    precision: str = ""
    rows_per_s: float | None = None
    seeds: Seeds | None = None
    stages: Stages | None = None
    clicks: Clicks | None = None
    drops: tuple[Drop, ...] = ()


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


def read_model(values: Mapping[str, Any]) -> Model:
    """One entry of `models`."""
    name = str(values.get("name") or values.get("label") or "model")
    metrics = {key: found for key, value in table(values, "metrics").items() if (found := estimate(value))}
    mark, training = whole(values.get("mark")), table(values, "training")
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
        n_parameters=whole(values.get("n_parameters")),
        table_parameters=whole(values.get("table_parameters")),
        precision=str(training.get("precision") or ""),
        rows_per_s=number(training.get("rows_per_s")),
        seeds=_seeds(table(values, "fits")),
        stages=_stages(table(values, "stages")),
        clicks=read_clicks(table(values, "clicks")),
        drops=read_drops(table(values, "importance")),
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
    known = _points(values)
    if not known:
        return None
    at, heights = zip(*known, strict=True)
    epochs = [whole(e) for e in numbers(values, "epochs")]
    losses = dict(zip(epochs, numbers(values, "loss"), strict=False))
    return Curve(
        metric=Metric(str(values.get("metric") or "metric")),
        epochs=at,
        values=heights,
        best=whole(values.get("best")),
        loss=tuple(losses.get(e) for e in at) if any(v is not None for v in losses.values()) else (),
        drops=tuple(int(e) for e in numbers(values, "drops") if e is not None),
        others=tuple(points for row in rows(values, "others") if (points := _points(row))),
    )


def _points(values: Mapping[str, Any]) -> tuple[tuple[int, float], ...]:
    pairs = zip(numbers(values, "epochs"), numbers(values, "values"), strict=False)
    return tuple((int(e), v) for e, v in pairs if e is not None and v is not None)


def _seeds(values: Mapping[str, Any]) -> Seeds | None:
    n = whole(values.get("n"))
    if n is None or n < 2:
        return None
    by_metric = table(values, "values")
    return Seeds(n, {key: tuple(v for v in numbers(by_metric, key) if v is not None) for key in by_metric})


def _stages(values: Mapping[str, Any]) -> Stages | None:
    ceiling = {key: found for key, value in table(values, "ceiling").items() if (found := estimate(value))}
    return (
        Stages(str(values.get("first") or "first stage"), whole(values.get("candidates")), ceiling) if values else None
    )


def _bucket(values: Mapping[str, Any]) -> Bucket:
    return Bucket(str(values.get("bucket")), whole(values.get("n")), estimate(values))
