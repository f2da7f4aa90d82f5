"""Equal scores in a stated order: counting models give many, and a ranking needs one."""

from __future__ import annotations

import numpy as np

from rankine.arrays import Array, Float

STEP = 1e-4  # relative: scores that differ by less than this may change places


def popularity_order(data_items: Array, weight: Array, n_items: int) -> Float:
    """Where each item stands by the weight of its events, float32 [N] in [0, 1): the share of items below it."""
    counts = np.bincount(data_items, np.maximum(weight, 0), minlength=n_items)
    return (np.searchsorted(np.sort(counts), counts) / max(n_items, 1)).astype(np.float32)


def break_ties(scores: Float, order: Float) -> Float:
    """The scores [B, N], raised by at most a ten thousandth of themselves towards items of higher `order` [N]; zero stays zero."""
    return np.asarray(scores * (1 + np.float32(STEP) * order), np.float32)
