"""The exact solution of the rows of one side: factored in float32, corrected in float64.

x += U^-1 U'^-1 (b - A x) with the residual in float64 converges to the exact solution of the stored numbers wherever
float32 factors A at all; the rare row where it does not is solved in float64 throughout.
Source: Wilkinson's iterative refinement; Higham, "Accuracy and Stability of Numerical Algorithms", chapter 12.
"""

from __future__ import annotations

import numpy as np

from rankine.arrays import Array, Float
from rankine.kernels.als_blocks import Block, block_for, factor, form_block, substitute
from rankine.kernels.als_rows import Equations, find_neighbours, room_for
from rankine.kernels.jit import summing_kernel
from rankine.kernels.lanes import LINE

SETTLED = 1e-7  # squared length of a correction, relative to x: the next one would be below the last digit of float32
LOST = 1e-13  # what rounding may leave of a pivot that is zero, as a share of the diagonal
MAX_CORRECTIONS = 10


@summing_kernel
def exact_rows(start: int, stop: int, equations: Equations, gram: Array, out: Float) -> int:
    """Solve the rows start .. stop; `gram` is a0 Y'Y float64 [D, D]. Returns a row that has no single solution, or -1."""
    dim, n_real = equations.dim, out.shape[1]
    block, near, zeros, x, residual = (
        block_for(dim),
        room_for(0),
        np.zeros(dim, np.float32),
        np.zeros(dim),
        np.zeros(dim),
    )
    table = equations.table.reshape(-1, dim)
    for row in range(start, stop):
        n = equations.indptr[row + 1] - equations.indptr[row]
        if n == 0:
            out[row] = 0
            continue
        if row > start and _equals_previous(equations, row):
            out[row] = out[row - 1]  # a visitor who takes an item again: a quarter of the requests of some shops
            continue
        if n + LINE > len(near.starts):
            near = room_for(2 * n)
        find_neighbours(equations, row, near, 0)
        near.values[:n] = 0
        form_block(equations, row, near, n, 0, dim, n_real, zeros, block)
        refined = factor(block.matrix, dim) and _refine(equations, row, table, gram, block, x, residual)
        if not refined and not _solve_double(equations, row, table, gram, x):
            return row
        for d in range(n_real):
            out[row, d] = x[d]
    return -1


@summing_kernel
def _equals_previous(equations: Equations, row: int) -> bool:
    """Whether the equations of a row are those of the row before it."""
    here, before = equations.indptr[row], equations.indptr[row - 1]
    n = equations.indptr[row + 1] - here
    if n != here - before or equations.penalty[row] != equations.penalty[row - 1]:
        return False
    for e in range(n):
        if equations.indices[here + e] != equations.indices[before + e]:
            return False
        if equations.data[here + e] != equations.data[before + e]:
            return False
    return True


@summing_kernel
def _refine(equations: Equations, row: int, table: Float, gram: Array, block: Block, x: Array, residual: Array) -> bool:
    """Set x to the solution; the block holds U and b. False when the corrections do not shrink."""
    step = block.vector
    x[:] = 0
    last = np.inf
    for _ in range(MAX_CORRECTIONS):
        substitute(block.matrix, step, equations.dim)
        size, length = 0.0, 0.0
        for d in range(len(x)):
            x[d] += step[d]
            size += np.float64(step[d]) ** 2
            length += x[d] ** 2
        if size <= SETTLED * length:
            return True
        if not size < 0.25 * last:
            return False
        last = size
        _residual(equations, row, table, gram, x, residual)
        for d in range(len(x)):
            step[d] = residual[d]
    return False


@summing_kernel
def _residual(equations: Equations, row: int, table: Float, gram: Array, x: Array, out: Array) -> None:
    """out = b - A x."""
    n_real = len(gram)
    for d in range(n_real):
        out[d] = -equations.penalty[row] * x[d]
    for c in range(n_real):
        for d in range(n_real):
            out[d] -= x[c] * gram[c, d]
    for e in range(equations.indptr[row], equations.indptr[row + 1]):
        y, error = table[equations.indices[e]], 1.0
        for d in range(n_real):
            error -= y[d] * x[d]
        error *= equations.data[e]
        for d in range(n_real):
            out[d] += error * y[d]


@summing_kernel
def _solve_double(equations: Equations, row: int, table: Float, gram: Array, x: Array) -> bool:
    """Set x to the solution, by Cholesky in float64; False when there is no single one."""
    matrix, vector = gram.copy(), np.zeros(len(gram))
    for e in range(equations.indptr[row], equations.indptr[row + 1]):
        y, weight = table[equations.indices[e]], np.float64(equations.data[e])
        for c in range(len(gram)):
            vector[c] += weight * y[c]
            for d in range(c, len(gram)):
                matrix[c, d] += weight * y[c] * y[d]
    for c in range(len(gram)):
        matrix[c, c] += equations.penalty[row]
    if not _factor_double(matrix):
        return False
    for j in range(len(gram)):
        vector[j] /= matrix[j, j]
        for d in range(j + 1, len(gram)):
            vector[d] -= vector[j] * matrix[j, d]
    for j in range(len(gram) - 1, -1, -1):
        for d in range(j + 1, len(gram)):
            vector[j] -= matrix[j, d] * vector[d]
        vector[j] /= matrix[j, j]
    x[: len(gram)] = vector
    return True


@summing_kernel
def _factor_double(matrix: Array) -> bool:
    """Replace the upper triangle of A by U with U'U = A; False when A is not positive definite."""
    diagonal = np.diag(matrix).copy()
    for j in range(len(matrix)):
        if not matrix[j, j] > LOST * diagonal[j]:  # also NaN
            return False
        root = np.sqrt(matrix[j, j])
        for d in range(j, len(matrix)):
            matrix[j, d] /= root
        for c in range(j + 1, len(matrix)):
            share = matrix[j, c]
            for d in range(c, len(matrix)):
                matrix[c, d] -= share * matrix[j, d]
    return True
