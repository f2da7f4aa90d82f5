"""The two tables of side information: what a shop's items and users look like from outside."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl

from rankine.arrays import Array
from rankine.data.synthetic.config import DAY_S, ShopConfig
from rankine.data.synthetic.words import CATEGORIES, COLOURS, COUNTRIES, FIRST_NAMES, LAST_NAMES, N_NOUNS, WORDS
from rankine.data.synthetic.world import World
from rankine.random import stream

OLDEST_DAYS = 900  # what was there before the first day came at most so long before


def item_ids(n: int) -> list[str]:
    """`i-00000` and on, in the order of the items table."""
    return [f"i-{row:05d}" for row in range(n)]


def user_ids(n: int) -> list[str]:
    """`u-00000` and on, in the order of the users table."""
    return [f"u-{row:05d}" for row in range(n)]


def items_table(world: World) -> pl.DataFrame:
    """item_id, title, category, tags, price, description, available_from (Unix seconds, a midnight)."""
    config = world.config
    words = [
        _item_words(config, int(t), int(s), n) for t, s, n in zip(world.topic, world.shelf, _nth(world), strict=True)
    ]
    price = np.array([c.price for c in CATEGORIES])[world.topic] * np.exp(0.5 * world.price_z)
    frame = pl.DataFrame(
        words, schema={"title": pl.String, "tags": pl.List(pl.String), "description": pl.String}, orient="row"
    )
    return frame.select(
        pl.Series("item_id", item_ids(config.n_items)),
        "title",
        pl.Series("category", [CATEGORIES[t].name for t in world.topic]),
        "tags",
        pl.Series("price", np.maximum(np.round(price * 2) / 2 - 0.1, 0.9).round(2)),
        "description",
        pl.Series("available_from", _midnights(config, world.item_arrival, "items")),
    )


def users_table(world: World) -> pl.DataFrame:
    """user_id, name, country, age, created_date (Unix seconds, a midnight)."""
    config, n = world.config, world.config.n_users
    rng = stream(config.seed, "people")
    first, last = rng.integers(0, len(FIRST_NAMES), n), rng.integers(0, len(LAST_NAMES), n)
    countries = rng.choice(list(COUNTRIES), n, p=list(COUNTRIES.values()))
    return pl.DataFrame(
        {
            "user_id": user_ids(n),
            "name": [f"{FIRST_NAMES[f]} {LAST_NAMES[s]}" for f, s in zip(first, last, strict=True)],
            "country": countries.tolist(),
            "age": world.age.astype(np.float64),
            "created_date": _midnights(config, world.user_arrival, "users"),
        }
    )


def _nth(world: World) -> list[int]:
    """The how-manieth of its topic and shelf each item is."""
    seen: dict[tuple[int, int], int] = {}
    out = []
    for key in zip(world.topic.tolist(), world.shelf.tolist(), strict=True):
        out.append(seen.get(key, 0))
        seen[key] = out[-1] + 1
    return out


def _item_words(config: ShopConfig, topic: int, shelf: int, nth: int) -> tuple[str, list[str], str]:
    """Title, tags and description; distinct for distinct (topic, shelf, nth)."""
    nouns, materials, styles = WORDS[topic]
    pairs = _pairs(config.seed, topic, shelf, len(materials) * len(styles))
    material, style = divmod(pairs[nth % len(pairs)], len(styles))
    words = [nouns[shelf], materials[material], styles[style]]
    edition, colour = divmod(nth // len(pairs), len(COLOURS) + 1)
    title = " ".join(reversed(words)).capitalize()
    if colour:
        words.append(COLOURS[colour - 1])
        title = f"{title}, {words[-1]}"
    if edition:
        title = f"{title}, no. {edition + 1}"
    return title, words, f"{title}: made for {CATEGORIES[topic].purpose}."


@lru_cache(maxsize=len(CATEGORIES) * N_NOUNS)
def _pairs(seed: int, topic: int, shelf: int, n: int) -> list[int]:
    """The pairs of material and style in the order in which the items of a shelf take them."""
    order: list[int] = stream(seed, "words", topic, shelf).permutation(n).tolist()
    return order


def _midnights(config: ShopConfig, arrival: Array, purpose: str) -> Array:
    """Unix seconds of the arrival days, float64; day 0 stands for some day before the first."""
    before = stream(config.seed, "before", purpose).integers(1, OLDEST_DAYS, len(arrival))
    day = np.where(arrival > 0, arrival, -before)
    return config.start_s + day * float(DAY_S)
