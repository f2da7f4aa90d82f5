"""FuxiCTR: DeepFM, put together from its embedding, its factorization machine and its perceptron, as the package holds no models."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from exchange import Clicks, save
from fuxictr.features import FeatureMap
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr.pytorch.layers import FactorizationMachine, FeatureEmbedding, MLP_Block
from fuxictr.pytorch.models import BaseModel

logging.disable(logging.CRITICAL)
BLOCK = 8192


class DeepFM(BaseModel):  # type: ignore[misc]
    """A factorization machine and a perceptron on the same vectors."""

    def __init__(self, fields: FeatureMap, dim: int, hidden: list[int], place: str) -> None:
        super().__init__(fields, verbose=0, model_root=place, metrics=["AUC"])
        self.vectors, self.fm = FeatureEmbedding(fields, dim), FactorizationMachine(fields)
        self.mlp = MLP_Block(dim * fields.num_fields, list(hidden), output_dim=1)
        self.compile("adam", "binary_crossentropy", 1e-3)
        self.reset_parameters()
        self._max_gradient_norm, self._stop_training, self._total_steps, self._eval_steps = 10.0, False, 0, 10**9

    def forward(self, inputs: Any) -> dict[str, torch.Tensor]:
        x = self.get_inputs(inputs)
        vectors = self.vectors(x)
        return {"y_pred": self.output_activation(self.fm(x, vectors) + self.mlp(vectors.flatten(start_dim=1)))}


class System:
    """Its model on one log, which it reads from compressed arrays."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        self.place = tempfile.TemporaryDirectory()
        self.fields = self._fields(Clicks(folder))
        for part in ("train", "test"):
            rows = Clicks(folder, part)
            np.savez(Path(self.place.name) / f"{part}.npz", label=rows.label, **rows.columns())

    def _fields(self, rows: Clicks) -> FeatureMap:
        found = FeatureMap("log", self.place.name)
        for name, size in zip(rows.names, rows.sizes, strict=True):
            found.features[name] = {"source": "", "type": "categorical", "vocab_size": size}
        for name in rows.columns().keys() - set(rows.names):
            found.features[name] = {"source": "", "type": "numeric"}
        found.labels, found.num_fields = ["label"], len(found.features)
        found.set_column_index()
        return found

    def _batches(self, part: str, size: int) -> Any:
        given = {f"{part}_data": f"{self.place.name}/{part}.npz"}
        found = RankDataLoader(self.fields, part, batch_size=size, num_workers=0, **given)
        return found[0] if part == "train" else found

    def train(self, model: str, epochs: int, dim: int, hidden: list[int], batch: int) -> list[float]:
        """Seconds of each epoch."""
        torch.manual_seed(1)
        assert model == "deepfm"
        self.model, batches = DeepFM(self.fields, dim, hidden, self.place.name), self._batches("train", batch)
        return [self._epoch(batches) for _ in range(epochs)]

    def _epoch(self, batches: Any) -> float:
        start = time.perf_counter()
        self.model.train_epoch(batches)
        return time.perf_counter() - start

    def export(self, folder: str) -> None:
        save(Path(folder), probability=self.model.predict(self._batches("test", BLOCK)))
