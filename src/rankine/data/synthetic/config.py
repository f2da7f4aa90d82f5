"""The settings of a generated shop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rankine.config import require
from rankine.data.synthetic.words import CATEGORIES
from rankine.errors import ConfigError, closest

DAY_S = 86400
END_S = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
"""Every shop closes its books here: the first second that holds no event."""


@dataclass(frozen=True, kw_only=True)
class ShopConfig:
    """How large a shop is, and how strong each effect in it. `n_events` is a target, met within a few percent."""

    n_users: int = 2_000
    n_items: int = 1_000
    n_events: int = 90_000
    n_days: int = 60
    n_topics: int = 16
    seed: int = 1

    anonymous_share: float = 0.3  # of sessions
    new_user_share: float = 0.3  # of users: they arrive while the shop is open
    new_item_share: float = 0.25  # of items
    views_per_session: float = 5.0  # mean, the first view included

    follow: float = 0.22  # probability that the next view is a successor of the last one
    wander: float = 0.25  # probability that another view has nothing to do with the intent of the session
    taste_focus: float = 1.2  # sum of the Dirichlet's parameters: smaller is a narrower taste
    zipf: float = 0.6  # exponent of item popularity inside a topic
    device_effect: float = 1.5  # standard deviation, as all effects below, of a log factor
    hour_effect: float = 1.5
    referrer_effect: float = 0.2
    demand_drift: float = 0.25  # of a topic, per week
    item_drift: float = 0.25  # of an item, per week

    def __post_init__(self) -> None:
        for name, least in (
            ("n_users", 1),
            ("n_items", 3 * self.n_topics),
            ("n_events", 1),
            ("n_days", 1),
            ("n_topics", 2),
        ):
            require(self, name, at_least=least)
        require(self, "n_topics", at_most=len(CATEGORIES))
        for name in ("anonymous_share", "new_user_share", "new_item_share", "follow", "wander"):
            require(self, name, at_least=0, at_most=1)
        require(self, "views_per_session", at_least=1)
        require(self, "taste_focus", above=0)
        for name in ("zipf", "device_effect", "hour_effect", "referrer_effect", "demand_drift", "item_drift"):
            require(self, name, at_least=0)

    @property
    def start_s(self) -> int:
        """Unix seconds of the first midnight."""
        return END_S - self.n_days * DAY_S

    @property
    def n_weeks(self) -> int:
        """Weeks begun; the last may be cut short."""
        return -(-self.n_days // 7)


SIZES: dict[str, dict[str, Any]] = {
    "small": {},
    "medium": {"n_users": 20_000, "n_items": 10_000, "n_events": 1_000_000, "n_days": 90},
    "large": {"n_users": 200_000, "n_items": 50_000, "n_events": 10_000_000, "n_days": 90},
}


def shop_config(size: str = "small", **changes: Any) -> ShopConfig:
    """The settings of a `small`, `medium` or `large` shop, with single ones changed. Raises ConfigError."""
    if size not in SIZES:
        raise ConfigError(f"a shop cannot have the size {size!r}{closest(size, SIZES)}")
    unknown = sorted(set(changes) - set(ShopConfig.__dataclass_fields__))
    if unknown:
        raise ConfigError(
            f"unknown setting `{unknown[0]}` for a shop{closest(unknown[0], ShopConfig.__dataclass_fields__)}"
        )
    return ShopConfig(**{**SIZES[size], **changes})
