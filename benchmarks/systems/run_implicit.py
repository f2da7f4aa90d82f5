"""implicit: ALS, BPR, item to item, top lists, single requests."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as it asks for itself: its own threads do the work

import implicit.als
import implicit.bpr
import implicit.nearest_neighbours
import numpy as np
import scipy.sparse as sp
from exchange import Matrix, load, save

THREADS = int(os.environ["OMP_NUM_THREADS"])
COMMON = {"num_threads": THREADS, "random_state": 1, "use_gpu": False}


class System:
    """One of its models on one data set."""

    def __init__(self, folder: Path) -> None:
        train = Matrix(folder)
        self.taken = sp.csr_matrix((train.values, train.indices, train.indptr), (train.n_users, train.n_items))

    def als(self, epochs: int = 15, **settings: Any) -> int:
        return self._fit(implicit.als.AlternatingLeastSquares(iterations=epochs, **settings, **COMMON), epochs)

    def bpr(self, epochs: int = 100, **settings: Any) -> int:
        return self._fit(implicit.bpr.BayesianPersonalizedRanking(iterations=epochs, **settings, **COMMON), epochs)

    def item_to_item(self, neighbours: int) -> int:
        return self._fit(implicit.nearest_neighbours.CosineRecommender(K=neighbours, num_threads=THREADS), 1)

    def _fit(self, model: Any, epochs: int) -> int:
        self.model = model
        model.fit(self.taken, show_progress=False)
        return epochs

    def export(self, folder: str) -> None:
        model = self.model
        if hasattr(model, "similarity"):
            near = model.similarity.tocsr()
            save(Path(folder), indptr=near.indptr, indices=near.indices, similarity=near.data)
        else:
            save(Path(folder), user=model.user_factors, item=model.item_factors)

    def take_factors(self, folder: str) -> None:
        factors = load(Path(folder))
        self.model = implicit.als.AlternatingLeastSquares(factors=factors["item"].shape[1], **COMMON)
        self.model.user_factors, self.model.item_factors = factors["user"], factors["item"]

    def top(self, users: int, k: int) -> int:
        rows = np.arange(users)
        self.lists, _ = self.model.recommend(rows, self.taken[rows], N=k)
        return users

    def export_lists(self, folder: str) -> None:
        save(Path(folder), lists=self.lists)

    def ask(self, users: list[int], k: int) -> list[float]:
        return self._each(users, k)

    def fold_in(self, users: list[int], k: int) -> list[float]:
        return self._each(users, k, recalculate_user=True)

    def _each(self, users: list[int], k: int, **how: bool) -> list[float]:
        """Seconds of each request; the lists stay."""
        rows, seconds, lists = [self.taken[user] for user in users], [], []
        for user, row in zip(users, rows, strict=True):
            start = time.perf_counter()
            items, _ = self.model.recommend(user, row, N=k, **how)
            seconds.append(time.perf_counter() - start)
            lists.append(items)
        self.lists = np.array(lists)
        return seconds
