"""The way from events to rankings: import, generate, describe, read, fit, answer, rank and evaluate.

`--only WORK` measures one of them. Data sets are read from $RANKINE_DATA where it is set; else something of the same shape is generated.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bench
from bench import Row, median_of, rounded, timed

if TYPE_CHECKING:
    from rankine.arrays import CSR
    from rankine.runs.prepare import Prepared

DIM, SWEEPS = 64, 15
IMPORT = """
import json, sys, time
start = time.perf_counter()
import rankine
rankine.MODELS["vsknn"]
took = time.perf_counter() - start
sys.path.insert(0, sys.argv[1])
import bench
print(json.dumps([took, time.process_time(), bench.peak_mb(), "torch" in sys.modules]))
"""


def imports(_: Path) -> Iterator[Row]:
    """`import rankine` and the class of a model that counts, in a process that has nothing else to do."""
    command = [sys.executable, "-c", IMPORT, str(Path(__file__).parent)]
    runs = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(5)]
    seconds, cpu, peak = (bench.median([run[n] for run in runs]) for n in range(3))
    quality = "torch is loaded" if runs[0][3] else "torch is not loaded"
    yield Row(work="import", value=rounded(seconds), unit="s", quality=quality, peak_mb=peak, cpu_s=rounded(cpu))


def large_shop(folder: Path) -> Path:
    """The folder of the large shop, written if it is not there."""
    from rankine.data.synthetic import shop_config, write

    shop = folder / "shop"
    if not (shop / "events.parquet").exists():
        write(shop_config("large"), shop)
    return shop


def generate(folder: Path) -> Iterator[Row]:
    """A shop of ten million events as Parquet files."""
    from rankine.data.synthetic import shop_config, write

    yield bench.first_call("generate", lambda: write(shop_config("small", n_events=2000), folder / "tiny"))
    with timed() as run:
        shop = large_shop(folder)
    yield Row(
        work="generate", value=rounded(run.wall_s), unit="s", quality=f"{n_events(shop):,} events",
        cpu_s=rounded(run.cpu_s),
    )  # fmt: skip


def n_events(shop: Path) -> int:
    """Rows of the events of a shop."""
    import polars as pl

    return int(pl.scan_parquet(shop / "events.parquet").select(pl.len()).collect().item())


def describe(folder: Path) -> Iterator[Row]:
    """`rankine data describe` of that shop: what it takes in memory, and in time."""
    from rankine.data.describe import describe as look

    shop = large_shop(folder)
    with timed() as run:
        look(shop)
    for value, unit in ((bench.peak_mb(), "MB"), (rounded(run.wall_s), "s")):
        yield Row(
            work="describe", value=value, unit=unit, quality=f"{n_events(shop):,} events", cpu_s=rounded(run.cpu_s)
        )


def read(folder: Path) -> Iterator[Row]:
    """That shop as a Dataset in memory, checked row by row. The floor is to load the columns and do nothing."""
    import polars as pl

    from rankine.data.readers import read_dataset

    shop = large_shop(folder)
    with timed() as run:
        events = read_dataset(str(shop)).dataset.events
    peak, n = bench.peak_mb(), len(events)
    del events
    floor = median_of(lambda: pl.read_parquet(shop / "events.parquet"), 3)
    yield Row(
        work="read", value=rounded(n / run.wall_s), unit="events/s", quality=f"{n:,} accepted", peak_mb=peak,
        cpu_s=rounded(run.cpu_s), ratio_to_floor=rounded(run.wall_s / floor.wall_s),
    )  # fmt: skip


def interactions() -> tuple[CSR, str]:
    """Users by items of MovieLens 1M, or as many pairs of the same shape drawn at random."""
    import numpy as np
    import polars as pl

    from rankine.kernels.sparse import to_csr

    n_users, n_items, n_pairs = 6040, 3706, 1_000_209
    file = Path(os.environ.get("RANKINE_DATA", "")) / "movielens-1m" / "ratings.parquet"
    if file.is_file():
        pairs = pl.read_parquet(file, columns=["user_id", "item_id"])
        user, item = (pairs[c].rank("dense").to_numpy().astype(np.int32) - 1 for c in ("user_id", "item_id"))
        return to_csr(user, item, None, n_users, n_items), "MovieLens 1M"
    rng = np.random.default_rng(0)
    user = (n_users * rng.random(n_pairs) ** 1.6).astype(np.int32)
    item = (n_items * rng.random(n_pairs) ** 2.2).astype(np.int32)
    drawn = to_csr(user, item, None, n_users, n_items)
    return drawn, "pairs drawn at random"


def als(_: Path) -> Iterator[Row]:
    """Implicit ALS with 64 factors: pairs times sweeps per second.

    The floor is the arithmetic of three steps of conjugate gradient at the rate of a matrix product.
    """
    from rankine.features.events import EventArrays
    from rankine.models import MODELS

    matrix, source = interactions()
    data = as_events(matrix)
    assert isinstance(data, EventArrays)
    kind = MODELS["als"]

    def fit(epochs: int) -> Any:
        model: Any = kind(kind.Config(embedding_dim=DIM, epochs=epochs))
        model.solve(data)
        return model

    yield bench.first_call("als", lambda: fit(1))
    run = median_of(lambda: fit(SWEEPS), 3)
    losses: list[float] = []

    def watch(epoch: int, model: Any, **values: float) -> bool:
        losses.append(values["loss"])
        return False

    watched: Any = kind(kind.Config(embedding_dim=DIM, epochs=SWEEPS))
    watched.solve(data, monitor=watch)
    flops = SWEEPS * (2 * 16 * DIM * matrix.nnz + 4 * 2 * DIM**2 * (matrix.n_rows + matrix.n_columns))
    yield Row(
        work="als", value=rounded(matrix.nnz * SWEEPS / run.wall_s), unit="pairs/s",
        quality=f"loss per pair {losses[-1]:.4f} after {SWEEPS} sweeps, {source}", cpu_s=rounded(run.cpu_s),
        ratio_to_floor=rounded(run.wall_s * bench.flops_per_s() / flops),
    )  # fmt: skip


def as_events(matrix: CSR) -> Any:
    """The entries of a matrix as training events."""
    import numpy as np

    from rankine.features.events import EventArrays

    user = np.repeat(np.arange(matrix.n_rows, dtype=np.int32), np.diff(matrix.indptr))
    return EventArrays(
        n_users=matrix.n_rows, n_items=matrix.n_columns, user_idx=user, item_idx=matrix.indices, weight=matrix.data
    )


def sessions(folder: Path) -> tuple[Prepared, str]:
    """Training events and questions of RSC15, or of a small generated shop."""
    from rankine.data.split import make_folds
    from rankine.runs import load
    from rankine.runs.prepare import prepare
    from rankine.runs.source import open_source

    root = Path(os.environ.get("RANKINE_DATA", folder))
    name = "rsc15-neighbours" if (root / "rsc15-100k").is_dir() else "shop-small"
    recipe = load(name)
    source = open_source(recipe, root)
    return prepare(recipe, make_folds(source.dataset, recipe.split, recipe.seed)[0], source), name


def requests(folder: Path) -> Iterator[Row]:
    """One V-SKNN ranking at a time for sessions of the test, ids in and ids out."""
    import numpy as np

    from rankine.recommender import fit_arrays

    part, source = sessions(folder)
    recommender = fit_arrays("vsknn", part.encoder, part.data)
    rows = np.random.default_rng(0).choice(len(part.cases), 2000, replace=False)
    asked = [part.encoder.items.names(part.cases.queries.session[row]) for row in rows]
    wanted = [part.encoder.items.names(part.cases.targets[row])[:1] for row in rows]
    yield bench.first_call("request", lambda: recommender.recommend(history=asked[0], k=20))
    seconds, hits, cpu = [], 0, 0.0
    for history, target in zip(asked, wanted, strict=True):
        with timed() as run:
            ranking = recommender.recommend(history=history, k=20)
        seconds.append(run.wall_s)
        cpu += run.cpu_s
        hits += target[0] in {place.item_id for place in ranking}
    for percentile in (50, 99):
        yield Row(
            work="request", value=rounded(1000 * float(np.percentile(seconds, percentile))), unit=f"ms, p{percentile}",
            quality=f"recall@20 {hits / len(rows):.3f}, {source}", cpu_s=rounded(cpu),
        )  # fmt: skip


def top_100(_: Path) -> Iterator[Row]:
    """The 100 best of 20,000 items for 20,000 users from factors. The floor is the matrix product alone."""
    import numpy as np

    from rankine.arrays import Ragged
    from rankine.kernels.topk import PackedItems, Products

    n = 20_000
    rng = np.random.default_rng(0)
    users, items = (rng.standard_normal((n, DIM), np.float32) for _ in range(2))

    def rank(n_users: int) -> None:
        Products(users[:n_users], PackedItems(items)).top_k(100, Ragged.empty(n_users))

    yield bench.first_call("top-100", lambda: rank(1))
    run = median_of(lambda: rank(n), 3)
    floor = 2.0 * n * n * DIM / bench.flops_per_s()
    yield Row(
        work="top-100", value=rounded(n / run.wall_s), unit="users/s", quality="exact", cpu_s=rounded(run.cpu_s),
        ratio_to_floor=rounded(run.wall_s / floor),
    )  # fmt: skip


def evaluate(folder: Path) -> Iterator[Row]:
    """Questions per second of a full ranking with five metrics, the scores being there already."""
    import numpy as np

    from rankine.evaluation.evaluate import evaluate_ranking
    from rankine.runs.recipe import DEFAULT_METRICS

    part, source = sessions(folder)
    cases = part.cases.take(np.arange(min(len(part.cases), 10_000)))
    scores = np.random.default_rng(0).random((4096, cases.queries.n_items), np.float32)
    counts = np.bincount(part.data.item_idx, minlength=part.data.n_items)

    def rank(n_cases: int) -> None:
        some = cases.take(np.arange(n_cases))
        evaluate_ranking(lambda queries: scores[: len(queries)], some, DEFAULT_METRICS["next_item"], counts)

    yield bench.first_call("evaluate", lambda: rank(10))
    run = median_of(lambda: rank(len(cases)), 5)
    yield Row(
        work="evaluate", value=rounded(len(cases) / run.wall_s), unit="cases/s",
        quality=f"{cases.queries.n_items:,} items, {source}", cpu_s=rounded(run.cpu_s),
    )  # fmt: skip


if __name__ == "__main__":
    bench.main("spine", {
        "import": imports, "generate": generate, "describe": describe, "read": read, "als": als, "request": requests,
        "top-100": top_100, "evaluate": evaluate,
    })  # fmt: skip
