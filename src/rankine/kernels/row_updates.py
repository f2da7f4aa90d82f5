"""Steps of an optimiser on the rows of a table that a batch touches: what they cost goes with the batch, not with the table.

First the gradients of equal rows are added up, then each touched row makes its step. Both go through the rows in ascending order,
which is the order that memory likes, and threads share them. The sum of a row runs in the order of the batch, so the result is
the same to the bit for any number of threads. Tables, state and sums are flat, float32: row r of a table is
[r * dim : (r + 1) * dim].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rankine.arrays import Float, Int, Offsets
from rankine.kernels.grouping import Groups, check_rows
from rankine.kernels.jit import kernel, over_rows, summing_kernel
from rankine.kernels.lanes import WIDTH, load, prefetch, splat, square_root, store

PARALLEL = 1 << 18  # gradients of so many numbers are worth a second thread
AHEAD = 8  # rows that are asked for before they are needed
GRADIENTS_AHEAD = 16


@dataclass(frozen=True)
class RowSums:
    """Rows of a table without repeats, ascending, each with its gradient: rows int64 [n], sums float32 [n * dim]."""

    rows: Offsets
    sums: Float
    dim: int

    @classmethod
    def of_groups(cls, groups: Groups, gradients: Float) -> RowSums:
        """The sums of `gradients` float32 [N, dim] over the entries of each group."""
        dim = gradients.shape[1]
        found = cls(groups.rows, np.empty(len(groups.rows) * dim, np.float32), dim)
        flat = np.ascontiguousarray(gradients).reshape(-1)
        shared(
            _add_up,
            len(found.rows),
            flat.size,
            groups.borders,
            groups.entries,
            flat,
            dim,
            found.sums,
            work=groups.borders,
        )
        return found

    @classmethod
    def of_ascending(cls, rows: Offsets, gradients: Float, n_rows: int) -> RowSums:
        """Gradients float32 [n, dim] that have a row each already, copied. Raises ValueError for rows out of 0 .. n_rows - 1."""
        check_rows(rows, n_rows)
        return cls(rows, gradients.flatten(), gradients.shape[1])

    @classmethod
    def of_dense(cls, gradient: Float) -> RowSums:
        """A gradient of every number there is, as one long row."""
        return cls(np.zeros(1, np.int64), gradient, gradient.size)

    def penalise(self, table: Float, l2: float) -> None:
        """Add `l2` times the row itself to the gradient of each row."""
        self.each(_penalise, table, np.float32(l2))

    def each(self, run: Any, *arguments: Any) -> None:
        """`run(rows, sums, dim, *arguments)` of all rows, in parts where threads share them."""

        def run_part(start: int, stop: int) -> None:
            run(self.rows[start:stop], self.sums[start * self.dim : stop * self.dim], self.dim, *arguments)

        shared(run_part, len(self.rows), self.sums.size)


def shared(run: Any, n_rows: int, n_numbers: int, *arguments: Any, work: Offsets | None = None) -> None:
    """`run(start, stop, *arguments)` over 0 .. n_rows: at once where there is little to do, else by chunks that threads share."""
    if n_numbers < PARALLEL:
        run(0, n_rows, *arguments)
    else:
        over_rows(run, n_rows, *arguments, work=work)


@kernel
def _add_up(start: int, stop: int, borders: Offsets, entries: Int, gradients: Float, dim: int, sums: Float) -> None:
    n, whole = len(entries), dim - dim % WIDTH
    for row in range(start, stop):
        to = row * dim
        for d in range(dim):
            sums[to + d] = np.float32(0)
        for k in range(borders[row], borders[row + 1]):
            at = np.int64(entries[k]) * dim
            prefetch(gradients, np.int64(entries[min(k + GRADIENTS_AHEAD, n - 1)]) * dim)
            for d in range(0, whole, WIDTH):
                store(sums, to + d, load(sums, to + d) + load(gradients, at + d))
            for d in range(whole, dim):
                sums[to + d] += gradients[at + d]


@kernel
def _penalise(rows: Offsets, sums: Float, dim: int, table: Float, l2: float) -> None:
    for k in range(len(rows)):
        row = rows[k] * dim
        ahead = rows[min(k + AHEAD, len(rows) - 1)]
        prefetch(table, ahead * dim)
        for d in range(dim):
            sums[k * dim + d] += l2 * table[row + d]


@kernel
def sgd_rows(rows: Offsets, sums: Float, dim: int, table: Float, rate: float) -> None:
    """w -= rate g."""
    for k in range(len(rows)):
        row = rows[k] * dim
        ahead = rows[min(k + AHEAD, len(rows) - 1)]
        prefetch(table, ahead * dim)
        for d in range(dim):
            table[row + d] -= rate * sums[k * dim + d]


@kernel
def adam_rows(
    rows: Offsets, sums: Float, dim: int, table: Float, mean: Float, square: Float, rate: float,
    beta1: float, beta2: float, root: float, eps: float,
) -> None:  # fmt: skip
    """Adam's step: `rate` is the learning rate over 1 - beta1^t, `root` one over the root of 1 - beta2^t."""
    rest1, rest2, whole = np.float32(1) - beta1, np.float32(1) - beta2, dim - dim % WIDTH
    for k in range(len(rows)):
        row = rows[k] * dim
        ahead = rows[min(k + AHEAD, len(rows) - 1)]
        prefetch(table, ahead * dim)
        prefetch(mean, ahead * dim)
        prefetch(square, ahead * dim)
        for d in range(0, whole, WIDTH):  # the compiler would ask for each row whether the arrays overlap
            gs, at = load(sums, k * dim + d), row + d
            ms = splat(beta1) * load(mean, at) + splat(rest1) * gs
            vs = splat(beta2) * load(square, at) + splat(rest2) * gs * gs
            store(mean, at, ms)
            store(square, at, vs)
            step = splat(-rate) * ms / (square_root(vs) * splat(root) + splat(eps))
            store(table, at, load(table, at) + step)
        for d in range(whole, dim):
            g, at = sums[k * dim + d], row + d
            m = beta1 * mean[at] + rest1 * g
            v = beta2 * square[at] + rest2 * g * g
            mean[at] = m
            square[at] = v
            table[at] -= rate * m / (np.sqrt(v) * root + eps)


@kernel
def adagrad_numbers(rows: Offsets, sums: Float, dim: int, table: Float, square: Float, rate: float, eps: float) -> None:
    """n += g^2; w -= rate g / (sqrt(n) + eps), each number for itself."""
    for k in range(len(rows)):
        row = rows[k] * dim
        ahead = rows[min(k + AHEAD, len(rows) - 1)]
        prefetch(table, ahead * dim)
        prefetch(square, ahead * dim)
        for d in range(dim):
            g, at = sums[k * dim + d], row + d
            n = square[at] + g * g
            square[at] = n
            table[at] -= rate * g / (np.sqrt(n) + eps)


@summing_kernel
def adagrad_rows(rows: Offsets, sums: Float, dim: int, table: Float, square: Float, rate: float, eps: float) -> None:
    """The same with one n per row, to which the mean of g^2 over the row is added."""
    for k in range(len(rows)):
        row = rows[k] * dim
        ahead = rows[min(k + AHEAD, len(rows) - 1)]
        prefetch(table, ahead * dim)
        prefetch(square, ahead)
        total = np.float32(0)
        for d in range(dim):
            total += sums[k * dim + d] * sums[k * dim + d]
        n = square[rows[k]] + total / np.float32(dim)
        square[rows[k]] = n
        step = rate / (np.sqrt(n) + eps)
        for d in range(dim):
            table[row + d] -= step * sums[k * dim + d]


@kernel
def ftrl_rows(
    rows: Offsets, sums: Float, dim: int, table: Float, z: Float, n: Float, times: float, alpha: float, beta: float,
    l1: float, l2: float,
) -> None:  # fmt: skip
    """The step of FTRL-proximal, each number for itself, g being `times` the sum; see `rankine.nn.optim.FTRL`."""
    for k in range(len(rows)):
        row = rows[k] * dim
        ahead = rows[min(k + AHEAD, len(rows) - 1)]
        prefetch(table, ahead * dim)
        prefetch(z, ahead * dim)
        prefetch(n, ahead * dim)
        for d in range(dim):
            g, at = times * sums[k * dim + d], row + d
            before, after = np.sqrt(n[at]), np.sqrt(n[at] + g * g)
            zed = z[at] + g - (after - before) / alpha * table[at]
            z[at] = zed
            n[at] += g * g
            if abs(zed) <= l1:
                table[at] = np.float32(0)
            else:
                table[at] = (np.copysign(l1, zed) - zed) / ((beta + after) / alpha + l2)
