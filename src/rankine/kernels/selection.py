"""The n best of many, inside kernels: a heap whose root is the worst kept; equal scores go to the lower id."""

from __future__ import annotations

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.jit import kernel


def joined_rows(parts: list[tuple[Int, Float]], lengths: Offsets, n_columns: int) -> CSR:
    """The CSR of the rows that chunks of `append_row` made; `lengths` int64 [n_rows]."""
    indices = np.concatenate([ids for ids, _ in parts] or [np.empty(0, np.int32)])
    data = np.concatenate([scores for _, scores in parts] or [np.empty(0, np.float32)])
    return CSR(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), indices, data, n_columns)


@kernel
def worse(score: float, identity: int, other_score: float, other_identity: int) -> bool:
    """Whether the first of two comes after the second."""
    return score < other_score or (score == other_score and identity > other_identity)


@kernel
def offer(scores: Array, ids: Array, size: int, score: float, identity: int) -> int:
    """The size of the heap after one more is offered: it enters while there is room, or in place of a worse root."""
    if size < len(scores):
        _rise(scores, ids, size, score, identity)
        return size + 1
    if size and worse(scores[0], ids[0], score, identity):
        _sink(scores, ids, size, score, identity)
    return size


@kernel
def sort_best_first(scores: Array, ids: Array, size: int) -> None:
    """Turn a heap of `size` into a list, best first, in place."""
    for last in range(size - 1, 0, -1):
        score, identity = scores[last], ids[last]
        scores[last], ids[last] = scores[0], ids[0]
        _sink(scores, ids, last, score, identity)


@kernel
def keep_best(scores: Array, ids: Array, size: int, n: int) -> int:
    """Move the `n` best of the first `size` to the front, in no order; returns how many there are."""
    if n >= size:
        return size
    heap_scores, heap_ids, kept = scores[:n], ids[:n], 0
    for i in range(size):
        if kept < n or not worse(scores[i], ids[i], scores[0], ids[0]):
            kept = offer(heap_scores, heap_ids, kept, scores[i], ids[i])
    return kept


@kernel
def append_row(
    scores: Array, ids: Array, size: int, out_ids: Array, out_scores: Array, filled: int
) -> tuple[Array, Array, int]:
    """Append the first `size` pairs, ids ascending, to two arrays that grow; returns both and how much is filled."""
    if filled + size > len(out_ids):
        out_ids, out_scores = _grown(out_ids, filled, size), _grown(out_scores, filled, size)
    ascending = True
    for i in range(1, size):
        ascending &= ids[i - 1] < ids[i]
    order = np.arange(size) if ascending else np.argsort(ids[:size])
    for i in range(size):
        out_ids[filled + i] = ids[order[i]]
        out_scores[filled + i] = scores[order[i]]
    return out_ids, out_scores, filled + size


@kernel
def _rise(scores: Array, ids: Array, place: int, score: float, identity: int) -> None:
    while place > 0:
        parent = (place - 1) >> 1
        if not worse(score, identity, scores[parent], ids[parent]):
            break
        scores[place], ids[place] = scores[parent], ids[parent]
        place = parent
    scores[place], ids[place] = score, identity


@kernel
def _sink(scores: Array, ids: Array, size: int, score: float, identity: int) -> None:
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and worse(scores[child + 1], ids[child + 1], scores[child], ids[child]):
            child += 1
        if not worse(scores[child], ids[child], score, identity):
            break
        scores[place], ids[place] = scores[child], ids[child]
        place = child
    scores[place], ids[place] = score, identity


@kernel
def _grown(array: Array, filled: int, size: int) -> Array:
    larger = np.empty(max(2 * len(array), filled + size), array.dtype)
    for i in range(filled):  # a slice would do, but compiles for seconds
        larger[i] = array[i]
    return larger
