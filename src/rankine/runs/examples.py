"""Three requests drawn at random from the test, answered as they would be served: for people, not for counting."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from rankine.arrays import Array
from rankine.evaluation.cases import Cases
from rankine.evaluation.compare import Comparison
from rankine.features.encode import Encoder
from rankine.pipeline import Pipeline, Request
from rankine.random import stream
from rankine.runs.catalogue import catalogue
from rankine.runs.experiment import Experiment

PLACES = 5


def chain(experiment: Experiment, comparison: Comparison) -> Pipeline:
    """The fitted models, best first, over the catalogue."""
    recommenders = [r for key in comparison.order if (r := experiment.models[key].recommender) is not None]
    return Pipeline(recommenders, catalogue(experiment.folds[-1].before_test()))


def examples(experiment: Experiment, comparison: Comparison) -> list[dict[str, Any]]:
    """A known user, an anonymous session and a new visitor, as far as the test has them."""
    cases = experiment.cases
    if cases.values is not None:
        return []
    pipeline = chain(experiment, comparison)
    encoder = pipeline.recommenders[0].encoder
    queries = cases.queries
    kinds = {
        "A known user": queries.known_user & (queries.history.lengths > 0),
        "An anonymous session": ~queries.known_user & (queries.session_len > 0),
        "A new visitor": np.ones(len(cases), bool),
    }
    rng = stream(experiment.recipe.seed, "split", "examples")
    shown = []
    for title, fits in kinds.items():
        rows = np.flatnonzero(fits)
        if len(rows):
            shown.append(example(title, pipeline, encoder, cases, int(rng.choice(rows)), experiment))
    return shown


def example(
    title: str, pipeline: Pipeline, encoder: Encoder, cases: Cases, row: int, experiment: Experiment
) -> dict[str, Any]:
    """One request of the test and its ranking; for a new visitor only the context of the request is kept."""
    queries, new = cases.queries, title == "A new visitor"
    known = not new and bool(queries.known_user[row])
    history = [] if new else encoder.items.names(queries.history[row])
    context = context_of(encoder, {name: int(column[row]) for name, column in queries.context.items()})
    timestamp = float(queries.timestamp[row])
    request = Request(
        user=encoder.users.name(int(queries.user_idx[row])) if known else None,
        history=history,
        weights=[] if new else queries.history.with_values(queries.history_weight)[row].tolist(),
        session_len=0 if new else int(queries.session_len[row]),
        context=context,
        timestamp=None if np.isnan(timestamp) else timestamp,
        k=PLACES,
        exclude=names(encoder, cases.exclude[row]) if cases.exclude is not None and not new else (),
    )
    answer = pipeline.answer(request)
    targets = set() if new else set(names(encoder, cases.targets[row]))
    places = [
        {
            "rank": n,
            "item_id": p.item_id,
            "title": p.title or p.item_id,
            "category": p.category,
            "source": p.source,
            "target": p.item_id in targets,
        }
        for n, p in enumerate(answer.places, start=1)
    ]
    titles = {i: pipeline.title(i) for i in [*history[-3:], *targets]}
    text = describe(request, titles, known, experiment.source.dataset.users)
    came = [titles[t] for t in sorted(targets - {p.item_id for p in answer.places})][:3]
    if came:
        text += f" Came next: {'; '.join(came)}."
    return {
        "title": title,
        "text": text[:1].upper() + text[1:],
        "model": answer.model or "",
        "rows": places,
        "target": [titles[t] for t in sorted(targets)][:3],
    }


def describe(request: Request, titles: dict[str, str], known: bool, users: pl.DataFrame) -> str:
    """Who asks, in words."""
    parts = []
    if known:
        row = users.filter(pl.col("user_id") == request.user) if "name" in users.columns else users.clear()
        parts.append(str(row["name"][0]) if len(row) else f"User {request.user}")
    wanted = {k: v for k, v in request.context.items() if k not in ("hour", "weekday")}
    parts += [str(v) for v in wanted.values()]
    if request.timestamp is not None:
        parts.append(datetime.fromtimestamp(request.timestamp, UTC).strftime("%a %H:%M UTC"))
    who = ", ".join(parts)
    last = [titles[i] for i in request.history[-3:]] if request.history else []
    seen = f" Before: {'; '.join(last)}." if last else " Nothing known but this moment."
    return f"{who}.{seen}" if who else seen.strip()


def context_of(encoder: Encoder, rows: dict[str, int]) -> dict[str, str]:
    """Context rows as outside values; unknown ones are left out."""
    return {name: encoder.context[name].name(row) for name, row in rows.items() if row < len(encoder.context[name])}


def names(encoder: Encoder, items: Array) -> list[str]:
    """Outside ids of the known items among these rows."""
    return encoder.items.names(items[items < len(encoder.items)])
