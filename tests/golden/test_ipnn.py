from __future__ import annotations

from typing import Any

import numpy as np


def test_the_layers_see_all_vectors_and_the_inner_products_of_all_pairs(clicks: Any) -> None:
    model = clicks.fitted("ipnn")
    state = model.state()
    e = clicks.vectors(state["embedding.table.weight"])
    expected = clicks.mlp(state, np.hstack([e.reshape(len(e), -1), clicks.pairs(e)]))
    np.testing.assert_allclose(model.logits(clicks.slots), expected, rtol=1e-4, atol=1e-5)


def test_it_has_as_many_parameters_as_published(count: Any) -> None:
    assert count("ipnn", embedding_dim=10, hidden_dims=[400, 400, 400], batch_norm=False) == 433_491
