from __future__ import annotations

import numpy as np

from rankine.kernels.slim import slim_weights
from rankine.kernels.sparse import to_csr


def test_two_items_by_hand() -> None:
    G = np.array([[4.0, 2.0], [2.0, 3.0]])  # w of item 1 for item 0 = (2 - l1) / (3 + l2)
    rows, columns = np.nonzero(G)
    gram = to_csr(rows.astype(np.int32), columns.astype(np.int32), G[rows, columns], 2, 2)
    weights = slim_weights(gram, l1=0.5, l2=1.0)
    np.testing.assert_allclose([weights.row(0)[1], weights.row(1)[1]], [[1.5 / 4], [1.5 / 5]])
    assert slim_weights(gram, l1=2.0, l2=1.0).nnz == 0
