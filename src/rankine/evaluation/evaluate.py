"""evaluate: score every case, rank all items, keep one value per case and metric."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from rankine.arrays import Array, Float, Int, Ragged
from rankine.errors import ConfigError, ScoreError
from rankine.evaluation.cases import Cases
from rankine.evaluation.metrics import MetricName, Values, calibration, finite, novelty_of
from rankine.features.queries import Queries
from rankine.kernels.ranks import Scores, all_finite, auc, pair_scores, target_ranks, top_k
from rankine.kernels.topk import Products
from rankine.models.base import VectorScorer
from rankine.progress import track

BLOCK_VALUES = 1 << 22  # scores held at a time: 16 MiB, memory that is used again and not given back between blocks
UNRANKED = np.iinfo(np.int64).max  # the rank of an item that is not known: below any list, however short the catalogue
VECTOR_BLOCK = 4096  # requests at a time whose scores are products of vectors: those are not held
Score = Callable[[Queries], Scores]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One model on the cases: per metric one float64 value per case, or one figure for the whole where it has no cases (coverage).

    shown: the top items of each case, int32 [B, K], -1 where there are fewer; popularity: mean percentile of shown items, 0 to 1.
    """

    values: Mapping[str, Values]
    totals: Mapping[str, float]
    unit_idx: Array
    unit_names: pl.Series
    unit: str
    seconds: float
    shown: Int | None = None
    popularity: float | None = None
    target_counts: Array | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    def mean(self, metric: str) -> float:
        """The figure of a metric over all cases."""
        if metric in self.totals:
            return self.totals[metric]
        return float(MetricName.parse(metric).metric.finish(np.asarray(np.mean(self.values[metric]))))


def evaluate_ranking(
    score: Score, cases: Cases, metrics: Sequence[str], item_counts: Array, description: str = "ranking"
) -> Evaluation:
    """Rank all items (or the candidates) for every case. `item_counts` [N] are the training events per item.

    Raises ScoreError when a score is NaN or infinite, ConfigError for a metric that needs ratings.
    """
    names = [MetricName.parse(m) for m in metrics]
    for name in names:
        if name.metric.family in ("rating", "binary"):
            raise ConfigError(f"metric `{name}` needs cases with values: use the protocol `ratings`")
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
    predicted = rate(cases.queries.user_idx, cases.targets.values)
    if clip is not None:
        predicted = np.clip(predicted, *clip)
    names = [MetricName.parse(m) for m in metrics]
    for name in names:
        if name.metric.family not in ("rating", "binary"):
            raise ConfigError(f"metric `{name}` needs a ranking: use the protocol `next_item` or `user_items`")
        if name.metric.family == "binary" and np.unique(cases.values).tolist() != [0, 1]:
            raise ConfigError(f"metric `{name}` needs values of 0 and of 1; got {np.unique(cases.values)[:5].tolist()}")
    values = {str(n): n.metric.per_case(predicted, cases.values) for n in names if n.metric.per_case}
    return Evaluation(
        values=values,
        totals={str(n): _whole_figure(n, predicted, cases.values) for n in names if n.base in ("auc", "calibration")},
        unit_idx=cases.unit_idx,
        unit_names=cases.unit_names,
        unit=cases.unit,
        seconds=time.perf_counter() - start,
        counts=cases.counts,
    )


def _whole_figure(name: MetricName, predicted: Float, label: Array) -> float:
    """A binary metric that has no value per case."""
    return float(auc(finite(predicted), label)) if name.base == "auc" else calibration(predicted, label).error


def pool(parts: Sequence[Evaluation]) -> Evaluation:
    """The evaluations of several folds as one: cases behind one another, units of the same name joined."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    names = pl.concat([p.unit_names.gather(p.unit_idx) for p in parts])
    distinct = names.unique(maintain_order=True)
    index = pl.DataFrame({"n": distinct}).with_row_index("i")
    unit_idx = names.rename("n").to_frame().join(index, on="n", how="left", maintain_order="left")["i"].to_numpy()
    return Evaluation(
        values={m: np.concatenate([p.values[m] for p in parts]) for m in first.values},
        totals={m: float(np.mean([p.totals[m] for p in parts])) for m in first.totals},
        unit_idx=unit_idx.astype(np.int64),
        unit_names=distinct,
        unit=first.unit,
        seconds=sum(p.seconds for p in parts),
        popularity=None if first.popularity is None else float(np.mean([p.popularity for p in parts])),
        target_counts=None
        if first.target_counts is None
        else np.concatenate([np.asarray(p.target_counts) for p in parts]),
        counts={key: sum(p.counts.get(key, 0) for p in parts) for key in first.counts},
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
