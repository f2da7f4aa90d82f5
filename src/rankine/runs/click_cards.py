"""What metrics.json says of click models: predictions beside what came, the fields they rest on, their size and their seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rankine.arrays import Array
from rankine.evaluation.cases import Cases
from rankine.evaluation.clicks import Clicks, calibration, histogram
from rankine.evaluation.evaluation import Evaluation
from rankine.evaluation.importance import importance
from rankine.models.base import Model, RowModel

if TYPE_CHECKING:
    from rankine.training.fit import Training


def click_card(clicks: Clicks | None) -> dict[str, Any] | None:
    """How predicted probabilities compare with what came, and how they spread over taken and left rows."""
    if clicks is None or not len(clicks):
        return None
    p, taken = clicks.probability.astype(np.float64), clicks.label.astype(bool)
    found = calibration(p, taken)
    low, high = wilson(found.observed, found.count)
    columns = (found.count, found.predicted, found.observed, low, high)
    names = ("n", "predicted", "observed", "low", "high")
    median = float(np.median(p[taken])) if taken.any() else None
    return {
        "n": len(p),
        "taken": int(taken.sum()),
        "bins": [dict(zip(names, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True)],
        "error": found.error,
        "histogram": histogram_card(p, taken),
        "median_taken": median,
        "left_above": float((p[~taken] > median).mean()) if median is not None and not taken.all() else None,
    }


def wilson(share: Array, n: Array) -> tuple[Array, Array]:
    """The 95 % interval of a share of n independent rows; both [K]. Source: Wilson 1927."""
    z2 = 1.959964**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def histogram_card(p: Array, taken: Array) -> dict[str, list[float]]:
    """Shares of the taken and of the left rows by predicted probability; each sums to one, unless there is none of its kind."""
    found = histogram(p, taken)
    counts = {"taken": found.taken, "left": found.left}
    return {"edges": found.edges.tolist(), **{kind: (n / max(n.sum(), 1)).tolist() for kind, n in counts.items()}}


def importance_card(model: Model, cases: Cases, seed: int) -> dict[str, Any] | None:
    """What the AUC loses by each field; None for a model without rows of fields, or where nothing was taken or left."""
    rows, labels = cases.queries.rows, cases.values
    if not isinstance(model, RowModel) or rows is None or labels is None or len(np.unique(labels > 0)) < 2:
        return None
    found = importance(model, rows.of(slice(None), cases.targets.values), labels, rows.layout, seed=seed)
    fields = [{"field": f.field, "drop": f.drop, "sd": f.deviation} for f in found.fields]
    return {"auc": found.auc, "n_rows": found.n_rows, "fields": fields}


def size_card(model: Model) -> dict[str, int]:
    """How many numbers a network holds, and how many of them in its tables; nothing for other models."""
    if model.network() is not model:
        return {}
    tables = [layer.n_parameters for layer in model.modules() if layer is not model and hasattr(layer, "n_parameters")]
    total = sum(p.numel() for p in model.parameters())
    return {"n_parameters": total} | ({"table_parameters": sum(tables)} if tables else {})


def training_card(training: Training | None) -> dict[str, Any] | None:
    """In which precision a network was trained, and how many rows per second."""
    return None if training is None else {"precision": training.precision, "rows_per_s": round(training.rows_per_s, 1)}


def fits_card(evaluation: Evaluation) -> dict[str, Any] | None:
    """The figures of each fit where a model was fitted from several seeds."""
    fits: tuple[Mapping[str, float], ...] = evaluation.fits
    return {"n": len(fits), "values": {m: [fit[m] for fit in fits] for m in fits[0]}} if len(fits) > 1 else None
