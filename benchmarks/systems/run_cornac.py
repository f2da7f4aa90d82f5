"""cornac: BPR, and matrix factorization of ratings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cornac
import numpy as np
from exchange import Matrix, save

THREADS = int(os.environ["OMP_NUM_THREADS"])


class System:
    """One of its models on one data set; users and items are brought back into our order."""

    def __init__(self, folder: Path) -> None:
        train = Matrix(folder)
        triples = zip(train.users.tolist(), train.indices.tolist(), train.values.tolist(), strict=True)
        self.shape, self.data = (train.n_users, train.n_items), cornac.data.Dataset.from_uir(triples, seed=1)
        self.users = np.fromiter(self.data.uid_map, np.int64)  # in the order of its rows
        self.items = np.fromiter(self.data.iid_map, np.int64)

    def bpr(self, epochs: int, **settings: Any) -> int:
        return self._fit(cornac.models.BPR(max_iter=epochs, num_threads=THREADS, seed=1, **settings), epochs)

    def ratings(self, epochs: int, **settings: Any) -> int:
        return self._fit(cornac.models.MF(max_iter=epochs, num_threads=THREADS, seed=1, **settings), epochs)

    def _fit(self, model: Any, epochs: int) -> int:
        self.model = model
        model.fit(self.data)
        return epochs

    def export(self, folder: str) -> None:
        model, (n_users, n_items) = self.model, self.shape
        user, item = np.zeros((n_users, model.k), np.float32), np.zeros((n_items, model.k), np.float32)
        user_bias, item_bias = np.zeros(n_users, np.float32), np.zeros(n_items, np.float32)
        user[self.users], item[self.items], item_bias[self.items] = model.u_factors, model.i_factors, model.i_biases
        if hasattr(model, "u_biases"):
            user_bias[self.users] = model.u_biases
        mean = np.array([getattr(model, "global_mean", 0.0)], np.float32)
        save(Path(folder), user=user, item=item, user_bias=user_bias, item_bias=item_bias, mean=mean)
