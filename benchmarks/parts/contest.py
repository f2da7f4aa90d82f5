"""Systems side by side: each in a process of its own, taking turns, so that a busy moment of the machine meets all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from bench import FIRST, PEERS, Row, beside_peers, rounded
from parts.rates import Floor

ROOT = Path(__file__).resolve().parent.parent
WORKER = ROOT / "systems" / "worker.py"
OURS = "rankine"


class SystemFailedError(RuntimeError):
    """A system could not do what it was asked."""


@dataclass(frozen=True)
class Entrant:
    """A system and what it is asked: the method of its driver, and the settings.

    name: how rows call it; driver: that of the system, where it is not called like it; first: settings of the small call that
    pays for loading and compiling, None for no such call; at_most: runs.
    """

    name: str
    system: str
    do: str
    settings: dict[str, Any] = field(default_factory=dict)
    first: dict[str, Any] | None = field(default_factory=lambda: {"epochs": 1})
    at_most: int = 9
    threads: int = 2
    driver: str | None = None

    @property
    def words(self) -> str:
        """Its settings as text."""
        return ", ".join(f"{name} {value}" for name, value in self.settings.items() if not isinstance(value, list))


@dataclass
class Answer:
    """What a request took, and what it found."""

    wall_s: float
    cpu_s: float
    peak_mb: float | None
    found: Any


class System:
    """A system in its own process and its own Python, told what to do one request at a time."""

    def __init__(self, python: Path, name: str, place: Path, threads: int) -> None:
        settings = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "NUMBA", "MKL")}
        if name.startswith(OURS):
            settings["OPENBLAS_NUM_THREADS"] = str(threads)
        self._name, self._process = name, subprocess.Popen(
            [str(python.absolute()), str(WORKER), name, str(place.absolute())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=place, env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore", **settings},
        )  # fmt: skip
        self.start_s = float(self._reply()["start_s"])

    def __call__(self, do: str, **settings: Any) -> Answer:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the reply tells
            self._process.stdin.write(json.dumps({"do": do, **settings}) + "\n")
            self._process.stdin.flush()
        return Answer(**self._reply())

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = json.loads(line) if line else {"error": f"it ended with exit status {self._process.wait()}"}
        if "error" in found:
            raise SystemFailedError(f"{self._name}: {found['error']}")
        return dict(found)


def python_of(system: str) -> Path | None:
    """The interpreter of a system, None where it is not installed."""
    if system == OURS:
        return Path(sys.executable)
    python = Path(os.environ.get(PEERS, ROOT.parent / ".peers")) / system / "bin" / "python"
    return python if python.exists() else None


@dataclass
class Running:
    """An entrant, its process, and how its runs went."""

    entrant: Entrant
    system: System
    runs: list[Answer] = field(default_factory=list)

    def first(self, work: str) -> Row:
        """What it takes to start, read the data and do a small run."""
        took = Answer(0.0, 0.0, None, None)
        if self.entrant.first is not None:
            took = self.system(self.entrant.do, **{**self.entrant.settings, **self.entrant.first})
        seconds = rounded(self.system.start_s + took.wall_s)
        return Row(work=work, system=f"{self.entrant.name}{FIRST}", value=seconds, unit="s", peak_mb=took.peak_mb)

    def run(self, turn: int) -> None:
        """One more run, unless it had all it may have, or failed."""
        if len(self.runs) == turn < self.entrant.at_most:
            self.runs.append(self.system(self.entrant.do, **self.entrant.settings))

    @property
    def median(self) -> Answer:
        """The run with the median wall time."""
        return sorted(self.runs, key=lambda run: run.wall_s)[len(self.runs) // 2]

    def row(self, work: str, unit: str, value: float, **others: Any) -> Row:
        """A row of this entrant; its settings stand beside the quality."""
        words = ", ".join(part for part in (others.pop("quality", None), self.entrant.words) if part)
        peak = max((run.peak_mb or 0 for run in self.runs), default=0) or None
        return Row(
            work=work, system=self.entrant.name, value=rounded(value), unit=unit, quality=words or None, peak_mb=peak,
            cpu_s=rounded(self.median.cpu_s), **others,
        )  # fmt: skip


Rows = Callable[[Running], Iterator[Row]]


def race(
    work: str, place: Path, entrants: list[Entrant], rows_of: Rows, *, turns: int = 3, before: dict[str, Any] | None = None
) -> Iterator[Row]:  # fmt: skip
    """First calls, then all entrants in turn, `turns` times over, then the rows of each with their ratios.

    `before` is what every system is asked first. A peer that is missing or fails is named on standard error and left out.
    """
    with ExitStack() as stack:
        running = []
        for entrant in entrants:
            with peers_may_fail(entrant):
                system = stack.enter_context(opened(entrant, place))
                if before:
                    system(**before)
                running.append(Running(entrant, system))
                yield running[-1].first(work)
        for turn in range(turns):
            for one in running:
                with peers_may_fail(one.entrant):
                    one.run(turn)
        rows = []
        for one in filter(lambda one: one.runs, running):
            with peers_may_fail(one.entrant):
                rows += list(rows_of(one))
    yield from beside_peers(rows)


def throughput(work: str, unit: str, n: float, floor: Floor, judge: Callable[[System], str]) -> Rows:
    """Rows of units of work per second: `n` for each epoch, user or whatever a run counts; `floor` is that of one of these."""

    def rows(one: Running) -> Iterator[Row]:
        count, seconds = one.median.found, one.median.wall_s
        yield one.row(
            work, unit, n * count / seconds, quality=judge(one.system), floor=floor.words,
            ratio_to_floor=rounded(seconds / count / floor.seconds),
        )  # fmt: skip

    return rows


def epochs(work: str, n: float, floor: Floor, judge: Callable[[System], str]) -> Rows:
    """Rows of `n` rows per second: the median over the epochs of all runs but the first of each, which holds what is done once.

    A run answers with the seconds of its epochs; `floor` is that of one.
    """

    def rows(one: Running) -> Iterator[Row]:
        seconds = float(np.median([epoch for run in one.runs for epoch in run.found[1:]]))
        yield one.row(
            work, "rows/s", n / seconds, quality=judge(one.system), floor=floor.words,
            ratio_to_floor=rounded(seconds / floor.seconds),
        )  # fmt: skip

    return rows


def duration(work: str, unit: str, floor: Floor, judge: Callable[[System], str]) -> Rows:
    """Rows of seconds for the whole; `floor` is that of one epoch or whatever a run counts."""

    def rows(one: Running) -> Iterator[Row]:
        count, seconds = one.median.found, one.median.wall_s
        least = count * floor.seconds
        words = floor.words if count == 1 else f"{count} x ({floor.words})"
        yield one.row(
            work, unit, seconds, quality=judge(one.system), floor=words, ratio_to_floor=rounded(seconds / least)
        )

    return rows


def latencies(work: str, floor: Floor, judge: Callable[[System], str]) -> Rows:
    """Rows of milliseconds per request, median and 99th percentile over all runs."""

    def rows(one: Running) -> Iterator[Row]:
        seconds = [second for run in one.runs for second in run.found]
        for percentile in (50, 99):
            value = float(np.percentile(seconds, percentile))
            yield one.row(
                work, f"ms, p{percentile}", 1000 * value, quality=judge(one.system), floor=floor.words,
                ratio_to_floor=rounded(value / floor.seconds),
            )  # fmt: skip

    return rows


@contextmanager
def opened(entrant: Entrant, place: Path) -> Iterator[System]:
    """The system of an entrant, running on a data set. Raises SystemFailedError where it is not installed."""
    python = python_of(entrant.system)
    if python is None:
        raise SystemFailedError(f"{entrant.system} is not installed: make peers")
    system = System(python, entrant.driver or entrant.system, place, entrant.threads)
    try:
        yield system
    finally:
        system.close()


@contextmanager
def peers_may_fail(entrant: Entrant) -> Iterator[None]:
    """What fails in the block is an error if it is ours, and otherwise a line on standard error."""
    try:
        yield
    except SystemFailedError as error:
        if entrant.system == OURS:
            raise
        print(f"left out: {entrant.name}: {error}", file=sys.stderr, flush=True)
