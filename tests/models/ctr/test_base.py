from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rankine.arrays import Ragged
from rankine.errors import ConfigError, ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.features.rows import Rows
from rankine.features.slots import Field, Layout, Slots
from rankine.models.ctr import base
from rankine.models.ctr.base import CTRModel
from rankine.recommender import fit_model, new_model

N_ITEMS, N_DEVICES = 10, 3
LAYOUT = Layout(
    (
        Field(name="user", side="request", n_rows=6),
        Field(name="device", side="request", n_rows=N_DEVICES + 1),
        Field(name="item", side="item", n_rows=N_ITEMS + 1),
    )
)
KINDS = [{}, {"negatives": "popularity"}, {"negatives": "same_context", "negatives_context": "device"}]


def chances() -> Any:
    """How likely each item is taken on each device [3, 10]: half a taste of its own, half popularity."""
    rng = np.random.default_rng(5)
    popular = 1 / np.arange(1, N_ITEMS + 1)
    own = rng.dirichlet(np.full(N_ITEMS, 0.5), N_DEVICES)
    return 0.5 * own + 0.5 * popular / popular.sum()


def rows(user: Any, device: Any) -> Rows:
    request = np.column_stack([user, LAYOUT.first_rows["device"] + device]).astype(np.int32)
    items = (LAYOUT.first_rows["item"] + np.arange(N_ITEMS + 1, dtype=np.int32))[:, None].astype(np.int32)
    return Rows(layout=LAYOUT, request=Slots(request), items=Slots(items))


def log(n: int = 4000, **columns: Any) -> EventArrays:
    """Events of visitors without a name, each alone, on one of three devices."""
    rng = np.random.default_rng(6)
    device = rng.integers(0, N_DEVICES, n)
    borders = chances().cumsum(1)
    item = (rng.random(n)[:, None] > borders[device]).sum(1).clip(max=N_ITEMS - 1)
    return EventArrays(
        n_users=5,
        n_items=N_ITEMS,
        user_idx=np.full(n, 5, np.int32),
        item_idx=item.astype(np.int32),
        weight=np.ones(n, np.float32),
        context={"device": device.astype(np.int32)},
        context_sizes={"device": N_DEVICES},
        rows=rows(np.full(n, 5), device),
        **columns,
    )


def queries(user: Any = (5, 5, 5, 5), device: Any = (0, 1, 2, 3)) -> Queries:
    n = len(user)
    return Queries(
        user_idx=np.array(user, np.int32),
        history=Ragged.empty(n),
        history_weight=np.empty(0, np.float32),
        session_len=np.zeros(n, np.int64),
        timestamp=np.full(n, np.nan),
        n_users=5,
        n_items=N_ITEMS,
        context={"device": np.array(device, np.int32)},
        rows=rows(user, np.array(device)),
    )


def fitted(name: str, data: EventArrays, **settings: Any) -> CTRModel:
    model = new_model(name, {"epochs": 8, "batch_size": 500, "learning_rate": 0.02} | settings)
    assert isinstance(model, CTRModel)
    fit_model(model, data, seed=3)
    return model


@pytest.mark.parametrize("settings", KINDS, ids=["uniform", "popularity", "same context"])
def test_probabilities_are_calibrated_back_whatever_negatives_were_drawn(settings: dict[str, Any]) -> None:
    model = fitted("fm", log(), epochs=9, drop_epochs=[6], batch_size=400, **settings)
    asked = queries(np.full(30, 5), np.repeat(np.arange(3), 10))
    p = model.probability(asked, np.tile(np.arange(N_ITEMS, dtype=np.int32), 3)).reshape(3, N_ITEMS)
    np.testing.assert_allclose(p.sum(1), 1, atol=0.06)
    assert np.abs(p - chances()).max() < 0.04
    assert np.abs(p - chances()).mean() < 0.012


@pytest.mark.parametrize("negatives", ["uniform", "popularity"])
def test_for_a_known_user_the_probabilities_of_what_is_new_add_up_to_one(negatives: str) -> None:
    """Users who each took three items of ten, the fourth of which we ask for: nobody takes an item twice."""
    rng, n = np.random.default_rng(8), 600
    taken = np.array([rng.choice(N_ITEMS, 3, replace=False, p=chances()[0]) for _ in range(n)])
    users = np.repeat(np.arange(n), 3)
    data = replace(
        log(3 * n), n_users=n, user_idx=users.astype(np.int32), item_idx=taken.ravel().astype(np.int32),
        rows=rows(np.full(3 * n, 5), np.zeros(3 * n, int)),
    )  # fmt: skip
    model = fitted("lr", data, epochs=12, drop_epochs=[8], negatives=negatives)
    asked = replace(queries(np.full(N_ITEMS * n, 5), np.zeros(N_ITEMS * n, int)), n_users=n)
    asked = replace(asked, user_idx=np.repeat(np.arange(n, dtype=np.int32), N_ITEMS))
    p = model.probability(asked, np.tile(np.arange(N_ITEMS, dtype=np.int32), n)).reshape(n, N_ITEMS)
    p[np.arange(n)[:, None], taken] = 0
    assert abs(p.sum(1).mean() - 1) < 0.1


@pytest.mark.parametrize("settings", KINDS, ids=["uniform", "popularity", "same context"])
def test_scores_rank_as_probabilities_do(settings: dict[str, Any]) -> None:
    model = fitted("lr", log(600), **settings)
    asked = queries()
    scores = model.score(asked)
    for row in range(4):
        one = asked.take(np.full(N_ITEMS, row))
        p = model.probability(one, np.arange(N_ITEMS, dtype=np.int32))
        assert (p < 1).all()
        assert np.array_equal(np.argsort(scores[row]), np.argsort(p))


def test_scores_in_blocks_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted("deepfm", log(600), epochs=1, hidden_dims=[8])
    whole, some = model.score(queries()), model.score(queries(), np.array([7, 2, 2], np.int32))
    monkeypatch.setattr(base, "BLOCK", 7)
    np.testing.assert_allclose(model.score(queries()), whole, rtol=1e-5)
    np.testing.assert_allclose(some, whole[:, [7, 2, 2]], rtol=1e-5)
    np.testing.assert_allclose(model.score(queries(), np.array([7, 2, 2], np.int32)), some, rtol=1e-5)


def test_impressions_are_what_is_learned_where_there_are_any_and_other_events_beside_them_are_not() -> None:
    data = log(900)
    shown = np.arange(900) < 600
    weight = np.where(shown & (np.arange(900) % 3 > 0), 0, 1).astype(np.float32)
    data = replace(data, shown=shown, weight=weight)
    model = fitted("lr", data, epochs=1)
    assert model.negatives is None
    model.prepare(data, torch.Generator())
    seen = list(model.batches(data, np.random.default_rng(1)))
    labels = np.concatenate([batch["label"] for batch in seen])
    assert len(labels) == 600
    assert labels.mean() == pytest.approx(1 / 3)
    odds = np.exp(model.logits(data.rows.of(slice(0, 50), data.item_idx[:50])))  # type: ignore[union-attr]
    p = model.probability(queries(np.full(50, 5), data.context["device"][:50]), data.item_idx[:50])
    np.testing.assert_allclose(p, odds / (1 + odds), rtol=1e-5)


def test_negatives_are_drawn_anew_in_every_epoch() -> None:
    data = log(400)
    model = fitted("lr", data, epochs=1, n_negatives=3)
    assert not hasattr(model, "_examples")  # what only training needs does not stay with the model
    model.prepare(data, torch.Generator())
    rng = np.random.default_rng(2)
    first, second = ([b["idx"] for b in model.batches(data, rng)] for _ in range(2))
    assert sum(map(len, first)) == 1600
    left, right = (np.sort(np.concatenate(part)[:, 2]) for part in (first, second))
    assert not np.array_equal(left, right)


@pytest.mark.parametrize(("value", "word"), [(0.0, "left"), (1.0, "taken")])
def test_labels_that_are_all_alike_are_refused(value: float, word: str) -> None:
    data = log(50)
    alike = replace(data, shown=np.ones(50, bool), weight=np.full(50, value, np.float32))
    with pytest.raises(ModelError, match=f"DeepFM needs impressions .* all 50 were {word}: check the `value`"):
        fitted("deepfm", alike)


def test_events_without_anything_taken_are_refused() -> None:
    with pytest.raises(ModelError, match="FM got nothing to train on: no event has a weight above zero"):
        fitted("fm", replace(log(50), weight=np.full(50, -1, np.float32)))


def test_requests_without_fields_or_with_other_fields_are_refused() -> None:
    model = fitted("lr", log(50), epochs=1)
    with pytest.raises(ModelError, match="click models need fields: fit the encoder with `features"):
        model.score(replace(queries(), rows=None))
    own = queries().rows
    assert own is not None
    fewer = replace(own, layout=Layout(LAYOUT.fields[1:]))
    with pytest.raises(ModelError, match="LR was fitted to other fields"):
        model.score(replace(queries(), rows=fewer))


def test_it_knows_something_where_any_field_of_the_request_has_a_known_value() -> None:
    model = fitted("lr", log(50), epochs=1)
    asked = queries(user=(5, 5, 2, 2), device=(3, 0, 3, 1))
    assert model.evidence(asked).tolist() == [False, True, True, True]


def test_a_slot_of_weight_zero_is_no_evidence() -> None:
    model = fitted("lr", log(50), epochs=1)
    asked = queries(user=(2, 2), device=(3, 3))
    assert asked.rows is not None
    request = Slots(asked.rows.request.idx, np.array([[1, 1], [0, 1]], np.float32))
    assert model.evidence(replace(asked, rows=replace(asked.rows, request=request))).tolist() == [True, False]


def test_the_mode_is_what_it_was_and_dropout_is_for_training_only() -> None:
    model: Any = fitted("deepfm", log(200), epochs=1, hidden_dims=[8], dropout=0.5)
    first = model.score(queries())
    model.train()
    np.testing.assert_array_equal(model.score(queries()), first)
    assert model.training
    assert model.mlp.training


def test_training_leaves_the_randomness_of_others_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fitted("deepfm", log(200), epochs=1, hidden_dims=[8], dropout=0.5)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("table", ["hashed", "bloom", "quotient_remainder"])
def test_compressed_tables_are_saved_and_loaded(table: str) -> None:
    settings = {"table": table, "share": 0.5, "whole_below": 4, "hidden_dims": [8]}
    model = fitted("deepfm", log(300), epochs=1, **settings)
    again = new_model("deepfm", {"epochs": 1, **settings})
    again.load_state(model.state())
    assert isinstance(again, CTRModel)
    np.testing.assert_array_equal(again.score(queries()), model.score(queries()))
    assert model.embedding.table.n_parameters < LAYOUT.n_rows * 16


def test_settings_that_make_no_sense_are_refused() -> None:
    for settings, message in [
        ({"negatives": "same_context"}, "needs `negatives_context`: name a context column"),
        ({"dropout": 1.0}, "`dropout` must be below 1; got 1.0"),
        ({"hidden_dims": []}, "`hidden_dims` must be whole numbers of at least 1"),
        ({"hidden_dims": [0]}, "`hidden_dims` must be whole numbers of at least 1"),
        ({"share": 1.5}, "`share` of DeepFMConfig must be at most 1"),
        ({"embedding_l2": -1.0}, "`embedding_l2` of DeepFMConfig must be at least 0"),
    ]:
        with pytest.raises(ConfigError, match=message):
            new_model("deepfm", settings)
    with pytest.raises(ModelError, match="needs the context column `geo`"):
        model = new_model("lr", {"negatives": "same_context", "negatives_context": "geo"})
        model.needs.check(log(20), "`lr`")
