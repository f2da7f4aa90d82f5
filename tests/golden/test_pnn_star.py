from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize("kernel", ["matrix", "vector", "number"])
def test_the_layers_see_all_vectors_their_inner_and_their_outer_products(clicks: Any, kernel: str) -> None:
    model = clicks.fitted("pnn_star", kernel=kernel)
    state = model.state()
    e = clicks.vectors(state["embedding.table.weight"])
    n, dim = e.shape[1:]
    pairs = [(f, g) for f in range(n) for g in range(f + 1, n)]
    outer = np.empty((len(e), len(pairs)))
    for p, (f, g) in enumerate(pairs):
        w = state["outer.weight"][p].astype(float)
        outer[:, p] = np.einsum("bi,ij,bj->b", e[:, f], w if w.ndim == 2 else np.eye(dim) * w, e[:, g])
    expected = clicks.mlp(state, np.hstack([e.reshape(len(e), -1), clicks.pairs(e), outer]))
    np.testing.assert_allclose(model.logits(clicks.slots), expected, rtol=1e-4, atol=1e-5)


def test_its_first_layer_has_45_inputs_more_than_opnn_on_ten_fields(count: Any) -> None:
    settings = {"embedding_dim": 10, "hidden_dims": [400, 400, 400], "batch_norm": False}
    assert count("pnn_star", **settings) - count("opnn", **settings) == 45 * 400
