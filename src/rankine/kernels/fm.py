"""The factorization machine on rows of one slot per field, all weights 1: logits, and gradients by table row.

s_b = sum_l w_r + 1/2 (|t_b|^2 - sum_l |v_r|^2), r = idx[b, l], t_b = sum_l v_r. With g_b the gradient of s_b, that of w_r is the sum
of g_b over the slots that name r, and that of v_r is sum g_b t_b - v_r sum g_b: no gradient is ever written out for each slot.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rankine.arrays import Float, Int, Offsets
from rankine.kernels.grouping import Groups
from rankine.kernels.jit import check_indices, kernel
from rankine.kernels.lanes import WIDTH, load, prefetch, splat, store, total
from rankine.kernels.row_updates import shared

AHEAD = 2  # rows of fields that are asked for before they are needed
SUMS_AHEAD = 8


def fm_logits(idx: Int, weights: Float, vectors: Float) -> tuple[Float, Float]:
    """Logits float32 [B] and sums of vectors [B, D], of idx int32 [B, L], weights [n] and vectors [n, D].

    Raises ValueError for rows out of the tables.
    """
    check_indices("idx", idx, min(len(weights), len(vectors)))
    n, dim = len(idx), vectors.shape[1]
    out, sums = np.empty(n, np.float32), np.empty((n, dim), np.float32)
    shared(_logits, n, idx.size * dim, idx, weights, vectors.reshape(-1), dim, out, sums.reshape(-1))
    return out, sums


def fm_gradients(groups: Groups, n_slots: int, by_logit: Float, sums: Float, vectors: Float) -> tuple[Float, Float]:
    """The gradients [n] and [n, D] of the weights and vectors of the rows of `groups`, those of idx as one line."""
    dim = vectors.shape[1]
    by_weight, by_vector = np.empty(len(groups.rows), np.float32), np.empty((len(groups.rows), dim), np.float32)
    shared(
        _gradients, len(groups.rows), len(groups.entries) * dim, groups.rows, groups.borders, groups.entries, n_slots,
        by_logit, sums.reshape(-1), vectors.reshape(-1), dim, by_weight, by_vector.reshape(-1), work=groups.borders,
    )  # fmt: skip
    return by_weight, by_vector


@kernel
def _logits(start: int, stop: int, idx: Int, weights: Float, vectors: Float, dim: int, out: Float, sums: Float) -> None:
    n_slots, whole = idx.shape[1], dim - dim % WIDTH
    for b in range(start, stop):
        ahead, s = min(b + AHEAD, stop - 1), np.float32(0)
        for f in range(n_slots):
            prefetch(vectors, np.int64(idx[ahead, f]) * dim)
            s += weights[idx[b, f]]
        pairs = splat(np.float32(0))
        for d in range(0, whole, WIDTH):
            t, own = splat(np.float32(0)), splat(np.float32(0))
            for f in range(n_slots):
                v = load(vectors, np.int64(idx[b, f]) * dim + d)
                t, own = t + v, own + v * v
            store(sums, b * dim + d, t)
            pairs = pairs + t * t + own * splat(np.float32(-1))
        twice = total(pairs)
        for d in range(whole, dim):
            x, square = np.float32(0), np.float32(0)
            for f in range(n_slots):
                y = vectors[np.int64(idx[b, f]) * dim + d]
                x, square = x + y, square + y * y
            sums[b * dim + d] = x
            twice += x * x - square
        out[b] = s + np.float32(0.5) * twice


@kernel
def _gradients(
    start: int, stop: int, rows: Offsets, borders: Offsets, entries: Any, n_slots: int, by_logit: Float, sums: Float,
    vectors: Float, dim: int, by_weight: Float, by_vector: Float,
) -> None:  # fmt: skip
    whole, last, share = dim - dim % WIDTH, len(entries) - 1, 1 / n_slots
    for k in range(start, stop):
        of, to, g = rows[k] * dim, k * dim, np.float32(0)
        prefetch(vectors, rows[min(k + SUMS_AHEAD, stop - 1)] * dim)
        for e in range(borders[k], borders[k + 1]):
            prefetch(sums, np.int64((entries[min(e + SUMS_AHEAD, last)] + 0.5) * share) * dim)
            g += by_logit[np.int64((entries[e] + 0.5) * share)]
        by_weight[k] = g
        for d in range(0, whole, WIDTH):
            x = splat(-g) * load(vectors, of + d)
            for e in range(borders[k], borders[k + 1]):
                b = np.int64((entries[e] + 0.5) * share)  # the row of the slot: cheaper than to divide
                x = x + splat(by_logit[b]) * load(sums, b * dim + d)
            store(by_vector, to + d, x)
        for d in range(whole, dim):
            y = -g * vectors[of + d]
            for e in range(borders[k], borders[k + 1]):
                b = np.int64((entries[e] + 0.5) * share)
                y += by_logit[b] * sums[b * dim + d]
            by_vector[to + d] = y
