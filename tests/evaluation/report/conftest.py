"""Made-up results: a full run with eight models, a rating run, and a run of one model."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from types import SimpleNamespace
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


CLICKS = [  # name, label, mark, baseline, letter, auc, steepness of its scores, parameters, those in tables, precision
    ("deepfm", "DeepFM", 1, None, "A", 0.9839, 5.2, 423_280, 59_279, "fp32"),
    ("ipnn", "IPNN", 2, None, "A", 0.9837, 5.1, 433_491, 59_279, "fp32"),
    ("wide_deep", "Wide & Deep", 3, None, "B", 0.9830, 5.0, 423_280, 59_279, "fp32"),
    ("fm", "FM", 4, None, "C", 0.9702, 4.2, 59_280, 59_279, "fp32"),
    ("lr", "LR", 5, None, "D", 0.9356, 3.2, 5_390, 5_389, "fp32"),
    ("popularity", "Popularity", 8, "popularity", "E", 0.71, 0.9, None, None, ""),
]
FIELDS = ("user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city")


def clicks(rate: float = 0.33, seed: int = 5, seeds: int = 3) -> Results:
    """Click models on labelled rows of which the share `rate` was taken, each fitted from several seeds."""
    rng = np.random.default_rng(seed)
    models = [_click_model(rng, rate, seeds, *row) for row in CLICKS]
    pairs = [pair(a[0], b[0], round(a[5] - b[5], 5), a[4] != b[4], "auc", 0.0006) for a, b in combinations(CLICKS, 2)]
    return {
        "run": {"name": "frappe-ctr", "seed": 2021, "seconds": 812.0, "cores": 2, "created": "2026-11-24T01:00:00+00:00",
                "command": "rankine run recipes/frappe-ctr.toml", "versions": {"torch": "2.13.0", "rankine": "0.1.0"}},
        "data": {"name": "frappe", "n_events": 288_609, "n_users": 957, "n_items": 4082, "rejected": 0, "read": 288_609},
        "split": {"by": "column", "train": {"n_events": 202_027}, "valid": {"n_events": 57_722},
                  "test": {"n_events": 28_860, "n_cases": 28_860, "n_units": 941, "unit": "user", "taken": rate},
                  "n_folds": 1},
        "protocol": {"name": "impressions", "primary": "auc", "unit": "user",
                     "metrics": ["auc", "logloss", "calibration", "accuracy"],
                     "sentence": "For every test impression: how likely is it taken?"},
        "models": models,
        "pairs": pairs,
        "expect": [{"model": "deepfm", "metric": "auc", "value": 0.98391, "published": 0.98395, "tolerance": 0.003,
                    "source": "BARS frappe_x1", "ok": True},
                   {"model": "deepfm", "metric": "logloss", "value": 0.1512, "published": 0.1495, "tolerance": 0.01,
                    "source": "BARS frappe_x1", "ok": True}],
        "checks": [{"ok": True, "text": "No row is on both sides of the split."}],
    }  # fmt: skip


def _click_model(
    rng: np.random.Generator,
    rate: float,
    n_seeds: int,
    name: str,
    label: str,
    mark: int,
    baseline: str | None,
    letter: str,
    auc: float,
    steep: float,
    n_parameters: int | None,
    table_parameters: int | None,
    precision: str,
) -> Results:
    base = float(np.log(rate / (1 - rate)))
    truth = base - steep**2 / 3 + steep * rng.normal(0, 1, 28_860)
    p = 1 / (1 + np.exp(-truth))
    taken = rng.random(len(p)) < p
    told = 1 / (1 + np.exp(-truth * (1.12 if name == "deepfm" else 0.95)))
    values = {
        "auc": auc,
        "logloss": round(0.15 + (0.984 - auc) * 3, 4),
        "calibration": 0.008,
        "accuracy": 0.94 - (0.984 - auc),
    }
    metrics = {m: estimate(v, 0.0016 if m == "auc" else 0.008) for m, v in values.items()}
    made: Results = {"name": name, "label": label, "summary": "fields and their meetings", "mark": mark, "baseline": baseline,
                     "letter": letter, "metrics": metrics, "fit_s": 40.0, "score_ms": 0.01, "n_parameters": n_parameters,
                     "table_parameters": table_parameters, "clicks": _clicks_of(told, taken)}  # fmt: skip
    if not precision:
        return made
    drops = np.sort(rng.gamma(0.4, 0.05, len(FIELDS)))[::-1]
    drops[-2:] = 0
    fields = [
        {"field": f, "drop": round(float(d), 5), "sd": round(float(d) / 30, 5)}
        for f, d in zip(FIELDS, drops, strict=True)
    ]
    curves = [_click_curve(rng, auc, 18 + mark) for _ in range(n_seeds)]
    others = [{"epochs": c["epochs"], "values": c["values"]} for c in curves[1:]]
    return made | {
        "training": {"precision": precision, "rows_per_s": 110_000.0 - 5000 * mark},
        "importance": {"auc": auc, "n_rows": 20_000, "fields": fields},
        "fits": {"n": n_seeds, "values": {m: (v + rng.normal(0, 0.0003, n_seeds)).tolist() for m, v in values.items()}},
        "curve": curves[0] | {"others": others},
    }


def _click_curve(rng: np.random.Generator, level: float, n: int) -> Results:
    epochs = np.arange(1, n + 1)
    drop = int(n * 0.7)
    values = (
        level
        - 0.25 * np.exp(-epochs / 1.3)
        - 0.006 * (epochs <= drop) * np.exp(-epochs / 20)
        + rng.normal(0, 0.0003, n)
    )
    loss = 0.1 + 0.45 * np.exp(-epochs / 4) - 0.03 * (epochs > drop)
    return {"metric": "auc", "epochs": epochs.tolist(), "values": values.round(5).tolist(), "best": int(epochs[values.argmax()]),
            "loss": loss.round(4).tolist(), "drops": [drop]}  # fmt: skip


def _clicks_of(p: np.ndarray, taken: np.ndarray) -> Results:
    order = np.array_split(np.argsort(p), 10)
    bins = []
    for rows in order:
        seen, half = (
            float(taken[rows].mean()),
            float(1.96 * np.sqrt(taken[rows].mean() * (1 - taken[rows].mean()) / len(rows))),
        )
        bins.append({"n": len(rows), "predicted": float(p[rows].mean()), "observed": seen,
                     "low": max(0.0, seen - half), "high": min(1.0, seen + half)})  # fmt: skip
    edges = np.concatenate([[0], 1 / (1 + np.exp(-np.linspace(-11.5, 11.5, 47))), [1]])
    shares = {k: (np.histogram(p[w], edges)[0] / w.sum()).tolist() for k, w in (("taken", taken), ("left", ~taken))}
    error = float(np.mean([abs(b["predicted"] - b["observed"]) for b in bins]))
    median = float(np.median(p[taken]))
    return {"n": len(p), "bins": bins, "error": error, "histogram": {"edges": edges.tolist(), **shares},
            "median_taken": median, "left_above": float((p[~taken] > median).mean())}  # fmt: skip


def compressed() -> Results:
    """One model with tables of fewer rows, in three ways."""
    models = [_stored("deepfm", "DeepFM", 0.9839, 1.0)]
    for kind, word, loss in (("hashed", "hashed", 0.02), ("bloom", "Bloom", 0.012), ("quotient", "quotient", 0.006)):
        models += [
            _stored(f"deepfm {kind}{share:g}", f"DeepFM, {word} {share:g}", 0.9839 - loss * (1 - share) ** 2, share)
            for share in (0.5, 0.25, 0.1)
        ]
    pairs = [pair("deepfm", m["name"], 0.9839 - m["metrics"]["auc"]["mean"], True, "auc", 0.0006) for m in models[1:]]
    protocol = {"name": "impressions", "primary": "auc", "metrics": ["auc"], "unit": "user"}
    return {"protocol": protocol, "models": models, "pairs": pairs}


def _stored(name: str, label: str, auc: float, share: float) -> Results:
    sizes = {"table_parameters": int(59_279 * share), "n_parameters": int(364_001 + 59_279 * share)}
    return model(name, round(auc, 5), 0.0016, "auc", label=label, mark=1, letter="A" if share == 1 else "B", **sizes)


def logged() -> Results:
    """Policies judged on a log with propensities."""
    rows = [
        ("deepfm", "DeepFM", 0.0071, 0.004, 1210),
        ("lr", "LR", 0.0064, 0.0036, 1402),
        ("popularity", "Popularity", 0.0049, 0.003, 1730),
    ]
    models = [
        {"name": name, "label": label, "letter": "A", "mark": mark, "metrics": {
            "snips": estimate(v, width), "ips": estimate(v * 1.05, width * 1.2), "effective_rows": {"mean": n},
            "matched": {"mean": 0.06}, "click_rate": estimate(0.0051, 0.002)}}
        for mark, (name, label, v, width, n) in enumerate(rows, 1)
    ]  # fmt: skip
    pairs = [pair(a[0], b[0], round(a[2] - b[2], 5), False, "snips", 0.003) for a, b in combinations(rows, 2)]
    return {
        "split": {"by": "random", "train": {"n_events": 10_000}, "test": {"n_events": 10_000, "n_cases": 10_000, "unit": "user"}},
        "protocol": {"name": "logged", "primary": "snips", "metrics": ["snips", "ips", "effective_rows", "matched", "click_rate"],
                     "sentence": "What would each model have earned, had it chosen what was shown?", "unit": "user"},
        "models": models,
        "pairs": pairs,
    }  # fmt: skip


def staged() -> Results:
    """A model that ranks what another one found, beside the first stage alone."""
    rows = [("als+deepfm", "DeepFM on Implicit ALS", 0.31, "A"), ("als", "Implicit ALS", 0.24, "B")]
    models = [
        model(n, v, 0.012, "recall@20", label=label, letter=letter, mark=i + 1)
        for i, (n, label, v, letter) in enumerate(rows)
    ]
    models[0]["stages"] = {
        "first": "Implicit ALS",
        "candidates": 200,
        "ceiling": {"recall@20": {"mean": 0.61, "low": 0.6, "high": 0.62}},
    }
    return {"protocol": {"primary": "recall@20", "metrics": ["recall@20"], "unit": "user"}, "models": models,
            "pairs": [pair("als+deepfm", "als", 0.07, True)]}  # fmt: skip


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """The builders of this file."""
    return SimpleNamespace(clicks=clicks, compressed=compressed, logged=logged, staged=staged, model=model, pair=pair)


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
