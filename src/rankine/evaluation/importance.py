"""importance: how much a click model rests on each field, by what it loses when the field says something at random.

Source: Breiman 2001, section 10; here on the area under the ROC curve. What two fields say alike is found in neither of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankine.arrays import Array
from rankine.errors import DataError
from rankine.evaluation.clicks import finite
from rankine.features.slots import Layout, Slots
from rankine.kernels.ranks import auc
from rankine.models.base import RowModel
from rankine.random import stream

MOST_ROWS = 20_000
REPEATS = 3


@dataclass(frozen=True)
class FieldImportance:
    """The AUC that is lost when the values of a field are dealt out anew among the rows: mean and deviation over the deals."""

    field: str
    drop: float
    deviation: float


@dataclass(frozen=True)
class Importance:
    """The AUC on the rows as they are, how many rows, and what each field is worth, in the order of the layout."""

    auc: float
    n_rows: int
    fields: tuple[FieldImportance, ...]


def importance(
    model: RowModel, rows: Slots, labels: Array, layout: Layout, *, seed: int = 0, repeats: int = REPEATS
) -> Importance:
    """Permute one field at a time, all its slots together, on at most 20,000 rows drawn from `rows` with their 0/1 `labels` [B].

    Raises DataError for labels of one kind only, ScoreError where a score is NaN or infinite.
    """
    rows, labels = _some(rows, np.asarray(labels), seed)
    if len(np.unique(labels > 0)) < 2:
        raise DataError(
            f"the importance of fields needs rows that were taken and rows that were left; got {len(rows)} alike"
        )
    whole = _auc(model, rows, labels)
    places = np.split(np.arange(layout.n_slots), np.cumsum([f.n_slots for f in layout.fields])[:-1])
    rng, found = stream(seed, "shuffle", "importance"), []
    for field, slots in zip(layout.fields, places, strict=True):
        drops = [whole - _auc(model, _dealt(rows, slots, rng), labels) for _ in range(repeats)]
        found.append(FieldImportance(field.name, float(np.mean(drops)), float(np.std(drops))))
    return Importance(whole, len(rows), tuple(found))


def _some(rows: Slots, labels: Array, seed: int) -> tuple[Slots, Array]:
    if len(rows) <= MOST_ROWS:
        return rows, labels
    chosen = np.sort(stream(seed, "split", "importance").choice(len(rows), MOST_ROWS, replace=False))
    return rows.take(chosen), labels[chosen]


def _auc(model: RowModel, rows: Slots, labels: Array) -> float:
    return auc(finite(model.logits(rows)), labels)


def _dealt(rows: Slots, slots: Array, rng: np.random.Generator) -> Slots:
    """The same rows, these slots as another row has them."""
    order = rng.permutation(len(rows))[:, None]
    return Slots(_put(rows.idx, order, slots), None if rows.weight is None else _put(rows.weight, order, slots))


def _put(values: Array, order: Array, slots: Array) -> Array:
    changed = values.copy()
    changed[:, slots] = values[order, slots]
    return changed
