from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rankine.arrays import CSR
from rankine.errors import ConfigError, ModelError
from rankine.features.events import EventArrays
from rankine.models import MODELS
from rankine.models.base import Model, Needs, no_monitor
from rankine.models.baselines.item_to_item import ItemToItem
from rankine.models.baselines.popularity import Popularity

FULL = EventArrays(
    n_users=1,
    n_items=2,
    user_idx=np.zeros(3, np.int32),
    item_idx=np.array([0, 1, 0], np.int32),
    weight=np.ones(3, np.float32),
    value=np.array([1, np.nan, 2], np.float32),
    timestamp=np.arange(3.0),
    session_idx=np.zeros(3, np.int32),
    context={"hour": np.zeros(3, np.int32)},
    context_sizes={"hour": 24},
)


@pytest.mark.parametrize(
    ("needs", "without", "message"),
    [
        (Needs(values=True), {"value": None}, "x needs a `value` per event: map the rating column to `value`"),
        (Needs(values=True), {"value": np.full(3, np.nan, np.float32)}, "x needs a `value` per event"),
        (
            Needs(sessions=True),
            {"session_idx": None},
            "x needs sessions: map a `session_id` column or set `gap_minutes`",
        ),
        (Needs(timestamps=True), {"timestamp": None}, "x needs a `timestamp` per event"),
        (Needs(context=("hour", "zone")), {}, r"x needs the context column `zone`; there are \['hour'\]"),
    ],
)
def test_what_is_missing_is_named_with_how_to_add_it(needs: Needs, without: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        needs.check(replace(FULL, **without), "x")


def test_nothing_is_missing_from_full_events() -> None:
    Needs(values=True, sessions=True, timestamps=True, context=("hour",)).check(FULL, "x")
    Needs().check(replace(FULL, value=None, timestamp=None, session_idx=None, context={}), "x")


def test_models_are_found_by_name_and_a_wrong_name_says_the_closest() -> None:
    assert list(MODELS) == sorted(MODELS)
    assert len(MODELS) == len(list(MODELS))
    for name, model in MODELS.items():
        assert issubclass(model, Model)
        assert name in MODELS
    with pytest.raises(ConfigError, match="unknown model `popularty`; did you mean `popularity`"):
        MODELS["popularty"]
    assert "popularty" not in MODELS


def test_every_model_has_a_name_for_people_of_its_own() -> None:
    labels = [model.label for model in MODELS.values()]
    assert len(set(labels)) == len(labels)
    assert len(set(MODELS.values())) == len(MODELS)


def test_a_sparse_matrix_is_saved_in_parts() -> None:
    model = ItemToItem()
    model.neighbours = CSR(np.array([0, 1, 1]), np.array([1], np.int32), np.array([0.5], np.float32), 2)
    state = model.state()
    assert sorted(state) == ["neighbours.data", "neighbours.indices", "neighbours.indptr", "neighbours.n_columns"]
    other = ItemToItem()
    other.load_state(state)
    assert other.neighbours.n_columns == 2
    assert [a.tolist() for a in other.neighbours.row(0)] == [[1], [0.5]]


def test_a_state_of_another_version_says_so() -> None:
    with pytest.raises(
        ModelError, match="the saved Popularity has no `counts`: it was saved by another version; fit it again"
    ):
        Popularity().load_state({})


def test_nobody_watching_never_stops() -> None:
    assert no_monitor(1, Popularity(), loss=0.0) is False
