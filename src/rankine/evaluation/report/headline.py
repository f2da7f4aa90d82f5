"""The first two sentences of the report: who leads by the corrected tests, and the same in plain words.

Grammar: the leaders joined by `and` + `are not distinguishable`; `both beat NAME by LOW to HIGH METRIC`; or, for
one alone, `NAME beats every other model; next is NAME, LOW to HIGH METRIC behind`.
`Nothing beats` the neighbourhood baseline is said first.
LOW to HIGH spans the 95 % intervals of the differences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankine.evaluation.report.comparison import Comparison, Gain
from rankine.evaluation.report.results import Metric, Model
from rankine.evaluation.report.values import table, whole
from rankine.evaluation.report.words import NBSP, count_word, decimal, difference_places, joined, places, sentence, span

OF_HUNDRED = frozenset({"hr", "recall"})
FINE = 0.9  # an AUC above this is told in pairs of a thousand
ERRORS = {"rmse": "typically", "mae": "on average"}


@dataclass(frozen=True)
class Headline:
    """A sentence in two parts: what is so, and by how much."""

    claim: str
    amount: str = "."

    @property
    def text(self) -> str:
        return self.claim + self.amount


def headline(comparison: Comparison) -> Headline:
    """The first sentence of the report."""
    scored = comparison.scored
    if not scored:
        return Headline("This run has no results")
    if len(scored) == 1:
        return _alone(comparison, scored[0])
    if not comparison.tested:
        return _untested(comparison, scored[0])
    first = unbeaten_baseline(comparison)
    found = _order(comparison, first)
    if first is None:
        return found
    return Headline(f"Nothing beats {first.label}, the neighbourhood baseline; {_inside(found.claim)}", found.amount)


def unbeaten_baseline(comparison: Comparison) -> Model | None:
    """The neighbourhood baseline, if no model beats it and every one that is no baseline was tested against it."""
    base = comparison.baseline("neighbourhood")
    challengers = [m for m in comparison.scored if m.baseline is None]
    if base is None or not challengers or any(comparison.gain(m, base) is None for m in challengers):
        return None
    return None if any(comparison.beats(m, base) for m in comparison.scored) else base


def plain_words(comparison: Comparison, results: Mapping[str, Any]) -> str | None:
    """The result as counts of 100 or as a typical error; `None` if no metric has such a reading."""
    shown = _readable(comparison, results)
    models = [m for m in comparison.scored if shown is not None and shown.name in m.metrics]
    if shown is None or not models:
        return None
    oracle = table(results, "oracle").get(shown.name)
    baselines = [
        m for m in (comparison.baseline("neighbourhood"), comparison.baseline("popularity")) if m in models[1:] and m
    ]
    if shown.base in ERRORS:
        return _error_words(shown, models, baselines)
    return _count_words(shown, models[0], baselines, oracle, results)


def _alone(comparison: Comparison, model: Model) -> Headline:
    value = comparison.value(model)
    digits = places([value])
    text = f"{model.label} reaches {decimal(value.mean, digits)} {comparison.primary.text}"
    bounds = f", 95{NBSP}% interval {span(*value.span, digits)}" if value.width else ""
    return Headline(text, f"{bounds}; there is no other model to compare it with.")


def _untested(comparison: Comparison, best: Model) -> Headline:
    word = "lowest" if comparison.primary.lower_is_better else "highest"
    value = decimal(comparison.value(best).mean, places(comparison.value(m) for m in comparison.scored))
    text = f"{best.label} has the {word} mean {comparison.primary.text}"
    missing = (
        "it was not tested against the others" if comparison.tested else "no two models were tested against each other"
    )
    return Headline(text, f", {value}; {missing}, so nothing is said to be better.")


def _order(comparison: Comparison, named: Model | None) -> Headline:
    leaders = comparison.leaders
    rest = [m for m in comparison.scored if m not in leaders]
    if not rest:
        return Headline(_all_alike(comparison))
    if len(leaders) > 1:
        return _several(comparison, leaders, rest[0])
    return _winner(comparison, leaders[0], rest, named)


def _all_alike(comparison: Comparison) -> str:
    names, metric = [m.label for m in comparison.leaders], comparison.primary.text
    if len(names) == 2:
        return f"{joined(names)} are not distinguishable by {metric}"
    return f"No two of the {count_word(len(names))} models are distinguishable by {metric}"


def _inside(claim: str) -> str:
    return claim.replace("No two", "no two", 1) if claim.startswith("No two") else claim


def _several(comparison: Comparison, leaders: Sequence[Model], following: Model) -> Headline:
    alike = f"{joined([m.label for m in leaders])} are not distinguishable"
    winners = [m for m in leaders if comparison.beats(m, following)]
    if not winners:
        return Headline(alike, f" by {comparison.primary.text}.")
    if len(winners) == len(leaders):
        who = "both beat" if len(winners) == 2 else f"all {count_word(len(winners))} beat"
    else:
        who = f"only {joined([m.label for m in winners])} {'beats' if len(winners) == 1 else 'beat'}"
    amount = _amount(comparison, [comparison.gain(m, following) for m in winners])
    return Headline(f"{alike}; {who} {following.label}", f" by {amount}.")


def _winner(comparison: Comparison, winner: Model, rest: Sequence[Model], named: Model | None) -> Headline:
    beaten = [m for m in rest if comparison.beats(winner, m)]
    if not beaten:
        return _untested(comparison, winner)
    amount = _amount(comparison, [comparison.gain(winner, beaten[0])])
    if len(beaten) < len(rest):
        return Headline(f"{winner.label} beats {beaten[0].label}", f" by {amount}.")
    claim = "" if winner is named else f"{winner.label} beats every other model; "
    if len(rest) == 1:
        return Headline(f"{winner.label} beats {rest[0].label}", f" by {amount}.")
    return Headline(f"{claim}next is {beaten[0].label}", f", {amount} behind.")


def _amount(comparison: Comparison, gains: Sequence[Gain | None]) -> str:
    spans = [gain.estimate.span for gain in gains if gain is not None]
    low, high = min(s[0] for s in spans), max(s[1] for s in spans)
    digits = difference_places([low, high], places(comparison.value(m) for m in comparison.scored))
    return f"{span(low, high, digits)} {comparison.primary.text}"


def _readable(comparison: Comparison, results: Mapping[str, Any]) -> Metric | None:
    listed = [comparison.primary, *(Metric(str(name)) for name in table(results, "protocol").get("metrics") or [])]
    return next((m for m in listed if m.base in ERRORS or m.base == "auc" or (m.base in OF_HUNDRED and m.k)), None)


def _error_words(metric: Metric, models: Sequence[Model], baselines: Sequence[Model]) -> str:
    digits = places(m.metrics[metric.name] for m in models)
    best = decimal(models[0].metrics[metric.name].mean, digits)
    against = baselines or models[-1:] if len(models) > 1 else []
    others = [f"with {m.label} by {decimal(m.metrics[metric.name].mean, digits)}" for m in against]
    tail = f"; {joined(others)}" if others else ""
    off = f"{ERRORS[metric.base]} off by {best} on the scale of the values"
    return f"In plain words: what {models[0].label} predicts is {off}{tail}."


def _count_words(
    metric: Metric, best: Model, baselines: Sequence[Model], oracle: Any, results: Mapping[str, Any]
) -> str:
    values = {m.name: m.metrics[metric.name].mean for m in (best, *baselines)}
    base = next((b for b in (100, 1000, 10_000) if max(values.values()) * b >= 0.95), 10_000)
    base = 1000 if metric.base == "auc" and values[best.name] > FINE else base
    text = _subject(metric, best, _of(values[best.name], base), results)
    others = [f"with {_described(m)} it is {_of(values[m.name], base)}" for m in baselines]
    text += f". {sentence(joined(others))}" if others else ""
    if isinstance(oracle, (int, float)):
        text += f"; no model could do better than {_of(float(oracle), base)} on this data"
    return f"In plain words: {text}."


def _of(value: float, base: int) -> str:
    count = round(value * base)
    return f"fewer than 1 of {base:,}" if count == 0 and value > 0 else f"{count:,} of {base:,}"


def _described(model: Model) -> str:
    return f"{model.label} ({model.summary})" if model.summary else model.label


def _subject(metric: Metric, best: Model, count: str, results: Mapping[str, Any]) -> str:
    test = table(table(results, "split"), "test")
    unit = str(table(results, "protocol").get("unit") or test.get("unit") or "")
    cases, units = whole(test.get("n_cases")), whole(test.get("n_units"))
    if metric.base == "auc":
        done = "taken" if table(results, "protocol").get("name") == "impressions" else "chosen"
        return f"{best.label} puts {count} pairs in the right order, one of which was {done} and the other was not"
    where = f"among the first {metric.k} shown by {best.label}"
    if unit == "session" and (cases is None or cases == units):
        return f"for {count} visits the next item is {where}"
    if unit == "session":
        return f"{count} next items are {where}"
    if metric.base == "hr":
        return f"for {count} {unit or 'user'}s an item they chose next is {where}"
    return f"{count} items that a user went on to choose are {where}, on average over the users"
