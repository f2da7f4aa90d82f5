from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch


@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_logit_is_fm_and_hidden_layers_on_the_same_vectors(clicks: Any, batch_norm: bool) -> None:
    model = clicks.fitted("deepfm", batch_norm=batch_norm)
    state = model.state()
    e = clicks.vectors(state["embedding.table.weight"])
    fm = clicks.linear(state["linear.table.weight"]) + clicks.pairs(e).sum(1)
    expected = fm + clicks.mlp(state, e.reshape(len(e), -1))
    np.testing.assert_allclose(model.logits(clicks.slots), expected, rtol=1e-4, atol=1e-5)


def test_with_silent_layers_it_is_fm(clicks: Any) -> None:
    model, fm = clicks.fitted("deepfm"), clicks.fitted("fm", epochs=1)
    with torch.no_grad():
        for p in model.mlp.last.parameters():
            p.zero_()
        fm.linear.table.weight.copy_(model.linear.table.weight)
        fm.embedding.table.weight.copy_(model.embedding.table.weight)
        fm.linear.bias.zero_()
    np.testing.assert_allclose(model.logits(clicks.slots), fm.logits(clicks.slots), rtol=1e-6)


def test_it_has_as_many_parameters_as_published(count: Any) -> None:
    assert count("deepfm", embedding_dim=10, hidden_dims=[400, 400, 400], batch_norm=True) == 423_280
