"""Progress bars for work of unknown length: shown on a terminal after two seconds, silent anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
QUIET_S = 2.0  # work shorter than this shows nothing


def track(steps: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """The same steps, with a bar on standard error once two seconds have passed and it is a terminal."""
    if not sys.stderr.isatty():
        yield from steps
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if total is None and isinstance(steps, Sized):
        total = len(steps)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(description, total=total)
    start, shown = time.monotonic(), False
    try:
        for done, step in enumerate(steps):
            if not shown and time.monotonic() - start > QUIET_S:
                bar.start()
                shown = True
            bar.update(task, completed=done)
            yield step
    finally:
        if shown:
            bar.stop()
