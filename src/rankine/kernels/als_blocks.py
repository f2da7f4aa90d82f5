"""Blocks of the normal equations: formed, factored and solved; and block coordinate descent for the rows of one side.

For the coordinates p of one row: H = (a0 Y'Y)_pp + l I + sum_e w_e y_ep y_ep', g = sum_e w_e (1 - s_e) y_ep - (a0 Y'Y)_p x - l x_p
with the scores s_e = y_e . x; then x_p += H^-1 g and s_e += y_ep . (H^-1 g). One block of all D coordinates is the exact solution.
Source: Rendle et al. 2021, "iALS++: Speeding up matrix factorization with subspace optimization"; it changes sides after
every block, here all blocks of a row are solved while the other side is fixed, which lowers the same objective.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rankine.arrays import Float
from rankine.kernels.als_rows import (
    Equations,
    Neighbours,
    add_row,
    add_scores,
    dot_row,
    find_neighbours,
    room_for,
    set_row,
)
from rankine.kernels.jit import summing_kernel
from rankine.kernels.lanes import LINE, ROWS, add_product, aligned

LOST = 1e-6  # what rounding may leave of a pivot that is zero, as a share of the diagonal
BATCH = 32  # neighbours copied side by side before their products are added: they fit the nearest cache


class Block(NamedTuple):
    """Scratch for a block of `width` coordinates: H, g or its solution, and the vectors of BATCH neighbours, plain and times w."""

    matrix: Float
    vector: Float
    batch: Float
    weighted: Float


@summing_kernel
def block_for(width: int) -> Block:
    """Scratch for blocks of at most `width` coordinates."""
    return Block(aligned(width * width), aligned(width), aligned(BATCH * width), aligned(BATCH * width))


@summing_kernel
def descend_rows(start: int, stop: int, equations: Equations, width: int, out: Float) -> int:
    """Solve each block of `width` coordinates once for the rows start .. stop of `out`; returns a row that failed, or -1."""
    dim, n_real = equations.dim, out.shape[1]
    x, block, near = aligned(dim), block_for(width), room_for(0)
    for row in range(start, stop):
        n = equations.indptr[row + 1] - equations.indptr[row]
        if n == 0:
            out[row] = 0
            continue
        if n + LINE > len(near.starts):
            near = room_for(2 * n)
        find_neighbours(equations, row, near, 0)
        x[n_real:] = 0
        for d in range(n_real):
            x[d] = out[row, d]
        near.values[:n] = 0
        add_scores(equations.table, near, n, x, dim)
        for at in range(0, dim, width):
            size = min(width, dim - at)
            form_block(equations, row, near, n, at, size, n_real, x, block)
            if not factor(block.matrix, size):
                return row
            substitute(block.matrix, block.vector, size)
            add_row(1.0, block.vector, 0, x, at, size)
            if at + size < dim:
                add_scores(equations.table[at:], near, n, block.vector, size)
        for d in range(n_real):
            out[row, d] = x[d]
    return -1


@summing_kernel
def form_block(
    equations: Equations, row: int, near: Neighbours, n: int, at: int, width: int, n_real: int, x: Float, block: Block
) -> None:
    """Set the scratch to H (its upper triangle) and g for the coordinates at .. at + width; the values of `near` are s_e."""
    dim, penalty, gram, matrix = equations.dim, equations.penalty[row], equations.gram, block.matrix
    set_row(-penalty, x, at, block.vector, 0, width)
    for c in range(dim):
        add_row(-x[c], gram, c * dim + at, block.vector, 0, width)
    for c in range(width):
        set_row(1.0, gram, (at + c) * dim + at, matrix, c * width, width)
        matrix[c * width + c] += penalty if at + c < n_real else 1.0  # coordinates that only pad need any pivot
    for first in range(0, n, BATCH):
        size = min(BATCH, n - first)
        for k in range(size):
            source, weight = near.starts[first + k] + at, near.weights[first + k]
            set_row(1.0, equations.table, source, block.batch, k * width, width)
            set_row(weight, equations.table, source, block.weighted, k * width, width)
            add_row(1 - near.values[first + k], block.weighted, k * width, block.vector, 0, width)
        for c in range(0, width, ROWS):
            begin = c // LINE * LINE  # of the lower triangle only the rest of a line is computed
            add_product(
                block.weighted, c, 1, width, size, block.batch, begin, matrix, c * width + begin, width, width - begin
            )


@summing_kernel
def factor(matrix: Float, dim: int) -> bool:
    """Replace the upper triangle of A by U with U'U = A, LINE rows at a time; False when A is not positive definite."""
    minus, diagonal = aligned(LINE * dim), aligned(dim)
    for j in range(dim):
        diagonal[j] = matrix[j * dim + j]
    for panel in range(0, dim, LINE):
        for j in range(panel, panel + LINE):
            pivot = matrix[j * dim + j]
            if not pivot > LOST * diagonal[j]:  # also NaN
                return False
            set_row(1 / np.sqrt(pivot), matrix, j * dim + panel, matrix, j * dim + panel, dim - panel)
            for d in range(panel, j):
                matrix[j * dim + d] = 0
            for c in range(j + 1, panel + LINE):
                add_row(-matrix[j * dim + c], matrix, j * dim + panel, matrix, c * dim + panel, dim - panel)
            for d in range(panel, dim):
                minus[(j - panel) * dim + d] = -matrix[j * dim + d]
        for c in range(panel + LINE, dim, ROWS):
            begin = c // LINE * LINE
            add_product(minus, c, 1, dim, LINE, matrix, panel * dim + begin, matrix, c * dim + begin, dim, dim - begin)
    return True


@summing_kernel
def substitute(upper: Float, vector: Float, dim: int) -> None:
    """Replace b by the x of U'U x = b; below the diagonal U is zero within its blocks of LINE."""
    for j in range(dim):
        begin, value = j // LINE * LINE, vector[j] / upper[j * dim + j]
        add_row(-value, upper, j * dim + begin, vector, begin, dim - begin)
        vector[j] = value
    for j in range(dim - 1, -1, -1):
        begin, value = j // LINE * LINE, vector[j]
        vector[j] = 0
        vector[j] = (value - dot_row(upper, j * dim + begin, vector, begin, dim - begin)) / upper[j * dim + j]
