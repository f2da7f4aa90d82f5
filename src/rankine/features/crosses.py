"""Crosses: an AND of fields, hashed to a row from the rows of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rankine.arrays import Array, Int
from rankine.features.slots import Slots

SPREAD = 0x9E3779B97F4A7C15  # 2^64 / the golden ratio: neighbouring rows land far apart


@dataclass(frozen=True)
class Cross:
    """slots: the slot of each part; unknown: the table row of each part that stands for unknown; its rows begin at first_row.

    A combination with an unknown part is itself unknown: the row behind its `n_buckets`.
    """

    slots: tuple[int, ...]
    unknown: tuple[int, ...]
    first_row: int
    n_buckets: int

    def of(self, idx: Int) -> Array:
        """The table row of each row of slots [B, L]; int64 [B]."""
        mixed = np.full(len(idx), len(self.slots), np.uint64)
        known = np.ones(len(idx), bool)
        for slot, unknown in zip(self.slots, self.unknown, strict=True):
            part = idx[:, slot]
            mixed = (mixed ^ part.astype(np.uint64)) * np.uint64(SPREAD)
            mixed ^= mixed >> np.uint64(29)
            known &= part != unknown
        bucket = (mixed % np.uint64(self.n_buckets)).astype(np.int64)
        return self.first_row + np.where(known, bucket, self.n_buckets)


@dataclass(frozen=True)
class Crosses:
    """All crosses of a layout, a slot each."""

    crosses: Sequence[Cross] = ()

    def __len__(self) -> int:
        return len(self.crosses)

    def of(self, idx: Int) -> Slots:
        """The slots of the crosses beside rows [B, L] without them."""
        out = np.empty((len(idx), len(self.crosses)), np.int32)
        for place, cross in enumerate(self.crosses):
            out[:, place] = cross.of(idx)
        return Slots(out)
