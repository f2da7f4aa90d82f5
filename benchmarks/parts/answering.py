"""Works of factorization.py that answer: the best items for everybody, and for one request at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bench import Row, Work
from parts import quality
from parts.contest import OURS, Entrant, System, latencies, opened, race, throughput
from parts.fitting import DIM
from parts.rates import rates
from parts.sets import prepared
from systems.exchange import Matrix, load


def factors_of(place: Path) -> Path:
    """Factors for a data set, those of a short ALS: the same for every system that answers from them."""
    factors = place / "factors"
    if not factors.exists():
        with opened(Entrant("rankine", OURS, "als"), place) as system:
            system("als", embedding_dim=DIM, epochs=4)
            system("export", folder=str(factors))
            system("export_state", folder=str(factors / "state"))
    return factors


def top_100(work: str, set_name: str, max_users: int = 20_000) -> Work:
    """The 100 best items for everybody, or for the first 20,000, what they took left out."""

    def rows(folder: Path) -> Iterator[Row]:
        place = prepared(set_name, folder)
        train, factors = Matrix(place), factors_of(place)
        asked = {"users": min(train.n_users, max_users), "k": min(100, train.n_items - 1)}
        entrants = [Entrant(name, name, "top", asked, {"users": 10}) for name in (OURS, "implicit")]

        def judge(system: System) -> str:
            system("export_lists", folder=str(folder / "exported"))
            users = np.arange(0, asked["users"], max(asked["users"] // 300, 1))
            return quality.exactness(place, factors, load(folder / "exported")["lists"][users], users)

        floor = rates(folder).product(2.0 * train.n_items * DIM)
        before = {"do": "take_factors", "folder": str(factors)}
        yield from race(work, place, entrants, throughput(work, "users/s", 1, floor, judge), before=before)

    return rows


def single(work: str, set_name: str, do: str) -> Work:
    """One request at a time for the ten best items: of a known user, or of one whose vector is solved from their history."""

    def rows(folder: Path) -> Iterator[Row]:
        place = prepared(set_name, folder)
        train, factors = Matrix(place), factors_of(place)
        known = np.flatnonzero((np.diff(train.indptr) > 0) & (np.diff(train.indptr) <= 500))
        users = np.random.default_rng(0).choice(known, 500).tolist()
        asked, first = {"users": users, "k": 10}, {"users": users[:20]}
        entrants = [
            Entrant("rankine", OURS, do, asked, first),
            Entrant("implicit", "implicit", do, asked, first),
            Entrant("rankine, ids in and out", OURS, f"{do}_by_id", asked, first),
        ]
        floor = rates(folder).stream(4.0 * train.n_items * DIM)
        before = {"do": "take_factors", "folder": str(factors)}
        where = f"{train.n_items:,} items"
        yield from race(work, place, entrants, latencies(work, floor, lambda _: where), before=before)

    return rows
