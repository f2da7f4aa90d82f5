"""Clicks that only pairs of fields explain: what looks at values one by one learns nothing, what looks at pairs nearly all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rankine.features.events import EventArrays
from rankine.features.rows import Rows
from rankine.features.slots import Field, Layout, Slots
from rankine.kernels.ranks import auc
from rankine.models.base import RowModel
from rankine.recommender import fit_model, new_model

N_VALUES, N_FIELDS, N_TRAIN, N_TEST = 20, 4, 8_000, 4_000
DEEP = ("deepfm", "wide_deep", "ipnn", "opnn", "pnn_star", "fm_dnn", "dcn_v2", "fnn")


@pytest.fixture(scope="module")
def planted() -> tuple[EventArrays, Slots, Any]:
    """Four fields of 20 values of either sort; two pairs of fields attract a click where both values are of one sort."""
    rng = np.random.default_rng(12)
    names = ("a", "b", "c", "item")
    layout = Layout(tuple(Field(name=n, side="item" if n == "item" else "request", n_rows=N_VALUES + 1) for n in names))
    sort = rng.permuted(np.tile([-1, 1], (N_FIELDS, N_VALUES // 2)), axis=1)
    value = rng.integers(0, N_VALUES, (N_TRAIN + N_TEST, N_FIELDS))
    kind = np.take_along_axis(sort, value.T, axis=1)
    logit = 5.0 * kind[0] * kind[3] + 2.5 * kind[1] * kind[2]
    click = (rng.random(len(value)) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    slots = (value + (N_VALUES + 1) * np.arange(N_FIELDS)).astype(np.int32)
    catalogue = ((N_VALUES + 1) * 3 + np.arange(N_VALUES + 1, dtype=np.int32))[:, None]
    train = slice(N_TRAIN)
    data = EventArrays(
        n_users=0,
        n_items=N_VALUES,
        user_idx=np.zeros(N_TRAIN, np.int32),
        item_idx=value[train, 3].astype(np.int32),
        weight=click[train],
        shown=np.ones(N_TRAIN, bool),
        rows=Rows(layout=layout, request=Slots(slots[train, :3]), items=Slots(catalogue.astype(np.int32))),
    )
    return data, Slots(slots[N_TRAIN:]), click[N_TRAIN:]


def figure(name: str, planted: tuple[EventArrays, Slots, Any], **settings: Any) -> float:
    """The AUC on rows that were not trained on."""
    data, rows, clicks = planted
    model = new_model(name, {"batch_size": 200, "learning_rate": 0.01, **settings})
    assert isinstance(model, RowModel)
    fit_model(model, data, seed=1)
    return auc(model.logits(rows), clicks)


def test_a_weight_per_value_learns_nothing_of_pairs(planted: tuple[EventArrays, Slots, Any]) -> None:
    assert 0.45 < figure("lr", planted, epochs=10) < 0.6


def test_products_of_vectors_learn_them(planted: tuple[EventArrays, Slots, Any]) -> None:
    assert figure("fm", planted, epochs=10, embedding_dim=4, init_sd=0.1) > 0.9


@pytest.mark.parametrize("name", DEEP)
def test_hidden_layers_learn_them(name: str, planted: tuple[EventArrays, Slots, Any]) -> None:
    first = {"fm_epochs": 2} if name == "fnn" else {}
    assert (
        figure(name, planted, epochs=3, embedding_dim=4, init_sd=0.1, hidden_dims=[32, 16], dropout=0.0, **first) > 0.9
    )
