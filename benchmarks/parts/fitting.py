"""Works of factorization.py that fit a model: ALS, BPR, item to item, ratings by gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bench import Row, Work, rounded
from parts import quality
from parts.contest import OURS, Entrant, System, duration, race, throughput
from parts.rates import Floor, Rates, longest, rates
from parts.sets import prepared, title
from systems.exchange import Matrix

DIM = 64
CG_STEPS = 3
TUNED = {"regularization": 60.0, "alpha": 4.0}  # the best of 31 for it, chosen on a part of the training pairs


def als(work: str, set_name: str, *, dim: int = DIM, turns: int = 3, tuned: bool = False, **ours: Any) -> Work:
    """Implicit ALS: interactions times sweeps per second."""

    def rows(folder: Path) -> Iterator[Row]:
        place = prepared(set_name, folder)
        entrants = [
            Entrant("rankine", OURS, "als", {"embedding_dim": dim, **ours}),
            Entrant("implicit", "implicit", "als", {"factors": dim}),
        ]
        if tuned:
            entrants.append(Entrant("implicit, tuned", "implicit", "als", {"factors": dim, **TUNED}))
        floor = als_floor(rates(folder), Matrix(place), dim)
        yield from race(work, place, entrants, throughput(
            work, "interactions/s", len(Matrix(place)), floor, judged(place, folder)), turns=turns)  # fmt: skip

    return rows


def als_floor(found: Rates, train: Matrix, dim: int) -> Floor:
    """One sweep: per entry and side a dot product and a sum of rows for each of 1 + 3 steps of conjugate gradient, per row as many
    products with the Gram matrix, which is made once; or to fetch the row of each entry once."""
    n_rows = train.n_users + train.n_items
    flops = 2 * len(train) * (1 + CG_STEPS) * 4 * dim + n_rows * (2 + CG_STEPS) * 2 * dim**2
    fetched = found.reads(len(train), dim, train.n_items) + found.reads(len(train), dim, train.n_users)
    return longest(found.product(flops), fetched)


def judged(place: Path, folder: Path, by: Callable[[Path, Path], str] = quality.ranking) -> Callable[[System], str]:
    """The quality of what a system exports."""

    def judge(system: System) -> str:
        system("export", folder=str(folder / "exported"))
        return f"{by(place, folder / 'exported')} on {title(place)}"

    return judge


def als_threads(folder: Path) -> Iterator[Row]:
    """ALS on one thread and on two."""
    place = prepared("movielens", folder)
    entrants = [
        Entrant(f"rankine, {n} thread{'s' * (n > 1)}", OURS, "als", {"embedding_dim": DIM}, threads=n) for n in (1, 2)
    ]
    floor = als_floor(rates(folder), Matrix(place), DIM)
    rate = throughput("als-threads", "interactions/s", len(Matrix(place)), floor, judged(place, folder))
    rows = list(race("als-threads", place, entrants, rate, turns=5))
    yield from rows
    one, two = (row for row in rows if row.unit == "interactions/s")
    yield Row(
        work="als-threads",
        value=rounded(two.value / one.value),
        unit="times as fast on 2 threads as on 1",
        peak_mb=two.peak_mb,
    )


def bpr(folder: Path) -> Iterator[Row]:
    """BPR, and what others offer in its place, with the settings that served each best: triples per second, and the whole fit."""
    place = prepared("movielens", folder)
    entrants = [
        Entrant("rankine", OURS, "bpr", {"embedding_dim": DIM}),
        Entrant("implicit", "implicit", "bpr", {"factors": DIM, "epochs": 100}, at_most=1),
        Entrant("cornac", "cornac", "bpr", {"k": DIM, "epochs": 100, "learning_rate": 0.01, "lambda_reg": 0.01}, at_most=1),
        Entrant("LightFM WARP", "lightfm", "warp", {"no_components": DIM, "epochs": 30, "learning_rate": 0.05}, at_most=1),
        Entrant("RecBole", "recbole", "bpr", {"embedding_size": DIM, "epochs": 30}, None, at_most=1),
    ]  # fmt: skip
    train, judge = Matrix(place), remembered(judged(place, folder))
    floor = bpr_floor(rates(folder), train)
    rate = throughput("bpr", "triples/s", len(train), floor, judge)
    whole = duration("bpr", "s, whole fit", floor, judge)
    yield from race("bpr", place, entrants, lambda one: iter([*rate(one), *whole(one)]))


def bpr_large(folder: Path) -> Iterator[Row]:
    """The same where tables do not fit a cache, for a few epochs: speed, not taste."""
    place = prepared("shop", folder)
    entrants = [
        Entrant("rankine", OURS, "bpr", {"embedding_dim": DIM, "epochs": 5}),
        Entrant("implicit", "implicit", "bpr", {"factors": DIM, "epochs": 5}),
    ]
    train = Matrix(place)
    rate = throughput("bpr-10m", "triples/s", len(train), bpr_floor(rates(folder), train), judged(place, folder))
    yield from race("bpr-10m", place, entrants, rate, turns=2)


def bpr_floor(found: Rates, train: Matrix) -> Floor:
    """One epoch: a row of a user and two of items changed for each triple."""
    return found.changes(len(train), DIM, train.n_users) + found.changes(2 * len(train), DIM, train.n_items)


def remembered(judge: Callable[[System], str]) -> Callable[[System], str]:
    """The same, each system judged once."""
    known: dict[int, str] = {}

    def once(system: System) -> str:
        if id(system) not in known:
            known[id(system)] = judge(system)
        return known[id(system)]

    return once


def item_to_item(folder: Path) -> Iterator[Row]:
    """Who took this also took that: counting, and 100 neighbours kept for each item."""
    place = prepared("movielens", folder)
    first: dict[str, Any] = {}
    entrants = [
        Entrant("rankine", OURS, "item_to_item", {"neighbours": 100}, first),
        Entrant("implicit", "implicit", "item_to_item", {"neighbours": 100}, first),
        Entrant("RecBole", "recbole", "item_to_item", {"neighbours": 100}, None, at_most=1),
    ]
    train = Matrix(place)
    n_pairs = float(np.sum(np.diff(train.indptr).astype(np.float64) ** 2)) / 2
    floor = rates(folder).stream(8 * n_pairs)  # a counter read and written for each pair of items of a user
    yield from race(
        "item-to-item", place, entrants, duration("item-to-item", "s", floor, judged(place, folder)), turns=5
    )


def ratings(folder: Path) -> Iterator[Row]:
    """Biased matrix factorization by gradients, a rating at a time."""
    place = prepared("movielens-ratings", folder)
    entrants = [
        Entrant("rankine", OURS, "ratings", {"embedding_dim": DIM, "epochs": 25, "learning_rate": 0.01}),
        Entrant("cornac", "cornac", "ratings", {"k": DIM, "epochs": 20, "learning_rate": 0.01, "lambda_reg": 0.02}),
    ]
    found, train = rates(folder), Matrix(place)
    floor = found.changes(len(train), DIM, train.n_users) + found.changes(len(train), DIM, train.n_items)
    judge = judged(place, folder, quality.rmse)
    yield from race("ratings", place, entrants, throughput("ratings", "ratings/s", len(train), floor, judge))
