"""Implicit-feedback alternating least squares: one side solved while the other is fixed.

Loss over a sparse matrix of weights w: sum over its entries of w_ui (x_u.y_i - 1)^2
+ a0 * sum over all cells of (x_u.y_i)^2 + sum_u l_u |x_u|^2 + sum_i l_i |y_i|^2.
Source: Rendle et al. 2021, "Revisiting the performance of iALS"; conjugate gradient: Takacs, Pilaszy and Tikk 2011;
blocks of coordinates: Rendle et al. 2021, "iALS++".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rankine.arrays import CSR, Array, Float, Offsets
from rankine.errors import ModelError
from rankine.kernels.als_blocks import descend_rows
from rankine.kernels.als_cg import cg_rows
from rankine.kernels.als_exact import exact_rows
from rankine.kernels.als_gram import padded_gram
from rankine.kernels.als_rows import Equations, add_scores, find_neighbours, room_for
from rankine.kernels.jit import over_rows, summing_kernel
from rankine.kernels.lanes import LINE

Solver = Literal["cholesky", "cg", "ials++"]
AHEAD = 16  # neighbours whose vectors are fetched before they are needed
CACHE_BYTES = 2 << 20  # a table of this size stays in the cache of a core: fetching ahead would only cost


@dataclass(frozen=True)
class FixedSide:
    """The vectors that are held fixed, ready to solve rows against: worth keeping between requests.

    vectors float32 [n, D]; table the same padded with zeros to [n, dim] and aligned; gram float64 [D, D], a0 Y'Y;
    padded_gram the same as float32 [dim, dim].
    """

    vectors: Float
    alpha0: float
    table: Float
    gram: Array
    padded_gram: Float

    @classmethod
    def of(cls, vectors: Float, alpha0: float) -> FixedSide:
        """Raises ValueError for the wrong shape, ModelError for a vector that is not finite."""
        if vectors.ndim != 2:
            raise ValueError(f"`fixed` must be [n, D], a vector per row; got {list(vectors.shape)}")
        table, dim = _padded(vectors), vectors.shape[1]
        gram = alpha0 * padded_gram(table)
        if not np.isfinite(gram).all():
            row = int(np.argmin(np.isfinite(vectors).all(1)))
            raise ModelError(f"the vectors of the fixed side must be finite; row {row} is not: raise `l2`")
        rounded = aligned_rows(*gram.shape)
        rounded[:] = gram
        return cls(vectors, alpha0, table, np.ascontiguousarray(gram[:dim, :dim]), rounded)

    def equations(self, csr: CSR, penalty: Array) -> Equations:
        """The normal equations of the rows of `csr`. Raises ValueError where it has another number of columns."""
        if len(self.table) != csr.n_columns:
            shape = list(self.vectors.shape)
            raise ValueError(f"`fixed` must be [{csr.n_columns}, D], a row per column of the matrix; got {shape}")
        ahead = AHEAD if self.table.nbytes > CACHE_BYTES else 0
        flat, gram = self.table.reshape(-1), self.padded_gram.reshape(-1)
        indptr, indices = np.ascontiguousarray(csr.indptr, np.int64), np.ascontiguousarray(csr.indices, np.int32)
        data = np.ascontiguousarray(csr.data, np.float32)  # lanes read addresses: the type must be the one they expect
        return Equations(indptr, indices, data, flat, gram, penalty, self.table.shape[1], ahead)


def solve_rows(
    csr: CSR,
    fixed: Float | FixedSide,
    out: Float,
    *,
    alpha0: float,
    regularization: Array | float,
    solver: Solver = "cg",
    cg_steps: int = 3,
    block: int = 64,
) -> None:
    """Set row u of `out` to (a0 Y'Y + sum_i w_ui y_i y_i' + l_u I)^-1 sum_i w_ui y_i, Y = `fixed`; empty rows become 0.

    `csr` holds w [n_rows, n_columns], `fixed` is [n_columns, D], `out` float32 [n_rows, D], `regularization` is l_u, one or one
    per row. "cholesky" is exact: the float64 solution, rounded. "cg" makes `cg_steps` steps of conjugate gradient from where
    `out` is. "ials++" solves each block of `block` coordinates once, from where `out` is; one block of all D is exact too.
    Raises ValueError for wrong shapes, ModelError for a negative weight or penalty, for one that is not a number, and where the
    equations of a row have no single solution.
    """
    side = fixed if isinstance(fixed, FixedSide) else FixedSide.of(fixed, alpha0)
    if side.alpha0 != alpha0:
        raise ValueError(f"`alpha0` must be that of the fixed side, {side.alpha0}; got {alpha0}")
    _check_shapes(csr, side, out)
    penalty = np.empty(csr.n_rows, np.float64)
    penalty[:] = regularization
    _check_numbers(csr, penalty)
    dim = side.table.shape[1]
    equations = side.equations(csr, penalty)
    rows = np.arange(csr.n_rows + 1)
    if solver == "cg":
        failed = over_rows(cg_rows, csr.n_rows, equations, cg_steps, out, work=csr.indptr + rows * (dim // 2))
        row = max(failed, default=-1)
        if row >= 0:
            raise ModelError(f"the numbers of row {row} grow beyond float32: use smaller weights or raise `l2`")
        return
    work = csr.indptr + rows * dim
    if solver == "cholesky":
        failed = over_rows(exact_rows, csr.n_rows, equations, side.gram, out, work=work)
    else:
        width = min(-(-block // LINE) * LINE, dim)
        failed = over_rows(descend_rows, csr.n_rows, equations, width, out, work=work)
    row = min((row for row in failed if row >= 0), default=-1)
    if row >= 0:
        raise ModelError(f"the equations of row {row} have no single solution: raise `l2` or `unobserved_weight`")


def fold_in(csr: CSR, fixed: Float | FixedSide, *, alpha0: float, regularization: Array | float) -> Float:
    """The exact vectors float32 [n_rows, D] of rows that training has not seen."""
    out = np.zeros((csr.n_rows, (fixed.vectors if isinstance(fixed, FixedSide) else fixed).shape[1]), np.float32)
    solve_rows(csr, fixed, out, alpha0=alpha0, regularization=regularization, solver="cholesky")
    return out


def objective(
    csr: CSR, x: Float, y: Float, *, alpha0: float, x_regularization: Array | float, y_regularization: Array | float
) -> float:
    """The loss of the vectors `x` [n_rows, D] and `y` [n_columns, D]; all cells cost two Gram matrices."""
    side, observed = FixedSide.of(y, alpha0), np.zeros(csr.n_rows, np.float64)
    over_rows(_squared_errors, csr.n_rows, side.equations(csr, observed), x, observed, work=csr.indptr)
    everywhere = np.sum(gram_matrix(x) * side.gram)
    return float(observed.sum() + everywhere + _penalty(x, x_regularization) + _penalty(y, y_regularization))


def row_sums(csr: CSR) -> Array:
    """The sum of the entries of each row, float64 [n_rows]."""
    out = np.empty(csr.n_rows)
    _sum_rows(csr.indptr, csr.data, out)
    return out


def gram_matrix(vectors: Float) -> Array:
    """V'V of V [N, D], float64 [D, D]."""
    dim = vectors.shape[1]
    return padded_gram(_padded(vectors))[:dim, :dim]


def aligned_rows(n: int, dim: int) -> Float:
    """Zeros float32 [n, dim] that start at a multiple of 64 bytes: `fixed` is used as it is, without a copy, if it lies so
    and `dim` is a multiple of 16.
    """
    memory = np.zeros(n * dim + LINE, np.float32)
    start = (-(memory.ctypes.data // 4)) % LINE
    return memory[start : start + n * dim].reshape(n, dim)


def _padded(vectors: Float) -> Float:
    n, dim = vectors.shape
    plain = vectors.dtype == np.float32 and vectors.flags.c_contiguous and vectors.flags.writeable
    if plain and dim % LINE == 0 and vectors.ctypes.data % (4 * LINE) == 0:
        return vectors
    table = aligned_rows(n, -(-dim // LINE) * LINE)
    table[:, :dim] = vectors
    return table


def _penalty(vectors: Float, regularization: Array | float) -> float:
    return float(np.sum(regularization * np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)))


def _check_shapes(csr: CSR, side: FixedSide, out: Float) -> None:
    shape = (csr.n_rows, side.vectors.shape[1])
    if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(f"`out` must be a contiguous float32 {list(shape)}; got {out.dtype} {list(out.shape)}")


def _check_numbers(csr: CSR, penalty: Array) -> None:
    """Raise ModelError unless all weights and penalties are finite and not negative."""
    entry, row = _first_bad(csr.data), _first_bad(penalty)
    if entry >= 0:
        row = int(np.searchsorted(csr.indptr, entry, "right")) - 1
        raise ModelError(
            f"weights must be finite and not negative; row {row} has {csr.data[entry]}: leave such events out"
        )
    if row >= 0:
        raise ModelError(f"`regularization` must be finite and not negative; that of row {row} is {penalty[row]}")


def _first_bad(values: Array) -> int:
    """The place of the first number that is negative, infinite or none, or -1."""
    if not len(values) or (values.min() >= 0 and values.max() < np.inf):  # both are NaN where any is
        return -1
    return int(np.argmin((values >= 0) & (values < np.inf)))


@summing_kernel
def _sum_rows(indptr: Offsets, data: Float, out: Array) -> None:
    for row in range(len(out)):
        total = 0.0
        for e in range(indptr[row], indptr[row + 1]):
            total += np.float64(data[e])
        out[row] = total


@summing_kernel
def _squared_errors(start: int, stop: int, equations: Equations, x: Float, out: Array) -> None:
    vector, near = np.zeros(equations.dim, np.float32), room_for(0)
    for row in range(start, stop):
        n = equations.indptr[row + 1] - equations.indptr[row]
        if n + LINE > len(near.starts):
            near = room_for(2 * n)
        find_neighbours(equations, row, near, 0)
        vector[: x.shape[1]] = x[row]
        near.values[:n] = 0
        add_scores(equations.table, near, n, vector, equations.dim)
        for e in range(n):
            error = 1.0 - near.values[e]
            out[row] += near.weights[e] * error * error
