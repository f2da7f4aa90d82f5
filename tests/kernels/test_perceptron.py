from __future__ import annotations

import itertools

import numpy as np
import pytest

from rankine.kernels.perceptron import Layers, hidden_units


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("sizes", [(3, 1), (5, 17, 4), (40, 33, 16, 70)])
def test_silent_units_change_nothing(sizes: tuple[int, ...], tanh: bool) -> None:
    rng = np.random.default_rng(len(sizes))
    layers = [
        (rng.normal(size=(a, b)).astype(np.float32), rng.normal(size=b).astype(np.float32))
        for a, b in itertools.pairwise(sizes)
    ]
    x = rng.normal(size=(6, sizes[0])).astype(np.float32) * (rng.random((6, sizes[0])) < 0.6)
    expected = x.astype(np.float64)
    for w, b in layers:
        expected = expected @ w + b
        expected = np.tanh(expected) if tanh else np.maximum(expected, 0)
    np.testing.assert_allclose(hidden_units(x, Layers.of(layers, tanh=tanh)), expected, rtol=1e-3, atol=1e-4)


def test_what_is_not_a_number_is_not_hidden() -> None:
    layers = Layers.of([(np.ones((2, 2), np.float32), np.zeros(2, np.float32))] * 2, tanh=False)
    assert np.isnan(hidden_units(np.array([[np.nan, 0]], np.float32), layers)).all()


def test_rows_of_another_width_are_refused() -> None:
    layers = Layers.of([(np.ones((2, 2), np.float32), np.zeros(2, np.float32))], tanh=False)
    with pytest.raises(ValueError, match="2 columns; got 3"):
        hidden_units(np.ones((1, 3), np.float32), layers)
