from __future__ import annotations

from typing import Any

import numpy as np

from rankine.kernels.jit import kernel
from rankine.kernels.lanes import WIDTH, load, store
from rankine.kernels.sigmoid import sigmoid


@kernel
def sigmoids(x: Any) -> None:
    for start in range(0, len(x), WIDTH):
        store(x, start, sigmoid(load(x, start)))


def test_a_sigmoid_is_exact_to_five_digits() -> None:
    x = np.linspace(-70, 70, 4096).astype(np.float32)
    found = x.copy()
    sigmoids(found)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-x.astype(np.float64))), rtol=6e-6)


def test_no_number_is_too_large_and_none_gives_zero() -> None:
    x = np.resize(np.array([-np.inf, -1e9, -200, 0, 200, 1e9, np.inf, np.nan], np.float32), 16)
    sigmoids(x)
    assert (x[:3] > 0).all()
    assert (x[:3] < 1e-30).all()
    np.testing.assert_allclose(x[3:7], [0.5, 1, 1, 1])
    assert np.isnan(x[7])
