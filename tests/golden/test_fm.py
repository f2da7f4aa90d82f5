from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize("lazy", [True, False])
def test_the_logit_is_the_linear_part_and_the_inner_products_of_all_pairs_of_fields(clicks: Any, lazy: bool) -> None:
    model = clicks.fitted("fm", lazy=lazy)
    state = model.state()
    e = clicks.vectors(state["embedding.table.weight"])
    expected = state["linear.bias"] + clicks.linear(state["linear.table.weight"]) + clicks.pairs(e).sum(1)
    np.testing.assert_allclose(model.logits(clicks.slots), expected, rtol=1e-4, atol=1e-5)


def test_crosses_have_a_weight_and_no_vector(clicks: Any) -> None:
    state = clicks.fitted("fm").state()
    assert len(state["linear.table.weight"]) == clicks.layout.n_rows
    assert len(state["embedding.table.weight"]) == clicks.layout.n_rows - 9


def test_it_has_as_many_parameters_as_published(count: Any) -> None:
    assert count("fm", embedding_dim=10) == 59_280
