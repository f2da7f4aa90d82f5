"""Batches of event rows: columns gathered once per batch, no Python per row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from rankine.arrays import Array


def row_batches(columns: Mapping[str, Array], batch_size: int, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
    """The rows of equally long columns in a fresh random order, `batch_size` at a time; the last batch may be short."""
    n_rows = len(next(iter(columns.values())))
    order = rng.permutation(n_rows)
    shuffled = {name: column[order] for name, column in columns.items()}
    for start in range(0, n_rows, batch_size):
        yield {name: column[start : start + batch_size] for name, column in shuffled.items()}
