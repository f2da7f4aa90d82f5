"""Ours on labelled rows: encoder, `fit_arrays` and the fitted model, as anybody would call them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from exchange import Clicks, save

from rankine.arrays import Int, Ragged
from rankine.data.dataset import Dataset
from rankine.features.config import FeaturesConfig
from rankine.features.encode import Encoder
from rankine.features.queries import Queries
from rankine.recommender import fit_arrays

HASHED = 5000  # categories of more values get as many table rows by hash, as the peers make one for each, met in training or not
PLAIN = {"clip_norm": None}  # what the peers do without
PLAIN_DEEP = {"batch_norm": False, "dropout": 0.0}
PEERS_NAMES = {"pnn": "ipnn"}


class System:
    """One model at a time on one log."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        train, test = Clicks(folder), Clicks(folder, "test")
        hashed = {name: size for name, size in zip(train.names, train.sizes, strict=True) if size > HASHED}
        self.features = FeaturesConfig(fields=tuple(train.columns()), numbers="value", hash_rows=hashed)
        self.dataset, self.asked = dataset_of(train), dataset_of(test).events

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder.fit(self.dataset, features=self.features)

    @cached_property
    def data(self) -> Any:
        return self.encoder.events(self.dataset.events)

    @cached_property
    def queries(self) -> Queries:
        """The requests of the test."""
        n, events = len(self.asked), self.asked
        return Queries(
            user_idx=self.encoder.users.index(events["user_id"]), history=Ragged.empty(n), session_len=np.zeros(n, np.int64),
            history_weight=np.empty(0, np.float32), timestamp=np.full(n, np.nan), n_users=len(self.encoder.users),
            n_items=len(self.encoder.items), context=self.encoder.context_rows(events), rows=self.encoder.rows(events),
        )  # fmt: skip

    @cached_property
    def items(self) -> Int:
        """The items shown in the test."""
        return self.encoder.items.index(self.asked["item_id"])

    def train(
        self, model: str, epochs: int, dim: int, hidden: list[int], batch: int, precision: str = "fp32"
    ) -> list[float]:
        """Seconds of each epoch; the first holds the first values of the tables too."""
        deep = {} if model == "fm" else {"hidden_dims": hidden, **PLAIN_DEEP}
        settings = {
            "embedding_dim": dim,
            "epochs": epochs,
            "batch_size": batch,
            "precision": precision,
            **PLAIN,
            **deep,
        }
        data, times = self.data, [time.perf_counter()]

        def watch(epoch: int, model: Any, **values: float) -> bool:
            times.append(time.perf_counter())
            return False

        self.recommender = fit_arrays(
            PEERS_NAMES.get(model, model), self.encoder, data, settings, seed=1, monitor=watch
        )
        return np.diff(times).tolist()

    @property
    def model(self) -> Any:
        return self.recommender.model

    def score(self, times: int) -> int:
        """All rows of the test, so many times over."""
        queries, items = self.queries, self.items
        for _ in range(times):
            self.found = self.model.probability(queries, items)
        return times

    def export(self, folder: str) -> None:
        self.score(1)
        save(Path(folder), probability=self.found)

    def ask(self, requests: int, candidates: int) -> list[float]:
        """Seconds of each request for so many items, in rows of the tables."""
        asked = [self.queries.take(slice(n, n + 1)) for n in range(requests)]
        return self._each(self.model.score, asked, self._candidates(requests, candidates))

    def ask_by_id(self, requests: int, candidates: int) -> list[float]:
        """The same from a request as it comes, in ids and words, which is encoded first."""
        frame = self.asked.head(requests).drop("user_id", "item_id", "event_type", "value")
        asked = list(zip(self.asked["user_id"].head(requests), frame.to_dicts(), strict=True))

        def answer(request: tuple[str | None, dict[str, Any]], items: Int) -> Any:
            return self.model.score(self.encoder.query(user=request[0], context=request[1]), items)

        return self._each(answer, asked, self._candidates(requests, candidates))

    def _candidates(self, requests: int, candidates: int) -> list[Int]:
        return list(np.random.default_rng(0).integers(0, len(self.encoder.items), (requests, candidates), np.int32))

    def _each(self, answer: Callable[[Any, Int], Any], asked: list[Any], items: list[Int]) -> list[float]:
        seconds = []
        for request, candidates in zip(asked, items, strict=True):
            start = time.perf_counter()
            answer(request, candidates)
            seconds.append(time.perf_counter() - start)
        return seconds

    def fit_encoder(self, rows: int) -> int:
        """Vocabularies and fields of so many rows."""
        self.fitted = Encoder.fit(self.dataset.with_events(self.dataset.events.head(rows)), features=self.features)
        return rows

    def encode(self, rows: int) -> int:
        """Those rows as arrays."""
        self.encoded = self.fitted.events(self.dataset.events.head(rows))
        return rows

    def encode_one(self, requests: int) -> list[float]:
        """Seconds of each request as it comes, made into one row."""
        frame = self.asked.head(requests).drop("user_id", "item_id", "event_type", "value")
        asked = frame.to_dicts()
        return self._each(
            lambda request, _: self.fitted.query(context=request), asked, [np.empty(0, np.int32)] * requests
        )


def dataset_of(rows: Clicks) -> Dataset:
    """The rows as impressions."""
    columns = {name: pl.Series(column) for name, column in rows.columns().items()}
    frame = pl.DataFrame(columns).with_columns(
        pl.col(rows.names).cast(pl.String), event_type=pl.lit("impression"), value=pl.Series(rows.label)
    )
    return Dataset.from_frames(frame)
