"""When the learning rate falls and when training stops: by a validation figure, or again as it was once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

GAIN = 1e-6  # a figure that exceeds the best by no more than this is no better


@dataclass
class Schedule:
    """Follows training epoch by epoch.

    With a figure per epoch (higher is better): each epoch without gain is a strike and a drop of the learning rate; `patience`
    strikes in a row end it. Without: the rate drops after the epochs `drop_epochs`. drops: the epochs after which it dropped.
    """

    patience: int = 2
    drop_epochs: tuple[int, ...] = ()
    best: float = -math.inf
    best_epoch: int = 0
    strikes: int = 0
    drops: list[int] = field(default_factory=list)

    def after(self, epoch: int, figure: float | None) -> bool:
        """Take note of an epoch; returns whether the rate is to drop."""
        drop = epoch in self.drop_epochs if figure is None else not self._gains(epoch, figure)
        if drop:
            self.drops.append(epoch)
        return drop

    @property
    def exhausted(self) -> bool:
        """Whether another epoch is not worth its time."""
        return self.strikes >= self.patience

    def _gains(self, epoch: int, figure: float) -> bool:
        if figure > self.best + GAIN:
            self.best, self.best_epoch, self.strikes = figure, epoch, 0
            return True
        self.strikes += 1
        return False
