"""What became of the rows of each table, counted without loading them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import polars as pl

from rankine.data.describe.description import Refused
from rankine.data.describe.measure import collect
from rankine.data.readers.config import Layout
from rankine.data.readers.tables import FAULT, Table


@dataclass(frozen=True)
class Account:
    """The sound rows of one table (users and items may still come twice), its counts, and why rows were refused."""

    rows: pl.LazyFrame
    counts: dict[str, int]
    refused: list[Refused]


def account(table: Table, layout: Layout) -> Account:
    """Count the rows of a table."""
    refused = _faulty_rows(table)
    rows = table.accepted(all_sound=not refused)
    refused += _unreadable_lines(table)
    accepted, filtered = table.read - table.filtered - sum(r.n_rows for r in refused), table.filtered
    if table.key is not None:
        n_ids = int(collect(rows.select(pl.col(table.key).n_unique())).item())
        if layout.table(table.name).distinct:
            filtered += accepted - n_ids
        elif accepted > n_ids:
            refused.append(Refused(table.name, table.key, "duplicate", accepted - n_ids))
        accepted = n_ids
    rejected = sum(r.n_rows for r in refused)
    counts = {"read": table.read, "accepted": accepted, "rejected": rejected, "filtered": filtered}
    return Account(rows, counts, refused)


def _faulty_rows(table: Table) -> list[Refused]:
    counts = collect(table.rows.filter(pl.col(FAULT).is_not_null()).group_by(FAULT).len().sort(FAULT))
    named = [(*table.faults[fault], n) for fault, n in counts.iter_rows()]
    return [Refused(table.name, column, reason, n) for column, reason, n in named]


def _unreadable_lines(table: Table) -> list[Refused]:
    """Lines by the kind of trouble: without the place in the line."""
    reasons = Counter(fault.reason.split(":")[0].split(" at ")[0] for _, fault in table.unreadable)
    return [Refused(table.name, None, reason, n) for reason, n in sorted(reasons.items())]
