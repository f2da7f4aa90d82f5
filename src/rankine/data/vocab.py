"""Outside ids on one side, row indices on the other."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from rankine.arrays import Int


class Vocab:
    """Known ids are rows 0 .. n-1; row n is reserved for everything unknown, so a table needs `n_rows` = n + 1 rows."""

    def __init__(self, ids: Iterable[str] | pl.Series) -> None:
        series = ids if isinstance(ids, pl.Series) else pl.Series(list(map(_text, ids)), dtype=pl.String)
        self.ids = series.rename("id").cast(pl.String)
        if self.ids.null_count() or self.ids.n_unique() != len(self.ids):
            raise ValueError("ids of a Vocab must be unique and not null")

    @classmethod
    def of(cls, *columns: pl.Series) -> Vocab:
        """The distinct ids of the columns in order of first appearance; nulls are skipped."""
        parts = [c.cast(pl.String).rename("id") for c in columns]
        return cls(pl.concat(parts).drop_nulls().unique(maintain_order=True))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def unknown(self) -> int:
        """The row of every id that is not known: the last one."""
        return len(self)

    @property
    def n_rows(self) -> int:
        """Rows that a table over this vocabulary needs, the unknown one included."""
        return len(self) + 1

    @cached_property
    def _names(self) -> list[str]:
        return self.ids.to_list()

    @cached_property
    def _rows(self) -> dict[str | None, int]:
        return {name: row for row, name in enumerate(self._names)}

    def __contains__(self, name: object) -> bool:
        return _text(name) in self._rows

    def row(self, name: object) -> int:
        """The row of one id, as text or as the number it stands for; unknown or None gives `unknown`."""
        return self._rows.get(_text(name), self.unknown)

    def index(self, column: pl.Series | Iterable[object]) -> Int:
        """The rows of many ids, int32 [len(column)]; unknown and null give `unknown`."""
        if not isinstance(column, pl.Series):  # a request names few ids: no join over the whole vocabulary
            return np.fromiter((self.row(name) for name in column), np.int32)
        frame = column.cast(pl.String).rename("id").to_frame()
        known = pl.DataFrame({"id": self.ids, "row": np.arange(len(self), dtype=np.int32)})
        rows = frame.join(known, on="id", how="left", maintain_order="left")["row"].fill_null(self.unknown)
        return rows.to_numpy().astype(np.int32)  # a copy that may be written to

    def name(self, row: int) -> str:
        """The outside id of a known row."""
        return self._names[int(row)]

    def names(self, rows: Int) -> list[str]:
        """The outside ids of known rows."""
        return [self._names[row] for row in rows.tolist()]

    def save(self, path: Path) -> None:
        """Write the ids in row order as Parquet."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.ids.to_frame().write_parquet(path)

    @classmethod
    def load(cls, path: Path) -> Vocab:
        """The vocabulary that `save` wrote."""
        return cls(pl.read_parquet(path)["id"])


def _text(name: object) -> str | None:
    return None if name is None else str(name)
