from __future__ import annotations

from typing import Any

import numpy as np
import torch


def test_the_logit_is_a_linear_part_with_crosses_and_hidden_layers_without(clicks: Any) -> None:
    model = clicks.fitted("wide_deep")
    state = model.state()
    e = clicks.vectors(state["embedding.table.weight"])
    expected = clicks.linear(state["linear.table.weight"]) + clicks.mlp(state, e.reshape(len(e), -1))
    np.testing.assert_allclose(model.logits(clicks.slots), expected, rtol=1e-4, atol=1e-5)


def test_with_silent_layers_it_is_lr(clicks: Any) -> None:
    model, lr = clicks.fitted("wide_deep"), clicks.fitted("lr", epochs=1)
    with torch.no_grad():
        for p in model.mlp.last.parameters():
            p.zero_()
        lr.linear.table.weight.copy_(model.linear.table.weight)
        lr.linear.bias.zero_()
    np.testing.assert_allclose(model.logits(clicks.slots), lr.logits(clicks.slots), rtol=1e-6)


def test_the_wide_part_may_learn_by_ftrl_and_the_deep_one_by_adagrad_in_the_same_steps(clicks: Any) -> None:
    settings = {"wide_optimizer": "ftrl", "optimizer": "adagrad", "l1": 60.0, "init_sd": 0.01}
    model = clicks.fitted("wide_deep", learning_rate=0.05, epochs=20, **settings)
    wide, deep = model.optimizers()
    assert [type(o).__name__ for o in (wide, deep)] == ["FTRL", "RowAdaGrad"]
    owned = [id(p) for o in (wide, deep) for group in o.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(id(p) for p in model.parameters())
    state = model.state()
    assert 0.2 < (state["linear.table.weight"] == 0).mean() < 1
    first = clicks.fitted("wide_deep", learning_rate=1e-9, epochs=1, **settings).state()
    for name in ("embedding.table.weight", "mlp.hidden.0.linear.weight", "mlp.last.weight"):
        assert np.abs(state[name] - first[name]).max() > 0.01


def test_it_has_as_many_parameters_as_published(count: Any) -> None:
    assert count("wide_deep", embedding_dim=10, hidden_dims=[400, 400, 400], batch_norm=True) == 423_280
