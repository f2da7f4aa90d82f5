from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def outer(e: Any, weight: Any) -> Any:
    """e_f' W e_g for each pair f < g [B, P]; W a matrix, a diagonal or a number."""
    n, dim = e.shape[1:]
    pairs = [(f, g) for f in range(n) for g in range(f + 1, n)]
    kernels = [w if w.ndim == 2 else np.eye(dim) * w for w in weight.astype(float)]
    return np.array([[row[f] @ w @ row[g] for (f, g), w in zip(pairs, kernels, strict=True)] for row in e])


@pytest.mark.parametrize("kernel", ["matrix", "vector", "number"])
def test_the_layers_see_all_vectors_and_a_product_through_a_kernel_for_each_pair(clicks: Any, kernel: str) -> None:
    model = clicks.fitted("opnn", kernel=kernel)
    state = model.state()
    e = clicks.vectors(state["embedding.table.weight"])
    expected = clicks.mlp(state, np.hstack([e.reshape(len(e), -1), outer(e, state["products.weight"])]))
    np.testing.assert_allclose(model.logits(clicks.slots), expected, rtol=1e-4, atol=1e-5)


def test_superposed_they_see_one_outer_product_of_the_summed_vectors(clicks: Any) -> None:
    model = clicks.fitted("opnn", kernel="superposed")
    state = model.state()
    e = clicks.vectors(state["embedding.table.weight"])
    f = e.sum(1)
    products = np.array([np.outer(row, row).ravel() for row in f])
    expected = clicks.mlp(state, np.hstack([e.reshape(len(e), -1), products]))
    np.testing.assert_allclose(model.logits(clicks.slots), expected, rtol=1e-4, atol=1e-5)


def test_kernels_are_all_it_has_more_than_ipnn(count: Any) -> None:
    """Numbers add one parameter per pair of ten fields, vectors 10 and matrices 100."""
    settings = {"embedding_dim": 10, "hidden_dims": [400, 400, 400], "batch_norm": False}
    plain = count("ipnn", **settings)
    added = {k: count("opnn", kernel=k, **settings) - plain for k in ("number", "vector", "matrix")}
    assert added == {"number": 45, "vector": 450, "matrix": 4500}
