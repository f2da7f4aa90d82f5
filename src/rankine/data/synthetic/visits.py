"""Draws the visits of a shop: who comes when, what they look at, what they buy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rankine.arrays import Array, Offsets
from rankine.data.synthetic.config import DAY_S, ShopConfig
from rankine.data.synthetic.walk import draw_views
from rankine.data.synthetic.world import (
    DEVICE_SHARES,
    DEVICES,
    REFERRER_SHARES,
    REFERRERS,
    SUCCESSOR_WEIGHTS,
    World,
)
from rankine.random import stream

EVENT_NAMES = ("view", "cart", "purchase")
MOST_VIEWS = 40  # of one session
GAP_S = (20, 200)  # between two events of a session
CART, PURCHASE, MAIL_FACTOR = 0.16, 0.35, 1.5
CARTS_PER_VIEW = 0.11  # what CART comes to, price fit and mail included
HOME_DEVICE = 0.8  # probability that a user keeps to one device
HOURLY = (25, 15, 8, 6, 7, 12, 25, 42, 55, 62, 65, 66, 70, 66, 62, 62, 66, 74, 84, 96, 100, 92, 70, 42)
WEEKDAYS = (1.0, 0.95, 0.95, 1.0, 0.95, 1.15, 1.25)  # from Monday


@dataclass(frozen=True)
class Visits:
    """Sessions in order of their start [S]; `user` is n_users for an anonymous one, `start` whole Unix seconds."""

    user: Array
    start: Array
    device: Array
    referrer: Array
    n_views: Array

    def take(self, rows: Array | slice) -> Visits:
        """The sessions at these rows."""
        return Visits(self.user[rows], self.start[rows], self.device[rows], self.referrer[rows], self.n_views[rows])


@dataclass(frozen=True)
class DayEvents:
    """Events of one day in order of time [E]: `session` counts from the shop's first, `kind` indexes EVENT_NAMES."""

    session: Array
    item: Array
    kind: Array
    time: Array
    user: Array
    device: Array
    referrer: Array
    hour: Array


def plan_visits(world: World) -> Visits:
    """All sessions of a shop, without what happens in them."""
    config, rng = world.config, stream(world.config.seed, "visits")
    n, n_users = _n_sessions(config), config.n_users
    cdf = _rhythm(config)
    missed = np.append(cdf[24 * world.user_arrival], 0.0)
    share = world.activity * (1 - missed[:-1])
    user = rng.choice(n_users, n, p=share / share.sum())
    user[rng.random(n) < config.anonymous_share] = n_users
    when = missed[user] + rng.random(n) * (1 - missed[user])
    second = np.interp(when, cdf, 3600 * np.arange(len(cdf))).astype(np.int64)
    device = rng.choice(len(DEVICES), n, p=DEVICE_SHARES)
    home = rng.choice(len(DEVICES), n_users + 1, p=DEVICE_SHARES)
    at_home = (rng.random(n) < HOME_DEVICE) & (user < n_users)
    visits = Visits(
        user=user,
        start=config.start_s + np.minimum(second, config.n_days * DAY_S - 1),
        device=np.where(at_home, home[user], device),
        referrer=rng.choice(len(REFERRERS), n, p=REFERRER_SHARES),
        n_views=np.minimum(rng.geometric(1 / config.views_per_session, n), MOST_VIEWS),
    )
    return visits.take(np.argsort(visits.start, kind="stable"))


def _n_sessions(config: ShopConfig) -> int:
    per_view = 1 + CARTS_PER_VIEW * (1 + PURCHASE)
    return max(1, round(config.n_events / (config.views_per_session * per_view)))


def _rhythm(config: ShopConfig) -> Array:
    """Share of all visits before each full hour, float64 [24 days + 1]; the first day of 1970 was a Thursday."""
    weekday = (config.start_s // DAY_S + np.arange(config.n_days) + 3) % 7
    rate = np.outer(np.array(WEEKDAYS)[weekday], HOURLY).ravel()
    return np.concatenate([[0.0], np.cumsum(rate) / rate.sum()])


class Walker:
    """Fills planned visits with events, one day at a time; a day depends on the seed alone."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.visits = plan_visits(world)
        topic = world.topic
        self._order = np.argsort(topic, kind="stable")
        self._position = np.argsort(self._order)
        self._starts = np.searchsorted(topic[self._order], np.arange(world.config.n_topics + 1))

    @cached_property
    def _borders(self) -> Offsets:
        midnights = self.world.config.start_s + DAY_S * np.arange(self.world.config.n_days + 1)
        return np.searchsorted(self.visits.start, midnights)

    def day(self, day: int) -> DayEvents:
        """The events of a day, whole sessions: one that would last beyond midnight begins earlier."""
        rng, first, end = stream(self.world.config.seed, "day", day), self._borders[day], self._borders[day + 1]
        visits = self.visits.take(slice(first, end))
        offsets = np.concatenate([[0], np.cumsum(visits.n_views)])
        uniforms = rng.random((offsets[-1], 5))
        gaps = rng.integers(GAP_S[0], GAP_S[1] + 1, (offsets[-1], len(EVENT_NAMES)))
        visits = replace(visits, start=self._early_enough(day, visits, offsets, uniforms[:, 3], gaps))
        hour = visits.start % DAY_S // 3600
        intent = self.world.intent(visits.user, np.full(len(hour), day), visits.device, hour, visits.referrer)
        topic = np.minimum((intent.cumsum(1) <= rng.random((len(hour), 1))).sum(1), intent.shape[1] - 1)
        items = self._views(day, topic, offsets, uniforms)
        session = np.repeat(np.arange(len(hour)), visits.n_views)
        view, kind = np.nonzero(self._funnel(items, visits.take(session), uniforms[:, 3:]))
        session = session[view]
        clock = gaps[view, kind].cumsum()
        time = visits.start[session] + clock - clock[np.searchsorted(session, session)]
        order = np.argsort(time, kind="stable")
        by_time = session[order]
        return DayEvents(
            first + by_time, items[view][order], kind[order], time[order],
            visits.user[by_time], visits.device[by_time], visits.referrer[by_time], hour[by_time],
        )  # fmt: skip

    def _early_enough(self, day: int, visits: Visits, offsets: Offsets, cart: Array, gaps: Array) -> Array:
        """Starts [S] such that no session, were every possible cart filled and bought, outlives the day."""
        longest = gaps[:, 0] + (cart < CART * MAIL_FACTOR) * gaps[:, 1:].sum(1)
        total = np.concatenate([[0], longest.cumsum()])
        midnight = self.world.config.start_s + DAY_S * (day + 1)
        return np.asarray(np.minimum(visits.start, midnight - 1 - np.diff(total[offsets])))

    def _views(self, day: int, topic: Array, offsets: Offsets, uniforms: Array) -> Array:
        world = self.world
        cdf = np.concatenate([[0.0], world.mass(day)[self._order].cumsum()])
        return np.asarray(draw_views(
            topic, offsets, uniforms, world.config.follow, world.config.wander, _cdf(world.crowd()[day // 7]),
            world.successors, _cdf(np.array(SUCCESSOR_WEIGHTS)),
            world.topic, self._order, self._position, self._starts, cdf,
        ))  # fmt: skip

    def _funnel(self, items: Array, visits: Visits, uniforms: Array) -> Array:
        """Whether each view takes place, fills the cart and is bought, bool [V, 3]; `visits` are those of the views."""
        fit = np.exp(-((self.world.price_z[items] - self.world.budget[visits.user]) ** 2) / 2)
        mail = np.where(visits.referrer == REFERRERS.index("mail"), MAIL_FACTOR, 1.0)
        cart = uniforms[:, 0] < CART * fit * mail
        return np.stack([np.ones_like(cart), cart, cart & (uniforms[:, 1] < PURCHASE)], axis=1)


def _cdf(probabilities: Array) -> Array:
    """The running sum, ending in exactly 1."""
    cdf = np.cumsum(probabilities)
    cdf[-1] = 1.0
    return cdf
