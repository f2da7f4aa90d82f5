"""fit: the loop that trains every network; the only place where an optimiser steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch

from rankine.arrays import Array
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.models.base import Model, Monitor, no_monitor
from rankine.models.neural import Network
from rankine.nn.hidden import Precision
from rankine.nn.optim import RowOptimizer, clip
from rankine.progress import track
from rankine.random import seed_of, stream
from rankine.training.precision import resolve
from rankine.training.schedule import Schedule

DROP, FLOOR = 0.1, 1e-6  # what the learning rate is multiplied by, and where that ends

Validate = Callable[[Model], float]
"""A figure of the model as it stands, on events that it was not trained on; higher is better."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the loop did. losses, figures: of each epoch, figures only where there was validation; drop_epochs: those after
    which the learning rate dropped; best_epoch: the one whose weights were kept; seconds: of the steps alone."""

    losses: tuple[float, ...]
    figures: tuple[float, ...]
    best_epoch: int
    drop_epochs: tuple[int, ...]
    precision: Precision
    n_rows: int
    seconds: float

    @property
    def epochs(self) -> int:
        """How many were made."""
        return len(self.losses)

    @property
    def rows_per_s(self) -> float:
        """Rows trained on per second."""
        return self.n_rows / self.seconds

    @property
    def schedule(self) -> dict[str, int | tuple[int, ...]]:
        """The settings with which a fit without validation goes the same way: the epochs, and where the rate drops."""
        return {"epochs": self.best_epoch, "drop_epochs": tuple(e for e in self.drop_epochs if e < self.best_epoch)}


def fit(
    network: Network,
    data: EventArrays,
    *,
    seed: int = 0,
    monitor: Monitor = no_monitor,
    validate: Validate | None = None,
) -> Training:
    """Train `network` for its `epochs`, or until `monitor` says stop; equal arguments give equal parameters.

    With `validate`, asked after every epoch, an epoch without gain lowers the learning rate to a tenth, `patience` of them in a
    row end training, and the weights of the best epoch return. Raises ModelError where a loss or a figure is not finite.
    """
    _prepare(network, data, seed)
    network.multiply_in(resolve(network.setting("precision", "fp32")))
    optimizers, shuffle = network.optimizers(), stream(seed, "shuffle")
    schedule = Schedule(network.setting("patience", 2), tuple(network.setting("drop_epochs", ())))
    best, losses, figures, n_rows, seconds = _Kept(network), [], [], 0, 0.0
    for epoch in track(range(1, network.config.epochs + 1), f"training {network.label}"):
        started = perf_counter()
        loss, rows = _epoch(network, optimizers, data, shuffle, epoch)
        seconds, n_rows = seconds + perf_counter() - started, n_rows + rows
        losses.append(loss)
        model, seen = network.learned(), {"loss": loss}
        if validate is not None:
            figures.append(_finite(validate(model), network, epoch))
            seen["validation"] = figures[-1]
        if schedule.after(epoch, seen.get("validation")):
            _drop(optimizers)
        if schedule.best_epoch == epoch:
            best.keep()
        if monitor(epoch, model, **seen) or schedule.exhausted:
            break
    best.restore()
    if not all(bool(torch.isfinite(p).all()) for p in network.parameters()):  # the last step has no loss behind it
        raise ModelError(f"{network.label} diverged in epoch {len(losses)}: lower `learning_rate`")
    network.finish()
    return Training(
        losses=tuple(losses), figures=tuple(figures), best_epoch=schedule.best_epoch or len(losses),
        drop_epochs=tuple(schedule.drops), precision=network.precision, n_rows=n_rows, seconds=seconds,
    )  # fmt: skip


def _prepare(network: Network, data: EventArrays, seed: int) -> None:
    """First values of the parameters, by a network that is trained before this one where it has one."""
    forerunner = network.forerunner()
    if forerunner is not None:
        fit(forerunner, data, seed=seed)
    network.prepare(data, torch.Generator().manual_seed(seed_of(seed, "init")))
    if forerunner is not None:
        network.follow(forerunner)


def _epoch(
    network: Network, optimizers: Sequence[RowOptimizer], data: EventArrays, shuffle: np.random.Generator, epoch: int
) -> tuple[float, int]:
    """Mean loss per row, and the number of rows."""
    network.train()
    total, n_rows, limit = 0.0, 0, network.setting("clip_norm", None)
    for batch in network.batches(data, shuffle):
        n = len(next(iter(batch.values())))
        for optimizer in optimizers:
            optimizer.mean_of = n if network.mean_loss else 1
        loss = _step(network, optimizers, _tensors(batch), limit)
        if not math.isfinite(loss):
            raise ModelError(f"{network.label} diverged in epoch {epoch}: lower `learning_rate`")
        total += loss * n if network.mean_loss else loss
        n_rows += n
    network.eval()
    if not n_rows:
        raise ModelError(f"{network.label} got nothing to train on: no event of a known user has what it needs")
    return total / n_rows, n_rows


def _step(
    network: Network, optimizers: Sequence[RowOptimizer], batch: dict[str, torch.Tensor], limit: float | None
) -> float:
    """One step of all optimisers; returns the loss before it."""
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss = network.loss(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    if limit is not None:
        clip(optimizers, limit)
    for optimizer in optimizers:
        optimizer.step()
    return loss.item()


def _tensors(batch: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(column) for name, column in batch.items()}


def _finite(figure: float, network: Network, epoch: int) -> float:
    if not math.isfinite(figure):
        raise ModelError(
            f"the validation figure of {network.label} after epoch {epoch} must be a number; got {figure}: "
            "validate on events with both outcomes"
        )
    return figure


def _drop(optimizers: Sequence[RowOptimizer]) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = min(group["lr"], max(group["lr"] * DROP, FLOOR))


class _Kept:
    """The weights of the best epoch so far, in memory of their own."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.values: dict[str, torch.Tensor] = {}

    def keep(self) -> None:
        for name, value in self.network.state_dict().items():
            if name in self.values:
                self.values[name].copy_(value)
            else:
                self.values[name] = value.clone()

    def restore(self) -> None:
        if self.values:
            self.network.load_state_dict(self.values)
            self.network.learned()
