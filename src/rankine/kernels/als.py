"""Implicit-feedback alternating least squares: one side solved while the other is fixed.

Loss over a sparse matrix of weights w: sum over its entries of w_ui (x_u.y_i - 1)^2
+ a0 * sum over all cells of (x_u.y_i)^2 + sum_u l_u |x_u|^2 + sum_i l_i |y_i|^2.
Source: Rendle et al. 2021, "Revisiting the performance of iALS"; conjugate gradient: Takacs, Pilaszy and Tikk 2011.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.errors import ModelError
from rankine.kernels.jit import over_rows, summing_kernel

Solver = Literal["cholesky", "cg"]
BLOCK = 8  # observed vectors added to the normal equations at a time
GRAM_BLOCK = 4096  # rows multiplied in float32 before their sum goes to float64


def solve_rows(
    csr: CSR,
    fixed: Float,
    out: Float,
    *,
    alpha0: float,
    regularization: Array | float,
    solver: Solver = "cg",
    cg_steps: int = 3,
) -> None:
    """Set row u of `out` to (a0 Y'Y + sum_i w_ui y_i y_i' + l_u I)^-1 sum_i w_ui y_i, Y = `fixed`; empty rows become 0.

    `csr` holds w [n_rows, n_columns], `fixed` is [n_columns, D], `out` float32 [n_rows, D] (where "cg" starts from),
    `regularization` is l_u, one or one per row. "cholesky" is exact, "cg" makes `cg_steps` steps of conjugate gradient.
    Raises ValueError for wrong shapes, ModelError where the equations of a row have no single solution.
    """
    _check_shapes(csr, fixed, out)
    dim = fixed.shape[1]
    gram = alpha0 * gram_matrix(fixed)
    penalty = np.empty(csr.n_rows, np.float64)
    penalty[:] = regularization
    work = csr.indptr + np.arange(csr.n_rows + 1) * (dim // 2)
    entries = (csr.indptr, csr.indices, csr.data, np.ascontiguousarray(fixed, np.float32))
    if solver == "cg":
        over_rows(_cg_rows, csr.n_rows, *entries, gram.astype(np.float32), penalty, cg_steps, out, work=work)
        return
    failed = max(over_rows(_cholesky_rows, csr.n_rows, *entries, gram, penalty, out, work=work), default=-1)
    if failed >= 0:
        raise ModelError(f"the equations of row {failed} have no single solution: raise `regularization` or `alpha0`")


def fold_in(csr: CSR, fixed: Float, *, alpha0: float, regularization: Array | float) -> Float:
    """The exact vectors float32 [n_rows, D] of rows that training has not seen."""
    out = np.zeros((csr.n_rows, fixed.shape[1]), np.float32)
    solve_rows(csr, fixed, out, alpha0=alpha0, regularization=regularization, solver="cholesky")
    return out


def objective(
    csr: CSR, x: Float, y: Float, *, alpha0: float, x_regularization: Array | float, y_regularization: Array | float
) -> float:
    """The loss of the vectors `x` [n_rows, D] and `y` [n_columns, D]; all cells cost two Gram matrices."""
    observed = np.zeros(csr.n_rows, np.float64)
    over_rows(_squared_errors, csr.n_rows, csr.indptr, csr.indices, csr.data, x, y, observed, work=csr.indptr)
    everywhere = np.sum(gram_matrix(x) * gram_matrix(y))
    return float(observed.sum() + alpha0 * everywhere + _penalty(x, x_regularization) + _penalty(y, y_regularization))


def gram_matrix(vectors: Float) -> Array:
    """V'V of V [N, D], float64 [D, D]."""
    gram = np.zeros((vectors.shape[1], vectors.shape[1]), np.float64)
    for start in range(0, len(vectors), GRAM_BLOCK):
        block = vectors[start : start + GRAM_BLOCK]
        gram += block.T @ block
    return gram


def _penalty(vectors: Float, regularization: Array | float) -> float:
    return float(np.sum(regularization * np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)))


def _check_shapes(csr: CSR, fixed: Float, out: Float) -> None:
    if fixed.ndim != 2 or len(fixed) != csr.n_columns:
        raise ValueError(f"`fixed` must be [{csr.n_columns}, D], a row per column of the matrix; got {fixed.shape}")
    if out.shape != (csr.n_rows, fixed.shape[1]) or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(
            f"`out` must be a contiguous float32 [{csr.n_rows}, {fixed.shape[1]}]; got {out.dtype} {out.shape}"
        )


@summing_kernel
def _cg_rows(
    start: int, stop: int, indptr: Offsets, indices: Int, data: Float, fixed: Float,
    gram: Float, penalty: Array, n_steps: int, out: Float,
) -> None:  # fmt: skip
    direction, product = np.empty(fixed.shape[1], np.float32), np.empty(fixed.shape[1], np.float32)
    residual = np.empty(fixed.shape[1], np.float32)
    for row in range(start, stop):
        x = out[row]
        if indptr[row] == indptr[row + 1]:
            x[:] = 0
            continue
        columns, weights = indices[indptr[row] : indptr[row + 1]], data[indptr[row] : indptr[row + 1]]
        _residual(columns, weights, fixed, gram, penalty[row], 1.0, x, residual)
        for d in range(len(x)):
            direction[d] = residual[d]
        size = first_size = _dot(residual, residual)
        for _ in range(n_steps):
            if size <= 1e-14 * first_size or size < 1e-30:
                break
            _residual(columns, weights, fixed, gram, penalty[row], 0.0, direction, product)
            step = -size / _dot(direction, product)
            for d in range(len(x)):
                x[d] += step * direction[d]
                residual[d] += step * product[d]
            new_size = _dot(residual, residual)
            turn = new_size / size
            for d in range(len(x)):
                direction[d] = residual[d] + turn * direction[d]
            size = new_size


@summing_kernel
def _residual(
    columns: Int, weights: Float, fixed: Float, gram: Float, penalty: float, target: float, x: Float, out: Float
) -> None:
    """out = target * b - A x, with A and b the normal equations of one row; A is never formed."""
    shrink, goal = np.float32(penalty), np.float32(target)  # one double would make the loops below double too
    for d in range(len(x)):
        out[d] = -shrink * x[d]
    for c in range(len(x)):
        for d in range(len(x)):
            out[d] -= x[c] * gram[c, d]
    for e in range(len(columns)):
        y = fixed[columns[e]]
        error = weights[e] * (goal - _dot(x, y))
        for d in range(len(x)):
            out[d] += error * y[d]


@summing_kernel
def _dot(a: Float, b: Float) -> np.float32:
    total = np.float32(0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@summing_kernel
def _cholesky_rows(
    start: int, stop: int, indptr: Offsets, indices: Int, data: Float, fixed: Float,
    gram: Array, penalty: Array, out: Float,
) -> int:  # fmt: skip
    """Solve the rows start .. stop; returns a row that has no single solution, or -1."""
    dim = fixed.shape[1]
    matrix, vector = np.empty((dim, dim)), np.empty(dim)
    block, weights = np.empty((BLOCK, dim)), np.empty(BLOCK)
    for row in range(start, stop):
        if indptr[row] == indptr[row + 1]:
            out[row] = 0
            continue
        vector[:] = 0
        for c in range(dim):
            for d in range(c, dim):
                matrix[c, d] = gram[c, d]
            matrix[c, c] += penalty[row]
        for first in range(indptr[row], indptr[row + 1], BLOCK):
            size = min(BLOCK, indptr[row + 1] - first)
            for e in range(BLOCK):
                column = indices[first + min(e, size - 1)]
                weights[e] = data[first + e] if e < size else 0.0
                for d in range(dim):
                    block[e, d] = fixed[column, d]
            _add_outer(matrix, vector, block, weights)
        if not _factor(matrix):
            return row
        _substitute(matrix, vector)
        for d in range(dim):
            out[row, d] = vector[d]
    return -1


@summing_kernel
def _add_outer(matrix: Array, vector: Array, y: Array, w: Array) -> None:
    """matrix += sum_e w_e y_e y_e' (upper triangle), vector += sum_e w_e y_e, for a block of eight y_e.

    Written out: one load and store of the matrix serves eight products.
    """
    for c in range(len(vector)):
        w0, w1, w2, w3 = w[0] * y[0, c], w[1] * y[1, c], w[2] * y[2, c], w[3] * y[3, c]
        w4, w5, w6, w7 = w[4] * y[4, c], w[5] * y[5, c], w[6] * y[6, c], w[7] * y[7, c]
        vector[c] += w0 + w1 + w2 + w3 + w4 + w5 + w6 + w7
        for d in range(c, len(vector)):
            low = w0 * y[0, d] + w1 * y[1, d] + w2 * y[2, d] + w3 * y[3, d]
            high = w4 * y[4, d] + w5 * y[5, d] + w6 * y[6, d] + w7 * y[7, d]
            matrix[c, d] += low + high


@summing_kernel
def _factor(matrix: Array) -> bool:
    """Replace the upper triangle of A by U with U'U = A; False when A is not positive definite."""
    for j in range(len(matrix)):
        if not matrix[j, j] > 0:  # also NaN
            return False
        root = np.sqrt(matrix[j, j])
        for d in range(j, len(matrix)):
            matrix[j, d] /= root
        for c in range(j + 1, len(matrix)):
            factor = matrix[j, c]
            for d in range(c, len(matrix)):
                matrix[c, d] -= factor * matrix[j, d]
    return True


@summing_kernel
def _substitute(upper: Array, vector: Array) -> None:
    """Replace b by the x of U'U x = b."""
    for j in range(len(vector)):
        vector[j] /= upper[j, j]
        for d in range(j + 1, len(vector)):
            vector[d] -= vector[j] * upper[j, d]
    for j in range(len(vector) - 1, -1, -1):
        for d in range(j + 1, len(vector)):
            vector[j] -= upper[j, d] * vector[d]
        vector[j] /= upper[j, j]


@summing_kernel
def _squared_errors(
    start: int, stop: int, indptr: Offsets, indices: Int, data: Float, x: Float, y: Float, out: Array
) -> None:
    for row in range(start, stop):
        for e in range(indptr[row], indptr[row + 1]):
            error = 1.0 - _dot(x[row], y[indices[e]])
            out[row] += data[e] * error * error
