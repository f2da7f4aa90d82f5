"""The click logs, written once per run as arrays that every system reads: ids of categories, numbers, labels, train and test.

Frappe comes from $RANKINE_DATA; where that is not set, as many rows of the same shape are drawn at random, and quality says little.
The others are generated, and the best AUC that anybody can reach in them is known.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

FRAPPE = ("user_id", "item_id", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city")
FRAPPE_SIZES = (957, 4082, 7, 7, 2, 9, 2, 9, 80, 233)
FRAPPE_ROWS = (202_027, 28_860)
N_TRAIN, N_TEST = 200_000, 50_000  # of a generated log


@dataclass(frozen=True)
class Log:
    """ids int64 [E, F] and their sizes; label float32 [E]; numbers float32 [E, D]; the first `n_train` rows are for training."""

    name: str
    names: tuple[str, ...]
    sizes: list[int]
    ids: np.ndarray
    label: np.ndarray
    n_train: int
    numbers: np.ndarray


def frappe() -> Log:
    """Frappe, whose training negatives are drawn anew: ten categories."""
    place = Path(os.environ.get("RANKINE_DATA", "")) / "frappe"
    files = [place / f"ctr_{part}.parquet" for part in ("train_negatives_redrawn", "test")]
    if not files[0].is_file():
        return _drawn()
    import polars as pl

    parts = [pl.read_parquet(file, columns=[*FRAPPE, "label"]) for file in files]
    rows = pl.concat(parts)
    ids = [rows[name].cast(pl.String).fill_null("").rank("dense").to_numpy() - 1 for name in FRAPPE]
    sizes = [int(column.max()) + 1 for column in ids]
    return _categories("Frappe", FRAPPE, sizes, np.stack(ids, 1), rows["label"].to_numpy(), len(parts[0]))


def generated(n_ids: int, n_train: int = N_TRAIN, n_test: int = N_TEST, n_fields: tuple[int, int] = (26, 13)) -> Log:
    """26 categories of so many values in all, and 13 numbers, of which every system gets the logarithm, 0 where missing.

    n_fields: how many of either are kept, the categories with most values and the first numbers.
    """
    from rankine.data.synthetic.clicks import CATEGORY_NAMES, ClicksConfig, generate_clicks

    clicks = generate_clicks(ClicksConfig(n_rows=n_train + n_test, n_ids=n_ids))
    kept = slice(len(CATEGORY_NAMES) - n_fields[0], None)
    numbers = np.log1p(np.nan_to_num(clicks.numbers[:, : n_fields[1]]))
    name = f"generated clicks, {n_ids:,} ids, best reachable auc {clicks.best_auc:.4f}"
    return Log(
        name, CATEGORY_NAMES[kept], clicks.sizes[kept].tolist(), clicks.ids[:, kept], clicks.label, n_train, numbers
    )


LOGS: dict[str, Callable[[], Log]] = {
    "frappe": frappe,
    "clicks-10k": partial(generated, 10_000),
    "clicks-1m": partial(generated, 1_000_000),
    "clicks-10m": partial(generated, 10_000_000),
    "clicks-20-fields": partial(generated, 100_000, 1_000_000, 1_000, (13, 7)),
}


def prepared_log(name: str, folder: Path) -> Path:
    """The folder of a log, written if it is not there: facts.json, and ids, numbers, label of train and test."""
    place = folder / name
    if not (place / "facts.json").exists():
        place.mkdir()
        log = LOGS[name]()
        for part, rows in (("train", slice(log.n_train)), ("test", slice(log.n_train, None))):
            np.save(place / f"{part}_ids.npy", np.ascontiguousarray(log.ids[rows], np.int32))
            np.save(place / f"{part}_numbers.npy", np.ascontiguousarray(log.numbers[rows], np.float32))
            np.save(place / f"{part}_label.npy", np.ascontiguousarray(log.label[rows], np.float32))
        facts = {"name": log.name, "names": log.names, "sizes": log.sizes}
        (place / "facts.json").write_text(json.dumps(facts))
    return place


def _categories(name: str, names: tuple[str, ...], sizes: list[int], ids: np.ndarray, label: np.ndarray, n: int) -> Log:
    return Log(name, names, sizes, ids, label, n, np.empty((len(ids), 0), np.float32))


def _drawn() -> Log:
    """Rows whose label depends on the values of their fields, one by one."""
    rng, n = np.random.default_rng(0), sum(FRAPPE_ROWS)
    ids = np.stack([(size * rng.random(n) ** 2).astype(np.int64) for size in FRAPPE_SIZES], 1)
    log_odds = sum(rng.normal(0, 0.5, size)[column] for size, column in zip(FRAPPE_SIZES, ids.T, strict=True)) - 1
    label = rng.random(n) < 1 / (1 + np.exp(-log_odds))
    return _categories("drawn like Frappe", FRAPPE, list(FRAPPE_SIZES), ids, label, FRAPPE_ROWS[0])
