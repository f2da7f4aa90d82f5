"""The first fit of a model compiles what it needs; it is made before the clock runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from rankine.arrays import Array, Ragged
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.features.rows import Rows
from rankine.kernels.ranks import target_ranks, top_k
from rankine.models import MODELS
from rankine.recommender import fit_model, new_model

FEW = 64


def warm_up(name: str, data: EventArrays, settings: Mapping[str, Any]) -> None:
    """Fit to a handful of events and answer one request first, so that compile time is in nobody's figures."""
    few = sample(data)
    model = new_model(name, {**settings, "epochs": 1} if "epochs" in _settings_of(name) else settings)
    try:
        fit_model(model, few)
    except ModelError:
        return  # too few events for this model: the first fit compiles
    scores = model.scorer()(_request(few))
    target_ranks(scores, Ragged.from_rows([[0]]))
    top_k(scores, 1)


def sample(data: EventArrays) -> EventArrays:
    """At most 64 events that say something, over the users and items they name."""
    useful = (data.weight > 0) & (data.user_idx < data.n_users)
    if data.shown is not None:
        useful |= data.shown
    if data.value is not None:
        useful &= np.isfinite(data.value)
    rows = np.sort(np.argsort(~useful, kind="stable")[:FEW])
    users, user_idx = np.unique(data.user_idx[rows], return_inverse=True)
    items, item_idx = np.unique(data.item_idx[rows], return_inverse=True)

    def part(values: Array | None) -> Array | None:
        return None if values is None else values[rows]

    return dataclasses.replace(
        data, n_users=len(users), n_items=len(items), user_idx=user_idx.astype(np.int32),
        item_idx=item_idx.astype(np.int32), weight=data.weight[rows], value=part(data.value),
        timestamp=part(data.timestamp), session_idx=part(data.session_idx),
        context={column: values[rows] for column, values in data.context.items()}, shown=part(data.shown),
        rows=None if data.rows is None else _few_items(data.rows.take(rows), items),
    )  # fmt: skip


def _few_items(rows: Rows, items: Array) -> Rows:
    """The same requests beside a catalogue of these items."""
    return dataclasses.replace(rows, items=rows.items.take(np.append(items, len(rows.items) - 1)))


def _request(few: EventArrays) -> Queries:
    """A request of the first of these events' users, who met its item before."""
    return Queries(
        user_idx=few.user_idx[:1], history=Ragged.from_rows([few.item_idx[:2]]), history_weight=np.ones(2, np.float32),
        session_len=np.array([2]), timestamp=np.array([np.nan]), n_users=few.n_users, n_items=few.n_items,
        context={column: values[:1] for column, values in few.context.items()},
        rows=None if few.rows is None else few.rows.take(slice(1)),
    )  # fmt: skip


def _settings_of(name: str) -> set[str]:
    return {f.name for f in dataclasses.fields(MODELS[name].Config)}
