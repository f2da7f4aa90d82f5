"""Ours: models of MODELS on arrays, and what they answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from exchange import Matrix, load, save

from rankine.arrays import CSR, Int, Ragged
from rankine.data.schema import Schema
from rankine.data.vocab import Vocab
from rankine.features.encode import Encoder
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.ranks import top_k
from rankine.recommender import Recommender, fit_model, new_model

BLOCK = 4096  # users at a time


class System:
    """One model at a time on one data set."""

    def __init__(self, folder: Path) -> None:
        self.train = train = Matrix(folder)
        self.taken = CSR(train.indptr, train.indices, train.values, train.n_items)
        weight = np.broadcast_to(np.float32(1), len(train))
        self.data = EventArrays(
            n_users=train.n_users, n_items=train.n_items, user_idx=train.users, item_idx=train.indices, weight=weight,
            value=train.values,
        )  # fmt: skip
        vars(self.data)["interactions"] = self.taken  # a peer is given its matrix as well

    def als(self, **settings: Any) -> int:
        return self._fit("als", **settings)

    def bpr(self, **settings: Any) -> int:
        return self._fit("bpr", **settings)

    def item_to_item(self, **settings: Any) -> int:
        return self._fit("item_to_item", **settings)

    def _fit(self, name: str, **settings: Any) -> int:
        self.model: Any = new_model(name, settings)
        fit_model(self.model, self.data, seed=1)
        return int(getattr(self.model.config, "epochs", 1))

    def ratings(self, **settings: Any) -> int:
        return self._fit("mf", **settings)

    def export(self, folder: str) -> None:
        save(Path(folder), **_exported(self.model, self._everybody()))

    def _everybody(self) -> Queries:
        n = self.train.n_users
        return self._queries(np.arange(n, dtype=np.int32), Ragged.empty(n))

    def _queries(self, users: Any, history: Ragged) -> Queries:
        n = len(users)
        return Queries(
            user_idx=users, history=history, history_weight=np.ones(len(history.values), np.float32),
            session_len=np.zeros(n, np.int64), timestamp=np.full(n, np.nan), n_users=self.train.n_users,
            n_items=self.train.n_items,
        )  # fmt: skip

    def export_state(self, folder: str) -> None:
        save(Path(folder), **self.model.state())

    def take_factors(self, folder: str) -> None:
        self.model = new_model("als")
        self.model.load_state(load(Path(folder) / "state"))
        self.scores = self.model.scorer()

    def top(self, users: int, k: int) -> int:
        """Lists for the first users, what they took left out."""
        everybody, taken = self._everybody(), Ragged(self.train.indices, self.train.indptr)
        blocks = [slice(start, min(start + BLOCK, users)) for start in range(0, users, BLOCK)]
        found = [top_k(self.scores(everybody.take(rows)), k, taken.take(rows))[0] for rows in blocks]
        self.lists = np.concatenate(found)
        return users

    def export_lists(self, folder: str) -> None:
        save(Path(folder), lists=self.lists)

    def ask(self, users: list[int], k: int) -> list[float]:
        """Seconds of each ranking for a known user, in rows of the tables."""
        nothing = Ragged.empty(1)

        def rank(user: Int, taken: Ragged) -> Int:
            return top_k(self.scores(self._queries(user, nothing)), k, taken)[0][0]

        return self._each(
            rank, [(np.array([user], np.int32), Ragged.from_rows([self.train.row(user)])) for user in users]
        )

    def fold_in(self, users: list[int], k: int) -> list[float]:
        """The same for somebody who has a history and no trained vector."""
        stranger = np.array([self.train.n_users], np.int32)

        def rank(history: Ragged) -> Int:
            return top_k(self.scores(self._queries(stranger, history)), k, history)[0][0]

        return self._each(rank, [(Ragged.from_rows([self.train.row(user)]),) for user in users])

    def ask_by_id(self, users: list[int], k: int) -> list[float]:
        """The same as `ask` by the public call, ids in and ids out."""
        recommender = self._recommender()
        asked = [(str(user), self._names(user)) for user in users]
        return self._each(lambda user, taken: recommender.recommend(user, k=k, exclude=taken), asked)

    def fold_in_by_id(self, users: list[int], k: int) -> list[float]:
        """The same as `fold_in` by the public call, ids in and ids out."""
        recommender = self._recommender()
        asked = [(self._names(user),) for user in users]
        return self._each(lambda taken: recommender.recommend(history=taken, k=k, exclude_history=True), asked)

    def _names(self, user: int) -> list[str]:
        return [str(item) for item in self.train.row(user)]

    def _recommender(self) -> Recommender:
        users, items = (Vocab(map(str, range(n))) for n in (self.train.n_users, self.train.n_items))
        encoder = Encoder(users=users, items=items, context={}, schema=Schema(), fitted_on="")
        recommender = Recommender("als", self.model, encoder)
        recommender.recommend("0", history=["0"])  # dictionaries of ids are made when first needed
        return recommender

    def _each(self, rank: Callable[..., Any], requests: list[tuple[Any, ...]]) -> list[float]:
        """Seconds of each; the lists stay."""
        seconds, lists = [], []
        for request in requests:
            start = time.perf_counter()
            found = rank(*request)
            seconds.append(time.perf_counter() - start)
            lists.append(found)
        self.lists = np.array([_rows(found) for found in lists], np.int32)
        return seconds


def _rows(ranking: Any) -> Any:
    return [int(place.item_id) for place in ranking] if isinstance(ranking, list) else ranking


def _exported(model: Any, everybody: Queries) -> dict[str, np.ndarray]:
    """Factors, or similarities, in the form that every system hands over."""
    if hasattr(model, "neighbours"):
        near = model.neighbours
        return {"indptr": near.indptr, "indices": near.indices, "similarity": near.data}
    return {"user": model.query_vectors(everybody), "item": model.item_vectors()}
