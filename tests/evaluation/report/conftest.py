"""Made-up results: a full run with eight models, a rating run, and a run of one model."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

Results = dict[str, Any]

SHOP = [  # name, label, summary, mark, baseline, letter, recall@20, ndcg@20, coverage, popularity, fit_s, score_ms
    ("sasrec", "SASRec", "self-attention over the session", 1, None, "A", 0.312, 0.171, 0.61, 0.62, 541.0, 3.8),
    ("gru4rec", "GRU4Rec", "recurrent network over the session", 2, None, "A", 0.309, 0.169, 0.64, 0.60, 488.0, 2.9),
    ("vsknn", "V-SKNN", "nearest past sessions", 3, "neighbourhood", "B", 0.287, 0.158, 0.52, 0.68, 1.2, 2.1),
    ("item_item", "Item to item", "co-occurrence, cosine", 4, "neighbourhood", "C", 0.263, 0.141, 0.70, 0.55, 2.2, 0.9),
    ("rules", "Sequential rules", "what follows what", 5, None, "C", 0.259, 0.143, 0.66, 0.57, 1.9, 0.8),
    ("als", "Implicit ALS", "factors of the history", 6, None, "D", 0.231, 0.118, 0.48, 0.71, 31.0, 1.2),
    ("markov", "Markov chain", "last item only", 7, None, "D", 0.228, 0.124, 0.58, 0.59, 0.9, 0.7),
    ("popularity", "Popularity", "most viewed, last 7 days", 8, "popularity", "E", 0.074, 0.031, 0.01, 0.99, 0.1, 0.3),
]
TITLES = [
    ("Copper pour-over kettle", "Coffee and tea"),
    ("Hand grinder", "Coffee and tea"),
    ("Paper filters", "Coffee and tea"),
    ("Cast-iron teapot", "Coffee and tea"),
    ("Linen apron", "Textiles"),
    ("Pleated table lamp", "Lighting"),
    ("Beeswax pillar candle", "Candles and soap"),
    ("Toy Story", "1173"),
    ("Brass candle holder", "Candles and soap"),
    ("Clip-on reading light", "Lighting"),
    ("Enamel milk pot", "Kitchen tools"),
    ("Dot-grid notebook", "Desk and paper"),
    ("Hanging fern", "Plants"),
    ("Lidded storage box", "Storage"),
    ("Quiet evening record", "Jazz"),
]
DAY = 86_400
START = 1_787_616_000  # 25 August 2026


def estimate(mean: float, width: float) -> dict[str, float]:
    return {"mean": mean, "low": round(max(mean - width / 2, 0.0), 5), "high": round(mean + width / 2, 5)}


def model(name: str, mean: float, width: float = 0.014, metric: str = "recall@20", **more: Any) -> Results:
    """The least a model says of itself."""
    return {"name": name, "label": name, "metrics": {metric: estimate(mean, width)}, **more}


def pair(
    a: str, b: str, difference: float, distinguishable: bool, metric: str = "recall@20", half: float = 0.004
) -> Results:
    """A tested difference with an interval of `half` to both sides."""
    low, high = round(difference - half, 6), round(difference + half, 6)
    p = 0.0004 if distinguishable else 0.31
    return {"a": a, "b": b, "metric": metric, "difference": difference, "low": low, "high": high, "p": p, "p_holm": p,
            "distinguishable": distinguishable}  # fmt: skip


def shop() -> Results:
    """A run on a generated shop; curves and buckets drawn from seed 42."""
    rng = np.random.default_rng(42)
    models = [_shop_model(rng, *row) for row in SHOP]
    pairs = []
    for a, b in combinations(SHOP, 2):
        pairs.append(pair(a[0], b[0], round(a[6] - b[6], 4), a[5] != b[5], half=0.0035))
    return {
        "run": {
            "name": "shop-medium", "created": "2026-11-23T09:31:00+00:00", "seed": 42, "seconds": 1140.0, "cores": 2,
            "command": "rankine run recipes/shop-medium.toml\nrankine serve runs/shop-medium",
            "versions": {"python": "3.11.9", "torch": "2.13.0", "rankine": "0.1.0"},
        },
        "data": {
            "name": "shop-medium", "n_events": 4_148_906, "n_users": 61_412, "n_items": 48_210, "n_sessions": 754_346,
            "anonymous_share": 0.31, "first": START, "last": START + 90 * DAY - 1, "rejected": 0, "read": 4_148_906,
            "description": "A generated shop, seed 42: views, carts and purchases of 90 days.",
        },
        "split": {
            "by": "time", "sentence": "One point in time for everybody: the last two days are the test.",
            "train": {"n_events": 3_964_112, "first": START, "last": START + 86 * DAY - 1},
            "valid": {"n_events": 92_010, "first": START + 86 * DAY, "last": START + 88 * DAY - 1},
            "test": {"n_events": 92_784, "n_cases": 16_842, "n_units": 16_842, "unit": "session",
                     "first": START + 88 * DAY, "last": START + 90 * DAY - 1},
            "n_folds": 1,
        },
        "protocol": {
            "sentence": "All items ranked for every session; ties count against the model.", "unit": "session",
            "primary": "recall@20", "metrics": ["recall@20", "ndcg@20", "mrr@20", "coverage@20"],
            "n_unknown_targets": 842,
        },
        "models": models,
        "pairs": pairs,
        "oracle": {"recall@20": 0.371},
        "examples": _examples(),
        "checks": [
            {"ok": True, "text": "No test event is older than a training event."},
            {"ok": True, "text": "No target is part of its own query; no duplicate crosses a split."},
            {"ok": False, "text": "A generated shop has planted taste. Do not expect these values on your data."},
        ],
        "expect": [
            {"model": "vsknn", "metric": "recall@20", "value": 0.2871, "published": 0.285, "tolerance": 0.01,
             "source": "Session kNN study 2018, table 4", "ok": True},
            {"model": "markov", "metric": "recall@20", "value": 0.228, "published": 0.2415, "tolerance": 0.0105,
             "source": "Session kNN study 2018, table 4", "ok": False},
        ],
    }  # fmt: skip


def _shop_model(
    rng: np.random.Generator,
    name: str,
    label: str,
    summary: str,
    mark: int,
    baseline: str | None,
    letter: str,
    recall: float,
    ndcg: float,
    coverage: float,
    popularity: float,
    fit_s: float,
    score_ms: float,
) -> Results:
    width = 0.0136 if recall > 0.1 else 0.008
    metrics = {"recall@20": estimate(recall, width), "ndcg@20": estimate(ndcg, width * 0.6),
               "mrr@20": estimate(round(ndcg * 0.772, 3), width * 0.5), "coverage@20": {"mean": coverage}}  # fmt: skip
    trained = {"sasrec": (18, 13), "gru4rec": (20, 17), "als": (12, 9)}.get(name)
    shape = np.array([0.05, 0.45, 0.86, 1.09, 1.25]) * recall
    shape[0] = recall * 0.39 if name == "sasrec" else recall * 0.05
    counts = [842, 2360, 5421, 5434, 2785]
    names = ["0", "1 to 4", "5 to 19", "20 to 99", "100+"]
    heat = [
        {"bucket": bucket, "n": n, **estimate(round(float(value), 4), round(1.5 / np.sqrt(n), 4))}
        for bucket, n, value in zip(names, counts, shape, strict=True)
    ]
    return {"name": name, "label": label, "summary": summary, "mark": mark, "baseline": baseline, "letter": letter,
            "metrics": metrics, "popularity": popularity, "fit_s": fit_s, "score_ms": score_ms,
            "curve": _curve(rng, recall, *trained) if trained else None, "by_temperature": heat}  # fmt: skip


def _curve(rng: np.random.Generator, level: float, n: int, best: int) -> Results:
    epochs = np.arange(1, n + 1)
    values = level * (1 - 0.5 * np.exp(-epochs / 3.2)) + rng.normal(0, 0.001, n)
    values[best - 1] = values.max() + 0.001
    return {"metric": "recall@20", "epochs": epochs.tolist(), "values": values.round(4).tolist(), "best": best}


def _examples() -> list[Results]:
    about = [("A known user", "Evening, laptop. Viewed the dripper and the mug, put the milk pot in the cart."),
             ("An anonymous session", "Phone, from search. Viewed the paper globe lamp and the lambswool blanket."),
             ("A new visitor", "Nothing known but morning, phone.")]  # fmt: skip
    sources = ["session", "history", "together", "context", "popular"]
    found = []
    for n, (title, text) in enumerate(about):
        rows = []
        for i, (name, category) in enumerate(TITLES[5 * n : 5 * n + 5]):
            source = sources[i] if n == 0 else "context" if n == 2 else None
            rows.append({"rank": i + 1, "item_id": f"i-{i}", "title": name, "category": category, "source": source,
                         "target": (n, i) in {(0, 2), (1, 1)}})  # fmt: skip
        found.append({"title": title, "text": text, "model": "SASRec", "rows": rows})
    return found


def ratings() -> Results:
    """Explicit ratings: an error, so lower is better; random folds, no times."""
    rows = [("mf", "MF", 0.934, "A", None), ("als", "ALS", 0.936, "A", None), ("bias", "Bias", 0.944, "B", None)]
    rows.append(("popularity", "Mean rating", 1.018, "C", "popularity"))
    models = [
        model(n, v, 0.006, "rmse", label=label, letter=letter, baseline=base) for n, label, v, letter, base in rows
    ]
    pairs = [pair(a[0], b[0], round(a[2] - b[2], 4), a[3] != b[3], "rmse", 0.001) for a, b in combinations(rows, 2)]
    return {
        "run": {"name": "ml100k-rating", "seed": 1, "command": "rankine run recipes/ml100k-rating.toml"},
        "data": {"name": "ml100k", "n_events": 100_000, "n_users": 943, "n_items": 1682,
                 "rejected": 2, "read": 100_002},
        "split": {"by": "random", "train": {"n_events": 80_000}, "test": {"n_events": 20_000, "n_units": 20_000,
                  "unit": "rating"}, "n_folds": 5},
        "protocol": {"primary": "rmse", "metrics": ["rmse"], "unit": "rating"},
        "models": models,
        "pairs": pairs,
    }  # fmt: skip


def single() -> Results:
    """One model and nothing else."""
    return {"protocol": {"primary": "recall@20"}, "models": [model("V-SKNN", 0.287)]}


@pytest.fixture
def shop_results() -> Results:
    return shop()


@pytest.fixture
def rating_results() -> Results:
    return ratings()


@pytest.fixture
def single_results() -> Results:
    return single()


@pytest.fixture
def build() -> Callable[..., Results]:
    """Results from models as (name, mean, baseline) and pairs as (a, b, difference, distinguishable)."""

    def results(
        models: list[tuple[str, float, str | None]],
        pairs: list[tuple[str, str, float, bool]],
        metric: str = "recall@20",
    ) -> Results:
        return {
            "protocol": {"primary": metric, "metrics": [metric]},
            "models": [model(name, mean, metric=metric, baseline=base) for name, mean, base in models],
            "pairs": [pair(*p, metric=metric) for p in pairs],
        }

    return results
