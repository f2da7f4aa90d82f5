from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def crossed(state: Any, x0: Any) -> Any:
    """x_{l+1} = x_0 * (W_l x_l + b_l) + x_l, row by row."""
    out = np.empty_like(x0)
    down = state.get("cross.down")
    for b, first in enumerate(x0):
        x = first
        for layer, (weight, bias) in enumerate(zip(state["cross.weight"], state["cross.bias"], strict=True)):
            matrix = weight.astype(float) if down is None else weight.astype(float) @ down[layer]
            x = first * (matrix @ x + bias) + x
        out[b] = x
    return out


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("structure", ["parallel", "stacked"])
def test_crosses_and_hidden_layers_stand_side_by_side_or_on_top(clicks: Any, structure: str, rank: int | None) -> None:
    settings = {"structure": structure} | ({} if rank is None else {"rank": rank})
    model = clicks.fitted("dcn_v2", n_cross_layers=2, **settings)
    state = model.state()
    e = clicks.vectors(state["embedding.table.weight"])
    x0 = e.reshape(len(e), -1)
    x = crossed(state, x0)
    seen = clicks.hidden(state, x) if structure == "stacked" else np.hstack([x, clicks.hidden(state, x0)])
    expected = seen @ state["last.weight"][0] + state["last.bias"][0]
    np.testing.assert_allclose(model.logits(clicks.slots), expected, rtol=1e-4, atol=1e-5)


def test_it_has_as_many_parameters_as_published(count: Any) -> None:
    settings = {"embedding_dim": 10, "hidden_dims": [400, 400, 400], "batch_norm": True}
    assert count("dcn_v2", n_cross_layers=4, structure="parallel", **settings) == 458_391
