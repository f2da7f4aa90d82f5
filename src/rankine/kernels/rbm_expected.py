"""The rating that a restricted Boltzmann machine expects of a pair, from the other ratings of its row.

Words and shapes are those of `rbm`.
"""

from __future__ import annotations

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Offsets
from rankine.kernels.jit import over_rows, summing_kernel
from rankine.kernels.rbm import Parameters, sigmoid_of, take_from

LIMIT = 80.0  # exp(80) and exp(-80) both fit float32


def odds_of(weights: Float) -> Float:
    """exp(W) - 1, float32; weights count up to LIMIT."""
    return np.expm1(np.clip(weights, -LIMIT, LIMIT))


def expected_values(
    pairs: CSR,
    parameters: Parameters,
    values: Float,
    inputs: Float,
    asked: tuple[Array, Array, Array],
    odds: Float | None = None,
) -> Float:
    """The expected rating sum_k values_k p(v_ik | the other ratings of the row), float32 [P].

    `asked` = (input row, row, visible unit), each int [P]: `inputs` [R, H] are those of `hidden_inputs`; a rating of the
    unit that the row has (row = n_rows for none) is taken out of them. With p_j = sigmoid(input_j):
    `odds`, of `odds_of`: exact, from p(v_ik) ~ exp(b_ik) prod_j (1 + p_j (exp(W_ikj) - 1)), which is the free energy
    with every rating of i in turn, over the free energy without i. `odds` = None: mean field, b_ik + sum_j p_j W_ikj.
    """
    largest = float(np.abs(parameters.weights).max(initial=0))
    block = max(1, int(min(LIMIT / max(largest, 1e-6), inputs.shape[1])))
    out = np.empty(len(asked[0]), np.float32)
    over_rows(
        _expected_values, len(out), pairs.indptr, pairs.indices, pairs.data, parameters.weights, parameters.visible_bias,
        parameters.pair_weights, parameters.weights if odds is None else odds, 0 if odds is None else block,
        np.asarray(values, np.float32), inputs, *(np.ascontiguousarray(index, np.int64) for index in asked), out,
    )  # fmt: skip
    return out


@summing_kernel
def _expected_values(
    start: int, stop: int, indptr: Offsets, indices: Int, places: Float, weights: Float, visible_bias: Float,
    pair_weights: Float, factors: Float, block: int, values: Float, inputs: Float,
    input_rows: Array, rows: Array, units: Array, out: Float,
) -> None:  # fmt: skip
    n_values, n_hidden = factors.shape[1:]
    active, logits = np.empty(n_hidden, np.float32), np.empty(n_values, np.float32)
    ready = -1  # the input row whose sigmoid `active` holds
    for q in range(start, stop):
        row, unit = rows[q], units[q]
        own = _entry(indptr, indices, row, unit)
        if own >= 0 or ready != input_rows[q]:
            active[:] = inputs[input_rows[q]]
            if own >= 0:
                if len(pair_weights):
                    take_from(active, pair_weights[unit])
                if places[own] >= 0:
                    take_from(active, weights[unit, int(places[own])])
            sigmoid_of(active)
            ready = -1 if own >= 0 else input_rows[q]
        for k in range(n_values):
            part = _log_product(active, factors[unit, k], block) if block else _dot(active, factors[unit, k])
            logits[k] = visible_bias[unit, k] + part
        out[q] = _mean(logits, values)


@summing_kernel
def _entry(indptr: Offsets, indices: Int, row: int, unit: int) -> int:
    """The number of the entry of `unit` in `row`, -1 where there is none."""
    if row >= len(indptr) - 1:
        return -1
    e = indptr[row] + np.searchsorted(indices[indptr[row] : indptr[row + 1]], unit)
    return e if e < indptr[row + 1] and indices[e] == unit else -1


@summing_kernel
def _dot(x: Float, y: Float) -> np.float32:
    total = np.float32(0)
    for j in range(len(x)):
        total += x[j] * y[j]
    return total


@summing_kernel
def _log_product(active: Float, odds: Float, block: int) -> np.float32:
    """sum_j log(1 + p_j odds_j), with one logarithm for `block` factors."""
    total = np.float32(0)
    for first in range(0, len(active), block):
        product = np.float32(1)
        for j in range(first, min(first + block, len(active))):
            product *= np.float32(1) + active[j] * odds[j]
        total += np.log(max(product, np.float32(1e-37)))
    return total


@summing_kernel
def _mean(logits: Float, values: Float) -> np.float32:
    """The mean of `values` under the softmax of `logits`."""
    top, total, mean = logits.max(), np.float32(0), np.float32(0)
    for k in range(len(logits)):
        chance = np.exp(logits[k] - top)
        total += chance
        mean += chance * values[k]
    return mean / total
