"""The compiled inner loops: the walk of a session over items, and the exact forecast of its next step."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from rankine.arrays import Array


@numba.njit(cache=True, nogil=True)
def draw_views(
    session_topic: Array,
    offsets: Array,
    uniforms: Array,
    follow: float,
    wander: float,
    crowd_cdf: Array,
    successors: Array,
    successor_cdf: Array,
    topic: Array,
    order: Array,
    position: Array,
    starts: Array,
    cdf: Array,
) -> Array:
    """The items viewed, int32 [V]; session s owns the views offsets[s]:offsets[s + 1].

    uniforms [V, 3]: how the view comes about, which item, which topic if the visitor wanders. order: items grouped by
    topic, topic t at starts[t]:starts[t + 1]; position: its inverse; cdf: running sum of mass along `order`, with a 0
    in front [N + 1].
    """
    out = np.empty(len(uniforms), np.int32)
    for s in range(len(session_topic)):
        last = -1
        for v in range(offsets[s], offsets[s + 1]):
            stay = 1.0 - follow if last >= 0 else 1.0
            if uniforms[v, 0] >= stay:
                last = successors[last, np.searchsorted(successor_cdf, uniforms[v, 1], side="right")]
            else:
                t = session_topic[s]
                if uniforms[v, 0] < stay * wander:
                    t = np.searchsorted(crowd_cdf, uniforms[v, 2], side="right")
                skipped = position[last] if last >= 0 and topic[last] == t else -1
                last = order[_invert(cdf, starts[t], starts[t + 1], skipped, uniforms[v, 1])]
            out[v] = last
    return out


@numba.njit(cache=True, nogil=True)
def _invert(cdf: Array, lo: int, hi: int, skipped: int, u: float) -> int:
    """The position in lo..hi-1, drawn by mass, that is not `skipped`: the inverse of the distribution function at u."""
    gap = cdf[skipped + 1] - cdf[skipped] if skipped >= 0 else 0.0
    target = cdf[lo] + u * (cdf[hi] - cdf[lo] - gap)
    if skipped >= 0 and target >= cdf[skipped]:
        target = max(target + gap, cdf[skipped + 1])
    target = min(target, np.nextafter(cdf[hi], 0.0))  # rounding must not step over the end
    step: int = np.searchsorted(cdf[lo + 1 : hi + 1], target, side="right")
    return lo + step


class Laws(NamedTuple):
    """What the forecast needs of a shop: T topics, N items, W weeks, D days."""

    follow: float
    wander: float
    crowd: Array  # [W, T]
    successors: Array  # [N, 4]
    weights: Array  # [4]
    topic: Array  # [N]
    popularity: Array  # [W, N]
    arrival: Array  # [N]
    topic_mass: Array  # [D, T]


@numba.njit(cache=True, nogil=True)
def update_intent(intent: Array, history: Array, offsets: Array, day: Array, laws: Laws) -> Array:
    """Turns `intent` [B, T] in place from prior to posterior given the items of each session; the last item, int64 [B].

    -1 stands for an empty history, -2 for one that cannot happen on its day.
    """
    last_items = np.empty(len(intent), np.int64)
    for b in range(len(intent)):
        last = -1
        for h in range(offsets[b], offsets[b + 1]):
            item = history[h]
            if item == last:
                continue
            if not _observe(intent[b], item, last, day[b], laws):
                last = -2
                break
            last = item
        last_items[b] = last
    return last_items


@numba.njit(cache=True, nogil=True)
def _observe(intent: Array, item: int, last: int, day: int, laws: Laws) -> bool:
    """Bayes' rule in place on `intent` [T] for one view after `last`; whether the view is possible at all."""
    jump = laws.follow * _leads(last, item, laws) if last >= 0 else 0.0
    stay = 1.0 - laws.follow if last >= 0 else 1.0
    own = laws.topic[item]
    drawn = stay * _mass(day, item, laws) / _rest(day, own, last, laws)
    stray = laws.wander * laws.crowd[day // 7, own]
    total = 0.0
    for t in range(len(intent)):
        meant = 1.0 - laws.wander if t == own else 0.0
        intent[t] *= jump + drawn * (meant + stray)
        total += intent[t]
    if total > 0.0:
        intent /= total
    return total > 0.0


@numba.njit(cache=True, nogil=True)
def forecast(intent: Array, last: Array, day: Array, laws: Laws) -> Array:
    """Probability of the next different item, float32 [B, N], given the intent [B, T] and the last item [B]."""
    topic, arrival = laws.topic, laws.arrival
    n_items, n_topics = len(topic), intent.shape[1]
    out = np.empty((len(intent), n_items), np.float32)
    per_mass = np.empty(n_topics)
    for b in range(len(intent)):
        stay = 1.0 - laws.follow if last[b] >= 0 else 1.0
        for t in range(n_topics):
            chance = (1.0 - laws.wander) * intent[b, t] + laws.wander * laws.crowd[day[b] // 7, t]
            per_mass[t] = stay * chance / _rest(day[b], t, last[b], laws)
        popularity = laws.popularity[day[b] // 7]
        for i in range(n_items):
            out[b, i] = per_mass[topic[i]] * popularity[i] if arrival[i] <= day[b] else 0.0
        if last[b] >= 0:
            out[b, last[b]] = 0.0
            for k in range(len(laws.weights)):
                out[b, laws.successors[last[b], k]] += laws.follow * laws.weights[k]
    return out


@numba.njit(cache=True, nogil=True)
def _mass(day: int, item: int, laws: Laws) -> float:
    return laws.popularity[day // 7, item] if laws.arrival[item] <= day else 0.0


@numba.njit(cache=True, nogil=True)
def _rest(day: int, topic: int, last: int, laws: Laws) -> float:
    """Mass of a topic without the item just viewed, which does not follow itself."""
    total: float = laws.topic_mass[day, topic]
    return total - _mass(day, last, laws) if last >= 0 and laws.topic[last] == topic else total


@numba.njit(cache=True, nogil=True)
def _leads(item: int, to: int, laws: Laws) -> float:
    total = 0.0
    for k in range(len(laws.weights)):
        if laws.successors[item, k] == to:
            total += laws.weights[k]
    return total
