"""What this machine can do at best, measured; and from it the floor of a piece of work: flops over rate, bytes over bandwidth."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np

THREADS = 2
ROW = 64  # float32 of a row that is read or changed: 256 bytes
TABLE_MB = (1, 12, 50, 250)
STREAM_MB = 400
PRODUCT = 3072
N_ROWS = 400_000  # read or changed by each thread


@dataclass(frozen=True)
class Floor:
    """The least time that some work could take, in seconds, and why."""

    seconds: float
    words: str

    def __add__(self, other: Floor) -> Floor:
        return Floor(self.seconds + other.seconds, f"{self.words}, then {other.words}")


@dataclass(frozen=True)
class Rates:
    """gflops: a large float32 product; bf16_gflops: one of bfloat16; stream_gbs: reading memory in order; rows read and rows
    changed (read and written), in million rows of 256 bytes per second, by the size of the table in MB. All on two threads."""

    gflops: float
    bf16_gflops: float
    stream_gbs: float
    read_rows: dict[int, float]
    changed_rows: dict[int, float]
    words: float

    def product(self, flops: float, bf16: bool = False) -> Floor:
        """So many multiplications and additions."""
        rate = self.bf16_gflops if bf16 else self.gflops
        return Floor(flops / rate / 1e9, f"{flops / 1e9:.4g} GFLOP at {rate:.0f} GFLOP/s")

    def stream(self, size: float) -> Floor:
        """So many bytes read in order."""
        return Floor(size / self.stream_gbs / 1e9, f"{size / 1e6:.4g} MB at {self.stream_gbs:.1f} GB/s")

    def lookups(self, n: float) -> Floor:
        """So many words looked up."""
        return Floor(n / self.words / 1e6, f"{n:.4g} words looked up at {self.words:.0f} M/s")

    def reads(self, n: float, dim: int, table_rows: int) -> Floor:
        """So many rows of `dim` float32 read at random from a table."""
        return _rows("read", n, dim, table_rows, self.read_rows)

    def changes(self, n: float, dim: int, table_rows: int) -> Floor:
        """So many rows read, changed and written, each thread having rows of its own."""
        return _rows("changed", n, dim, table_rows, self.changed_rows)


def longest(*floors: Floor) -> Floor:
    """The floor of what can be done at the same time."""
    return max(floors, key=lambda floor: floor.seconds)


def rates(folder: Path) -> Rates:
    """The rates of this machine, measured once per run."""
    file = folder / "rates.json"
    if not file.exists():
        file.write_text(json.dumps(_measured()))
    found = json.loads(file.read_text())
    tables = {name: {int(size): rate for size, rate in found[name].items()} for name in ("read_rows", "changed_rows")}
    return Rates(found["gflops"], found["bf16_gflops"], found["stream_gbs"], **tables, words=found["words"])


def _measured() -> dict[str, Any]:
    import torch

    torch.set_num_threads(THREADS)
    numbers, a = torch.ones(STREAM_MB * 250_000), torch.rand(PRODUCT, PRODUCT)
    b = a.bfloat16()
    return {
        "gflops": 2e-9 * PRODUCT**3 / _best(lambda: a @ a),
        "bf16_gflops": 2e-9 * PRODUCT**3 / _best(lambda: b @ b),
        "stream_gbs": 4e-9 * len(numbers) / _best(lambda: numbers.sum()),
        "words": _lookup_rate(),
        "read_rows": {size: _read_rate(size) for size in TABLE_MB},
        "changed_rows": {size: _change_rate(size) for size in TABLE_MB},
    }


def _read_rate(size: int) -> float:
    """Million rows per second that are added up a hundred at a time, the quickest gather there is."""
    import torch

    table = torch.zeros(size * 1_000_000 // (4 * ROW), ROW)
    rows, starts = torch.randint(len(table), (THREADS * N_ROWS,)), torch.arange(0, THREADS * N_ROWS, 100)
    return 1e-6 * len(rows) / _best(lambda: torch.nn.functional.embedding_bag(rows, table, starts, mode="sum"))


def _change_rate(size: int) -> float:
    """Million rows per second that are read, changed and written, each thread having a part of the table."""
    parts = np.array_split(np.zeros((size * 1_000_000 // (4 * ROW), ROW), np.float32), THREADS)
    rows = [np.random.default_rng(0).integers(0, len(part), N_ROWS) for part in parts]
    with ThreadPoolExecutor(THREADS) as pool:
        return 1e-6 * THREADS * N_ROWS / _best(lambda: list(pool.map(_change, parts, rows)))


def _lookup_rate(n: int = 100_000) -> float:
    known = {f"word {row}": row for row in range(n)}
    asked = [f"word {row}" for row in np.random.default_rng(0).integers(0, n, n)]
    return 1e-6 * n / _best(lambda: [known[word] for word in asked])


def _best(do: Callable[[], object], repeats: int = 5) -> float:
    do()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        do()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _rows(verb: str, n: float, dim: int, table_rows: int, rates: dict[int, float]) -> Floor:
    size = 4e-6 * dim * table_rows
    sizes = sorted(rates)
    rate = float(np.exp(np.interp(np.log(size), np.log(sizes), np.log([rates[s] for s in sizes])))) * ROW / dim
    return Floor(n / rate / 1e6, f"{n / 1e6:.4g} M rows {verb} at {rate:.0f} M/s")


@numba.njit(nogil=True, fastmath=True, cache=True)
def _change(table, rows):  # type: ignore[no-untyped-def]
    for row in rows:
        for c in range(ROW):
            table[row, c] += np.float32(1e-9)
