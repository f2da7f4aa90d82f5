"""Candidates scored by halves are scored as their whole rows are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rankine.arrays import Ragged
from rankine.features.crosses import Cross, Crosses
from rankine.features.events import EventArrays
from rankine.features.history import Past
from rankine.features.layout import MET_BEFORE
from rankine.features.pairs import Pairs
from rankine.features.queries import Queries
from rankine.features.rows import Rows
from rankine.features.slots import Field, Layout, Slots
from rankine.models import MODELS
from rankine.models.base import RowModel
from rankine.models.ctr import scoring
from rankine.models.ctr.base import CTRModel
from rankine.recommender import fit_model, new_model

N, N_ITEMS = 60, 9
CLICK_MODELS = [name for name, model in MODELS.items() if issubclass(model, RowModel)]
KINDS = ["plain", "pairs and crosses", "nothing of the request"]


def rows_of(kind: str) -> Rows:
    """Requests of a user, a number and a history beside an item with tags; or with all kinds of fields that hang on both."""
    rng = np.random.default_rng(8)
    both = kind == "pairs and crosses"
    fields = [
        Field(name="user", side="request", n_rows=5),
        Field(name="price", side="request", n_rows=2),
        Field(name="history", side="request", n_slots=2, shares="item"),
    ]
    fields = [] if kind == "nothing of the request" else fields
    fields += [
        Field(name="item", side="item", n_rows=N_ITEMS + 1),
        Field(name="tags", side="item", n_slots=2, n_rows=6),
    ]
    if both:
        fields += [
            Field(name=MET_BEFORE, side="pair", n_rows=8),
            Field(name="user x item", side="pair", n_rows=9, cross=True),
        ]
    layout = Layout(tuple(fields))
    first = layout.first_rows
    request = Slots(np.empty((N, 0), np.int32))
    if len(fields) > 2:
        idx = [rng.integers(0, 5, N), np.full(N, first["price"]), *(first["item"] + rng.integers(0, N_ITEMS, (2, N)))]
        request = Slots(np.stack(idx, 1).astype(np.int32), rng.random((N, 4)).astype(np.float32))
    tags = first["tags"] + rng.integers(0, 6, (N_ITEMS + 1, 2))
    items = np.column_stack([first["item"] + np.arange(N_ITEMS + 1), tags]).astype(np.int32)
    past = Past.nothing(N)
    return Rows(
        layout=layout,
        request=request,
        items=Slots(items),
        pairs=Pairs(time=np.full(N, np.nan), past=past, met_row=first[MET_BEFORE]) if both else None,
        crosses=Crosses((Cross((0, 4), (4, first["item"] + N_ITEMS), first["user x item"], 8),) if both else ()),
    )


def fitted(name: str, kind: str, **settings: Any) -> tuple[Any, Queries]:
    rows, rng = rows_of(kind), np.random.default_rng(9)
    known = MODELS[name].Config.__dataclass_fields__
    small = {"embedding_dim": 3, "hidden_dims": [8, 4], "epochs": 2, "batch_size": 16, "init_sd": 0.3, **settings}
    model = new_model(name, {k: v for k, v in small.items() if k in known})
    log = EventArrays(
        n_users=5, n_items=N_ITEMS, user_idx=np.full(N, 5, np.int32), item_idx=rng.integers(0, N_ITEMS, N).astype(np.int32),
        weight=rng.integers(0, 2, N).astype(np.float32), shown=np.ones(N, bool), rows=rows,
    )  # fmt: skip
    fit_model(model, log, seed=2)
    queries = Queries(
        user_idx=log.user_idx, history=Ragged.empty(N), history_weight=np.empty(0, np.float32), n_users=5, n_items=N_ITEMS,
        session_len=np.zeros(N, np.int64), timestamp=np.full(N, np.nan), rows=rows,
    )  # fmt: skip
    return model, queries


def row_by_row(model: CTRModel, queries: Queries, items: Any) -> Any:
    assert queries.rows is not None
    return np.stack([model.logits(queries.rows.of(np.full(len(items), r), items)) for r in range(len(queries))])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CLICK_MODELS)
def test_candidates_score_as_their_rows_do(name: str, kind: str) -> None:
    model, queries = fitted(name, kind)
    every = np.arange(N_ITEMS, dtype=np.int32)
    some = np.array([3, 0, 7, 7, 2, 8], np.int32)
    expected = row_by_row(model, queries, every)
    np.testing.assert_allclose(model.score(queries), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.score(queries, some), expected[:, some], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.score(queries, some[:1]), expected[:, some[:1]], rtol=1e-5, atol=1e-5)
    scorer = model.scorer()
    for part in (slice(0, 1), slice(1, 40)):
        np.testing.assert_allclose(scorer(queries.take(part)), expected[part], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("table", ["hashed", "bloom", "quotient_remainder"])
def test_compressed_tables_score_the_same(table: str) -> None:
    model, queries = fitted("deepfm", "plain", table=table, share=0.5, whole_below=4)
    every = np.arange(N_ITEMS, dtype=np.int32)
    np.testing.assert_allclose(model.scorer()(queries), row_by_row(model, queries, every), rtol=1e-5, atol=1e-5)


def test_many_candidates_are_scored_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, queries = fitted("deepfm", "plain")
    whole = model.score(queries)
    monkeypatch.setattr(scoring, "AT_A_TIME", 4)
    monkeypatch.setattr(scoring, "KEPT", 0)
    np.testing.assert_allclose(model.scorer()(queries), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["deepfm", "lr", "fm_dnn"])
def test_other_weights_make_other_scores(name: str) -> None:
    model, queries = fitted(name, "plain")
    before = model.score(queries)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    after = model.score(queries)
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, row_by_row(model, queries, np.arange(N_ITEMS)), rtol=1e-5, atol=1e-5)


def test_a_loaded_model_scores_by_what_it_loaded() -> None:
    model, queries = fitted("deepfm", "plain")
    other = fitted("deepfm", "plain", learning_rate=0.05)[0]
    other.score(queries)
    other.load_state(model.state())
    np.testing.assert_array_equal(other.score(queries), model.score(queries))


def test_another_catalogue_is_noticed() -> None:
    model, queries = fitted("deepfm", "plain")
    assert queries.rows is not None
    scorer = model.scorer()
    scorer(queries)
    items = queries.rows.items
    turned = replace(queries, rows=replace(queries.rows, items=Slots(items.idx[::-1].copy())))
    np.testing.assert_allclose(scorer(turned), model.score(turned), rtol=1e-5, atol=1e-5)


def test_scores_leave_the_state_as_it_was() -> None:
    model, queries = fitted("deepfm", "plain")
    before = list(model.state())
    model.scorer()(queries)
    assert list(model.state()) == before
