"""Rows as models take them: batches of columns in a fresh order, and the rows of fields of requests and items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from rankine.arrays import Array, Int
from rankine.features.crosses import Crosses
from rankine.features.pairs import Pairs
from rankine.features.slots import Layout, Slots


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The request side of B rows, and what is needed to put items beside it.

    request: slots of the visitor, the context and the history [B, L_request]; items: slots of every item [n_items + 1, L_item],
    the last row for an item not known; pairs: what is read off request and item together, crosses: what their fields make.
    """

    layout: Layout
    request: Slots
    items: Slots
    pairs: Pairs | None = None
    crosses: Crosses = field(default_factory=Crosses)

    def __len__(self) -> int:
        return len(self.request)

    def take(self, rows: Array | slice) -> Rows:
        """The requests at these indices."""
        return replace(
            self, request=self.request.take(rows), pairs=None if self.pairs is None else self.pairs.take(rows)
        )

    def of(self, requests: Array | slice, item_idx: Int) -> Slots:
        """Whole rows: request `requests[r]` beside item `item_idx[r]`."""
        parts = [self.request.take(requests), self.items.take(item_idx)]
        if self.pairs is not None:
            parts.append(self.pairs.of(requests, item_idx))
        whole = Slots.beside(parts)
        return whole if not self.crosses else Slots.beside([whole, self.crosses.of(whole.idx)])


def row_batches(columns: Mapping[str, Array], batch_size: int, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
    """The rows of equally long columns in a fresh random order, `batch_size` at a time; the last batch may be short."""
    n_rows = len(next(iter(columns.values())))
    order = rng.permutation(n_rows)
    shuffled = {name: column[order] for name, column in columns.items()}
    for start in range(0, n_rows, batch_size):
        yield {name: column[start : start + batch_size] for name, column in shuffled.items()}
