"""The two shapes that arrays come in besides dense: rows of different length, and a sparse matrix by rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Float = NDArray[np.float32]
Int = NDArray[np.int32]
Offsets = NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Rows of different length, flat: row r is `values[offsets[r]:offsets[r + 1]]`; offsets int64 [R + 1]."""

    values: Array
    offsets: Offsets

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[Any] | Array], dtype: Any = np.int32) -> Ragged:
        """The rows, copied behind one another."""
        lengths = np.fromiter((len(r) for r in rows), np.int64, len(rows))
        flat = [np.asarray(r, dtype) for r in rows if len(r)]
        return cls.from_lengths(np.concatenate(flat) if flat else np.empty(0, dtype), lengths)

    @classmethod
    def from_lengths(cls, values: Array, lengths: Array) -> Ragged:
        """Rows of the given lengths [R] cut from `values` in order."""
        return cls(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    @classmethod
    def empty(cls, n_rows: int, dtype: Any = np.int32) -> Ragged:
        """`n_rows` rows without a value."""
        return cls(np.empty(0, dtype), np.zeros(n_rows + 1, np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Array:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[Array]:
        return (self[r] for r in range(len(self)))

    @property
    def lengths(self) -> Offsets:
        """Length of each row, int64 [R]."""
        return np.diff(self.offsets)

    def row_of_value(self) -> Offsets:
        """The row that each value belongs to, int64 [len(values)]."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: Array | slice) -> Ragged:
        """The rows at these indices, in this order."""
        index = np.arange(len(self))[rows]
        return self._gather(self.offsets[index], self.lengths[index])

    def tail(self, n: Array | int) -> Ragged:
        """The last `n` values of each row (a number, or one per row [R]); shorter rows stay whole."""
        lengths = np.minimum(self.lengths, n)
        return self._gather(self.offsets[1:] - lengths, lengths)

    def with_values(self, values: Array) -> Ragged:
        """The same row borders around other values."""
        return Ragged(values, self.offsets)

    def _gather(self, starts: Offsets, lengths: Offsets) -> Ragged:
        out = Ragged.from_lengths(self.values, lengths)
        index = np.arange(out.offsets[-1]) + np.repeat(starts - out.offsets[:-1], lengths)
        return Ragged(self.values[index], out.offsets)


@dataclass(frozen=True)
class CSR:
    """A sparse matrix by rows, columns ascending within a row, no duplicates: indptr int64, indices int32, data float32."""

    indptr: Offsets
    indices: Int
    data: Float
    n_columns: int

    @property
    def n_rows(self) -> int:
        """Number of rows, empty ones included."""
        return len(self.indptr) - 1

    @property
    def nnz(self) -> int:
        """Number of stored entries."""
        return len(self.indices)

    def row(self, r: int) -> tuple[Int, Float]:
        """Column indices and values of row `r`."""
        part = slice(self.indptr[r], self.indptr[r + 1])
        return self.indices[part], self.data[part]
