"""Small seeded logs and requests, as arrays and as the plain rows that a slow loop reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from rankine.arrays import Ragged
from rankine.features.crosses import Cross, Crosses
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.features.rows import Rows
from rankine.features.slots import Field, Layout, Slots
from rankine.models import MODELS
from rankine.recommender import fit_model, new_model

N_USERS, N_ITEMS = 12, 15


@pytest.fixture(scope="session")
def log() -> EventArrays:
    """300 events of 12 users and some without a name on 15 items, in time order; item 14 is never taken."""
    rng = np.random.default_rng(23)
    n = 300
    session = np.sort(rng.integers(0, 60, n))
    user = rng.integers(0, N_USERS + 2, 60)[session]
    return EventArrays(
        n_users=N_USERS,
        n_items=N_ITEMS,
        user_idx=np.minimum(user, N_USERS).astype(np.int32),
        item_idx=np.minimum(rng.geometric(0.15, n) - 1, N_ITEMS - 2).astype(np.int32),
        weight=rng.choice([1.0, 1.0, 3.0, 5.0, -3.0], n).astype(np.float32),
        value=rng.integers(1, 6, n).astype(np.float32),
        timestamp=1e9 + np.cumsum(rng.exponential(3600, n)),
        session_idx=session.astype(np.int32),
        context={"device": rng.integers(0, 4, n).astype(np.int32), "hour": rng.integers(0, 24, n).astype(np.int32)},
        context_sizes={"device": 3, "hour": 24},
    )


@pytest.fixture(scope="session")
def ask() -> Callable[..., Queries]:
    """Requests from plain lists: users, histories, how much of each is the session, history weights, context rows."""

    def build(
        histories: Sequence[Sequence[int]],
        *,
        users: Sequence[int] | None = None,
        session_len: Sequence[int] | None = None,
        weights: Sequence[float] | None = None,
        **context: Sequence[int],
    ) -> Queries:
        history = Ragged.from_rows(histories)
        n = len(histories)
        columns: dict[str, Any] = {name: np.asarray(rows, np.int32) for name, rows in context.items()}
        return Queries(
            user_idx=np.asarray([N_USERS] * n if users is None else users, np.int32),
            history=history,
            history_weight=np.asarray(np.ones(len(history.values)) if weights is None else weights, np.float32),
            session_len=history.lengths if session_len is None else np.asarray(session_len, np.int64),
            timestamp=np.full(n, np.nan),
            n_users=N_USERS,
            n_items=N_ITEMS,
            context=columns,
        )

    return build


@pytest.fixture(scope="session")
def histories() -> list[list[int]]:
    """Histories of many lengths, with repeats, and with an item that nobody took."""
    rng = np.random.default_rng(4)
    return [[], [14], [3, 3], *(rng.integers(0, N_ITEMS, rng.integers(1, 12)).tolist() for _ in range(20))]


class Clicks:
    """Rows of every kind of field with a click or none, models fitted to them, and the slow arithmetic of their parts.

    Fields: user, device, a number (weight: its value), a history of up to 3 items (averaged, on the rows of item), item, tags of
    the item (up to 2, summed), and a cross of user and item, which only linear parts see.
    """

    def __init__(self, n: int = 240) -> None:
        rng = np.random.default_rng(31)
        self.layout = Layout(
            (
                Field(name="user", side="request", n_rows=7),
                Field(name="device", side="request", n_rows=4),
                Field(name="price", side="request", n_rows=2),
                Field(name="history", side="request", n_slots=3, shares="item"),
                Field(name="item", side="item", n_rows=N_ITEMS + 1),
                Field(name="tags", side="item", n_slots=2, n_rows=6),
                Field(name="user x item", side="pair", n_rows=9, cross=True),
            )
        )
        first = self.layout.first_rows
        user, device = rng.integers(0, 7, n), rng.integers(0, 4, n)
        seen, lengths = rng.integers(0, N_ITEMS, (n, 3)), rng.integers(0, 4, n)[:, None]
        history_weight = np.where(np.arange(3) < lengths, 1 / np.maximum(lengths, 1), 0)
        request = np.column_stack(
            [first["user"] + user, first["device"] + device, np.full(n, first["price"]), first["item"] + seen]
        )
        one = np.ones((n, 1))
        request_weight = np.hstack([one, one, rng.normal(size=(n, 1)), history_weight])
        tags = first["tags"] + rng.integers(0, 6, (N_ITEMS + 1, 2))
        items = np.column_stack([first["item"] + np.arange(N_ITEMS + 1), tags])
        item_weight = np.column_stack([np.ones((N_ITEMS + 1, 2)), rng.integers(0, 2, N_ITEMS + 1)])
        cross = Cross((0, 6), (first["user"] + 6, first["item"] + N_ITEMS), first["user x item"], 8)
        self.rows = Rows(
            layout=self.layout,
            request=Slots(request.astype(np.int32), request_weight.astype(np.float32)),
            items=Slots(items.astype(np.int32), item_weight.astype(np.float32)),
            crosses=Crosses((cross,)),
        )
        self.item = rng.integers(0, N_ITEMS, n).astype(np.int32)
        chance = 1 / (1 + np.exp(-(2.0 * (user % 3 == self.item % 3) - 1.5 + (device == 1))))
        self.data = EventArrays(
            n_users=6,
            n_items=N_ITEMS,
            user_idx=user.astype(np.int32),
            item_idx=self.item,
            weight=(rng.random(n) < chance).astype(np.float32),
            shown=np.ones(n, bool),
            rows=self.rows,
            context={"device": device.astype(np.int32)},
            context_sizes={"device": 3},
        )
        self.slots = self.rows.of(slice(None), self.item)

    def queries(self) -> Queries:
        """The requests of the rows."""
        n = len(self.item)
        return Queries(
            user_idx=self.data.user_idx,
            history=Ragged.empty(n),
            history_weight=np.empty(0, np.float32),
            session_len=np.zeros(n, np.int64),
            timestamp=np.full(n, np.nan),
            n_users=6,
            n_items=N_ITEMS,
            context=dict(self.data.context),
            rows=self.rows,
        )

    def fitted(self, name: str, **settings: Any) -> Any:
        """A model of MODELS after two epochs, tables wide enough to matter."""
        config = {"epochs": 2, "batch_size": 64, "init_sd": 0.3, **settings}
        known = {f.name for f in dataclasses.fields(MODELS[name].Config)}
        small = {"embedding_dim": 3, "hidden_dims": [5, 4]}
        model = new_model(name, {k: v for k, v in small.items() if k in known} | config)
        fit_model(model, self.data, seed=7)
        return model

    def of_slots(self, table: Any) -> Any:
        """The rows of a table times their weights, per row a list of (field, row): [B][L] of (int, [D])."""
        assert self.slots.weight is not None
        field = self.layout.slot_field.tolist()
        return [
            [(f, w * table[i]) for f, i, w in zip(field, row, weights, strict=True) if i < len(table)]
            for row, weights in zip(self.slots.idx, self.slots.weight.astype(np.float64), strict=True)
        ]

    def linear(self, table: Any) -> Any:
        """The sum over all slots, crosses included [B]."""
        return np.array([sum(float(x[0]) for _, x in row) for row in self.of_slots(table)])

    def vectors(self, table: Any) -> Any:
        """The sum over the slots of each field but for crosses [B, F, D]."""
        out = np.zeros((len(self.slots), len(self.layout.embedded), table.shape[1]))
        for b, row in enumerate(self.of_slots(table)):
            for f, x in row:
                if f < out.shape[1]:
                    out[b, f] += x
        return out

    @staticmethod
    def pairs(e: Any) -> Any:
        """<e_f, e_g> for f < g [B, P], one after the other."""
        n = e.shape[1]
        return np.array([[row[f] @ row[g] for f in range(n) for g in range(f + 1, n)] for row in e])

    @staticmethod
    def hidden(state: Any, x: Any, activation: Callable[[Any], Any] | None = None) -> Any:
        """The hidden layers of a state outside training: Linear, batch normalisation where there is one, activation."""
        layer = 0
        while (name := f"mlp.hidden.{layer}") + ".linear.weight" in state:
            x = x @ state[f"{name}.linear.weight"].T.astype(float) + state[f"{name}.linear.bias"]
            if f"{name}.norm.mean" in state:
                mean, variance, scale, shift = (
                    state[f"{name}.norm.{p}"] for p in ("mean", "variance", "scale", "shift")
                )
                x = (x - mean) / np.sqrt(variance + 1e-5) * scale + shift
            x = np.maximum(x, 0) if activation is None else activation(x)
            layer += 1
        return x

    def mlp(self, state: Any, x: Any, activation: Callable[[Any], Any] | None = None) -> Any:
        """One number per row [B]."""
        return self.hidden(state, x, activation) @ state["mlp.last.weight"][0] + state["mlp.last.bias"][0]


@pytest.fixture(scope="session")
def clicks() -> Clicks:
    return Clicks()


class Count:
    """How many parameters a click model has on the ten fields of Frappe, as the published runs count them."""

    SIZES = (955, 8, 8, 3, 4, 3, 10, 81, 234, 4083)  # values of each field in training, and a row for others; item last

    def __call__(self, name: str, **settings: Any) -> int:
        fields = tuple(Field(name=str(i), side="request", n_rows=n) for i, n in enumerate(self.SIZES))
        model: Any = new_model(name, settings)
        model.layout = Layout(fields)
        model.build(955, 4082)
        return sum(p.numel() for p in model.parameters())


@pytest.fixture(scope="session")
def count() -> Count:
    return Count()
