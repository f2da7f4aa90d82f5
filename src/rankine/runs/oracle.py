"""The oracle of a generated shop, asked the questions that the models are asked: what no model can beat in the long run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from rankine.arrays import Array, Float
from rankine.data.synthetic.oracle import CONTEXT
from rankine.evaluation.cases import Cases
from rankine.evaluation.evaluate import evaluate_ranking
from rankine.evaluation.evaluation import Evaluation
from rankine.evaluation.metrics import METRICS, MetricName
from rankine.features.encode import Encoder
from rankine.features.events import EventArrays
from rankine.runs.judge import item_counts
from rankine.runs.recipe import Recipe
from rankine.runs.source import Source


def forecasts(recipe: Recipe) -> bool:
    """Whether the recipe asks what an oracle knows: the next different item of a session."""
    whole = recipe.sessions.min_support == recipe.sessions.min_length == 1
    return recipe.evaluate.protocol == "next_item" and recipe.sessions.collapse_repeats and whole


def ask_oracle(source: Source, encoder: Encoder, data: EventArrays, cases: Cases, recipe: Recipe) -> Evaluation:
    """The generator's own probabilities on the same cases."""
    assert source.oracle is not None and cases.target_rows is not None
    rows = cases.target_rows.values
    frame = source.dataset.events[rows]
    order = pl.Series(source.dataset.items["item_id"])
    columns = encoder.items.index(order)
    score = oracle_score(source, encoder, frame, columns, cases)
    metrics = tuple(m for m in recipe.evaluate.names if METRICS[MetricName.parse(m).base].family == "rank")
    return evaluate_ranking(score, cases, metrics, item_counts(data), "oracle")


def oracle_score(
    source: Source, encoder: Encoder, frame: pl.DataFrame, columns: Array, cases: Cases
) -> Callable[..., Float]:
    """A scorer that asks the oracle about consecutive blocks of the cases."""
    place = 0

    def score(queries: Any) -> Float:
        nonlocal place
        part = frame[place : place + len(queries)]
        place += len(queries)
        histories = [encoder.items.names(items) for items in queries.session]
        context: dict[str, Sequence[str]] = {c: part[c].to_list() for c in CONTEXT}
        assert source.oracle is not None
        probability = source.oracle.score(part["user_id"].to_list(), histories, part["timestamp"].to_numpy(), context)
        scores = np.zeros((len(queries), len(encoder.items) + 1), np.float32)
        scores[:, columns] = probability
        return scores[:, :-1]

    return score
