"""One fitted model before the cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rankine.arrays import Array
from rankine.evaluation.cases import Cases
from rankine.evaluation.evaluate import evaluate_clicks, evaluate_logged, evaluate_ranking, evaluate_ratings
from rankine.evaluation.evaluation import Evaluation
from rankine.features.events import EventArrays
from rankine.models.base import ClickModel, Model, RatingModel
from rankine.runs.recipe import EvaluateConfig


def judge(
    model: Model,
    cases: Cases,
    settings: EvaluateConfig,
    data: EventArrays,
    description: str,
    metrics: Sequence[str] | None = None,
) -> Evaluation:
    """One fitted model on all cases of a protocol, on its metrics or the given ones; `data` is what it was fitted to."""
    names = settings.names if metrics is None else metrics
    if settings.protocol == "ratings":
        assert isinstance(model, RatingModel) and data.value is not None
        values = data.ratings[2]
        return evaluate_ratings(model.rate, cases, names, (float(values.min()), float(values.max())))
    if settings.protocol == "impressions":
        assert isinstance(model, ClickModel)
        return evaluate_clicks(model.probability, cases, names, description)
    if settings.protocol == "logged":
        return evaluate_logged(model.scorer(), cases, names, temperature=settings.temperature, description=description)
    return evaluate_ranking(model.scorer(), cases, names, item_counts(data), description)


def item_counts(data: EventArrays) -> Array:
    """Positive training events per item, int64 [N]."""
    return np.bincount(data.item_idx[data.weight > 0], minlength=data.n_items)
