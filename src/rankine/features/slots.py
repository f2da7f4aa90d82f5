"""Rows of fields: what a click model sees of one item shown to one visitor at one moment.

A row is L slots. A slot names a row of the tables that models learn (one table over all fields, each field owning a range of
its rows, the last of the range for what is not known) and carries a weight: 1 for a category, the number for a field whose
vector is multiplied by it, 1/n for each of n pooled tags, 0 where a slot is empty. A field with several slots is their sum.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Literal

import numpy as np

from rankine.arrays import Array, Float, Int

Side = Literal["request", "item", "pair"]
SIDES: tuple[Side, ...] = ("request", "item", "pair")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field: its name, whose property it is, its slots in a row, and its rows of the table, the last for the unknown.

    shares: the name of the field whose rows it looks up instead of rows of its own, as a history does with items; then `n_rows`
    is 0. cross: an AND of other fields; such fields come last, and only the linear part of a model sees them.
    """

    name: str
    side: Side
    n_slots: int = 1
    n_rows: int = 0
    shares: str | None = None
    cross: bool = False


@dataclass(frozen=True)
class Layout:
    """The fields of a row in the order of their slots: request, item, pair, and crosses behind all others."""

    fields: tuple[Field, ...]

    @cached_property
    def first_rows(self) -> dict[str, int]:
        """The first table row of each field; that of the other where a field shares."""
        starts = accumulate((f.n_rows for f in self.fields), initial=0)
        own = {f.name: start for f, start in zip(self.fields, starts, strict=False)}
        return {f.name: own[f.shares or f.name] for f in self.fields}

    @property
    def n_rows(self) -> int:
        """Rows of the table, those of crosses included."""
        return sum(f.n_rows for f in self.fields)

    @property
    def n_slots(self) -> int:
        """Width of a row, crosses included."""
        return sum(f.n_slots for f in self.fields)

    @cached_property
    def embedded(self) -> Layout:
        """The same without crosses: what has vectors."""
        return Layout(tuple(f for f in self.fields if not f.cross))

    def __len__(self) -> int:
        return len(self.fields)

    @cached_property
    def slot_field(self) -> Array:
        """The field of each slot, int64 [L]."""
        return np.repeat(np.arange(len(self.fields)), [f.n_slots for f in self.fields])

    def slots_of(self, name: str) -> slice:
        """The slots of a field."""
        at = [f.name for f in self.fields].index(name)
        start = sum(f.n_slots for f in self.fields[:at])
        return slice(start, start + self.fields[at].n_slots)

    def state(self) -> dict[str, Array]:
        """The layout as arrays, for a saved model; `of_state` reads them."""
        names = json.dumps([(f.name, f.shares) for f in self.fields])
        return {
            "layout.names": np.frombuffer(names.encode(), np.uint8),
            "layout.numbers": np.array(
                [(SIDES.index(f.side), f.n_slots, f.n_rows, f.cross) for f in self.fields], np.int64
            ).reshape(-1, 4),
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Array]) -> Layout:
        """The layout that `state` wrote."""
        names = json.loads(state["layout.names"].tobytes())
        return cls(
            tuple(
                Field(name=name, side=SIDES[side], n_slots=slots, n_rows=rows, shares=other, cross=bool(cross))
                for (name, other), (side, slots, rows, cross) in zip(
                    names, state["layout.numbers"].tolist(), strict=True
                )
            )
        )


@dataclass(frozen=True)
class Slots:
    """B rows, or one side of them: idx int32 [B, L], rows of the table; weight float32 [B, L], None where all are 1."""

    idx: Int
    weight: Float | None = None

    def __len__(self) -> int:
        return len(self.idx)

    def take(self, rows: Array | slice) -> Slots:
        """The rows at these indices."""
        return Slots(_taken(self.idx, rows), None if self.weight is None else _taken(self.weight, rows))

    @classmethod
    def beside(cls, parts: Sequence[Slots]) -> Slots:
        """The parts as one, slots side by side."""
        idx = np.concatenate([part.idx for part in parts], axis=1)
        if all(part.weight is None for part in parts):
            return cls(idx)
        ones = (np.ones(p.idx.shape, np.float32) if p.weight is None else p.weight for p in parts)
        return cls(idx, np.concatenate(list(ones), axis=1))


def _taken(column: Array, rows: Array | slice) -> Array:
    """column[rows]; `take` is several times as fast where rows are indices."""
    if isinstance(rows, np.ndarray) and rows.dtype != bool:
        return column.take(rows, axis=0)
    return column[rows]
