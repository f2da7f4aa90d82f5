from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rankine.arrays import CSR
from rankine.errors import ConfigError, ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.rbm import Parameters, ascend, gibbs
from rankine.kernels.sparse import to_csr
from rankine.models.base import Model
from rankine.models.factorization.rbm import RBM, RBMConfig
from rankine.random import stream

Array = np.ndarray[Any, Any]
Machine = dict[
    int, int | None
]  # the pairs of one row: visible unit -> place of its rating, None for a pair without one
Batch = list[tuple[Machine, Array, Array]]  # the machines of a batch with their uniform numbers, hidden and visible
SEED = 29
SHORT: dict[str, Any] = {
    "epochs": 3,
    "hidden_dim": 3,
    "batch_size": 5,
    "learning_rate": 0.5,
    "init_sd": 0.7,
    "damping": 1.0,
}


class Slow:
    """The machine in float64, by the definition of its energy, and its training one number at a time."""

    def __init__(self, W: Array, b: Array, c: Array, D: Array) -> None:
        self.W, self.b, self.c, self.D = (np.array(p, np.float64) for p in (W, b, c, D))
        self.velocity = [np.zeros_like(p) for p in (self.W, self.b, self.c, self.D)]
        self.n_values, self.n_hidden = self.W.shape[1:]
        self.hidden_states = [np.array(h, np.float64) for h in itertools.product([0, 1], repeat=self.n_hidden)]

    def energy(self, machine: Machine, h: Array) -> float:
        total = -float(self.c @ h)
        for i, k in machine.items():
            if len(self.D):
                total -= float(self.D[i] @ h)
            if k is not None:
                total -= float(self.b[i, k] + self.W[i, k] @ h)
        return total

    def free_energy(self, machine: Machine) -> float:
        return -float(np.log(sum(np.exp(-self.energy(machine, h)) for h in self.hidden_states)))

    def p_hidden(self, machine: Machine) -> Array:
        weights = [np.exp(-self.energy(machine, h)) for h in self.hidden_states]
        return np.asarray(sum(w * h for w, h in zip(weights, self.hidden_states, strict=True)) / sum(weights))

    def p_visible(self, i: int, h: Array) -> Array:
        weights = np.array([np.exp(-self.energy({i: k}, h)) for k in range(self.n_values)])
        return np.asarray(weights / weights.sum())

    def p_rating(self, machine: Machine, i: int) -> Array:
        """p(v_i | the other ratings) from free energies; the pair of i itself says nothing."""
        kept, self.D = self.D, self.D.copy()
        if len(self.D):
            self.D[i] = 0
        others = {j: k for j, k in machine.items() if j != i}
        weights = np.array([np.exp(-self.free_energy({**others, i: k})) for k in range(self.n_values)])
        self.D = kept
        return np.asarray(weights / weights.sum())

    def p_mean_field(self, machine: Machine, i: int) -> Array:
        h = self.p_hidden({j: k for j, k in machine.items() if j != i})
        logits = np.array([self.b[i, k] + self.W[i, k] @ h for k in range(self.n_values)])
        return np.asarray(np.exp(logits) / np.exp(logits).sum())

    def chain(self, machine: Machine, uniform_hidden: Array, uniform_visible: Array) -> tuple[Machine, float]:
        now, loss = dict(machine), 0.0
        for step in range(len(uniform_hidden)):
            h = (uniform_hidden[step] < self.p_hidden(now)).astype(np.float64)
            for e, (i, k) in enumerate(machine.items()):
                if k is not None:
                    p = self.p_visible(i, h)
                    loss -= float(np.log(p[k])) if step == 0 else 0.0
                    now[i] = int(np.searchsorted(np.cumsum(p), uniform_visible[step, e], side="right"))
        return now, loss

    def learn(self, batch: Batch, rate: float, momentum: float, decay: float, damping: float) -> float:
        """One step of contrastive divergence; returns the loss."""
        W, b, c, D = (np.zeros_like(p) for p in (self.W, self.b, self.c, self.D))
        raters, takers, total = np.zeros(len(W)), np.zeros(len(W)), 0.0
        for machine, uniform_hidden, uniform_visible in batch:
            end, loss = self.chain(machine, uniform_hidden, uniform_visible)
            up, down = self.p_hidden(machine), self.p_hidden(end)
            total += loss
            c += (up - down) / len(batch)
            for i, k in machine.items():
                takers[i] += 1
                if len(D):
                    D[i] += up - down
                if k is not None:
                    raters[i] += 1
                    W[i, k] += up
                    W[i, end[i]] -= down
                    b[i, k] += 1
                    b[i, end[i]] -= 1
        for i in range(len(W)):
            W[i] /= max(raters[i] + damping, 1e-9)
            b[i] /= max(raters[i] + damping, 1e-9)
            if len(D):
                D[i] /= max(takers[i] + damping, 1e-9)
        everything = np.ones(len(c), bool)
        for place, (p, step, weight_decay, moved) in enumerate(
            [(self.W, W, decay, raters > 0), (self.b, b, 0.0, raters > 0), (self.c, c, 0.0, everything)]
            + ([(self.D, D, decay, takers > 0)] if len(D) else [])
        ):
            v = self.velocity[place]
            v[moved] = momentum * v[moved] + rate * (step[moved] - weight_decay * p[moved])
            p[moved] += v[moved]
        return total

    def assert_equals(self, parameters: Parameters) -> None:
        for name, found, expected in zip("WbcD", parameters, (self.W, self.b, self.c, self.D), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-6, err_msg=name)


def some_parameters(conditional: bool, n_units: int = 6, n_values: int = 3, n_hidden: int = 4) -> Parameters:
    rng = np.random.default_rng(31)
    shapes = [
        (n_units, n_values, n_hidden),
        (n_units, n_values),
        (n_hidden,),
        (n_units if conditional else 0, n_hidden),
    ]
    return Parameters(*(rng.normal(0, 0.8, shape).astype(np.float32) for shape in shapes))


def copied(parameters: Parameters) -> Parameters:
    return Parameters(*(array.copy() for array in parameters))


def as_pairs(machines: list[Machine], n_units: int = 6) -> CSR:
    rows = [(n, i, -1.0 if k is None else float(k)) for n, m in enumerate(machines) for i, k in m.items()]
    row, unit, place = (np.array(column) for column in zip(*rows, strict=True))
    return to_csr(row.astype(np.int32), unit.astype(np.int32), place.astype(np.float32), len(machines), n_units)


MACHINES: list[Machine] = [{0: 2, 1: 0, 4: 1}, {1: 1, 2: None}, {0: 0, 2: 2, 3: None, 4: 2}, {4: 0}]


def machines_of(log: EventArrays, config: RBMConfig) -> tuple[list[float], list[Machine]]:
    """The distinct ratings, and the pairs of each row, the last rating of each; anonymous visitors are left out."""
    assert log.value is not None
    rows = [r for r in zip(log.user_idx.tolist(), log.item_idx.tolist(), log.value.tolist(), strict=True) if r[0] < 12]
    values = sorted({r for _, _, r in rows if r == r})
    machines: list[Machine] = [{} for _ in range(log.n_users if config.side == "user" else log.n_items)]
    for user, item, value in rows:
        row, unit = (user, item) if config.side == "user" else (item, user)
        if value == value:
            machines[row][unit] = values.index(value)
        elif config.conditional:
            machines[row].setdefault(unit, None)
    return values, [dict(sorted(machine.items())) for machine in machines]


def with_views(log: EventArrays) -> EventArrays:
    """The log with every third rating unknown, an item (13) and a user (4) that view and never rate."""
    assert log.value is not None
    unknown = (np.arange(len(log)) % 3 == 0) | (log.item_idx == 13) | (log.user_idx == 4)
    return replace(log, value=np.where(unknown, np.nan, log.value).astype(np.float32))


@pytest.mark.parametrize("conditional", [False, True])
def test_a_gibbs_step_follows_the_probabilities_of_the_energy(conditional: bool) -> None:
    parameters, pairs, rng = some_parameters(conditional), as_pairs(MACHINES), np.random.default_rng(2)
    slow, rows = Slow(*parameters), np.array([2, 0, 3, 1, 2])
    n_entries = sum(len(MACHINES[n]) for n in rows)
    for steps in (1, 4):
        uniform_hidden, uniform_visible = (
            rng.random((steps, 5, 4), np.float32),
            rng.random((steps, n_entries), np.float32),
        )
        chain = gibbs(pairs, rows, parameters, uniform_hidden, uniform_visible)
        loss = 0.0
        for n, row in enumerate(rows):
            part = slice(*chain.offsets[n : n + 2])
            end, part_loss = slow.chain(MACHINES[row], uniform_hidden[:, n], uniform_visible[:, part])
            loss += part_loss
            assert [None if k < 0 else k for k in chain.sampled[part].tolist()] == list(end.values())
            np.testing.assert_allclose(chain.positive[n], slow.p_hidden(MACHINES[row]), rtol=1e-5)
            np.testing.assert_allclose(chain.negative[n], slow.p_hidden(end), rtol=1e-5)
        assert chain.loss == pytest.approx(loss, rel=1e-5)


def test_sampled_ratings_have_the_frequencies_of_the_softmax() -> None:
    parameters, n, rng = some_parameters(False), 30_000, np.random.default_rng(3)
    h = np.array([1, 0, 1, 1])
    uniform_hidden = np.broadcast_to(np.where(h == 1, np.float32(0), np.float32(1)), (1, n, 4))
    chain = gibbs(
        as_pairs(MACHINES), np.zeros(n, np.int64), parameters, uniform_hidden, rng.random((1, 3 * n), np.float32)
    )
    for e, i in enumerate(MACHINES[0]):
        counts = np.bincount(chain.sampled[e::3], minlength=3)
        expected = n * Slow(*parameters).p_visible(i, h)
        assert ((counts - expected) ** 2 / expected).sum() < 18.4  # chi-square, 2 degrees of freedom, p = 1e-4


@pytest.mark.parametrize("conditional", [False, True])
def test_a_step_is_contrastive_divergence(conditional: bool) -> None:
    parameters, pairs, rng = some_parameters(conditional), as_pairs(MACHINES), np.random.default_rng(5)
    slow, velocity = Slow(*parameters), parameters.zeros()
    for rows in (np.array([0, 2, 3]), np.array([1, 2]), np.array([3, 0])):  # momentum shows from the second step on
        sizes = [len(MACHINES[n]) for n in rows]
        uniform_hidden, uniform_visible = (rng.random((2, size), np.float32) for size in (len(rows) * 4, sum(sizes)))
        uniform_hidden = uniform_hidden.reshape(2, len(rows), 4)
        ascend(
            pairs, gibbs(pairs, rows, parameters, uniform_hidden, uniform_visible), parameters, velocity,
            learning_rate=0.3, momentum=0.8, weight_decay=0.05, damping=1.5,
        )  # fmt: skip
        parts = np.split(uniform_visible, np.cumsum(sizes)[:-1], axis=1)
        batch = [(MACHINES[row], uniform_hidden[:, n], parts[n]) for n, row in enumerate(rows)]
        slow.learn(batch, 0.3, 0.8, 0.05, 1.5)
        slow.assert_equals(parameters)


def test_the_step_is_the_slope_of_the_free_energy_between_data_and_chain() -> None:
    parameters, pairs, rng = some_parameters(True), as_pairs(MACHINES), np.random.default_rng(7)
    row, moved = np.array([2]), copied(parameters)
    uniform_hidden, uniform_visible = rng.random((1, 1, 4), np.float32), rng.random((1, 4), np.float32)
    chain = gibbs(pairs, row, parameters, uniform_hidden, uniform_visible)
    ascend(pairs, chain, moved, moved.zeros(), learning_rate=1.0, momentum=0.0, weight_decay=0.0, damping=0.0)
    slow = Slow(*parameters)
    end = {i: None if k < 0 else k for i, k in zip(MACHINES[2], chain.sampled.tolist(), strict=True)}
    for array, before, after in zip((slow.W, slow.b, slow.c, slow.D), parameters, moved, strict=True):
        for place in np.ndindex(array.shape):
            gap = []
            for shift in (1e-4, -2e-4):
                array[place] += shift
                gap.append(slow.free_energy(end) - slow.free_energy(MACHINES[2]))
            array[place] += 1e-4
            assert after[place] - before[place] == pytest.approx((gap[0] - gap[1]) / 2e-4, abs=1e-5)


def test_a_unit_moves_by_the_mean_over_its_raters_not_over_the_batch() -> None:
    parameters, pairs, rng = some_parameters(False), as_pairs(MACHINES), np.random.default_rng(11)
    uniform_hidden, uniform_visible = rng.random((1, 4, 4), np.float32), rng.random((1, 10), np.float32)
    rates = {"learning_rate": 0.5, "momentum": 0.0, "weight_decay": 0.0, "damping": 0.0}
    alone, among = copied(parameters), copied(parameters)
    chain = gibbs(pairs, np.array([0]), parameters, uniform_hidden[:, :1], uniform_visible[:, :3])
    ascend(pairs, chain, alone, alone.zeros(), **rates)
    chain = gibbs(pairs, np.array([0, 1, 3, 3]), parameters, uniform_hidden, uniform_visible[:, :7])
    ascend(pairs, chain, among, among.zeros(), **rates)
    assert not np.allclose(alone.weights[0], parameters.weights[0], atol=1e-3)
    np.testing.assert_allclose(among.weights[0], alone.weights[0], rtol=1e-5)  # only the first row has unit 0
    assert np.array_equal(among.weights[[3, 5]], parameters.weights[[3, 5]])  # a pair without rating, and nobody's


@pytest.mark.parametrize("side", ["user", "item"])
@pytest.mark.parametrize("conditional", [False, True])
def test_training_is_the_slow_loop(side: Any, conditional: bool, log: EventArrays) -> None:
    config = RBMConfig(**SHORT, side=side, conditional=conditional, cd_steps=(1, 3), weight_decay=0.02)
    events, losses = with_views(log), []

    def watch(epoch: int, model: Model, **values: float) -> bool:
        losses.append(values["loss"])
        return False

    model = RBM(config)
    model.solve(events, seed=SEED, monitor=watch)
    values, machines = machines_of(events, config)
    assert model.values.tolist() == values

    n_units = log.n_items if side == "user" else log.n_users
    rng = stream(SEED, "init")
    counts = np.array([[sum(m.get(i) == k for m in machines) for k in range(len(values))] for i in range(n_units)])
    share = counts.sum(0) / counts.sum()
    b = np.log((counts + config.smoothing * share) / (counts.sum(1, keepdims=True) + config.smoothing))
    W = rng.normal(0, config.init_sd, (n_units, len(values), 3))
    slow = Slow(W, b, np.zeros(3), np.zeros((n_units if conditional else 0, 3)))
    rng = stream(SEED, "gibbs")
    for epoch, steps in enumerate((1, 1, 3)):
        order = rng.permutation([n for n, m in enumerate(machines) if any(k is not None for k in m.values())])
        loss = 0.0
        for first in range(0, len(order), 5):
            rows = order[first : first + 5]
            sizes = [len(machines[n]) for n in rows]
            hidden, visible = rng.random((steps, len(rows), 3), np.float32), rng.random((steps, sum(sizes)), np.float32)
            parts = np.split(visible, np.cumsum(sizes)[:-1], axis=1)
            batch = [(machines[row], hidden[:, n], parts[n]) for n, row in enumerate(rows)]
            loss += slow.learn(batch, 0.5 * (1 - epoch / 3), config.momentum, 0.02, config.damping)
        assert losses[epoch] == pytest.approx(loss / counts.sum(), rel=1e-4)

    rated = counts.sum(1) > 0
    assert not rated.all()
    mean = np.tensordot(counts.sum(1) / counts.sum(), slow.W, axes=1)
    slow.W[~rated] = mean
    slow.W, slow.b = np.append(slow.W, mean[None], axis=0), np.append(slow.b, np.log(share)[None], axis=0)
    slow.assert_equals(Parameters(model.weights, model.visible_bias, model.hidden_bias, model.pair_weights))


@pytest.mark.parametrize("side", ["user", "item"])
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("predict", ["free_energy", "mean_field"])
def test_a_rating_is_expected_from_the_other_ratings(
    side: Any, conditional: bool, predict: Any, log: EventArrays
) -> None:
    config, events = RBMConfig(**SHORT, side=side, conditional=conditional, predict=predict), with_views(log)
    model = RBM(config)
    model.solve(events, seed=SEED)
    assert np.abs(model.weights).max() > 0.5  # far from no interaction at all
    values, machines = machines_of(events, config)
    slow = Slow(model.weights, model.visible_bias, model.hidden_bias, model.pair_weights)
    users, items = (grid.ravel() for grid in np.meshgrid(np.arange(13), np.arange(16)))  # the last of each unknown
    expected = []
    for user, item in zip(users.tolist(), items.tolist(), strict=True):
        row, unit = (user, item) if side == "user" else (item, user)
        machine = machines[row] if row < len(machines) else {}
        machine = {i: k for i, k in machine.items() if i != unit}
        if predict == "free_energy":
            extended = Slow(slow.W, slow.b, slow.c, _with_zero_row(slow.D))
            p = extended.p_rating(machine, unit)
        else:
            p = slow.p_mean_field(machine, unit)
        expected.append(float(p @ values))
    rated = model.rate(users.astype(np.int32), items.astype(np.int32))
    assert rated.dtype == np.float32
    np.testing.assert_allclose(rated, expected, rtol=2e-5)


def _with_zero_row(D: Array) -> Array:
    return np.append(D, np.zeros((1, D.shape[1])), axis=0) if len(D) else D


def test_the_exact_prediction_survives_large_weights(log: EventArrays) -> None:
    model = RBM(RBMConfig(**{**SHORT, "hidden_dim": 7}))
    model.solve(log, seed=SEED)
    state, (users, items) = model.state(), (np.zeros(14, np.int32), np.arange(14, dtype=np.int32))
    scale = 60 / np.abs(state["weights"]).max()
    model.load_state(state | {"weights": state["weights"] * scale})
    _, machines = machines_of(log, model.config)
    slow = Slow(model.weights, model.visible_bias, model.hidden_bias, model.pair_weights)
    expected = [float(slow.p_rating(machines[0], item) @ model.values) for item in range(14)]
    np.testing.assert_allclose(model.rate(users, items), expected, rtol=1e-3)
    model.load_state(state | {"weights": state["weights"] * 1000})
    assert np.isfinite(model.rate(users, items)).all()


def test_ratings_need_not_be_whole_stars(log: EventArrays) -> None:
    assert log.value is not None
    model = RBM(RBMConfig(**SHORT))
    model.solve(replace(log, value=np.float32(0.5) + log.value / np.float32(2)), seed=SEED)
    assert model.values.tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]
    whole = RBM(RBMConfig(**SHORT))
    whole.solve(log, seed=SEED)
    users, items = np.arange(12, dtype=np.int32), np.arange(12, dtype=np.int32)
    np.testing.assert_allclose(model.rate(users, items), whole.rate(users, items) / 2 + 0.5, rtol=1e-5)


@pytest.mark.parametrize("predict", ["free_energy", "mean_field"])
def test_a_history_speaks_through_the_pairs_alone(predict: Any, log: EventArrays, ask: Callable[..., Queries]) -> None:
    model = RBM(RBMConfig(**SHORT, conditional=True, predict=predict))
    model.solve(log, seed=SEED)
    drawn = np.random.default_rng(3).normal(0, 0.5, model.pair_weights.shape).astype(np.float32)
    model.load_state(model.state() | {"pair_weights": drawn})
    slow = Slow(model.weights, model.visible_bias, model.hidden_bias, _with_zero_row(model.pair_weights))
    _, machines = machines_of(log, model.config)
    rated = next(iter(machines[2]))
    queries = ask([[], [3, 14, 3], [], [14, rated], [rated]], users=[12, 12, 2, 2, 2])
    asked: list[Machine] = [{}, {3: None, 14: None}, machines[2], {**machines[2], 14: None}, machines[2]]
    scores = model.score(queries)
    for row, machine in enumerate(asked):
        for item in range(15):  # a machine that holds the item is asked as if it did not
            p = (slow.p_rating if predict == "free_energy" else slow.p_mean_field)(machine, item)
            assert scores[row, item] == pytest.approx(float(p @ model.values), rel=2e-5)
    assert np.abs(scores[3] - scores[2]).max() > 1e-3
    np.testing.assert_array_equal(scores[4], scores[2])  # what training has seen says nothing new
    np.testing.assert_allclose(
        scores[2], model.rate(np.full(15, 2, np.int32), np.arange(15, dtype=np.int32)), rtol=1e-6
    )
    assert model.evidence(queries).tolist() == [False, True, True, True, True]


@pytest.mark.parametrize("side", ["user", "item"])
def test_without_the_conditional_part_a_strangers_history_says_nothing(
    side: Any, log: EventArrays, ask: Callable[..., Queries]
) -> None:
    model = RBM(RBMConfig(**SHORT, side=side))
    model.solve(with_views(log), seed=SEED)
    queries = ask([[], [3, 5], [1], []], users=[12, 12, 4, 5])
    scores = model.score(queries)
    assert np.array_equal(scores[0], scores[1])
    assert np.array_equal(scores[0], scores[2])  # nor is there a rating of user 4
    assert model.evidence(queries).tolist() == [False, False, False, True]


def test_what_it_cannot_read_is_one_clear_error(log: EventArrays) -> None:
    with pytest.raises(ModelError, match="up to 64 distinct values; got 300: round them"):
        RBM().solve(replace(log, user_idx=log.user_idx % 12, value=np.arange(300, dtype=np.float32)))
    with pytest.raises(ModelError, match="no rating comes from a known user"):
        RBM().solve(replace(log, user_idx=np.full(300, 12, np.int32)))
    with pytest.raises(ModelError, match=r"diverged in epoch .*: lower `learning_rate`"):
        RBM(RBMConfig(learning_rate=1e30, damping=0.0)).solve(log)
    for steps in ((), (1, 0)):
        with pytest.raises(ConfigError, match="`cd_steps` of RBMConfig"):
            RBMConfig(cd_steps=steps)
