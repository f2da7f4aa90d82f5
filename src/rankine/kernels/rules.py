"""Sequential rules: what follows an item within a few steps of the same session.

Source: Ludewig and Jannach 2018 (SR); steps = 1 with the decay "same" is the first-order Markov chain.
"""

from __future__ import annotations

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets, Ragged
from rankine.kernels.decay import Decay, by_distance
from rankine.kernels.jit import check_indices, flat, kernel, over_rows
from rankine.kernels.selection import append_row, joined_rows, keep_best
from rankine.kernels.sparse import sum_rows, to_csr


def sequential_rules(sessions: Ragged, n_items: int, *, steps: int = 10, decay: Decay = "div", keep: int = 0) -> CSR:
    """rule[previous, next] = sum of the decay at their distance, over all pairs at most `steps` apart in a session.

    `sessions` holds items, oldest first. An item may follow itself. `keep` best targets per item stay (0 = all), the
    lower item index among equals. Linear time in events x steps.
    """
    items, offsets = flat(sessions)
    check_indices("sessions", items, n_items)
    places = to_csr(items, np.arange(len(items), dtype=np.int32), None, n_items, len(items))
    ends = np.repeat(offsets[1:], np.diff(offsets))
    weights = by_distance(decay, np.arange(1, steps + 1))
    lengths = np.zeros(n_items, np.int64)
    parts = over_rows(
        _rules, n_items, places.indptr, places.indices, items, ends, weights, keep or n_items, lengths,
        work=places.indptr + np.arange(n_items + 1),
    )  # fmt: skip
    return joined_rows(parts, lengths, n_items)


def score_last(rules: CSR, sessions: Ragged) -> Float:
    """The rules of the last known item of each session, dense float32 [B, N]; zeros where there is none."""
    items, offsets = flat(sessions)
    last = np.empty(len(sessions), np.int32)
    _last_known(items, offsets, rules.n_rows, last)
    return sum_rows(rules, Ragged(last, np.arange(len(last) + 1)))


@kernel
def _rules(
    start: int, stop: int, item_ptr: Offsets, item_places: Int, items: Int, ends: Offsets, weights: Array,
    keep: int, lengths: Offsets,
) -> tuple[Int, Float]:  # fmt: skip
    n_items = len(item_ptr) - 1
    sums, touched, scores = np.zeros(n_items), np.empty(n_items, np.int32), np.empty(n_items)
    out_ids, out_scores, filled = np.empty(1024, np.int32), np.empty(1024, np.float32), 0
    for item in range(start, stop):
        size = _follow(item_places[item_ptr[item] : item_ptr[item + 1]], items, ends, weights, sums, touched)
        for i in range(size):
            scores[i] = sums[touched[i]]
            sums[touched[i]] = 0.0
        size = keep_best(scores, touched, size, keep)
        lengths[item] = size
        out_ids, out_scores, filled = append_row(scores, touched, size, out_ids, out_scores, filled)
    return out_ids[:filled], out_scores[:filled]


@kernel
def _follow(places: Int, items: Int, ends: Offsets, weights: Array, sums: Array, touched: Int) -> int:
    """Add to `sums` the weights of all that follows the places; returns how many items were touched."""
    size = 0
    for place in places:
        for step in range(1, min(len(weights), ends[place] - 1 - place) + 1):
            weight, target = weights[step - 1], items[place + step]
            if weight <= 0:
                break
            if sums[target] == 0:
                touched[size] = target
                size += 1
            sums[target] += weight
    return size


@kernel
def _last_known(items: Int, offsets: Offsets, n_items: int, out: Int) -> None:
    for b in range(len(out)):
        out[b] = n_items
        for e in range(offsets[b], offsets[b + 1]):
            if 0 <= items[e] < n_items:
                out[b] = items[e]
