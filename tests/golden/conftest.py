"""Small seeded logs and requests, as arrays and as the plain rows that a slow loop reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from rankine.arrays import Ragged
from rankine.features.events import EventArrays
from rankine.features.queries import Queries

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
