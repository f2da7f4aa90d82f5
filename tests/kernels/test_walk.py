from __future__ import annotations

import numpy as np

from rankine.kernels.sparse import to_csr
from rankine.kernels.walk import walk_similarities


def test_three_baskets_by_hand() -> None:
    baskets = [[0, 1], [0, 1, 2], [2]]
    pairs = [(item, basket) for basket, items in enumerate(baskets) for item in items]
    items = to_csr(*(np.array(c, np.int32) for c in zip(*pairs, strict=True)), None, 3, 3)
    found = walk_similarities(items, alpha=1.0, beta=0.0, keep=0)
    columns, values = found.row(0)
    np.testing.assert_array_equal(columns, [1, 2])
    np.testing.assert_allclose(values, [(1 / 2 + 1 / 3) / 2, (1 / 3) / 2], rtol=1e-6)
