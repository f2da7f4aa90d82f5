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
FIRST = ", first call"
LESS_IS_BETTER = {"s", "ms", "MB"}
PEERS = "RANKINE_PEERS"


@dataclass(kw_only=True)
class Row:
    """One measurement: what was done, by whom, how much of it per what, how good the result was, and what it took.

    ratio_to_best_peer: 1 is as good as the best other system measured beside it, more is better; ratio_to_floor:
    time over the least that the machine could take, which `floor` tells. None where there is no peer, or no floor.
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
    floor: str | None = None


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
    return Row(work=work, system=f"rankine{FIRST}", value=rounded(run.wall_s), unit="s", cpu_s=rounded(run.cpu_s))


def beside_peers(rows: list[Row]) -> list[Row]:
    """The same rows, those of ours with their ratio to the best peer that did the same work in the same unit."""
    for row in rows:
        peers = [other.value for other in rows if (other.work, other.unit) == (row.work, row.unit) and _is_peer(other)]
        if _is_ours(row) and peers:
            less = row.unit.split(",")[0] in LESS_IS_BETTER
            row.ratio_to_best_peer = rounded(min(peers) / row.value if less else row.value / max(peers))
    return rows


def _is_ours(row: Row) -> bool:
    return row.system.startswith("rankine") and not row.system.endswith(FIRST)


def _is_peer(row: Row) -> bool:
    return not row.system.startswith("rankine") and not row.system.endswith(FIRST)


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
    """The command line of a benchmark: every work in a process of its own, rows printed and kept in results/NAME.json.

    Rows are kept as they come, so a run that is broken off loses nothing; one work that fails does not stop the others.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=works, action="append", help="measure this work alone; the rest is kept")
    parser.add_argument("--peers", type=Path, help="the folder of the peers' environments, .peers if not given")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder that NAME.json is written to")
    parser.add_argument("--in-folder", type=Path, help=argparse.SUPPRESS)  # how this script calls itself
    given = parser.parse_args()
    if given.peers:
        os.environ[PEERS] = str(given.peers.resolve())
    if given.in_folder:
        for row in works[given.only[0]](given.in_folder):
            row.peak_mb = row.peak_mb or peak_mb()
            print(json.dumps(asdict(row)), flush=True)
        return
    kept = _Kept(given.results / f"{name}.json", list(works))
    with tempfile.TemporaryDirectory() as folder:
        failed = [work for work in given.only or works if not _in_a_process_of_its_own(work, folder, kept)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


class _Kept:
    """The rows of a results file. Earlier ones stay while their work is not measured anew, on this same machine."""

    def __init__(self, path: Path, works: list[str]) -> None:
        self._path, self._works = path, works
        self._facts = machine()
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        same = found.get("machine") == self._facts
        self._rows = {work: [row for row in found["rows"] if same and row["work"] == work] for work in works if found}

    def start(self, work: str) -> None:
        """Forget what was known of a work."""
        self._rows[work] = []

    def add(self, work: str, row: dict[str, Any]) -> None:
        """Keep one more row, on disk at once."""
        self._rows[work].append(row)
        rows = [row for name in self._works for row in self._rows.get(name, [])]
        self._path.parent.mkdir(exist_ok=True, parents=True)
        self._path.write_text(json.dumps({"machine": self._facts, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def _in_a_process_of_its_own(work: str, folder: str, kept: _Kept) -> bool:
    """Whether the work came to its end."""
    command = [sys.executable, sys.argv[0], "--only", work, "--in-folder", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        kept.start(work)
        for line in process.stdout:
            print(line, end="", flush=True)
            kept.add(work, json.loads(line))
    return process.returncode == 0


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())
