"""evaluate: ask a model every case, keep one value per case and metric, and what figures of the whole are computed from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rankine.arrays import Array, Float, Int, Ragged
from rankine.errors import ConfigError, ScoreError
from rankine.evaluation.cases import Cases
from rankine.evaluation.clicks import Clicks, finite, unit_aucs
from rankine.evaluation.evaluation import Evaluation, Judged
from rankine.evaluation.metrics import MetricName, novelty_of
from rankine.evaluation.offpolicy import Matched, chance_of
from rankine.features.queries import Queries
from rankine.kernels.ranks import Scores, all_finite, pair_scores, target_ranks, top_k
from rankine.kernels.topk import Products
from rankine.models.base import VectorScorer
from rankine.progress import track

BLOCK_VALUES = 1 << 22  # scores held at a time: 16 MiB, memory that is used again and not given back between blocks
UNRANKED = np.iinfo(np.int64).max  # the rank of an item that is not known: below any list, however short the catalogue
VECTOR_BLOCK = 4096  # requests at a time whose scores are products of vectors: those are not held
CLICK_BLOCK = 8192  # cases at a time whose probability is asked for
BOTH_LABELS = frozenset({"auc", "gauc", "normalised_entropy"})
Score = Callable[[Queries], Scores]
Probability = Callable[[Queries, Int], Float]
PROTOCOLS = {"rating": "ratings", "binary": "impressions", "policy": "logged"}
"""Where the families of metrics that compare with a value are asked."""


def evaluate_ranking(
    score: Score, cases: Cases, metrics: Sequence[str], item_counts: Array, description: str = "ranking"
) -> Evaluation:
    """Rank all items (or the candidates) for every case. `item_counts` [N] are the training events per item.

    Raises ScoreError when a score is NaN or infinite, ConfigError for a metric that needs ratings.
    """
    names = [MetricName.parse(m) for m in metrics]
    for name in names:
        if name.metric.family in PROTOCOLS:
            protocol = PROTOCOLS[name.metric.family]
            raise ConfigError(f"metric `{name}` needs cases with values: use the protocol `{protocol}`")
    start = time.perf_counter()
    rules = sorted({name.optimistic for name in names})
    shown_k = max((n.k for n in names), default=20)
    ranks: dict[bool, list[Array]] = {rule: [] for rule in rules}
    shown = []
    block = VECTOR_BLOCK if isinstance(score, VectorScorer) else _block(cases.queries.n_items)
    for rows, queries in track(list(cases.queries.blocks(block)), description):
        scores = score(queries)
        check_scores(scores, queries, description, first_case=rows.start)
        exclude = _none(len(queries)) if cases.exclude is None else cases.exclude.take(rows)
        if cases.candidates is None:
            for rule in rules:
                ranks[rule].append(target_ranks(scores, cases.targets.take(rows), exclude, optimistic=rule))
            shown.append(top_k(scores, shown_k, exclude)[0])
        else:
            for rule in rules:
                ranks[rule].append(_candidate_ranks(scores, cases.candidates.take(rows), optimistic=rule))
    seconds = time.perf_counter() - start
    known = cases.targets.values < cases.queries.n_items
    ragged = {
        rule: cases.targets.with_values(np.where(known, np.concatenate(parts), UNRANKED))
        for rule, parts in ranks.items()
    }
    values = {str(n): n.metric.per_case(ragged[n.optimistic], n.k) for n in names if n.metric.per_case}
    lists = np.concatenate(shown) if shown else None
    per_list = [n for n in names if n.metric.family == "list"]
    totals = {} if lists is None else {str(n): _list_figure(n, lists, item_counts) for n in per_list}
    return Evaluation(
        values=values,
        totals=totals,
        unit_idx=cases.unit_idx,
        unit_names=cases.unit_names,
        unit=cases.unit,
        seconds=seconds,
        shown=lists,
        popularity=None if lists is None else _mean_percentile(lists, item_counts),
        target_counts=np.append(item_counts, 0)[cases.targets.values[cases.targets.offsets[:-1]]],
        counts=cases.counts,
    )


def evaluate_ratings(
    rate: Callable[[Int, Int], Float], cases: Cases, metrics: Sequence[str], clip: tuple[float, float] | None = None
) -> Evaluation:
    """Compare predicted with true values, predictions clipped to the range of the training values."""
    if cases.values is None:
        raise ConfigError("rating metrics need cases with values: use the protocol `ratings`")
    start = time.perf_counter()
    predicted = finite(rate(cases.queries.user_idx, cases.targets.values))
    if clip is not None:
        predicted = np.clip(predicted, *clip)
    names = _of_families(metrics, ("rating", "binary"))
    binary = [name for name in names if name.metric.family == "binary"]
    _check_labels(cases.values, binary)
    clicks = Clicks(np.asarray(predicted, np.float32), cases.values > 0, cases.unit_idx) if binary else None
    return _valued(names, (predicted, cases.values), clicks, cases, time.perf_counter() - start)


def evaluate_clicks(
    probability: Probability, cases: Cases, metrics: Sequence[str], description: str = "clicks"
) -> Evaluation:
    """Ask how likely each case takes its item, and compare with whether it did.

    Raises ScoreError for a probability that is NaN or outside 0 .. 1, ConfigError for another family of metrics.
    """
    if cases.values is None:
        raise ConfigError("click metrics need cases with values: use the protocol `impressions`")
    names = _of_families(metrics, ("binary",))
    _check_labels(cases.values, names)
    start, predicted = time.perf_counter(), np.empty(len(cases), np.float32)
    for rows, queries in track(list(cases.queries.blocks(CLICK_BLOCK)), description):
        found = np.asarray(probability(queries, cases.targets.values[rows]))
        _check_probabilities(found, len(queries), description, rows.start)
        predicted[rows] = found
    clicks = Clicks(predicted, cases.values > 0, cases.unit_idx)
    evaluation = _valued(names, (predicted, cases.values), clicks, cases, time.perf_counter() - start)
    if not any(name.base == "gauc" for name in names):
        return evaluation
    return replace(evaluation, counts={**cases.counts, **_left_out_of_gauc(clicks, cases)})


def evaluate_logged(
    score: Score, cases: Cases, metrics: Sequence[str], *, temperature: float = 0.0, description: str = "policy"
) -> Evaluation:
    """Estimate what a ranking would have earned: at `temperature` 0 the best item is shown, above it any, by exp(score / temperature)."""
    if cases.values is None or cases.propensity is None:
        raise ConfigError("policy metrics need cases with propensities: use the protocol `logged`")
    names = _of_families(metrics, ("policy",))
    start, chance = time.perf_counter(), np.empty(len(cases))
    for rows, queries in track(list(cases.queries.blocks(_block(cases.queries.n_items))), description):
        scores = score(queries)
        check_scores(scores, queries, description, first_case=rows.start)
        written = scores.written() if isinstance(scores, Products) else scores
        chance[rows] = chance_of(written, cases.targets.values[rows], temperature)
    if not chance.any():
        raise ScoreError(
            f"{description}: in none of {len(cases):,} rows may the item that was shown be shown again, so nothing can be "
            "estimated: use a `temperature` above 0"
        )
    matched = Matched(chance / cases.propensity, cases.values, cases.unit_idx)
    return _valued(names, (matched.weight, matched.reward), matched, cases, time.perf_counter() - start)


def _of_families(metrics: Sequence[str], families: tuple[str, ...]) -> list[MetricName]:
    names = [MetricName.parse(m) for m in metrics]
    for name in names:
        if name.metric.family in ("rank", "list"):
            raise ConfigError(f"metric `{name}` needs a ranking: use the protocol `next_item` or `user_items`")
        if name.metric.family not in families:
            raise ConfigError(
                f"metric `{name}` does not fit these cases: use the protocol `{PROTOCOLS[name.metric.family]}`"
            )
    return names


def _check_labels(values: Array, names: Sequence[MetricName]) -> None:
    """Raise ConfigError unless values are 0 and 1, both of them where a metric is about their difference."""
    found = np.unique(values).tolist()
    for name in names:
        if found != [0, 1] and (name.base in BOTH_LABELS or not {0, 1}.issuperset(found)):
            raise ConfigError(f"metric `{name}` needs values of 0 and of 1; got {found[:5]}")


def _check_probabilities(found: Array, n: int, description: str, first_case: int) -> None:
    if found.shape != (n,):
        raise ScoreError(f"{description}: expected one probability per case, [{n}]; got {list(found.shape)}")
    bad = ~((found >= 0) & (found <= 1))  # true for what is no number
    if bad.any():
        case = int(np.argmax(bad))
        raise ScoreError(
            f"{description}: {int(bad.sum())} probabilities are NaN or outside 0 to 1, the first, {found[case]}, for case "
            f"{first_case + case}"
        )


def _left_out_of_gauc(clicks: Clicks, cases: Cases) -> dict[str, int]:
    """How many users have labels of one kind only."""
    if cases.unit != "user":
        raise ConfigError(f"metric `gauc` is a mean over users, and the cases have none: they count by {cases.unit}")
    _, counts = unit_aucs(clicks, len(cases.unit_names))
    there = np.unique(clicks.unit_idx)
    if not counts.any():
        raise ConfigError(f"metric `gauc` needs a user with values of 0 and of 1; none of {len(there)} has both")
    return {"users_of_one_label": int((counts[there] == 0).sum())}


def _valued(
    names: Sequence[MetricName], pair: tuple[Array, Array], judged: Judged | None, cases: Cases, seconds: float
) -> Evaluation:
    """The evaluation of cases with values: `pair` is what metrics with a value per case compare, `judged` is for the others."""
    n_units = len(cases.unit_names)
    wholes = {str(n): n.metric.whole(judged, n_units) for n in names if n.metric.whole}
    return Evaluation(
        values={str(n): n.metric.per_case(*pair) for n in names if n.metric.per_case},
        totals={name: float(figure(np.ones((n_units, 1)))[0]) for name, figure in wholes.items()},
        unit_idx=cases.unit_idx,
        unit_names=cases.unit_names,
        unit=cases.unit,
        seconds=seconds,
        counts=cases.counts,
        judged=() if judged is None else (judged,),
        clicks=judged if isinstance(judged, Clicks) else None,
    )


def check_scores(scores: Scores, queries: Queries, description: str, first_case: int = 0) -> None:
    """Raise ScoreError unless there is one finite score per request and item."""
    if scores.shape != (len(queries), queries.n_items):
        raise ScoreError(
            f"{description}: expected scores [{len(queries)}, {queries.n_items}]; got {list(scores.shape)}"
        )
    if isinstance(scores, Products):
        _check_products(scores, queries, description, first_case)
    elif not all_finite(scores):
        bad = ~np.isfinite(scores)
        row, item = np.argwhere(bad)[0]
        raise ScoreError(
            f"{description}: {int(bad.sum())} scores are NaN or infinite, the first for case {first_case + row}, "
            f"item row {item}"
        )


def _check_products(scores: Products, queries: Queries, description: str, first_case: int) -> None:
    if not scores.surely_finite:
        for rows, part in queries.blocks(_block(queries.n_items)):
            written = Products(scores.vectors[rows], scores.items).written()
            check_scores(written, part, description, first_case + rows.start)


def _block(n_items: int) -> int:
    """How many requests are scored at a time."""
    return max(1, BLOCK_VALUES // max(n_items, 1))


def _candidate_ranks(scores: Scores, candidates: Ragged, optimistic: bool) -> Array:
    """Rank of the first candidate, the target, among all candidates of its case."""
    values = pair_scores(scores, candidates.row_of_value(), candidates.values)
    target = np.repeat(values[candidates.offsets[:-1]], candidates.lengths)
    above = values > target if optimistic else values >= target
    above[candidates.offsets[:-1]] = False
    return np.bincount(candidates.row_of_value(), above, minlength=len(candidates)).astype(np.int64) + 1


def _list_figure(name: MetricName, lists: Int, item_counts: Array) -> float:
    shown = lists[:, : name.k]
    shown = shown[shown >= 0]
    if name.base == "coverage":
        return len(np.unique(shown)) / max(len(item_counts), 1)
    return float(novelty_of(item_counts / max(item_counts.sum(), 1))[shown].mean()) if len(shown) else 0.0


def _mean_percentile(lists: Int, item_counts: Array) -> float:
    """Mean share of items that are less popular than, or as popular as, a shown one."""
    percentile = np.searchsorted(np.sort(item_counts), item_counts, side="right") / max(len(item_counts), 1)
    shown = lists[lists >= 0]
    return float(percentile[shown].mean()) if len(shown) else 0.0


def _none(n_rows: int) -> Ragged:
    return Ragged.empty(n_rows)
