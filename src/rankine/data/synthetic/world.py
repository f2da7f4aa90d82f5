"""The true parameters of a shop: who likes what, what leads where, what is in fashion when."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from rankine.arrays import Array
from rankine.config import from_dict, to_dict
from rankine.data.synthetic.config import ShopConfig
from rankine.data.synthetic.words import N_NOUNS
from rankine.errors import DataError
from rankine.random import stream

DEVICES = ("phone", "laptop", "tablet")
DEVICE_SHARES = (0.55, 0.35, 0.10)
REFERRERS = ("direct", "search", "mail", "social")
REFERRER_SHARES = (0.40, 0.30, 0.15, 0.15)
SUCCESSOR_WEIGHTS = (0.45, 0.25, 0.15, 0.15)  # the last one leads to another topic
N_VETERANS = 3  # items per topic that were there on the first day, so that no topic is ever empty
TOPIC_ZIPF = 0.4
AGE_EFFECT = 0.4


@dataclass(frozen=True)
class World:
    """Every parameter of a shop (T topics, N items, U users, W weeks); the equations are in the package's docstring.

    Row U of `taste` and `budget` is a visitor without a name.
    """

    config: ShopConfig
    topic: Array  # [N] int32
    shelf: Array  # [N] int32: which noun of the topic
    item_arrival: Array  # [N] int32: the day from which it is sold, 0 = there before the first
    popularity: Array  # [W, N] float64: weight inside its topic
    successors: Array  # [N, 4] int32
    price_z: Array  # [N] float32: log price against its topic's, in standard deviations
    demand: Array  # [W, T] float64
    device_factor: Array  # [3, T] float64
    hour_factor: Array  # [24, T] float64
    referrer_factor: Array  # [4, T] float64
    taste: Array  # [U + 1, T] float32
    budget: Array  # [U + 1] float32: the price_z that suits them
    user_arrival: Array  # [U] int32
    age: Array  # [U] int32
    activity: Array  # [U] float64

    def intent(self, user: Array, day: Array, device: Array, hour: Array, referrer: Array) -> Array:
        """Probability of each topic at the start of a session, float64 [B, T]; all arguments [B]."""
        weight = self.taste[user].astype(np.float64) * self.demand[day // 7]
        weight *= self.device_factor[device] * self.hour_factor[hour] * self.referrer_factor[referrer]
        return np.asarray(weight / weight.sum(1, keepdims=True))

    def crowd(self) -> Array:
        """Probability of each topic for somebody who wanders, float64 [W, T]: the population's taste x demand."""
        weight = self.taste[-1] * self.demand
        return np.asarray(weight / weight.sum(1, keepdims=True))

    def mass(self, day: int) -> Array:
        """Weight of each item inside its topic on a day, 0 before it is sold, float64 [N]."""
        return np.asarray(self.popularity[day // 7] * (self.item_arrival <= day))

    def topic_mass(self) -> Array:
        """Sum of `mass` over each topic, float64 [days, T]."""
        n_topics = self.config.n_topics
        return np.stack([np.bincount(self.topic, self.mass(d), n_topics) for d in range(self.config.n_days)])

    def save(self, path: Path) -> None:
        """Write all arrays, and the settings as JSON, into one safetensors file."""
        arrays = {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self) if f.name != "config"}
        save_file(arrays, path, metadata={"config": json.dumps(to_dict(self.config))})

    @classmethod
    def load(cls, path: Path) -> World:
        """The world that `save` wrote. Raises DataError."""
        try:
            with safe_open(path, framework="numpy") as file:
                config = from_dict(ShopConfig, json.loads((file.metadata() or {})["config"]))
                return cls(config, **{f.name: file.get_tensor(f.name) for f in fields(cls) if f.name != "config"})
        except FileNotFoundError:
            raise DataError(f"no file `{path}`: expected the oracle of a generated shop") from None
        except (SafetensorError, KeyError) as error:
            raise DataError(f"`{path}` is not the oracle of a generated shop: {error}") from None


def make_world(config: ShopConfig) -> World:
    """All parameters of a shop, drawn from its seed."""
    topic_share = _topic_shares(config)
    items = _items(config)
    return World(
        config=config,
        **items,
        successors=_successors(config, items["topic"], items["shelf"], items["item_arrival"]),
        **_fashion(config),
        **_users(config, topic_share),
    )


def _topic_shares(config: ShopConfig) -> Array:
    """Share of demand of each topic in the population: p_t ~ rank^-0.6, float64 [T]."""
    weight = (1.0 + stream(config.seed, "topics").permutation(config.n_topics)) ** -TOPIC_ZIPF
    return np.asarray(weight / weight.sum())


def _items(config: ShopConfig) -> dict[str, Array]:
    rng, n, n_topics = stream(config.seed, "items"), config.n_items, config.n_topics
    sizes = rng.dirichlet(np.full(n_topics, 10.0))
    rest = rng.choice(n_topics, n - N_VETERANS * n_topics, p=sizes)
    topic = rng.permutation(np.concatenate([np.repeat(np.arange(n_topics), N_VETERANS), rest]))
    new = rng.random(n) < config.new_item_share
    new[_veterans(topic, n_topics)] = False
    arrival = np.where(new, rng.integers(min(1, config.n_days - 1), config.n_days, n), 0)
    drift = rng.normal(0, config.item_drift, (config.n_weeks, n)).cumsum(0)
    return {
        "topic": topic.astype(np.int32),
        "shelf": rng.integers(0, N_NOUNS, n).astype(np.int32),
        "item_arrival": arrival.astype(np.int32),
        "popularity": (1.0 + _rank_in_topic(topic, rng.random(n))) ** -config.zipf * np.exp(drift),
        "price_z": rng.standard_normal(n).astype(np.float32),
    }


def _rank_in_topic(topic: Array, key: Array) -> Array:
    """0, 1, .. by ascending key inside each topic, int64 [N]."""
    order = np.lexsort((key, topic))
    first = np.searchsorted(topic[order], np.arange(topic.max() + 1))
    rank = np.empty(len(topic), np.int64)
    rank[order] = np.arange(len(topic)) - first[topic[order]]
    return rank


def _veterans(topic: Array, n_topics: int) -> Array:
    """The first items of each topic, int64 [T, 3]."""
    return np.stack([np.flatnonzero(topic == t)[:N_VETERANS] for t in range(n_topics)])


def _successors(config: ShopConfig, topic: Array, shelf: Array, arrival: Array) -> Array:
    """Where each item leads, int32 [N, 4]: three items of its topic's next shelf, one of its shelf in the next topic.

    None is newer than the item, so the transitions are the same every day.
    """
    rng, n_topics = stream(config.seed, "successors"), config.n_topics
    by_age = np.argsort(arrival, kind="stable")
    group = (topic * N_NOUNS + shelf)[by_age]
    groups = [by_age[group == g] for g in range(n_topics * N_NOUNS)]
    veterans = _veterans(topic, n_topics)
    start = rng.integers(0, 2**31, len(topic))
    out = np.empty((len(topic), len(SUCCESSOR_WEIGHTS)), np.int32)
    for g, members in enumerate(groups):
        t, s = divmod(g, N_NOUNS)
        other = (t + 1) % n_topics
        for k in range(out.shape[1]):
            last = k == out.shape[1] - 1
            target = groups[other * N_NOUNS + s if last else t * N_NOUNS + (s + 1) % N_NOUNS]
            n_older = np.searchsorted(arrival[target], arrival[members], side="right")
            pick = (start[members] + k) % np.maximum(n_older, 1)
            fallback = veterans[other, start[members] % N_VETERANS]
            out[members, k] = np.where(n_older > 0, target[pick], fallback) if len(target) else fallback
    return out


def _fashion(config: ShopConfig) -> dict[str, Array]:
    """How demand for topics moves with the week and the context."""
    rng, n_topics = stream(config.seed, "fashion"), config.n_topics
    peak, height = rng.uniform(0, 24, n_topics), rng.uniform(0.5, 1.5, n_topics)
    hours = np.arange(24)[:, None]
    return {
        "demand": np.exp(rng.normal(0, config.demand_drift, (config.n_weeks, n_topics)).cumsum(0)),
        "device_factor": np.exp(rng.normal(0, config.device_effect, (len(DEVICES), n_topics))),
        "hour_factor": np.exp(config.hour_effect * height * np.cos(2 * np.pi * (hours - peak) / 24)),
        "referrer_factor": np.exp(rng.normal(0, config.referrer_effect, (len(REFERRERS), n_topics))),
    }


def _users(config: ShopConfig, topic_share: Array) -> dict[str, Array]:
    rng, n = stream(config.seed, "users"), config.n_users
    age = np.clip(np.round(rng.normal(42, 14, n)), 18, 85)
    lean = rng.normal(0, AGE_EFFECT, config.n_topics)
    base = topic_share * np.exp(lean * (age[:, None] - 42) / 14)
    draws = rng.standard_gamma(config.taste_focus * base / base.sum(1, keepdims=True)) + 1e-6
    taste = np.concatenate([draws / draws.sum(1, keepdims=True), topic_share[None]])
    new = rng.random(n) < config.new_user_share
    arrival = np.where(new, rng.integers(min(1, config.n_days - 1), config.n_days, n), 0)
    return {
        "taste": taste.astype(np.float32),
        "budget": np.append(rng.normal(0, 0.8, n), 0.0).astype(np.float32),
        "user_arrival": arrival.astype(np.int32),
        "age": age.astype(np.int32),
        "activity": rng.lognormal(0.0, 1.1, n),
    }
