from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rankine.models.ctr.fm import FM
from rankine.recommender import fit_model, new_model

STAGE_ONE = {"fm_epochs": 3, "fm_learning_rate": 0.02, "fm_l2": 0.001}
STILL = 1e-12  # a learning rate that moves nothing


def test_the_layers_see_the_bias_and_the_weight_and_vector_of_each_field(clicks: Any) -> None:
    model = clicks.fitted("fnn", **STAGE_ONE, dropout=0.0)
    state = model.state()
    w, v = (clicks.vectors(state[f"{part}.table.weight"]) for part in ("weight", "embedding"))
    z = np.concatenate([w, v], axis=2).reshape(len(w), -1)
    expected = clicks.mlp(state, np.hstack([np.full((len(z), 1), state["bias"]), z]), np.tanh)
    np.testing.assert_allclose(model.logits(clicks.slots), expected, rtol=1e-4, atol=1e-5)


def test_step_0_has_the_tables_of_fm_to_the_bit(clicks: Any) -> None:
    model = clicks.fitted("fnn", **STAGE_ONE, learning_rate=STILL, epochs=1)
    fm = clicks.fitted("fm", epochs=3, learning_rate=0.02, embedding_l2=0.001, l2=0.001)
    ours, theirs = model.state(), fm.state()
    for own, name in (("weight", "linear"), ("embedding", "embedding")):
        assert np.array_equal(ours[f"{own}.table.weight"], theirs[f"{name}.table.weight"])
    np.testing.assert_allclose(ours["bias"], theirs["linear.bias"], atol=1e-6)
    assert np.abs(theirs["embedding.table.weight"]).max() > 0


def test_it_starts_from_any_fitted_fm_of_the_same_fields(clicks: Any) -> None:
    fm = new_model("fm", {"embedding_dim": 3, "epochs": 2, "init_sd": 0.1})
    assert isinstance(fm, FM)
    fit_model(fm, clicks.data, seed=9)
    model = clicks.fitted("fnn", **STAGE_ONE)
    model.from_fm(fm)
    assert torch.equal(model.embedding.table.weight, fm.embedding.table.weight)
    assert torch.equal(model.weight.table.weight, fm.linear.table.weight)
    assert model.bias == fm.intercept


def test_with_silent_layers_it_says_the_prior(clicks: Any) -> None:
    model = clicks.fitted("fnn", **STAGE_ONE, learning_rate=STILL, epochs=1)
    with torch.no_grad():
        model.mlp.last.weight.zero_()
    p = model.probability(clicks.queries(), clicks.item)
    np.testing.assert_allclose(p, clicks.data.weight.mean(), rtol=1e-5)


def test_its_layers_are_a_diamond_of_tanh(count: Any) -> None:
    config: Any = new_model("fnn").config
    assert config.hidden_dims == (200, 300, 100)
    assert config.activation == "tanh"
    layers = (1 + 10 * 11) * 200 + 200 + 200 * 300 + 300 + 300 * 100 + 100 + 100 + 1
    assert count("fnn", embedding_dim=10, batch_norm=False) == 5_389 * 11 + 1 + layers
