"""A generated log of clicks in the shape of Criteo's whose best reachable AUC is known: 13 numbers, 26 categories, one label.

Row r shows an item (one of the categories) in a context (the other fields); fields are drawn independently of each other.

Categories   sizes grow geometrically from 3 and sum to `n_ids`; of `size` values the k-th is drawn with probability
             log((k + 1) / k) / log(size), k = 1 .. size - 1 (Zipf with exponent 1), the last one never
Numbers      x = floor(exp(mean + spread N(0, 1))), counts with heavy tails, missing with a probability of the column's own
             z = (log(1 + x) - mean) / spread, 0 where missing
Log-odds     s = b + sum_f w_f(value) + sum_k (slope_k z_k + bend_k (|z_k| - .8), or a constant where missing) + sum_{f<g} <v_f, v_g>
             w ~ N(0, main_effect^2) for each value; the sum of products goes over 8 categories and 3 numbers, v_f being the
             vector of the value's hidden class (32 in each category, their mean over the rows is zero) or z_k times a vector,
             scaled so that its standard deviation is `pair_effect`: what no sum over single fields can tell
             w and v of the k-th value are divided by sqrt(1 + k / 100): rare values differ little, nobody could learn if they did
Label        1 with probability 1 / (1 + exp(-s)); b makes that `click_rate` on average
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from rankine.arrays import Array, Float, Int
from rankine.config import require
from rankine.data.dataset import Dataset
from rankine.data.synthetic.config import DAY_S, END_S
from rankine.random import stream

N_NUMBERS, N_CATEGORIES = 13, 26
ITEM_FIELD = 17
NUMBER_NAMES = tuple(f"n{k + 1:02d}" for k in range(N_NUMBERS))
CATEGORY_NAMES = tuple("item_id" if f == ITEM_FIELD else f"c{f + 1:02d}" for f in range(N_CATEGORIES))
SMALLEST = 3  # values of the first category
PAIRED = tuple(range(2, N_CATEGORIES, 3))  # categories that take part in products
N_CLASSES, N_PAIRED_NUMBERS, DIM = 32, 3, 4
FADE = 100  # values of a category after which the effects of the rarer ones have begun to fade
BLOCK = 65_536  # rows drawn at a time; each block has a stream of its own
CALIBRATION = 20_000  # rows from which the intercept is found


@dataclass(frozen=True, kw_only=True)
class ClicksConfig:
    """How many rows and ids, and how strong the effects are: standard deviations of log-odds."""

    n_rows: int = 200_000
    n_ids: int = 100_000
    n_days: int = 7
    seed: int = 1

    click_rate: float = 0.25
    main_effect: float = 0.25  # of one category
    pair_effect: float = 1.0  # of all products together

    def __post_init__(self) -> None:
        for name, least in (("n_rows", 1), ("n_ids", (SMALLEST + 1) * N_CATEGORIES), ("n_days", 1)):
            require(self, name, at_least=least)
        for name in ("main_effect", "pair_effect"):
            require(self, name, at_least=0)
        require(self, "click_rate", above=0, at_most=0.99)


@dataclass(frozen=True, kw_only=True)
class Clicks:
    """A generated log, R rows in order of time, and the probability of a click that nobody can better.

    ids int32 [R, 26]: values of each category, 0 .. size - 1; numbers float32 [R, 13], NaN where missing; label float32 [R],
    0 or 1; probability float32 [R]; sizes int64 [26].
    """

    config: ClicksConfig
    sizes: Array
    ids: Int
    numbers: Float
    probability: Float
    label: Float

    def __len__(self) -> int:
        return len(self.label)

    @property
    def best_auc(self) -> float:
        """The AUC of the true probability, in expectation over the labels of these rows."""
        p = np.sort(self.probability).astype(np.float64)
        left = 1 - p
        return float(p @ (left.cumsum() - left / 2) / (p.sum() * left.sum()))

    @property
    def best_logloss(self) -> float:
        """The log loss of the true probability, in expectation over the labels of these rows."""
        p = np.clip(self.probability.astype(np.float64), 1e-12, 1 - 1e-12)
        return float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).mean())

    @cached_property
    def dataset(self) -> Dataset:
        """The rows as `impression` events of nobody in particular, in the same order: `value` is the label, the rest is context."""
        step = self.config.n_days * DAY_S / len(self)
        start = END_S - self.config.n_days * DAY_S
        columns = {
            "event_type": pl.repeat("impression", len(self), eager=True),
            "timestamp": pl.Series(start + step * np.arange(len(self))),
            "value": pl.Series(self.label, dtype=pl.Float64),
            **{name: pl.Series(column) for name, column in zip(NUMBER_NAMES, self.numbers.T, strict=True)},
            **{name: pl.Series(column) for name, column in zip(CATEGORY_NAMES, self.ids.T, strict=True)},
        }
        events = pl.DataFrame(columns).with_columns(
            pl.col(NUMBER_NAMES).cast(pl.Float64).fill_nan(None), pl.col(CATEGORY_NAMES).cast(pl.String)
        )
        return Dataset.from_frames(events, name="clicks")


def generate_clicks(config: ClicksConfig) -> Clicks:
    """The log of these settings; equal settings give equal logs."""
    world = _World(config)
    intercept = world.intercept()
    blocks = list(_blocks(world, intercept))
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return Clicks(config=config, sizes=world.sizes, **columns)


def _blocks(world: _World, intercept: float) -> Iterator[dict[str, Array]]:
    for number, first in enumerate(range(0, world.config.n_rows, BLOCK)):
        rng = stream(world.config.seed, "clicks", number)
        ids, numbers = world.draw(min(BLOCK, world.config.n_rows - first), rng)
        probability = _sigmoid(world.log_odds(ids, numbers) + np.float32(intercept))
        label = (rng.random(len(ids), np.float32) < probability).astype(np.float32)
        yield {"ids": ids, "numbers": numbers, "probability": probability, "label": label}


class _World:
    """The effects, drawn once."""

    def __init__(self, config: ClicksConfig) -> None:
        self.config, self.sizes = config, category_sizes(config.n_ids)
        rng = stream(config.seed, "click effects")
        self.first = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int32)
        self.fade = np.concatenate([1 / np.sqrt(1 + np.arange(1, size + 1) / FADE) for size in self.sizes]).astype(
            np.float32
        )
        self.effect = rng.standard_normal(config.n_ids, np.float32) * self.fade * np.float32(config.main_effect)
        self.mean, self.spread = rng.uniform(0, 3, N_NUMBERS), rng.uniform(0.5, 2, N_NUMBERS)
        self.missing = np.maximum(rng.uniform(-0.2, 0.45, N_NUMBERS), 0)
        self.slope, self.bend, self.absent = rng.normal(0, 0.2, (3, N_NUMBERS)).astype(np.float32)
        n_paired = len(PAIRED) + N_PAIRED_NUMBERS
        scale = (config.pair_effect**2 / (n_paired * (n_paired - 1) / 2 * DIM)) ** 0.25
        self.vectors = [_class_vectors(int(self.sizes[f]), scale, rng) for f in PAIRED]
        self.directions = (scale * rng.standard_normal((N_PAIRED_NUMBERS, DIM))).astype(np.float32)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Int, Float]:
        """ids [n, 26] and numbers [n, 13] of n rows."""
        ids = np.exp(rng.random((n, N_CATEGORIES), np.float32) * np.log(self.sizes).astype(np.float32)).astype(np.int32)
        numbers = np.floor(np.exp(self.mean + self.spread * rng.standard_normal((n, N_NUMBERS), np.float32)))
        numbers[rng.random((n, N_NUMBERS), np.float32) < self.missing] = np.nan
        return np.clip(ids - 1, 0, self.sizes - 1).astype(np.int32), numbers.astype(np.float32)

    def log_odds(self, ids: Int, numbers: Float) -> Float:
        """s without its intercept, float32 [n]."""
        there = np.isfinite(numbers)
        z: Float = np.where(there, (np.log1p(numbers) - self.mean) / self.spread, 0).astype(np.float32)
        singly = np.where(there, self.slope * z + self.bend * (np.abs(z) - np.float32(0.8)), self.absent)
        return np.asarray(self.effect[ids + self.first].sum(1) + singly.sum(1) + self._products(ids, z))

    def _products(self, ids: Int, z: Float) -> Float:
        """The sum of <v_f, v_g> over all pairs: half of the square of the sum less the sum of the squares."""
        total = z[:, :N_PAIRED_NUMBERS] @ self.directions
        squares = z[:, :N_PAIRED_NUMBERS] ** 2 @ (self.directions**2).sum(1)
        for f, (classes, vectors) in zip(PAIRED, self.vectors, strict=True):
            v = vectors[classes[ids[:, f]]] * self.fade[self.first[f] + ids[:, f], None]
            total += v
            squares += np.einsum("nd,nd->n", v, v)
        return np.asarray((np.einsum("nd,nd->n", total, total) - squares) / 2)

    def intercept(self) -> float:
        """The constant that makes the mean probability `click_rate`, by bisection on some rows."""
        s = self.log_odds(*self.draw(CALIBRATION, stream(self.config.seed, "click rate")))
        low, high = -50.0, 50.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if _sigmoid(s + np.float32(middle)).mean() < self.config.click_rate else (low, middle)
            )
        return low


def category_sizes(n_ids: int) -> Array:
    """How many values each category has, int64 [26]: in geometric progression, summing to `n_ids`."""
    low, high = 1.0, float(n_ids)
    powers = np.arange(N_CATEGORIES)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if (SMALLEST * middle**powers).sum() < n_ids else (low, middle)
    sizes = np.floor(SMALLEST * low**powers).astype(np.int64)
    sizes[-1] += n_ids - sizes.sum()
    return np.asarray(sizes)


def _class_vectors(size: int, scale: float, rng: np.random.Generator) -> tuple[Array, Float]:
    """The class of each value, int8 [size], and the vectors of the classes [32, 4], zero on average over the rows."""
    classes, k = rng.integers(0, N_CLASSES, size, np.int8), np.arange(1, size + 1)
    share = np.where(k < size, np.log((k + 1) / k) / np.log(size), 0)
    fade = 1 / np.sqrt(1 + k / FADE)
    mean_share, square_share = (np.bincount(classes, share * fade**power, N_CLASSES) for power in (1, 2))
    vectors = rng.standard_normal((N_CLASSES, DIM))
    vectors -= mean_share @ vectors / mean_share.sum()
    spread = np.sqrt(square_share @ vectors**2).clip(1e-6)
    return classes, (scale * vectors / spread).astype(np.float32)


def _sigmoid(s: Float) -> Float:
    return np.asarray(1 / (1 + np.exp(-s)), np.float32)
