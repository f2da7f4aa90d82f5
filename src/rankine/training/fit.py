"""fit: the loop that trains every neural model; the only place where an optimiser steps."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from rankine.arrays import Array
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.models.base import Monitor, no_monitor
from rankine.models.neural import NeuralModel
from rankine.progress import track
from rankine.random import seed_of, stream

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.SparseAdam}


def fit(model: NeuralModel, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
    """Train `model` for its `epochs`, or until `monitor` says stop; equal arguments give equal parameters."""
    generator = torch.Generator().manual_seed(seed_of(seed, "init"))
    model.set_sizes(data.n_users, data.n_items)
    model.initialise(data, generator)
    optimizer = OPTIMIZERS[model.config.optimizer](model.parameters(), lr=model.config.learning_rate)
    shuffle = stream(seed, "shuffle")
    for epoch in track(range(1, model.config.epochs + 1), f"training {model.label}"):
        model.train()
        losses = []
        for batch in model.batches(data, shuffle):
            optimizer.zero_grad()
            loss = model.loss(_tensors(batch))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
        model.eval()
        if not losses:
            raise ModelError(f"{model.label} got nothing to train on: no event of a known user has what it needs")
        if monitor(epoch, model, loss=float(torch.stack(losses).sum()) / max(len(data), 1)):
            break
    model.eval()


def _tensors(batch: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(column) for name, column in batch.items()}
