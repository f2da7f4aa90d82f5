"""Hidden layers for a few rows at once: only the weights of units that are not silent are read.

With one row a product costs what it reads of the matrix. A rectified unit is 0 for about every other row, and then its weights
need not be read. Layers lie one behind the other: W [in, out] by rows, the outputs padded with zeros to full cache lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rankine.arrays import Array, Float
from rankine.kernels.jit import summing_kernel
from rankine.kernels.lanes import LINE, WIDTH, add_4_rows, add_rows, aligned

SMALL = 4  # rows of W that `add_4_rows` adds at once; `add_rows` adds WIDTH


@dataclass(frozen=True)
class Layers:
    """sizes int64 [n_layers + 1]: inputs, then units of each layer; weights and biases: of all layers, padded and flat."""

    sizes: Array
    weights: Float
    biases: Float
    tanh: bool

    @classmethod
    def of(cls, layers: Sequence[tuple[Float, Float]], *, tanh: bool) -> Layers:
        """From W [in, out] and b [out] of each layer."""
        padded = [np.pad(np.vstack([w, b]), ((0, 0), (0, -w.shape[1] % LINE))) for w, b in layers]
        weights = aligned(sum(p[:-1].size for p in padded))
        weights[:] = np.concatenate([p[:-1].ravel() for p in padded])
        sizes = [len(layers[0][0]), *(len(b) for _, b in layers)]
        return cls(np.array(sizes, np.int64), weights, np.concatenate([p[-1] for p in padded]), tanh)


def hidden_units(x: Float, layers: Layers) -> Float:
    """The units of the last layer [B, units] of x float32 [B, inputs]."""
    if x.shape[1] != layers.sizes[0]:
        raise ValueError(f"`x` must have {layers.sizes[0]} columns; got {x.shape[1]}")
    out = np.empty((len(x), layers.sizes[-1]), np.float32)
    _hidden_units(np.ascontiguousarray(x, np.float32), layers.sizes, layers.weights, layers.biases, layers.tanh, out)
    return out


@summing_kernel
def _hidden_units(x: Array, sizes: Array, weights: Array, biases: Array, tanh: bool, out: Array) -> None:
    widest = sizes.max() + LINE
    h, z, starts = np.zeros(widest, np.float32), aligned(widest), np.zeros(widest, np.int64)
    for b in range(len(x)):
        h[: x.shape[1]] = x[b]
        at = below = 0
        for layer in range(len(sizes) - 1):
            n_in, n_out = sizes[layer], sizes[layer + 1]
            width = (n_out + LINE - 1) // LINE * LINE
            n = 0  # inputs that are not 0, moved to the front
            for i in range(n_in):
                value = h[i]
                starts[n], h[n] = at + i * width, value
                n += value != 0
            h[n : n + WIDTH], starts[n : n + WIDTH] = 0, at
            z[:width] = biases[below : below + width]
            whole = n // WIDTH * WIDTH
            for j in range(0, whole, WIDTH):
                add_rows(weights, starts, j, h, j, z, 0, width)
            for j in range(whole, n, SMALL):
                add_4_rows(weights, starts, j, h, j, z, 0, width)
            at, below = at + n_in * width, below + width
            for c in range(n_out):
                h[c] = np.tanh(z[c]) if tanh else (np.float32(0) if z[c] < 0 else z[c])  # what is not a number stays so
        out[b] = h[: out.shape[1]]
