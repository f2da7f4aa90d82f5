"""fit: the loop that trains every network; the only place where an optimiser steps."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from rankine.arrays import Array
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.models.base import Monitor, no_monitor
from rankine.models.neural import Network
from rankine.progress import track
from rankine.random import seed_of, stream

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.SparseAdam}


def fit(network: Network, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
    """Train `network` for its `epochs`, or until `monitor` says stop; equal arguments give equal parameters."""
    network.prepare(data, torch.Generator().manual_seed(seed_of(seed, "init")))
    optimizer = OPTIMIZERS[network.config.optimizer](network.parameters(), lr=network.config.learning_rate)
    shuffle = stream(seed, "shuffle")
    for epoch in track(range(1, network.config.epochs + 1), f"training {network.label}"):
        network.train()
        losses, n_examples = [], 0
        for batch in network.batches(data, shuffle):
            optimizer.zero_grad()
            loss = network.loss(_tensors(batch))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
            n_examples += len(next(iter(batch.values())))
        network.eval()
        if not losses:
            raise ModelError(f"{network.label} got nothing to train on: no event of a known user has what it needs")
        mean = float(torch.stack(losses).sum()) / n_examples
        if not math.isfinite(mean):
            raise ModelError(f"{network.label} diverged in epoch {epoch}: lower `learning_rate`")
        if monitor(epoch, network.learned(), loss=mean):
            break


def _tensors(batch: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(column) for name, column in batch.items()}
