"""Two models of a recipe one behind the other: put together, judged end to end, and how much the first one finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rankine.evaluation.cases import Cases
from rankine.evaluation.evaluate import UNRANKED
from rankine.evaluation.metrics import MetricName
from rankine.recommender import Recommender, Stages
from rankine.retrieval.stages import TwoStage, TwoStageConfig
from rankine.runs.recipe import Recipe

BLOCK = 1024  # requests at a time


def put_together(key: str, recipe: Recipe, models: Mapping[str, Recommender], *, hide_history: bool = False) -> Stages:
    """The two stages of a recipe's entry, from its fitted models."""
    entry = recipe.stages[key]
    config = TwoStageConfig(candidates=entry.candidates, hide_history=hide_history)
    return Stages(key, models[entry.retrieve], models[entry.rank], config)


def stages_card(key: str, recipe: Recipe, model: TwoStage, cases: Cases) -> dict[str, Any]:
    """Who finds, how many, and what each metric would be if the second model put every target that was found first."""
    return {
        "first": model.first.label,
        "retrieve": recipe.stages[key].retrieve,
        "rank": recipe.stages[key].rank,
        "candidates": model.config.candidates,
        "ceiling": ceiling(model, cases, recipe.evaluate.names),
    }


def ceiling(model: TwoStage, cases: Cases, metrics: tuple[str, ...]) -> dict[str, float]:
    """Per metric of ranks its largest value with what the first model finds; targets not found rank below any list."""
    case, found = cases.targets.row_of_value(), []
    for rows, queries in cases.queries.blocks(BLOCK):
        items, targets = model.candidates(queries), cases.targets.take(rows)
        found.append((items[targets.row_of_value()] == targets.values[:, None]).any(1))
    there = np.concatenate(found)
    place = np.cumsum(there) - np.append(0, np.cumsum(there))[cases.targets.offsets[case]]
    ideal = cases.targets.with_values(np.where(there, place, UNRANKED))
    names = [MetricName.parse(m) for m in metrics]
    return {
        str(n): float(n.metric.per_case(ideal, n.k).mean())
        for n in names
        if n.metric.family == "rank" and n.metric.per_case
    }
