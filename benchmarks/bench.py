"""What every benchmark needs: a fresh process per row, medians, peak memory, the machine in words, and one JSON line per row."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("numpy", "numba", "polars", "torch")
PEAK = "VmHWM:"


@dataclass(kw_only=True)
class Row:
    """One measurement: what was done, by whom, how much of it per what, how good the result was, and what it took.

    ratio_to_best_peer: 1 is as good as the best other system measured beside it, more is better; ratio_to_floor:
    time over the least that the machine could take. None where there is no peer, or no floor that can be stated.
    """

    work: str
    value: float
    unit: str
    system: str = "rankine"
    quality: str | None = None
    peak_mb: float | None = None
    cpu_s: float | None = None
    ratio_to_best_peer: float | None = None
    ratio_to_floor: float | None = None


Work = Callable[[Path], Iterator[Row]]
"""Gives its rows; the folder is shared by the works of one script and is empty before the first."""


@dataclass
class Timed:
    """What a stretch of work took."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def timed() -> Iterator[Timed]:
    """Wall and processor time of the block."""
    found = Timed()
    wall, cpu = time.perf_counter(), time.process_time()
    yield found
    found.wall_s, found.cpu_s = time.perf_counter() - wall, time.process_time() - cpu


def median_of(work: Callable[[], object], repeats: int) -> Timed:
    """The run with the median wall time; what is done only once must have been done before."""
    runs = []
    for _ in range(repeats):
        with timed() as run:
            work()
        runs.append(run)
    return sorted(runs, key=lambda run: run.wall_s)[len(runs) // 2]


def first_call(work: str, do: Callable[[], object]) -> Row:
    """The time of a first, small call: loading and compiling, kept out of the other rows."""
    with timed() as run:
        do()
    return Row(work=work, system="rankine, first call", value=rounded(run.wall_s), unit="s", cpu_s=rounded(run.cpu_s))


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # the figure of getrusage includes the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith(PEAK))
        return rounded(int(line.split()[1]) / 1000)
    return rounded(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def flops_per_s(dim: int = 2048) -> float:
    """Multiplications and additions per second of a large matrix product in float32 on this machine."""
    import numpy as np

    a = np.random.default_rng(0).random((dim, dim), np.float32)
    best = min(median_of(lambda: a @ a, 1).wall_s for _ in range(5))
    return 2.0 * dim**3 / best


def rounded(value: float, digits: int = 4) -> float:
    """The value with so many significant digits."""
    return float(f"{value:.{digits}g}")


def median(values: list[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def main(name: str, works: dict[str, Work]) -> None:
    """The command line of a benchmark: every work in a process of its own, rows printed and kept in results/NAME.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=works, action="append", help="measure this work alone; the rest is kept")
    parser.add_argument("--in-folder", type=Path, help=argparse.SUPPRESS)  # how this script calls itself
    given = parser.parse_args()
    if given.in_folder:
        for row in works[given.only[0]](given.in_folder):
            row.peak_mb = row.peak_mb or peak_mb()
            print(json.dumps(asdict(row)), flush=True)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for work in given.only or works:
            rows += _in_a_process_of_its_own(work, folder)
    _keep(name, rows, whole=not given.only)


def _in_a_process_of_its_own(work: str, folder: str) -> list[dict[str, Any]]:
    command = [sys.executable, sys.argv[0], "--only", work, "--in-folder", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        rows = []
        for line in process.stdout:
            print(line, end="", flush=True)
            rows.append(json.loads(line))
    if process.returncode:
        sys.exit(f"`{work}` failed with exit status {process.returncode}")
    return rows


def _keep(name: str, rows: list[dict[str, Any]], whole: bool) -> None:
    path = RESULTS / f"{name}.json"
    kept = [] if whole or not path.exists() else json.loads(path.read_text(encoding="utf-8"))["rows"]
    measured = {row["work"] for row in rows}
    found = {"machine": machine(), "rows": [row for row in kept if row["work"] not in measured] + rows}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())
