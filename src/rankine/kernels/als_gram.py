"""The Gram matrix Y'Y of many short vectors. A library's matrix product would do, but its threads spin where cores are busy."""

from __future__ import annotations

import numpy as np

from rankine.arrays import Array, Float
from rankine.kernels.jit import over_rows, summing_kernel
from rankine.kernels.lanes import LINE, ROWS, add_product, aligned

BLOCK = 512  # rows multiplied in float32 before their sum goes to float64
SHARED = 1 << 26  # multiplications that are worth a second thread


def padded_gram(table: Float) -> Array:
    """Y'Y of Y float32 [N, dim], dim a multiple of LINE; float64 [dim, dim]."""
    n, dim = table.shape
    n_blocks, flat = -(-n // BLOCK), table.reshape(-1)
    if n * dim * dim < SHARED:
        upper = gram_of_blocks(0, n_blocks, flat, n, dim)
    else:
        upper = np.sum(over_rows(gram_of_blocks, n_blocks, flat, n, dim), 0)
    return np.asarray(np.triu(upper) + np.triu(upper, 1).T)


@summing_kernel
def gram_of_blocks(start: int, stop: int, table: Float, n: int, dim: int) -> Array:
    """The upper triangle of Y'Y over the blocks start .. stop."""
    out, part = np.zeros((dim, dim)), aligned(dim * dim)
    for block in range(start, stop):
        first, size = block * BLOCK * dim, min(BLOCK, n - block * BLOCK)
        part[:] = 0
        for c in range(0, dim, ROWS):
            begin = c // LINE * LINE
            add_product(table, first + c, 1, dim, size, table, first + begin, part, c * dim + begin, dim, dim - begin)
        for c in range(dim):
            for d in range(c, dim):
                out[c, d] += part[c * dim + d]
    return out
