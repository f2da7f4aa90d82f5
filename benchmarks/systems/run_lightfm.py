"""LightFM without features: its WARP loss."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import scipy.sparse as sp
from exchange import Matrix, save
from lightfm import LightFM

THREADS = int(os.environ["OMP_NUM_THREADS"])


class System:
    """Its one model on one data set."""

    def __init__(self, folder: Path) -> None:
        train = Matrix(folder)
        shape = (train.n_users, train.n_items)
        self.taken = sp.csr_matrix((train.values, train.indices, train.indptr), shape).tocoo()

    def warp(self, epochs: int, **settings: Any) -> int:
        self.model = LightFM(loss="warp", random_state=1, **settings)
        self.model.fit(self.taken, epochs=epochs, num_threads=THREADS)
        return epochs

    def export(self, folder: str) -> None:
        model = self.model
        save(Path(folder), user=model.user_embeddings, item=model.item_embeddings, item_bias=model.item_biases)
