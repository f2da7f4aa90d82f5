from __future__ import annotations

from typing import Any

import numpy as np


def test_the_logit_is_fm_and_hidden_layers_on_vectors_of_their_own(clicks: Any) -> None:
    model = clicks.fitted("fm_dnn")
    state = model.state()
    e, u = (clicks.vectors(state[f"{part}.table.weight"]) for part in ("factors", "embedding"))
    assert not np.allclose(e, u)
    expected = clicks.linear(state["linear.table.weight"]) + clicks.pairs(e).sum(1)
    expected += clicks.mlp(state, u.reshape(len(u), -1))
    np.testing.assert_allclose(model.logits(clicks.slots), expected, rtol=1e-4, atol=1e-5)


def test_it_has_one_table_more_than_deepfm(count: Any) -> None:
    settings = {"embedding_dim": 10, "hidden_dims": [400, 400, 400]}
    assert count("fm_dnn", **settings) == count("deepfm", **settings) + 5_389 * 10
