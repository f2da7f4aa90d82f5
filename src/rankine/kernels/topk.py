"""Scores that are products of vectors: what ranks first and where targets rank, without writing the scores down.

`Products` stands for the matrix of scores; `kernels.ranks` takes it in place of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rankine.arrays import Array, Float, Int, Offsets, Ragged
from rankine.kernels.jit import flat, over_rows
from rankine.kernels.topk_bytes import BYTES_SPAN, ByteItems, best_by_bytes, in_bytes, in_panels
from rankine.kernels.topk_floats import best_of_spans, pair_scores, ranks_of_spans, written_spans
from rankine.kernels.topk_tiles import HAS_BYTES, SPAN

BYTES_PAY = 1 << 18  # coordinates of items from which rounding to bytes is worth its second look
BYTES_PAY_PER_PLACE = 1 << 14  # coordinates for each place of a list, where users share the reading of the items


class PackedItems:
    """Vectors of items, float32 [N, D], prepared for products with vectors of users; what it was made of may not change."""

    def __init__(self, vectors: Float) -> None:
        if vectors.ndim != 2:
            raise ValueError(f"`vectors` must be [N, D]; got shape {vectors.shape}")
        self.rows = np.ascontiguousarray(vectors, np.float32)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """Number of coordinates, D."""
        return int(self.rows.shape[1])

    @cached_property
    def panels(self) -> Float:
        """The coordinates of PANEL items, one after another; zeros fill the last tile."""
        return in_panels(self.rows)

    @cached_property
    def bytes(self) -> ByteItems | None:
        """The items rounded to bytes; None where products of bytes are no faster, or their bounds would not hold."""
        return in_bytes(self.rows) if HAS_BYTES and self.rows.size >= BYTES_PAY and np.isfinite(self.longest) else None

    @cached_property
    def longest(self) -> float:
        """The largest Euclidean norm, NaN or infinite if a coordinate is."""
        return longest(self.rows)


@dataclass(frozen=True)
class Products:
    """The scores float32 [B, N] of `vectors` [B, D] with items, each the sum over the coordinates in order, every step
    rounded once: the same number for one user as for many, for one item as for all."""

    vectors: Float
    items: PackedItems

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.vectors.shape[1] != self.items.dim:
            raise ValueError(
                f"users have {self.vectors.shape[-1]} coordinates, items {self.items.dim}: they must be alike"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """B, N."""
        return len(self.vectors), len(self.items)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def surely_finite(self) -> bool:
        """Whether no score can be NaN or infinite; where this is False, some may be."""
        return longest(self.vectors) * self.items.longest < float(np.finfo(np.float32).max)

    def written(self) -> Float:
        """The matrix of scores."""
        out = np.empty(self.shape, np.float32)
        over_rows(written_spans, _n_spans(self.vectors), self._users, self.items.panels, out)
        return out

    def of_pairs(self, who: Array, items: Array) -> Float:
        """The scores of some pairs, rows `who` and columns `items`; NaN for an item that is not there."""
        out = np.empty(len(who), np.float32)
        columns = np.ascontiguousarray(items, np.int32)
        over_rows(pair_scores, len(who), self._users, self.items.rows, np.asarray(who, np.int64), columns, out)
        return out

    def top_k(self, k: int, excluded: Ragged) -> tuple[Int, Float]:
        """`kernels.ranks.top_k`."""
        items, best = np.full((len(self), k), -1, np.int32), np.full((len(self), k), -np.inf, np.float32)
        if k and len(self):
            hidden, much = ascending(excluded), len(self) == 1 or self.items.rows.size >= BYTES_PAY_PER_PLACE * k
            if much and self.items.bytes is not None:
                self._by_bytes(self.items.bytes, hidden, items, best)
            else:
                self._by_floats(self._users, hidden, items, best)
        return items, best

    def _by_floats(self, users: Float, hidden: Ragged, items: Int, best: Float) -> None:
        n_spans = -(-len(users) // SPAN)
        over_rows(best_of_spans, n_spans, users, self.items.panels, len(self.items), *flat(hidden), items, best)

    def _by_bytes(self, packed: ByteItems, hidden: Ragged, items: Int, best: Float) -> None:
        undecided = np.zeros(len(self), bool)
        over_rows(
            best_by_bytes, -(-len(self) // BYTES_SPAN), self._users, self.items.rows, packed.cells, packed.tiles,
            packed.longest, *flat(hidden), items, best, undecided,
        )  # fmt: skip
        left = np.flatnonzero(undecided)
        if len(left):
            some_items, some_best = items[left], best[left]
            self._by_floats(self._users[left], hidden.take(left), some_items, some_best)
            items[left], best[left] = some_items, some_best

    def target_ranks(self, targets: Ragged, excluded: Ragged, *, optimistic: bool) -> Offsets:
        """`kernels.ranks.target_ranks`."""
        wanted, offsets = flat(targets)
        own = self.of_pairs(Ragged(wanted, offsets).row_of_value(), wanted)
        limits = own if optimistic else np.nextafter(own, np.float32(-np.inf))
        order = ascending(Ragged(wanted, offsets)).values
        ranks = np.empty(len(wanted), np.int64)
        over_rows(
            ranks_of_spans, _n_spans(self.vectors), self._users, self.items.panels, len(self.items),
            *flat(ascending(excluded)), wanted, own, limits, order, offsets, ranks,
        )  # fmt: skip
        return ranks

    @cached_property
    def _users(self) -> Float:
        return np.ascontiguousarray(self.vectors, np.float32)


def ascending(rows: Ragged) -> Ragged:
    """The rows without what lies before the first or after the last, values int32, each row in ascending order."""
    values, offsets = flat(rows)
    falls = np.flatnonzero(values[1:] < values[:-1]) + 1
    if len(falls) and not np.isin(falls, offsets).all():
        values = values[np.lexsort((values, Ragged(values, offsets).row_of_value()))]
    return Ragged(values, offsets)


def longest(vectors: Float) -> float:
    """The largest Euclidean norm of the rows [R, D], 0 without rows."""
    if not vectors.size:
        return 0.0
    return float(np.sqrt(np.einsum("rd,rd->r", vectors, vectors, dtype=np.float64).max()))


def _n_spans(vectors: Float) -> int:
    return -(-len(vectors) // SPAN)
