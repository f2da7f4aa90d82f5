"""Columns: what one field makes of a value. The same value gets the same row in a table and in a request.

The rows of a column are those of its values, then one for a missing value where training had such, then one for what is unknown;
a missing value where training had none counts as unknown.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from zlib import crc32

import numpy as np
import polars as pl

from rankine.arrays import Int
from rankine.data.vocab import Vocab
from rankine.errors import RequestError
from rankine.features.slots import Slots

HASH_SEED = 0x5EED  # rows of saved models depend on it


@dataclass(frozen=True, kw_only=True)
class Column(ABC):
    """How the values of one column become rows, counted from the column's first.

    missing: whether a missing value has a row; constant: whether all of training had the same row, so that nothing can be learned.
    """

    kind: ClassVar[str]
    weighted: ClassVar[bool] = False
    missing: bool
    constant: bool = False

    @property
    @abstractmethod
    def n_known(self) -> int:
        """Rows for values."""

    @property
    def n_slots(self) -> int:
        """Slots in a row."""
        return 1

    @property
    def missing_row(self) -> int:
        """The row of a value that is not given."""
        return self.n_known  # the unknown row, where training had none missing

    @property
    def unknown(self) -> int:
        """The row of a value never seen: the last one."""
        return self.n_known + self.missing

    @property
    def n_rows(self) -> int:
        """Rows of the table that this column owns."""
        return self.unknown + 1

    @abstractmethod
    def encode(self, values: pl.Series) -> Slots:
        """The rows of a column of a table. Raises DataError."""

    @abstractmethod
    def one(self, name: str, value: Any) -> tuple[Sequence[int], Sequence[float]]:
        """The rows and weights of one value of a request. Raises RequestError naming the column."""


@dataclass(frozen=True, kw_only=True)
class Category(Column):
    """One of the values seen often enough in training."""

    kind = "category"
    vocab: Vocab

    @property
    def n_known(self) -> int:
        return len(self.vocab)

    def rows(self, values: pl.Series) -> Int:
        """The row of each value, int32."""
        rows = self.vocab.index(values)
        if self.missing:
            rows[(rows == self.n_known) & values.is_not_null().to_numpy()] = self.unknown
        return rows

    def row(self, value: str | None) -> int:
        """The row of one value as text."""
        row = self.vocab.row(value)
        return self.unknown if row == self.n_known and value is not None else row

    def encode(self, values: pl.Series) -> Slots:
        return Slots(self.rows(values)[:, None])

    def one(self, name: str, value: Any) -> tuple[Sequence[int], Sequence[float]]:
        return (self.row(category_of(name, value)),), (1.0,)


@dataclass(frozen=True, kw_only=True)
class Hashed(Column):
    """One of `n_buckets` rows that values share by a hash that is the same everywhere and always."""

    kind = "hashed"
    n_buckets: int

    @property
    def n_known(self) -> int:
        return self.n_buckets

    def rows(self, values: pl.Series) -> Int:
        """The row of each value, int32."""
        distinct = Vocab.of(values)
        rows = np.fromiter((self.row(value) for value in [*distinct.ids, None]), np.int32, distinct.n_rows)
        return rows[distinct.index(values)]

    def row(self, value: str | None) -> int:
        """The row of one value as text."""
        return (
            self.missing_row
            if value is None
            else crc32(value.encode(errors="surrogatepass"), HASH_SEED) % self.n_buckets
        )

    def encode(self, values: pl.Series) -> Slots:
        return Slots(self.rows(values)[:, None])

    def one(self, name: str, value: Any) -> tuple[Sequence[int], Sequence[float]]:
        return (self.row(category_of(name, value)),), (1.0,)


@dataclass(frozen=True, kw_only=True)
class Tags(Column):
    """The first `most` values of a list, averaged or summed; an empty list is a missing value."""

    kind = "tags"
    weighted = True
    each: Category | Hashed
    most: int
    mean: bool

    @property
    def n_known(self) -> int:
        return self.each.n_known

    @property
    def n_slots(self) -> int:
        return self.most

    def encode(self, values: pl.Series) -> Slots:
        lists = values.list.drop_nulls().list.head(self.most)
        lengths = lists.list.len().fill_null(0).to_numpy()
        flat = lists.filter(pl.Series(lengths > 0)).explode()
        filled = np.arange(self.most) < lengths[:, None]
        idx = np.full(filled.shape, self.unknown, np.int32)
        idx[filled] = self.each.rows(flat)
        idx[lengths == 0, 0] = self.missing_row
        share = 1 / np.maximum(lengths, 1) if self.mean else np.ones(len(lengths))
        weight = np.where(filled, share[:, None], 0)
        weight[lengths == 0, 0] = 1
        return Slots(idx, weight.astype(np.float32))

    def one(self, name: str, value: Any) -> tuple[Sequence[int], Sequence[float]]:
        given = [text for text in map(text_of, list_of(name, value)) if text is not None][: self.most]
        rows = [self.each.row(text) for text in given] or [self.missing_row]
        empty = self.most - len(rows)
        share = 1 / len(rows) if self.mean else 1.0
        return rows + [self.unknown] * empty, [share] * len(rows) + [0.0] * empty


def list_of(name: str, value: Any) -> list[Any]:
    """The values of a list of a request, or of text with commas. Raises RequestError."""
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)):
        raise RequestError(f"`context.{name}` must be a list, or text with commas; got {value!r}")
    return list(value)


def category_of(name: str, value: Any) -> str | None:
    """A category of a request as tables store it. Raises RequestError."""
    if isinstance(value, (list, tuple, Mapping)):
        raise RequestError(f"`context.{name}` must be a category: text, a number, true or false; got {value!r}")
    return text_of(value)


def text_of(value: Any) -> str | None:
    """A category of a request as tables store it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if value.is_integer() and abs(value) < 2**63:
            return str(int(value))
    return str(value)
