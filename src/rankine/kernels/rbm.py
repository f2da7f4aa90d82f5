"""A restricted Boltzmann machine whose visible units are ratings: one machine per row, weights shared by all.

Row n has the visible units i that its pairs name; v_ik = 1 where the rating of i is value k of K, h_j is 0 or 1.
E(v, h) = - sum_{i,k} v_ik (b_ik + sum_j h_j W_ikj) - sum_j h_j (c_j + sum_i D_ij), the last sum over all pairs of the row.
p(h_j = 1 | v) = sigmoid(c_j + sum_i D_ij + sum_{i,k} v_ik W_ikj); p(v_ik = 1 | h) = softmax over k of b_ik + sum_j h_j W_ikj.
Pairs are a CSR matrix [n_rows, M] whose data is the place k of the rating, or -1 where a pair has none: such a pair is no
visible unit and speaks through D alone.
Source: Salakhutdinov, Mnih, Hinton 2007; contrastive divergence: Hinton 2002.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.jit import over_rows, summing_kernel


@dataclass(frozen=True)
class Parameters:
    """weights W [M, K, H], visible_bias b [M, K], hidden_bias c [H], pair_weights D [M, H] or, where there are none, [0, H]."""

    weights: Float
    visible_bias: Float
    hidden_bias: Float
    pair_weights: Float

    def __iter__(self) -> Iterator[Float]:
        return iter((self.weights, self.visible_bias, self.hidden_bias, self.pair_weights))

    def zeros(self) -> Parameters:
        """Arrays of the same shapes, all zero."""
        return Parameters(*(np.zeros_like(array) for array in self))


@dataclass(frozen=True)
class Chain:
    """Gibbs chains of the machines `rows` [B]: entry e of row n is number offsets[n] + e of all entries of the batch.

    positive, negative: p(h | v) of the data and of the chain's end, [B, H]; sampled: the places at its end, int32 [entries],
    -1 for a pair without a rating; loss: sum of -log p(v_data | h) in the first step.
    """

    rows: Array
    offsets: Offsets
    positive: Float
    negative: Float
    sampled: Int
    loss: float


def hidden_inputs(pairs: CSR, parameters: Parameters) -> Float:
    """What goes into the hidden units of each row, c_j + sum_i D_ij + sum_{i,k} v_ik W_ikj, float32 [n_rows, H]."""
    weights, _, hidden_bias, pair_weights = parameters
    out = np.empty((pairs.n_rows, len(hidden_bias)), np.float32)
    entries = (pairs.indptr, pairs.indices, pairs.data)
    over_rows(_hidden_inputs, pairs.n_rows, *entries, weights, hidden_bias, pair_weights, out, work=pairs.indptr)
    return out


def gibbs(pairs: CSR, rows: Array, parameters: Parameters, uniform_hidden: Float, uniform_visible: Float) -> Chain:
    """Chains from the data of `rows` [B]: hidden units, ratings, hidden units again, once per layer of uniform numbers.

    uniform_hidden [steps, B, H] and uniform_visible [steps, entries] lie in [0, 1): h_j = 1 where its number is below its
    probability, and a rating is the first place whose cumulated probability is above its number.
    """
    offsets = np.concatenate([[0], np.cumsum(np.diff(pairs.indptr)[rows])]).astype(np.int64)
    positive, negative = np.empty((2, len(rows), len(parameters.hidden_bias)), np.float32)
    sampled = np.full(offsets[-1], -1, np.int32)
    losses = over_rows(
        _gibbs, len(rows), rows, offsets, pairs.indptr, pairs.indices, pairs.data, *parameters,
        uniform_hidden, uniform_visible, positive, negative, sampled, work=offsets,
    )  # fmt: skip
    return Chain(rows, offsets, positive, negative, sampled, sum(losses))


def ascend(
    pairs: CSR,
    chain: Chain,
    parameters: Parameters,
    velocity: Parameters,
    *,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    damping: float,
) -> None:
    """Move the parameters along data minus chain, in place.

    The step of a visible unit is the sum over the rows of the batch that have it, divided by their number + `damping`; one
    that none of them has stays. velocity = momentum velocity + learning_rate (step - weight_decay parameter), without decay
    for the biases. Each unit is moved by one thread: results do not depend on the number of threads.
    """
    rates = np.array([learning_rate, momentum, weight_decay, damping], np.float32)
    over_rows(
        _ascend, len(parameters.weights), chain.rows, chain.offsets, pairs.indptr, pairs.indices, pairs.data,
        chain.positive, chain.negative, chain.sampled, rates, *parameters, *velocity,
    )  # fmt: skip
    velocity.hidden_bias[:] *= rates[1]
    velocity.hidden_bias[:] += rates[0] * (chain.positive - chain.negative).mean(axis=0)
    parameters.hidden_bias[:] += velocity.hidden_bias


@summing_kernel
def add_to(x: Float, y: Float) -> None:
    """Add y to x, in place."""
    for j in range(len(x)):
        x[j] += y[j]


@summing_kernel
def sigmoid_of(x: Float) -> None:
    """Set x to 1 / (1 + exp(-x)), in place."""
    for j in range(len(x)):
        x[j] = np.float32(1) / (np.float32(1) + np.exp(-x[j]))


@summing_kernel
def _hidden_inputs(
    start: int, stop: int, indptr: Offsets, indices: Int, places: Float,
    weights: Float, hidden_bias: Float, pair_weights: Float, out: Float,
) -> None:  # fmt: skip
    for row in range(start, stop):
        x = out[row]
        x[:] = hidden_bias
        for e in range(indptr[row], indptr[row + 1]):
            if len(pair_weights):
                add_to(x, pair_weights[indices[e]])
            if places[e] >= 0:
                add_to(x, weights[indices[e], int(places[e])])


@summing_kernel
def _gibbs(
    start: int, stop: int, rows: Array, offsets: Offsets, indptr: Offsets, indices: Int, places: Float,
    weights: Float, visible_bias: Float, hidden_bias: Float, pair_weights: Float,
    uniform_hidden: Float, uniform_visible: Float, positive: Float, negative: Float, sampled: Int,
) -> float:  # fmt: skip
    n_hidden, loss = len(hidden_bias), 0.0
    base, hidden = np.empty(n_hidden, np.float32), np.empty(n_hidden, np.float32)
    chance = np.empty(weights.shape[1], np.float32)
    for n in range(start, stop):
        x, first, shift = negative[n], indptr[rows[n]], offsets[n] - indptr[rows[n]]
        last = indptr[rows[n] + 1]
        base[:] = hidden_bias
        if len(pair_weights):
            for e in range(first, last):
                add_to(base, pair_weights[indices[e]])
        x[:] = base
        for e in range(first, last):
            if places[e] >= 0:
                add_to(x, weights[indices[e], int(places[e])])
        sigmoid_of(x)
        positive[n] = x
        for step in range(len(uniform_hidden)):
            for j in range(n_hidden):
                hidden[j] = np.float32(1) if uniform_hidden[step, n, j] < x[j] else np.float32(0)
            x[:] = base
            for e in range(first, last):
                if places[e] < 0:
                    continue
                i = indices[e]
                total = _chances(weights[i], visible_bias[i], hidden, chance)
                if step == 0:
                    loss -= np.log(max(chance[int(places[e])] / total, np.float32(1e-30)))
                place = _drawn(uniform_visible[step, shift + e] * total, chance)
                sampled[shift + e] = place
                add_to(x, weights[i, place])
            sigmoid_of(x)
    return loss


@summing_kernel
def _chances(weights: Float, bias: Float, hidden: Float, out: Float) -> np.float32:
    """Set `out` [K] in proportion to the softmax of bias + W h, the largest 1; returns its sum."""
    top = np.float32(-np.inf)
    for k in range(len(out)):
        w, logit = weights[k], bias[k]
        for j in range(len(hidden)):
            logit += w[j] * hidden[j]
        out[k] = logit
        top = max(top, logit)
    total = np.float32(0)
    for k in range(len(out)):
        out[k] = np.exp(out[k] - top)
        total += out[k]
    return total


@summing_kernel
def _drawn(left: np.float32, chance: Float) -> int:
    """The first place whose cumulated chance is above `left`, the last where rounding leaves none."""
    for k in range(len(chance) - 1):
        if left < chance[k]:
            return k
        left -= chance[k]
    return len(chance) - 1


@summing_kernel
def _ascend(
    start: int, stop: int, rows: Array, offsets: Offsets, indptr: Offsets, indices: Int, places: Float,
    positive: Float, negative: Float, sampled: Int, rates: Float,
    weights: Float, visible_bias: Float, hidden_bias: Float, pair_weights: Float,
    weights_v: Float, visible_bias_v: Float, hidden_bias_v: Float, pair_weights_v: Float,
) -> None:  # fmt: skip
    _, n_values, n_hidden = weights.shape
    step, bias_step = (
        np.zeros((stop - start, n_values, n_hidden), np.float32),
        np.zeros((stop - start, n_values), np.float32),
    )
    pair_step = np.zeros((stop - start if len(pair_weights) else 0, n_hidden), np.float32)
    rated, paired = np.zeros(stop - start, np.float32), np.zeros(stop - start, np.float32)
    for n in range(len(rows)):
        up, down = positive[n], negative[n]
        shift, last = offsets[n] - indptr[rows[n]], indptr[rows[n] + 1]
        e = indptr[rows[n]] + np.searchsorted(indices[indptr[rows[n]] : last], start)
        while e < last and indices[e] < stop:
            i, there, now = indices[e] - start, int(places[e]), sampled[shift + e]
            if len(pair_step):
                paired[i] += 1
                _add_difference(pair_step[i], up, down)
            if there >= 0:
                rated[i] += 1
                bias_step[i, there] += 1
                bias_step[i, now] -= 1
                add_to(step[i, there], up)
                take_from(step[i, now], down)
            e += 1
    for i in range(stop - start):
        unit = start + i
        if rated[i]:
            scale = rates[0] / (rated[i] + rates[3])
            for k in range(n_values):
                _move(weights[unit, k], weights_v[unit, k], step[i, k], scale, rates[1], rates[0] * rates[2])
            _move(visible_bias[unit], visible_bias_v[unit], bias_step[i], scale, rates[1], np.float32(0))
        if paired[i]:
            scale = rates[0] / (paired[i] + rates[3])
            _move(pair_weights[unit], pair_weights_v[unit], pair_step[i], scale, rates[1], rates[0] * rates[2])


@summing_kernel
def take_from(x: Float, y: Float) -> None:
    """Subtract y from x, in place."""
    for j in range(len(x)):
        x[j] -= y[j]


@summing_kernel
def _add_difference(x: Float, y: Float, z: Float) -> None:
    for j in range(len(x)):
        x[j] += y[j] - z[j]


@summing_kernel
def _move(x: Float, velocity: Float, step: Float, scale: np.float32, keep: np.float32, decay: np.float32) -> None:
    for j in range(len(x)):
        velocity[j] = keep * velocity[j] + scale * step[j] - decay * x[j]
        x[j] += velocity[j]
