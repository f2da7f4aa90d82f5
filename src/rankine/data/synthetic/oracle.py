"""The best answer there is: the exact probability of the next item, known to who knows the shop but no mind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from rankine.arrays import Array, Float, Ragged
from rankine.data.synthetic.config import DAY_S
from rankine.data.synthetic.tables import item_ids, user_ids
from rankine.data.synthetic.walk import Laws, forecast, update_intent
from rankine.data.synthetic.world import DEVICES, REFERRERS, SUCCESSOR_WEIGHTS, World
from rankine.data.vocab import Vocab
from rankine.errors import DataError, closest

ORACLE_FILE = "oracle.safetensors"
CONTEXT = {"device": DEVICES, "hour": tuple(str(hour) for hour in range(24)), "referrer": REFERRERS}
"""The context columns of a shop and their values."""


class Oracle:
    """Knows every parameter of a shop; of a session it sees what a request shows.

    Nobody can rank better on average: its recall, NDCG and likelihood are the best reachable ones.
    """

    def __init__(self, world: World) -> None:
        self.world = world

    def score(
        self,
        user_ids: Sequence[str | None],
        histories: Sequence[Sequence[str]],
        timestamps: Array,
        context: Mapping[str, Sequence[str]],
    ) -> Float:
        """Probability of each item to be the next different one of the session, float32 [B, N], as in the items table.

        user_ids [B]: None is a visitor without a name. histories: the items of the current session so far, oldest
        first. timestamps [B]: any moment of the session, Unix seconds. context: `device`, `hour` and `referrer`, each
        [B], as in the events. Raises DataError for what is not in the shop, or for a history that cannot happen.
        """
        day = self._days(timestamps)
        device, hour, referrer = (self._context(name, context) for name in ("device", "hour", "referrer"))
        intent = self.world.intent(self._users_of(user_ids), day, device, hour, referrer)
        history = self._items_of(histories)
        last = update_intent(intent, history.values, history.offsets, day, self._laws)
        if (last == -2).any():
            row = int(np.argmax(last == -2))
            raise DataError(
                f"history {row} cannot happen on its day, an item is not sold yet: {list(histories[row])!r}"
            )
        return np.asarray(forecast(intent, last, day, self._laws))

    def save(self, folder: Path) -> None:
        """Write `oracle.safetensors` into the folder of the shop."""
        self.world.save(folder / ORACLE_FILE)

    @classmethod
    def load(cls, folder: Path) -> Oracle:
        """The oracle that `save` wrote. Raises DataError."""
        return cls(World.load(folder / ORACLE_FILE))

    @cached_property
    def _laws(self) -> Laws:
        world, config = self.world, self.world.config
        return Laws(
            follow=config.follow,
            wander=config.wander,
            crowd=world.crowd(),
            successors=world.successors,
            weights=np.array(SUCCESSOR_WEIGHTS),
            topic=world.topic,
            popularity=world.popularity,
            arrival=world.item_arrival,
            topic_mass=world.topic_mass(),
        )

    @cached_property
    def _users(self) -> Vocab:
        return Vocab(user_ids(self.world.config.n_users))

    @cached_property
    def _items(self) -> Vocab:
        return Vocab(item_ids(self.world.config.n_items))

    def _users_of(self, names: Sequence[str | None]) -> Array:
        for name in names:
            if name is not None and name not in self._users:
                raise DataError(f"user {name!r} is not in this shop: pass None for a visitor without a name")
        return np.fromiter(map(self._users.row, names), np.int64, len(names))  # None: the population's row, the last

    def _items_of(self, histories: Sequence[Sequence[str]]) -> Ragged:
        flat = [name for history in histories for name in history]
        rows = self._items.index(flat)
        if (rows == self._items.unknown).any():
            raise DataError(f"item {flat[int(rows.argmax())]!r} of a history is not in this shop")
        return Ragged.from_lengths(rows, np.fromiter(map(len, histories), np.int64, len(histories)))

    def _days(self, timestamps: Array) -> Array:
        config = self.world.config
        day = ((np.asarray(timestamps, np.float64) - config.start_s) // DAY_S).astype(np.int64)
        outside = (day < 0) | (day >= config.n_days)
        if outside.any():
            value = np.asarray(timestamps)[outside][0]
            raise DataError(
                f"timestamps must lie in the shop's {config.n_days} days from {config.start_s}; got {value}"
            )
        return day

    def _context(self, name: str, context: Mapping[str, Sequence[str]]) -> Array:
        if name not in context:
            raise DataError(f"the oracle needs the context column `{name}`{closest(name, context)}")
        values = CONTEXT[name]
        code = {value: row for row, value in enumerate(values)}
        unknown = set(context[name]) - set(values)
        if unknown:
            value = str(min(map(str, unknown)))
            raise DataError(f"`{name}` cannot be {value!r}{closest(value, values)}")
        return np.fromiter((code[value] for value in context[name]), np.int64, len(context[name]))
