"""RBM: a restricted Boltzmann machine for each user, or each item, whose visible units are their ratings.

p(h_j = 1 | v) = sigmoid(c_j + sum_i D_ij + sum_{i,k} v_ik W_ikj), p(v_ik = 1 | h) = softmax over k of b_ik + sum_j h_j W_ikj,
over the rated i only; D says that a pair is there (`conditional`), W what its rating is. One rating is predicted from the
others of the same machine: sum_k k p(v_ik), with p by the free energy (exact) or by mean field.
Source: Salakhutdinov, Mnih, Hinton 2007, "Restricted Boltzmann machines for collaborative filtering"; one machine per item:
Sedhain et al. 2015. Here the learning rate falls linearly, and a unit's step is its sum over raters / (raters + damping).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int, Ragged
from rankine.errors import ConfigError, ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.rbm import Parameters, ascend, gibbs, hidden_inputs
from rankine.kernels.rbm_expected import expected_values, odds_of
from rankine.kernels.sparse import to_csr
from rankine.models.base import Monitor, Needs, RatingModel, SolvedModel, Source, no_monitor
from rankine.models.tuning import Real, Whole, choice, ranges
from rankine.progress import track
from rankine.random import stream

MAX_VALUES = 64


@dataclass(frozen=True, kw_only=True)
class RBMConfig:
    """Settings of RBM.

    side: whose machine it is; the visible units are the other side. cd_steps: Gibbs steps of contrastive divergence, each
    number for an equal share of the epochs. learning_rate: of the first epoch. damping: raters' worth of pull to no change
    in each step of a visible unit. smoothing: ratings' worth of pull of the first visible biases to what everybody gives.
    """

    side: Literal["user", "item"] = "user"
    hidden_dim: int = 200
    epochs: int = 50
    batch_size: int = 100
    cd_steps: tuple[int, ...] = (1,)
    learning_rate: float = 0.015
    momentum: float = 0.9
    weight_decay: float = 0.01
    damping: float = 20.0
    smoothing: float = 5.0
    init_sd: float = 0.01
    conditional: bool = False
    predict: Literal["free_energy", "mean_field"] = "free_energy"

    def __post_init__(self) -> None:
        for name in ("hidden_dim", "epochs", "batch_size"):
            settings.require(self, name, at_least=1)
        for name in ("learning_rate", "smoothing", "init_sd"):
            settings.require(self, name, above=0)
        for name in ("weight_decay", "damping"):
            settings.require(self, name, at_least=0)
        settings.require(self, "momentum", at_least=0, at_most=0.99)
        if not self.cd_steps or min(self.cd_steps) < 1:
            raise ConfigError(f"`cd_steps` of RBMConfig must be a list of numbers from 1 up; got {list(self.cd_steps)}")


class RBM(RatingModel, SolvedModel):
    """A known user is judged by their training ratings, their own rating of the item in question left out.

    Requests carry no ratings: what a history adds, a stranger's or a known user's, counts only where `side` is "user" and
    `conditional` is set: through D, as a training pair without a rating does. Users or items without a training rating get
    the weights of the average one, and the ratings that everybody gives.
    """

    Config = RBMConfig
    config: RBMConfig
    label = "RBM"
    summary = "hidden units behind the ratings"
    mark = 5
    source = Source.HISTORY
    iterative = True
    needs = Needs(values=True)
    scheduled = True  # the learning rate falls, and Gibbs steps grow in number
    fitted = ("values", "pairs", "weights", "visible_bias", "hidden_bias", "pair_weights")
    tuning = ranges(
        hidden_dim=Whole(20, 500, log=True), learning_rate=Real(3e-3, 0.1, log=True), weight_decay=Real(1e-3, 0.1, log=True),
        damping=Real(1.0, 100.0, log=True), batch_size=Whole(20, 500, log=True), conditional=choice(False, True),
    )  # fmt: skip

    values: Float  # [K], the distinct ratings, ascending
    pairs: CSR  # [n_rows, M], rows of the machines' side: the place of the rating in `values`, or -1 for none
    weights: Float  # W [M + 1, K, H], the last visible unit stands for an unknown one
    visible_bias: Float  # b [M + 1, K]
    hidden_bias: Float  # c [H]
    pair_weights: Float  # D [M, H], or [0, H]
    _inputs: Float  # [n_rows + 1, H]: what goes into the hidden units of each machine, the last without a pair
    _odds: Float | None  # [M + 1, K, H]

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        self.values, self.pairs = self._read(data)
        parameters = self._start(stream(seed, "init"))
        velocity, rng = parameters.zeros(), stream(seed, "gibbs")
        for epoch in track(range(1, self.config.epochs + 1), f"training {self.label}"):
            loss = self._epoch(epoch, parameters, velocity, rng)
            if not math.isfinite(loss):
                raise ModelError(f"{self.label} diverged in epoch {epoch}: lower `learning_rate`")
            last = epoch == self.config.epochs
            if last or monitor is not no_monitor:
                self._take(parameters)
                if monitor(epoch, self, loss=loss):
                    break

    def _read(self, data: EventArrays) -> tuple[Float, CSR]:
        """The distinct ratings, and the pairs of known users; the last rating of a pair is the one that counts."""
        assert data.value is not None
        known = data.user_idx < data.n_users
        rated = np.isfinite(data.value) & known
        if not rated.any():
            raise ModelError(f"{self.label} got nothing to train on: no rating comes from a known user")
        values, place = np.unique(data.value[rated], return_inverse=True)
        if len(values) > MAX_VALUES:
            raise ModelError(f"{self.label} reads up to {MAX_VALUES} distinct values; got {len(values)}: round them")
        places = np.full(len(data), -1.0, np.float32)
        places[rated] = place
        keep = known if self.config.conditional else rated
        row, unit, shape = data.user_idx[keep], data.item_idx[keep], (data.n_users, data.n_items)
        if self.config.side == "item":
            row, unit, shape = unit, row, shape[::-1]
        return values, _last_of_each(row, unit, places[keep], *shape)

    def _start(self, rng: np.random.Generator) -> Parameters:
        """Small random weights, and visible biases that give each unit its own frequencies, drawn towards everybody's."""
        n_units, n_values, n_hidden = self.pairs.n_columns, len(self.values), self.config.hidden_dim
        rated = self.pairs.data >= 0
        cell = self.pairs.indices[rated].astype(np.int64) * n_values + self.pairs.data[rated].astype(np.int64)
        counts = np.bincount(cell, minlength=n_units * n_values).reshape(n_units, n_values)
        share = counts.sum(axis=0) / counts.sum()
        smoothed = (counts + self.config.smoothing * share) / (
            counts.sum(axis=1, keepdims=True) + self.config.smoothing
        )
        drawn = rng.normal(0, self.config.init_sd, (n_units, n_values, n_hidden))
        return Parameters(
            weights=drawn.astype(np.float32),
            visible_bias=np.log(smoothed).astype(np.float32),
            hidden_bias=np.zeros(n_hidden, np.float32),
            pair_weights=np.zeros((n_units if self.config.conditional else 0, n_hidden), np.float32),
        )

    def _epoch(self, epoch: int, parameters: Parameters, velocity: Parameters, rng: np.random.Generator) -> float:
        """One pass over all machines in a random order; returns the mean of -log p(rating | hidden units of its row)."""
        config = self.config
        steps = config.cd_steps[(epoch - 1) * len(config.cd_steps) // config.epochs]
        rated = Ragged(self.pairs.data >= 0, self.pairs.indptr)
        order = rng.permutation(np.unique(rated.row_of_value()[rated.values]))
        loss = 0.0
        for first in range(0, len(order), config.batch_size):
            rows = order[first : first + config.batch_size]
            n_entries = int(np.diff(self.pairs.indptr)[rows].sum())
            uniform_hidden = rng.random((steps, len(rows), config.hidden_dim), np.float32)
            uniform_visible = rng.random((steps, n_entries), np.float32)
            chain = gibbs(self.pairs, rows, parameters, uniform_hidden, uniform_visible)
            ascend(
                self.pairs, chain, parameters, velocity, momentum=config.momentum, weight_decay=config.weight_decay,
                learning_rate=config.learning_rate * (1 - (epoch - 1) / config.epochs), damping=config.damping,
            )  # fmt: skip
            loss += chain.loss
        return loss / int(rated.values.sum())

    def _take(self, parameters: Parameters) -> None:
        """Keep what is learned so far, with the average visible unit for one that is unknown or was never rated."""
        counts = np.bincount(self.pairs.indices[self.pairs.data >= 0], minlength=self.pairs.n_columns)
        share = np.bincount(self.pairs.data[self.pairs.data >= 0].astype(np.int64)) / counts.sum()
        weights, visible_bias, self.hidden_bias, self.pair_weights = parameters
        mean = np.tensordot(counts / counts.sum(), weights, axes=1).astype(np.float32)
        self.weights = _with_unknown(weights, counts == 0, mean)
        self.visible_bias = _with_unknown(visible_bias, counts == 0, np.log(share).astype(np.float32))
        self._prepare()

    def load_state(self, state: Mapping[str, Array]) -> None:
        super().load_state(state)
        self._prepare()

    @property
    def _parameters(self) -> Parameters:
        return Parameters(self.weights, self.visible_bias, self.hidden_bias, self.pair_weights)

    def _prepare(self) -> None:
        """Work out what every prediction needs."""
        self._inputs = np.vstack([hidden_inputs(self.pairs, self._parameters), self.hidden_bias])
        self._odds = odds_of(self.weights) if self.config.predict == "free_energy" else None

    def rate(self, user_idx: Int, item_idx: Int) -> Float:
        row, unit = (user_idx, item_idx) if self.config.side == "user" else (item_idx, user_idx)
        order = np.argsort(row, kind="stable")  # the hidden units of a row are worked out once
        asked = (row[order], row[order], unit[order])
        rated = np.empty(len(row), np.float32)
        rated[order] = expected_values(self.pairs, self._parameters, self.values, self._inputs, asked, self._odds)
        return rated

    def score_all(self, queries: Queries) -> Float:
        if self.config.side == "item":
            return super().score_all(queries)
        machines = self._machines(queries)
        inputs = hidden_inputs(machines, self._parameters)
        row = np.repeat(np.arange(len(queries)), queries.n_items)
        asked = (row, row, np.tile(np.arange(queries.n_items), len(queries)))
        scores = expected_values(machines, self._parameters, self.values, inputs, asked, self._odds)
        return scores.reshape(len(queries), queries.n_items)

    def _machines(self, queries: Queries) -> CSR:
        """The machine of each visitor: their training pairs and, without a rating, what their history adds; [B, n_items]."""
        known = np.flatnonzero(queries.known_user)
        units = Ragged(self.pairs.indices, self.pairs.indptr).take(queries.user_idx[known])
        places = Ragged(self.pairs.data, self.pairs.indptr).take(queries.user_idx[known])
        history = queries.history if self.config.conditional else Ragged.empty(len(queries))
        row = np.concatenate([known[units.row_of_value()], history.row_of_value()])
        place = np.concatenate([places.values, np.full(len(history.values), -1.0, np.float32)])
        return _last_of_each(row, np.concatenate([units.values, history.values]), place, len(queries), queries.n_items)

    def evidence(self, queries: Queries) -> Array:
        """Known users with a training pair that counts, and visitors whose history speaks."""
        if self.config.side == "user":
            seen = np.diff(self.pairs.indptr) > 0
        else:
            seen = np.bincount(self.pairs.indices[self.pairs.data >= 0], minlength=self.pairs.n_columns) > 0
        known = np.append(seen, False)[queries.user_idx]
        speaks = self.config.side == "user" and self.config.conditional
        return np.asarray(known | (speaks & (queries.history.lengths > 0)))


def _last_of_each(row: Int, unit: Int, place: Float, n_rows: int, n_units: int) -> CSR:
    """The pairs in time order as a matrix, a pair's last rating before any event without one."""
    key = row.astype(np.int64) * n_units + unit
    order = np.lexsort((place >= 0, key))  # stable: among equals the last in time comes last
    last = order[np.diff(key[order], append=-1) != 0]
    return to_csr(row[last], unit[last], place[last], n_rows, n_units)


def _with_unknown(rows: Float, unseen: Array, unknown: Float) -> Float:
    """The rows with one more for what is unknown, which also stands where a row is `unseen`."""
    out = np.concatenate([rows, unknown[None]])
    out[:-1][unseen] = unknown
    return out
