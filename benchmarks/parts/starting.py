"""Works of factorization.py about whole processes: what the machine can do, what an import takes, what a fit holds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bench
from bench import Row, beside_peers, rounded
from parts.contest import OURS, Entrant, Running, python_of, race
from parts.fitting import DIM
from parts.rates import rates
from parts.sets import prepared, title
from systems.exchange import Matrix

SMALL = f"""
import json, sys, time
sys.path.insert(0, {str(Path(__file__).resolve().parent.parent / "systems")!r})
from worker import peak_mb
start = time.perf_counter()
{{0}}
print(json.dumps([time.perf_counter() - start, time.process_time(), peak_mb(), "torch" in sys.modules]))
"""
FIT = "from rankine import fit, read_dataset; fit('als', read_dataset({0!r}).dataset, {{'embedding_dim': {1}}})"


def machine(folder: Path) -> Iterator[Row]:
    """The rates that floors are made of."""
    found = rates(folder)
    yield Row(work="machine", system="float32 product", value=rounded(found.gflops), unit="GFLOP/s")
    yield Row(work="machine", system="bfloat16 product", value=rounded(found.bf16_gflops), unit="GFLOP/s")
    yield Row(work="machine", system="read in order", value=rounded(found.stream_gbs), unit="GB/s")
    yield Row(work="machine", system="words looked up", value=rounded(found.words), unit="million/s")
    for verb, table in (("read", found.read_rows), ("changed", found.changed_rows)):
        for size, rate in table.items():
            yield Row(work="machine", system=f"256-byte rows {verb}, {size} MB", value=rounded(rate), unit="million/s")


def imports(_: Path) -> Iterator[Row]:
    """Importing what fits ALS, in a process that has nothing else to do; the floor is that of numpy, which every system needs."""
    pythons = {"numpy": python_of(OURS), "rankine": python_of(OURS), "implicit": python_of("implicit")}
    codes = {"rankine": "import rankine; rankine.fit, rankine.MODELS['als']", "implicit": "import implicit.als"}
    runs: dict[str, list[list[float]]] = {name: [] for name, python in pythons.items() if python}
    for _turn in range(7):
        for name, found in runs.items():
            found.append(_alone(pythons[name], codes.get(name, "import numpy")))
    least = bench.median([run[0] for run in runs["numpy"]])
    yield from beside_peers([
        _row("import", name, found, "s", bench.median([run[0] for run in found]), floor=f"import numpy, {least:.3f} s", least=least)
        for name, found in runs.items() if name != "numpy"
    ])  # fmt: skip


def memory(folder: Path) -> Iterator[Row]:
    """The most memory that a process holds which fits ALS to MovieLens 1M: from a file of events, and from arrays like a peer."""
    import polars as pl

    place = prepared("movielens", folder)
    train, events = Matrix(place), folder / "movielens-events"
    events.mkdir(exist_ok=True)
    pl.DataFrame({"user_id": train.users, "item_id": train.indices}).write_parquet(events / "events.parquet")
    runs = [_alone(python_of(OURS), FIT.format(str(events), DIM)) for _ in range(3)]
    whole = _row("memory", "rankine, from a file", runs, "MB", bench.median([run[2] for run in runs]))
    entrants = [
        Entrant("rankine, from arrays", OURS, "als", {"embedding_dim": DIM}),
        Entrant("implicit", "implicit", "als", {"factors": DIM}),
    ]

    def rows(one: Running) -> Iterator[Row]:
        yield one.row("memory", "MB", max(run.peak_mb or 0 for run in one.runs), quality=title(place))

    yield from beside_peers([whole, *race("memory", place, entrants, rows, turns=1)])


def _alone(python: Path | None, code: str) -> list[float]:
    """Seconds, processor seconds, peak memory in MB and whether torch is loaded, of a process that runs only this."""
    return json.loads(subprocess.run([str(python), "-c", SMALL.format(code)], capture_output=True, check=True).stdout)


def _row(
    work: str, system: str, runs: list[list[float]], unit: str, value: float, floor: str | None = None, least: float | None = None
) -> Row:  # fmt: skip
    return Row(
        work=work, system=system, value=rounded(value), unit=unit, cpu_s=rounded(bench.median([run[1] for run in runs])),
        peak_mb=rounded(bench.median([run[2] for run in runs])), floor=floor,
        quality="torch is loaded" if runs[0][3] else "torch is not loaded", ratio_to_floor=least and rounded(value / least),
    )  # fmt: skip
