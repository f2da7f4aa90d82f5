"""The data sets, written once per run as arrays that every system reads.

They come from $RANKINE_DATA; where that is not set, as many pairs of the same shape are drawn at random, and quality means nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SEED = 42  # of what is held out for the test
STARS = (0.06, 0.1, 0.26, 0.35, 0.23)  # how often ratings of 1 to 5 are drawn
RATINGS = "movielens-1m/ratings.parquet"
SHOP_EVENTS = 11_700_000  # give 10 million pairs of a user and an item


@dataclass(frozen=True)
class Pairs:
    """Who took what: user, item int64 [E]; value float32 [E] or None; test bool [E].

    negatives [n_users, 99]: among which the one test item of each user is to be found, None for all items.
    """

    name: str
    user: np.ndarray
    item: np.ndarray
    test: np.ndarray
    value: np.ndarray | None = None
    negatives: np.ndarray | None = None


def movielens(_: Path) -> Pairs:
    """MovieLens 1M, ratings of 3 and above; of each user a fifth, at random, is held out."""
    user, item, rating = _ratings("user_id", "item_id", "rating")
    liked = rating >= 3
    user, item = _dense(user[liked]), _dense(item[liked])
    return Pairs(f"{_movielens()}, >= 3 stars", user, item, _fifth_of_each(user))


def movielens_ncf(_: Path) -> Pairs:
    """MovieLens 1M as the papers on neural collaborative filtering split it: one pair of each user is held out."""
    user, item, split = _ratings("ncf_user", "ncf_item", "ncf_split")
    file, negatives = _file("movielens-1m/ncf_test_with_99_negatives.parquet"), None
    if file is not None:
        asked, others = _columns(file, "ncf_user", "negatives")
        negatives = np.stack(others[np.argsort(asked)])
    return Pairs(f"{_movielens()}, leave one out", user, item, split == "test", negatives=negatives)


def movielens_ratings(_: Path) -> Pairs:
    """MovieLens 1M with its ratings, the first of five folds held out."""
    user, item, rating, fold = _ratings("user_id", "item_id", "rating", "cv_fold")
    return Pairs(f"{_movielens()}, fold 1 of 5", _dense(user), _dense(item), fold == 1, rating.astype(np.float32))


def gowalla(_: Path) -> Pairs:
    """Gowalla as published, many users with few places each."""
    file = _file("gowalla/interactions.parquet")
    if file is None:
        user, item = _drawn(29_858, 40_981, 1_027_370)
        return Pairs("drawn like Gowalla", user, item, _fifth_of_each(user))
    user, item, split = _columns(file, "user_id", "item_id", "split")
    return Pairs("Gowalla", user, item, split == "test")


def shop(folder: Path) -> Pairs:
    """A generated shop of 10 million pairs; one in twenty, at random, is held out."""
    import polars as pl

    from rankine.data.synthetic import shop_config, write

    write(shop_config("large", n_events=SHOP_EVENTS, anonymous_share=0.0), folder / "large-shop")
    file = folder / "large-shop" / "events.parquet"
    pairs = pl.scan_parquet(file).select(pl.col("user_id", "item_id").cast(pl.Categorical).to_physical()).unique()
    user, item = (column.to_numpy() for column in pairs.collect())
    order = np.lexsort((item, user))
    user, item = _dense(user[order]), _dense(item[order])
    return Pairs("generated shop", user, item, np.random.default_rng(SEED).random(len(user)) < 0.05)


SETS: dict[str, Callable[[Path], Pairs]] = {
    "movielens": movielens, "movielens-ncf": movielens_ncf, "movielens-ratings": movielens_ratings, "gowalla": gowalla,
    "shop": shop,
}  # fmt: skip


def prepared(name: str, folder: Path) -> Path:
    """The folder of a data set, written if it is not there: facts.json, and indptr, indices, values of train and test."""
    place = folder / name
    if not (place / "facts.json").exists():
        place.mkdir()
        pairs = SETS[name](folder)
        shape = (int(pairs.user.max()) + 1, int(pairs.item.max()) + 1)
        for part, rows in (("train", ~pairs.test), ("test", pairs.test)):
            _write(place, part, pairs, rows, shape[0])
        if pairs.negatives is not None:
            np.save(place / "test_negatives.npy", pairs.negatives)
        (place / "facts.json").write_text(json.dumps({"shape": shape, "name": pairs.name}))
    return place


def title(place: Path) -> str:
    """What a data set is called."""
    return str(json.loads((place / "facts.json").read_text())["name"])


def _write(place: Path, part: str, pairs: Pairs, rows: np.ndarray, n_users: int) -> None:
    user, item = pairs.user[rows], pairs.item[rows]
    order = np.lexsort((item, user))
    np.save(place / f"{part}_indptr.npy", np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))]))
    np.save(place / f"{part}_indices.npy", item[order].astype(np.int32))
    if pairs.value is not None:
        np.save(place / f"{part}_values.npy", pairs.value[rows][order])


def _movielens() -> str:
    return "MovieLens 1M" if _file(RATINGS) else "drawn like MovieLens 1M"


def _ratings(*columns: str) -> tuple[np.ndarray, ...]:
    file = _file(RATINGS)
    if file is not None:
        return _columns(file, *columns)
    user, item = _drawn(6040, 3706, 1_000_209)
    rng = np.random.default_rng(SEED)
    split = np.where(np.append(user[1:] != user[:-1], True), "test", "train")
    rating, fold = rng.choice(np.arange(1, 6), len(user), p=STARS), rng.integers(1, 6, len(user))
    ids = {"user_id": user, "item_id": item, "ncf_user": user, "ncf_item": item}
    drawn = {**ids, "rating": rating, "cv_fold": fold, "ncf_split": split}
    return tuple(drawn[column] for column in columns)


def _columns(file: Path, *names: str) -> tuple[np.ndarray, ...]:
    import polars as pl

    frame = pl.read_parquet(file, columns=list(names))
    return tuple(frame[name].to_numpy() for name in names)


def _file(path: str) -> Path | None:
    file = Path(os.environ.get("RANKINE_DATA", "")) / path
    return file if file.is_file() else None


def _drawn(n_users: int, n_items: int, n_pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs, some users and items much more frequent than others, by user."""
    rng = np.random.default_rng(0)
    user, item = ((n * rng.random(n_pairs) ** power).astype(np.int64) for n, power in ((n_users, 1.6), (n_items, 2.2)))
    pairs = np.unique(user * n_items + item)
    return pairs // n_items, pairs % n_items


def _dense(ids: np.ndarray) -> np.ndarray:
    """Rows 0, 1, ... in the order of the ids."""
    return np.unique(ids, return_inverse=True)[1]


def _fifth_of_each(user: np.ndarray) -> np.ndarray:
    """Marks a fifth of the pairs of each user, rounded down, at random."""
    order = np.lexsort((np.random.default_rng(SEED).random(len(user)), user))
    counts = np.bincount(user)
    place = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    marked = np.empty(len(user), bool)
    marked[order] = place < (counts // 5)[user[order]]
    return marked
