"""Least squares for ratings: one side of a factorization solved row by row while the other is fixed."""

from __future__ import annotations

import numpy as np

from rankine.arrays import Array, Float, Int, Offsets
from rankine.kernels.jit import over_rows, summing_kernel

BLOCK = 4  # vectors added to a system at a time


def solve_ratings(
    offsets: Offsets, columns: Int, values: Float, fixed: Float, fixed_bias: Float, l2: float, bias_l2: float
) -> tuple[Float, Float]:
    """Vectors x_r float32 [R, D] and biases b_r float32 [R] of the rows; a row without a value gets zeros.

    Each row minimises sum_e (v_e - b_c - b_r - x_r . y_c)^2 + n_r l2 |x_r|^2 + bias_l2 b_r^2, where e runs over its n_r
    entries offsets[r] .. offsets[r + 1] of `columns` and `values`, y = `fixed` [C, D], b_c = `fixed_bias` [C]. Both
    penalties above zero: each system has one solution. Sums in float64.
    """
    n_rows, dim = len(offsets) - 1, fixed.shape[1]
    out = np.zeros((n_rows, dim + 1), np.float32)
    over_rows(
        _solve, n_rows, offsets, columns, values, fixed, fixed_bias, float(l2),
        float(bias_l2), out, work=offsets + np.arange(n_rows + 1) * dim,
    )  # fmt: skip
    return out[:, :dim].copy(), out[:, dim].copy()


@summing_kernel
def _solve(
    start: int, stop: int, offsets: Offsets, columns: Int, values: Float, fixed: Float, fixed_bias: Float,
    l2: float, bias_l2: float, out: Float,
) -> None:  # fmt: skip
    dim = fixed.shape[1]
    system, block, solution = np.empty((dim + 2, dim + 2)), np.empty((BLOCK, dim + 2)), np.empty(dim + 1)
    for row in range(start, stop):
        first, size = offsets[row], offsets[row + 1] - offsets[row]
        if size == 0:
            continue
        system[:] = 0.0
        for d in range(dim):
            system[d, d] = l2 * size
        system[dim, dim] = bias_l2
        system[dim + 1, dim + 1] = 1.0  # any number above zero: it keeps the factor real and is not read
        for e in range(0, size, BLOCK):
            for b in range(BLOCK):
                if e + b < size:
                    column = columns[first + e + b]
                    for d in range(dim):
                        block[b, d] = fixed[column, d]
                    block[b, dim] = 1.0  # stands for the bias of the row
                    block[b, dim + 1] = values[first + e + b] - fixed_bias[column]
                else:
                    block[b] = 0.0
            _add_outer(system, block)
        _factor(system)
        _substitute(system, solution)
        for d in range(dim + 1):
            out[row, d] = solution[d]


@summing_kernel
def _add_outer(system: Array, y: Array) -> None:
    """Add y_b y_b' of the vectors of a block to the upper triangle; written out, so that one load serves four products."""
    for c in range(len(system)):
        y0, y1, y2, y3 = y[0, c], y[1, c], y[2, c], y[3, c]
        for d in range(c, len(system)):
            system[c, d] += y0 * y[0, d] + y1 * y[1, d] + y2 * y[2, d] + y3 * y[3, d]


@summing_kernel
def _factor(system: Array) -> None:
    """Replace the upper triangle of A by U with U'U = A. Where the last column of A is b, that of U is U'^-1 b."""
    for j in range(len(system)):
        root = np.sqrt(system[j, j])
        for d in range(j, len(system)):
            system[j, d] /= root
        for c in range(j + 1, len(system)):
            part = system[j, c]
            for d in range(c, len(system)):
                system[c, d] -= part * system[j, d]


@summing_kernel
def _substitute(system: Array, solution: Array) -> None:
    """The x of U x = z, z the last column of what `_factor` left."""
    last = len(solution)
    for j in range(last - 1, -1, -1):
        rest = system[j, last]
        for d in range(j + 1, last):
            rest -= system[j, d] * solution[d]
        solution[j] = rest / system[j, j]
