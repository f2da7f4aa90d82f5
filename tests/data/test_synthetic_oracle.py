"""The oracle is exact for the shop it comes from, and nobody ranks better."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankine.arrays import Array
from rankine.data.sessions import collapse_repeats
from rankine.data.synthetic import Oracle, Shop, generate, shop_config
from rankine.data.synthetic.config import DAY_S, END_S
from rankine.data.synthetic.world import DEVICES, REFERRERS, SUCCESSOR_WEIGHTS, World
from rankine.errors import DataError

TINY = shop_config(
    "small", n_users=25, n_items=30, n_events=40_000, n_days=20, n_topics=3, new_item_share=0.4, item_drift=0.5,
    views_per_session=4.0,
)  # fmt: skip


@dataclass(frozen=True)
class Queries:
    """Every step of the sessions: what was seen, and what came next (its row)."""

    users: list[str | None]
    histories: list[list[str]]
    times: Array
    context: dict[str, list[str]]
    target: Array

    def score(self, oracle: Oracle) -> Array:
        return oracle.score(self.users, self.histories, self.times, self.context)


def row_of(item_id: str) -> int:
    return int(item_id[2:])


def queries(events: pl.DataFrame, n: int, first: int = 0) -> Queries:
    """The first n steps with a history of at least `first` items, asked at the time of the step before."""
    users, histories, times, context, target = [], [], [], {"device": [], "hour": [], "referrer": []}, []
    grouped = collapse_repeats(events).group_by("session_id", maintain_order=True).agg(pl.all())
    for visit in grouped.iter_rows(named=True):
        for step in range(first, len(visit["item_id"])):
            users.append(visit["user_id"][0])
            histories.append(visit["item_id"][:step])
            times.append(visit["timestamp"][max(step - 1, 0)])
            target.append(row_of(visit["item_id"][step]))
            for name, values in context.items():
                values.append(visit[name][0])
    return Queries(
        users[:n], histories[:n], np.array(times[:n]), {k: v[:n] for k, v in context.items()}, np.array(target[:n])
    )


def surprise(p: Array, target: Array) -> float:
    """Log-likelihood plus entropy, in standard errors: near 0 where the forecast is the truth."""
    p = p.astype(np.float64)
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(1)
    difference = np.log(p[np.arange(len(p)), target]) + entropy
    return float(difference.mean() / (difference.std() / np.sqrt(len(p))))


def recall(scores: Array, target: Array, k: int = 20) -> float:
    """Share of targets in the top k; ties count against the scorer."""
    return float(((scores >= scores[np.arange(len(target)), target][:, None]).sum(1) <= k).mean())


def slow_forecast(
    world: World, user: int, history: list[int], day: int, device: str, hour: str, referrer: str
) -> Array:
    """The equations of the package's docstring, one number at a time."""
    config, n_items, topics = world.config, world.config.n_items, range(world.config.n_topics)
    week = day // 7

    def step(topic: int, last: int | None) -> Array:
        def q(within: int) -> Array:
            mass = np.array([
                world.popularity[week, i]
                if world.topic[i] == within and world.item_arrival[i] <= day and i != last else 0.0
                for i in range(n_items)
            ])  # fmt: skip
            return mass / mass.sum()

        crowd = world.taste[-1] * world.demand[week]
        stray = sum(crowd[s] / crowd.sum() * q(s) for s in topics)
        drawn = (1 - config.wander) * q(topic) + config.wander * stray
        if last is None:
            return drawn
        lead = np.zeros(n_items)
        for to, weight in zip(world.successors[last], SUCCESSOR_WEIGHTS, strict=True):
            lead[to] += weight
        return config.follow * lead + (1 - config.follow) * drawn

    belief = np.array([
        world.taste[user, t] * world.demand[week, t] * world.device_factor[DEVICES.index(device), t]
        * world.hour_factor[int(hour), t] * world.referrer_factor[REFERRERS.index(referrer), t]
        for t in topics
    ])  # fmt: skip
    last = None
    for item in history:
        belief = np.array([belief[t] * step(t, last)[item] for t in topics])
        last = item
    belief /= belief.sum()
    return sum(belief[t] * step(t, last) for t in topics)


@pytest.fixture(scope="module")
def tiny() -> Shop:
    return generate(TINY)


@pytest.fixture(scope="module")
def steps(tiny: Shop) -> Queries:
    return queries(tiny.dataset.events, 40_000)


@pytest.fixture(scope="module")
def foretold(tiny: Shop, steps: Queries) -> Array:
    return steps.score(tiny.oracle)


@pytest.fixture(scope="module")
def small() -> Shop:
    return generate(shop_config("small"))


@pytest.fixture(scope="module")
def last_week(small: Shop) -> Queries:
    return queries(small.dataset.events.filter(pl.col("timestamp") >= END_S - 7 * DAY_S), 5_000, first=1)


def test_it_equals_the_equations_worked_out_slowly(tiny: Shop, steps: Queries, foretold: Array) -> None:
    for b in range(0, len(steps.target), 1_009):
        day = int(steps.times[b] - TINY.start_s) // DAY_S
        user = TINY.n_users if steps.users[b] is None else row_of(steps.users[b])
        history = [row_of(item) for item in steps.histories[b]]
        context = {name: values[b] for name, values in steps.context.items()}
        np.testing.assert_allclose(
            foretold[b], slow_forecast(tiny.oracle.world, user, history, day, **context), rtol=1e-5
        )


def test_each_row_is_a_distribution_over_other_items_on_sale(tiny: Shop, steps: Queries, foretold: Array) -> None:
    p = foretold
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    day = (steps.times - TINY.start_s) // DAY_S
    assert (p[tiny.oracle.world.item_arrival[None] > day[:, None]] == 0).all()
    seen = np.array([bool(h) for h in steps.histories])
    last = np.array([row_of(h[-1]) for h in steps.histories if h])
    assert (p[seen, last] == 0).all()
    assert (p[np.arange(len(p)), steps.target] > 0).all()


@pytest.mark.parametrize("part", ["all", "first view", "later views", "anonymous"])
def test_what_happens_is_as_surprising_as_foretold(steps: Queries, foretold: Array, part: str) -> None:
    lengths = np.array([len(h) for h in steps.histories])
    nameless = np.array([user is None for user in steps.users])
    rows = {"all": lengths >= 0, "first view": lengths == 0, "later views": lengths > 2, "anonymous": nameless}[part]
    assert rows.sum() > 5_000
    assert abs(surprise(foretold[rows], steps.target[rows])) < 3.5


@pytest.mark.parametrize(("name", "value"), [("follow", 0.26), ("wander", 0.31)])
def test_a_slightly_wrong_parameter_would_be_noticed(tiny: Shop, steps: Queries, name: str, value: float) -> None:
    wrong = Oracle(replace(tiny.oracle.world, config=replace(TINY, **{name: value})))
    assert abs(surprise(steps.score(wrong), steps.target)) > 5


@pytest.mark.parametrize("situation", ["last item", "device", "hour", "first two items"])
def test_counts_of_next_items_fit_the_forecast_in_the_same_situation(
    steps: Queries, foretold: Array, situation: str
) -> None:
    """Chi-square over the cells (situation, next item) with at least 20 expected; 5 standard deviations are allowed."""
    p = foretold.astype(np.float64)
    groups = {
        "last item": [h[-1] if h else "" for h in steps.histories],
        "device": steps.context["device"],
        "hour": steps.context["hour"],
        "first two items": ["".join(h[:2]) if len(h) >= 2 else "" for h in steps.histories],
    }
    group = np.unique(groups[situation], return_inverse=True)[1]
    expected = np.zeros((group.max() + 1, p.shape[1]))
    np.add.at(expected, group, p)
    variance = np.zeros_like(expected)
    np.add.at(variance, group, p * (1 - p))
    observed = np.zeros_like(expected)
    np.add.at(observed, (group, steps.target), 1)
    cells = expected >= 20
    z_squared = (observed - expected)[cells] ** 2 / variance[cells]
    assert cells.sum() > 60
    assert abs(z_squared.mean() - 1) < 5 * np.sqrt(2 / cells.sum())


def test_forecast_probabilities_are_frequencies(steps: Queries, foretold: Array) -> None:
    p = foretold.astype(np.float64)
    hit = np.zeros_like(p)
    hit[np.arange(len(p)), steps.target] = 1
    for low, high in zip([0, 0.01, 0.03, 0.1, 0.2], [0.01, 0.03, 0.1, 0.2, 1], strict=True):
        cell = (p > low) & (p <= high)
        error = np.sqrt((p[cell] * (1 - p[cell])).sum())
        assert abs(hit[cell].sum() - p[cell].sum()) < 4 * error


def test_it_beats_popularity_transitions_and_taste(small: Shop, last_week: Queries) -> None:
    target, world = last_week.target, small.oracle.world
    before = small.dataset.events.filter(pl.col("timestamp") < END_S - 7 * DAY_S)
    counts = np.bincount([row_of(i) for i in before["item_id"]], minlength=world.config.n_items)
    popularity = np.tile(counts / counts.max(), (len(target), 1))
    transitions = popularity * 1e-3
    for b, history in enumerate(last_week.histories):
        np.add.at(transitions[b], world.successors[row_of(history[-1])], SUCCESSOR_WEIGHTS)
    taste = replace(last_week, histories=[[]] * len(target)).score(small.oracle)
    best = recall(last_week.score(small.oracle), target)
    assert best > 0.55
    assert best > recall(popularity, target) + 0.35
    assert best > recall(transitions, target) + 0.15
    assert best > recall(taste, target) + 0.2


def test_taste_and_context_beat_popularity(small: Shop, last_week: Queries) -> None:
    blank = replace(last_week, histories=[[]] * len(last_week.target))
    nameless = replace(blank, users=[None] * len(blank.users))
    popularity = np.tile(nameless.score(small.oracle).mean(0), (len(blank.target), 1))
    scores = [recall(s, blank.target) for s in (popularity, nameless.score(small.oracle), blank.score(small.oracle))]
    assert scores[1] > scores[0] + 0.01
    assert scores[2] > scores[1] + 0.03


def mean_log_likelihood(scores: Array, target: Array) -> float:
    return float(np.log(scores[np.arange(len(target)), target]).mean())


@pytest.mark.parametrize("shuffled", ["device", "hour", "referrer", "users"])
def test_shuffling_what_the_request_says_makes_it_worse(small: Shop, last_week: Queries, shuffled: str) -> None:
    order = np.random.default_rng(0).permutation(len(last_week.target))
    if shuffled == "users":
        worse = replace(last_week, users=[last_week.users[b] for b in order])
    else:
        values = last_week.context[shuffled]
        worse = replace(last_week, context={**last_week.context, shuffled: [values[b] for b in order]})
    true = mean_log_likelihood(last_week.score(small.oracle), last_week.target)
    assert true > mean_log_likelihood(worse.score(small.oracle), last_week.target) + 1e-4


def test_the_whole_session_tells_more_than_its_last_item(small: Shop, last_week: Queries) -> None:
    short = replace(last_week, histories=[h[-1:] for h in last_week.histories])
    best = recall(last_week.score(small.oracle), last_week.target)
    assert best > recall(short.score(small.oracle), last_week.target) + 0.02


def test_repeats_in_a_history_count_once(tiny: Shop, steps: Queries, foretold: Array) -> None:
    some = replace(steps, histories=[[i for i in h for _ in range(2)] for h in steps.histories])
    np.testing.assert_array_equal(some.score(tiny.oracle), foretold)


def test_a_loaded_oracle_says_the_same(tiny: Shop, steps: Queries, foretold: Array, tmp_path: Path) -> None:
    tiny.oracle.save(tmp_path)
    np.testing.assert_array_equal(steps.score(Oracle.load(tmp_path)), foretold)


def test_a_folder_without_an_oracle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*oracle\.safetensors"):
        Oracle.load(tmp_path)
    (tmp_path / "oracle.safetensors").write_bytes(b"not an oracle")
    with pytest.raises(DataError, match="is not the oracle of a generated shop"):
        Oracle.load(tmp_path)


def test_ten_thousand_queries_take_less_than_two_seconds(small: Shop, last_week: Queries) -> None:
    last_week.score(small.oracle)
    start = time.process_time()
    for _ in range(2):
        last_week.score(small.oracle)
    assert time.process_time() - start < 2


def one_query(**changes: object) -> dict[str, object]:
    context = {"device": ["phone"], "hour": ["20"], "referrer": ["mail"]}
    return {"user_ids": ["u-00001"], "histories": [[]], "timestamps": [END_S - 1.0], "context": context, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user_ids": ["somebody"]}, "user 'somebody' is not in this shop"),
        ({"histories": [["i-99999"]]}, "item 'i-99999' of a history is not in this shop"),
        ({"timestamps": [float(END_S)]}, "timestamps must lie in the shop's 20 days"),
        ({"context": {"hour": ["20"], "referrer": ["mail"]}}, "needs the context column `device`"),
        ({"context": {"device": ["phon"], "hour": ["20"], "referrer": ["mail"]}}, "'phon'; did you mean `phone`"),
    ],
)
def test_a_query_from_elsewhere_is_refused(tiny: Shop, changes: dict[str, object], message: str) -> None:
    assert tiny.oracle.score(**one_query()).shape == (1, 30)
    with pytest.raises(DataError, match=message):
        tiny.oracle.score(**one_query(**changes))


def test_an_item_from_the_future_is_refused(tiny: Shop) -> None:
    new = int(np.argmax(tiny.oracle.world.item_arrival))
    with pytest.raises(DataError, match="history 0 cannot happen on its day"):
        tiny.oracle.score(**one_query(histories=[[f"i-{new:05d}"]], timestamps=[float(TINY.start_s)]))
