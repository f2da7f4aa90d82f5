"""DeepCTR-Torch: DeepFM, Wide & Deep, PNN."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deepctr_torch.inputs import DenseFeat, SparseFeat
from deepctr_torch.models import PNN, WDL, DeepFM
from exchange import Clicks, save

NONE = {"l2_reg_embedding": 0, "l2_reg_dnn": 0, "dnn_dropout": 0}
BLOCK = 8192


class System:
    """One model at a time on one log."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        self.train_rows, self.test = Clicks(folder), Clicks(folder, "test")
        self.inputs, self.test_inputs = self.train_rows.columns(), self.test.columns()

    def train(self, model: str, epochs: int, dim: int, hidden: list[int], batch: int) -> list[float]:
        """Seconds of each epoch."""
        rows = self.train_rows
        fields: list[Any] = [
            SparseFeat(n, size, embedding_dim=dim) for n, size in zip(rows.names, rows.sizes, strict=True)
        ]
        fields += [DenseFeat(name, 1) for name in self.inputs if name not in rows.names]
        shape = {"dnn_hidden_units": tuple(hidden), "task": "binary", "device": "cpu", "seed": 1, **NONE}
        if model == "pnn":
            self.model = PNN(fields, **shape)
        else:
            self.model = {"deepfm": DeepFM, "wide_deep": WDL}[model](fields, fields, l2_reg_linear=0, **shape)
        self.model.compile(torch.optim.Adam(self.model.parameters(), lr=1e-3), "binary_crossentropy")
        return [self._epoch(batch) for _ in range(epochs)]

    def _epoch(self, batch: int) -> float:
        start = time.perf_counter()
        self.model.fit(self.inputs, self.train_rows.label, batch_size=batch, epochs=1, verbose=0)
        return time.perf_counter() - start

    def score(self, times: int) -> int:
        """All rows of the test, so many times over."""
        for _ in range(times):
            self.found = self.model.predict(self.test_inputs, BLOCK)
        return times

    def export(self, folder: str) -> None:
        self.score(1)
        save(Path(folder), probability=self.found.ravel())

    def ask(self, requests: int, candidates: int) -> list[float]:
        """Seconds of each request for so many rows."""
        seconds = []
        for first in range(requests):
            rows = np.arange(first, first + candidates) % len(self.test)
            asked = {name: column[rows] for name, column in self.test_inputs.items()}
            start = time.perf_counter()
            self.model.predict(asked, candidates)
            seconds.append(time.perf_counter() - start)
        return seconds
