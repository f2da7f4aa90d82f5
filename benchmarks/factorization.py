"""Factorization beside its peers: fits, lists for everybody, single requests, what an import and a fit take.

Every system runs in a process and a Python of its own on the same arrays, on two threads, taking turns; one function judges
them all. `make peers` installs the peers; those that are missing are named and left out. `--only WORK` measures one work.
"""

from __future__ import annotations

import bench
from bench import Work
from parts.answering import single, top_100
from parts.fitting import als, als_threads, bpr, bpr_large, item_to_item, ratings
from parts.starting import imports, machine, memory

WORKS: dict[str, Work] = {
    "machine": machine,
    "import": imports,
    "memory": memory,
    "als": als("als", "movielens", tuned=True),
    "als-ncf": als("als-ncf", "movielens-ncf"),
    "als-256": als("als-256", "movielens-ncf", dim=256, turns=2),
    "als-threads": als_threads,
    "als-gowalla": als("als-gowalla", "gowalla"),
    "bpr": bpr,
    "item-to-item": item_to_item,
    "ratings": ratings,
    "top-100": top_100("top-100", "movielens"),
    "one-user": single("one-user", "movielens", "ask"),
    "fold-in": single("fold-in", "movielens", "fold_in"),
    "als-10m": als("als-10m", "shop", turns=2),
    "bpr-10m": bpr_large,
    "top-100-50k": top_100("top-100-50k", "shop"),
    "one-user-50k": single("one-user-50k", "shop", "ask"),
    "fold-in-50k": single("fold-in-50k", "shop", "fold_in"),
}

if __name__ == "__main__":
    bench.main("factorization", WORKS)
