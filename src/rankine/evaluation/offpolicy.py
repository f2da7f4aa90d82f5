"""Policies: what a ranking would have earned, estimated from a log that says how likely each shown item was to be shown.

A policy gives every item a chance of being shown for a request. Each logged row counts by how much likelier the policy is to show its
item than the log was: w = policy / propensity. The mean of w x reward is unbiased for the policy's reward as long as the propensities
are right and no item that the policy may show had none. Sources: Horvitz & Thompson 1952; Swaminathan & Joachims 2015 (SNIPS).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine.arrays import Array, Float
from rankine.evaluation.clicks import Figure, Values, ratio
from rankine.kernels.resampling import weighted_sums


@dataclass(frozen=True)
class Matched:
    """B logged rows beside a policy: its chance of showing the logged item over the log's, the reward, and whom the row counts for.

    weight and reward float64 [B], unit_idx int64 [B].
    """

    weight: Values
    reward: Values
    unit_idx: Array

    def __len__(self) -> int:
        return len(self.weight)


def chance_of(scores: Float, item_idx: Array, temperature: float = 0.0) -> Values:
    """How likely a policy shows the item beside each row of scores [B, N], float64 [B]; 0 for an item without a score.

    Temperature 0 shows the best item always, the first among equals; above it, items in proportion to exp(score / temperature).
    """
    known = item_idx < scores.shape[1]
    item = np.where(known, item_idx, 0)
    if temperature == 0:
        return np.asarray(known & (scores.argmax(1) == item), np.float64)
    steep = np.asarray(scores, np.float64) / temperature
    steep = np.exp(steep - steep.max(1, keepdims=True))
    return np.asarray(known * steep[np.arange(len(item)), item] / steep.sum(1), np.float64)


def ips(weight: Values, reward: Values) -> Values:
    """w x reward per row: its mean is the inverse propensity estimate of the policy's reward."""
    return weight * reward


def click_rate(weight: Values, reward: Values) -> Values:
    """The reward of each row: its mean is what the log itself earned."""
    return reward


def matched(weight: Values, reward: Values) -> Values:
    """1 where the policy may show the logged item."""
    return (weight > 0).astype(np.float64)


def snips(rows: Matched, n_units: int) -> Figure:
    """Sum of w x reward over the sum of w: a little biased, far steadier, and always between the least and the largest reward."""
    above = np.bincount(rows.unit_idx, rows.weight * rows.reward, n_units)
    return ratio(above, np.bincount(rows.unit_idx, rows.weight, n_units))


def effective_rows(rows: Matched, n_units: int) -> Figure:
    """(sum w)^2 / sum w^2: as many rows of equal weight would tell as much. Source: Kish 1965."""
    amounts = np.stack([np.bincount(rows.unit_idx, rows.weight**power, n_units) for power in (1, 2)])

    def figure(weights: Values) -> Values:
        first, second = weighted_sums(amounts, weights)
        return np.asarray(np.divide(first**2, second, out=np.zeros_like(first), where=second > 0))

    return figure
