"""Numbers for the values of a column that no model needs to know again."""

from __future__ import annotations

import numpy as np
import polars as pl

from rankine.arrays import Int
from rankine.data.vocab import Vocab


def codes(column: pl.Series) -> Int:
    """A number for each distinct value in order of appearance, int32 [E]."""
    return Vocab.of(column).index(column)


def session_codes(column: pl.Series) -> Int:
    """A number for each session, int32 [E]; an event without one stands alone."""
    numbers = codes(column)
    alone = column.is_null().to_numpy()
    numbers[alone] = len(numbers) + np.arange(alone.sum())
    return numbers
