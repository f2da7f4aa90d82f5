"""Session nearest neighbours: past sessions that share items with the current one vote for the next item.

Source: V-SKNN of Ludewig and Jannach 2018. We differ from the authors' code in three places: the cosine divides by both
lengths, linear weights stop at zero instead of turning negative, and the linear position weight depends on the distance
from the end alone (theirs drops everything after the tenth event).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from rankine.arrays import Array, Float, Int, Offsets, Ragged
from rankine.kernels.decay import Decay, by_distance, by_position
from rankine.kernels.jit import check_indices, flat, kernel, over_rows
from rankine.kernels.selection import keep_best
from rankine.kernels.sparse import to_csr, transpose

Similarity = Literal["vec", "cosine"]


@dataclass(frozen=True)
class SessionIndex:
    """Past sessions numbered by age: 0 is the newest, and of equal times the later row comes first."""

    sessions: Ragged  # distinct items of each session, ascending
    postings: Ragged  # sessions of each item, newest first

    @property
    def n_items(self) -> int:
        return len(self.postings)

    @cached_property
    def idf(self) -> Array:
        """ln(sessions / sessions with the item), float64 [N]; 0 for an item in no session."""
        counts = self.postings.lengths
        return np.where(counts > 0, np.log(max(len(self.sessions), 1) / np.maximum(counts, 1)), 0.0)


def index_sessions(sessions: Ragged, last_times: Array, n_items: int) -> SessionIndex:
    """The index of past sessions; `last_times` [S] is when each had its last event."""
    items, _ = flat(sessions)
    check_indices("sessions", items, n_items)
    if len(last_times) != len(sessions):
        raise ValueError(f"`last_times` must have one value per session, {len(sessions)}; got {len(last_times)}")
    age = np.empty(len(sessions), np.int64)
    age[np.argsort(last_times, kind="stable")[::-1]] = np.arange(len(sessions))
    by_age = to_csr(np.repeat(age, sessions.lengths), items, None, len(sessions), n_items)
    by_item = transpose(by_age)
    return SessionIndex(Ragged(by_age.indices, by_age.indptr), Ragged(by_item.indices, by_item.indptr))


def score_sessions(
    index: SessionIndex,
    sessions: Ragged,
    *,
    n_neighbours: int = 100,
    sample_size: int = 1000,
    position_weights: Decay = "quadratic",
    similarity: Similarity = "vec",
    score_decay: Decay = "quadratic",
    idf_weight: float = 0.0,
) -> Float:
    """Scores float32 [B, N] of all items as the next one of each current session (items, oldest first).

    Candidates are the `sample_size` newest past sessions that share any item; the `n_neighbours` most similar vote,
    the newer among equals. Each adds to every item j that it holds similarity x score_decay(steps from the end back to
    the newest shared event, 1 = last) x (1 + idf_weight idf_j). The similarity is
    "vec": sum of the position weights of shared items / number of distinct current items;
    "cosine": the same sum / (norm of the position weights x sqrt of the number of distinct items of the past session).
    A repeated item counts once, at its last place. Unknown items (index N) are dropped before positions are counted.
    SKNN is position_weights = score_decay = "same" with "cosine".
    Time grows with the candidates, not with the index.
    """
    if similarity not in ("vec", "cosine"):
        raise ValueError(f"`similarity` must be vec or cosine; got {similarity!r}")
    items, offsets, back, lengths = _distinct(sessions, index.n_items)
    weights = by_position(position_weights, back, lengths)
    decays = by_distance(score_decay, back + 1)
    gains = 1.0 + idf_weight * index.idf if idf_weight else np.ones(index.n_items)
    out = np.zeros((len(sessions), index.n_items), np.float32)
    past, postings = flat(index.sessions), flat(index.postings)
    over_rows(
        _score_sessions, len(sessions), items, offsets, weights, decays, *past, *postings, gains,
        similarity == "cosine", n_neighbours, sample_size, out,
    )  # fmt: skip
    return out


def _distinct(sessions: Ragged, n_items: int) -> tuple[Int, Offsets, Offsets, Offsets]:
    """Known items of each session, oldest first, each at its last place only, and their offsets [B + 1].

    Then per item: how many known events follow it, and how many its session has.
    """
    items, offsets = flat(sessions)
    known = (items >= 0) & (items < n_items)
    items, offsets = items[known], np.concatenate([[0], np.cumsum(known)])[offsets]
    lengths = np.diff(offsets)
    keys = np.repeat(np.arange(len(lengths)), lengths) * n_items + items
    places = np.sort(len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1])
    back = np.repeat(offsets[1:], lengths) - 1 - np.arange(len(items))
    return items[places], np.searchsorted(places, offsets), back[places], np.repeat(lengths, lengths)[places]


@kernel
def _score_sessions(
    start: int, stop: int, items: Int, offsets: Offsets, weights: Array, decays: Array, past_items: Int,
    past_ptr: Offsets, postings: Int, posting_ptr: Offsets, gains: Array, cosine: bool, n_neighbours: int,
    sample_size: int, out: Float,
) -> None:  # fmt: skip
    room = min(sample_size, len(past_ptr) - 1)
    found, decay, slots = np.empty(room, np.int64), np.empty(room), np.empty(room, np.int64)
    similarity = np.empty(room)
    for b in range(start, stop):
        own = slice(offsets[b], offsets[b + 1])
        size = _newest_sharing(
            items[own], weights[own], decays[own], postings, posting_ptr, found, similarity, decay
        )  # fmt: skip
        _normalise(similarity, found, size, weights[own], past_ptr, cosine)
        for i in range(size):
            slots[i] = i  # sessions were found by age, so the lower slot of equals is the newer one
        for i in range(keep_best(similarity, slots, size, n_neighbours)):
            session, vote = found[slots[i]], similarity[i] * decay[slots[i]]
            for e in range(past_ptr[session], past_ptr[session + 1]):
                out[b, past_items[e]] += vote * gains[past_items[e]]


@kernel
def _newest_sharing(
    items: Int, weights: Array, decays: Array, postings: Int, posting_ptr: Offsets,
    found: Offsets, similarity: Array, decay: Array,
) -> int:  # fmt: skip
    """Merge the postings of the current items until `found` is full; returns the number of sessions found.

    Sets for each session the summed weights of the shared items and the decay of the newest of them.
    Sessions are numbered by age, so a window of numbers is filled at a time and read off in order.
    """
    width, size = 4 * len(items), 0
    heads = posting_ptr[items]
    sums, newest = np.zeros(width), np.full(width, -1, np.int64)
    while size < len(found):
        start = _first_left(items, heads, postings, posting_ptr)
        if start < 0:
            break
        for i, item in enumerate(items):
            while heads[i] < posting_ptr[item + 1] and postings[heads[i]] < start + width:
                sums[postings[heads[i]] - start] += weights[i]
                newest[postings[heads[i]] - start] = i
                heads[i] += 1
        for place in range(width):
            if newest[place] >= 0 and size < len(found):
                found[size], similarity[size], decay[size] = start + place, sums[place], decays[newest[place]]
                size += 1
            sums[place], newest[place] = 0.0, -1
    return size


@kernel
def _first_left(items: Int, heads: Offsets, postings: Int, posting_ptr: Offsets) -> int:
    """The newest session that no head has passed, -1 if there is none."""
    first = -1
    for i, item in enumerate(items):
        if heads[i] < posting_ptr[item + 1] and (first < 0 or postings[heads[i]] < first):
            first = postings[heads[i]]
    return first


@kernel
def _normalise(similarity: Array, found: Offsets, size: int, weights: Array, past_ptr: Offsets, cosine: bool) -> None:
    """Divide the sums of shared weights by what the similarity asks for."""
    squares = 0.0
    for weight in weights:
        squares += weight**2
    for i in range(size):
        if cosine:
            n_past = past_ptr[found[i] + 1] - past_ptr[found[i]]
            similarity[i] /= np.sqrt(squares) * np.sqrt(n_past)
        else:
            similarity[i] /= len(weights)
