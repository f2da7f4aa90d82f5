"""Chart titles that say what was found, from the corrected tests or from intervals that do not meet."""

from __future__ import annotations

from collections.abc import Sequence

from rankine.evaluation.report.comparison import Comparison
from rankine.evaluation.report.results import Bucket, Curve, Model
from rankine.evaluation.report.tradeoff import Sized
from rankine.evaluation.report.values import Estimate
from rankine.evaluation.report.words import (
    count_word,
    decimal,
    difference_places,
    joined,
    places,
    points,
    rate,
    sentence,
    share,
)

SAME_POPULARITY = 0.01  # one percentile
HARDLY = 0.001  # AUC that is hardly worth a field


def bars(comparison: Comparison) -> str:
    """Who leads, and how many beat popularity."""
    if not comparison.tested:
        return f"{comparison.primary.title} of {_count(len(comparison.scored), 'model')}"
    leaders = comparison.leaders
    lead = _lead(comparison)
    popular = comparison.baseline("popularity")
    if popular is None or len(leaders) == len(comparison.scored):
        return lead
    if popular in leaders:
        return f"{lead}; nothing beats {popular.label}"
    others = [m for m in comparison.scored if m not in leaders and m is not popular]
    above = [m for m in others if comparison.beats(m, popular)]
    if not others:
        return f"{lead}; {popular.label} is last"
    if not above:
        return f"{lead}; no other model beats {popular.label}"
    which = (
        "all others beat"
        if len(above) == len(others) > 1
        else f"{count_word(len(above))} more {_verb('beat', len(above))}"
    )
    return f"{lead}; {which} {popular.label}"


def learning(models: Sequence[Model]) -> str:
    """Where each model with a curve was at its best."""
    curves = [(m.label, m.curve) for m in models if m.curve]
    stops = [(label, curve.best) for label, curve in curves if curve.best is not None]
    growing = [label for label, curve in curves if curve.best is not None and _still_improving(curve)]
    if not stops:
        return sentence(f"{_count(len(curves), 'model')} by epoch")
    if growing:
        return f"{joined(growing)} {'was' if len(growing) == 1 else 'were'} still improving at the last epoch"
    if len(stops) > 2:
        return f"Best epoch: {joined([f'{label} {best}' for label, best in stops])}"
    (first, at), *others = sorted(stops, key=lambda stop: stop[1])
    tail = f"; {others[0][0]} needs {others[0][1]}" if others and others[0][1] > at else ""
    return f"{first} stops improving at epoch {at}{tail}"


def popularity(comparison: Comparison, models: Sequence[Model]) -> str:
    """Whether the leaders show more or less popular items than the best model behind them."""
    leaders = [m for m in comparison.leaders if m in models]
    others = [m for m in models if m not in leaders]
    if not comparison.tested or not leaders:
        return f"{comparison.primary.title} against the popularity of what is shown"
    verb = "is" if len(leaders) == 1 else "are"
    text = f"{joined([m.label for m in leaders])} {verb} the most accurate"
    compared = next((m for m in others if _differs(leaders, m)), None)
    if compared is None:
        return text
    less = (leaders[0].popularity or 0) < (compared.popularity or 0)
    show = "shows" if len(leaders) == 1 else "show"
    return f"{text}, and {show} {'less' if less else 'more'} popular items than {compared.label}"


def temperature(comparison: Comparison, models: Sequence[Model]) -> str:
    """What happens to items that were never, or least often, seen in training."""
    coldest = [(m, _of_bucket(m, 0)) for m in models]
    known = [(m, found.estimate) for m, found in coldest if found is not None and found.estimate is not None]
    where = _bucket_words(models[0].buckets[0])
    better = comparison.primary.lower_is_better
    ranked = sorted(known, key=lambda pair: pair[1].mean, reverse=not better)
    if len(ranked) > 1 and _apart(ranked[0][1], ranked[1][1], better):
        digits = places(value for _, value in ranked)
        first, second = decimal(ranked[0][1].mean, digits), decimal(ranked[1][1].mean, digits)
        return f"For items {where}, {ranked[0][0].label} leads: {first} against {second}"
    return _from_cold_to_warm(comparison.primary.title, models[0])


def calibration(models: Sequence[Model]) -> str:
    """Whose probabilities are closest to what came, and whose are furthest."""
    known = sorted((m.clicks.error, i) for i, m in enumerate(models) if m.clicks and m.clicks.error is not None)
    if not known:
        return "Predicted and observed shares"
    (least, best), (most, worst) = known[0], known[-1]
    closest = f"off by {points(least)} percentage points on average"
    if len(known) == 1:
        return f"{models[best].label} is {closest}"
    return f"{models[best].label} is closest to what came, {closest}; {models[worst].label} is off by {points(most)}"


def scores(models: Sequence[Model]) -> str:
    """How far the best model tells taken rows from left ones."""
    first = models[0]
    if first.clicks is None or first.clicks.median is None or first.clicks.above is None:
        return "Predicted probabilities of taken and of left rows"
    more, few = rate(first.clicks.median), rate(first.clicks.above)
    return f"Half of the taken rows get more than {more} from {first.label}; {few} of the left rows do"


def importance(model: Model) -> str:
    """Which field a model rests on most, and how many hardly matter."""
    first, n = model.drops[0], len(model.drops)
    idle = sum(d.mean < HARDLY for d in model.drops)
    text = f"{model.label} rests most on {first.field}"
    if first.mean < 2 * first.deviation:
        return f"What a field costs {model.label} is not told from the luck of the deal"
    if idle == n:
        return f"No field alone costs {model.label} {HARDLY} AUC or more"
    if idle == 0:
        return f"{text}; every one of {count_word(n)} fields counts" if n > 1 else text
    return f"{text}; {count_word(idle)} of {count_word(n)} fields {_verb('cost', idle)} less than {HARDLY} AUC"


def size(comparison: Comparison, found: Sized) -> str:
    """What the smallest model loses against the best, and with what share of its size."""
    pairs = list(zip(found.models, found.sizes, strict=True))
    best, n_best = pairs[0]
    small, n_small = min(pairs, key=lambda pair: pair[1])
    if n_small == n_best:
        most = "lowest" if comparison.primary.lower_is_better else "highest"
        return f"{best.label} has the {most} {comparison.primary.text} and the fewest {found.word}"
    lost = abs(comparison.value(small).mean - comparison.value(best).mean)
    word = "more" if comparison.primary.lower_is_better else "less"
    amount = f"{decimal(lost, difference_places([lost], 3))} {word} {comparison.primary.text}"
    return f"{small.label} has {amount} than {best.label}, with {share(n_small / n_best)} of its {found.word}"


def _from_cold_to_warm(title: str, model: Model) -> str:
    known = [b for b in model.buckets if b.estimate is not None]
    ends = [b.estimate for b in known if b.estimate is not None]
    if len(ends) < 2:
        return f"{title} by how often the target was seen"
    digits = places(ends)
    cold, warm = decimal(ends[0].mean, digits), decimal(ends[-1].mean, digits)
    first, last = _bucket_words(known[0]), _bucket_words(known[-1])
    return f"{model.label} goes from {cold} for items {first} to {warm} for those {last}"


def _lead(comparison: Comparison) -> str:
    leaders = comparison.leaders
    if len(leaders) == len(comparison.scored):
        return (
            f"The {count_word(len(leaders))} models are not distinguishable" if len(leaders) > 1 else leaders[0].label
        )
    return f"{joined([m.label for m in leaders])} {_verb('lead', len(leaders))}"


def _bucket_words(bucket: Bucket) -> str:
    if bucket.name == "0":
        return "never seen in training"
    return f"seen {bucket.name.replace('+', ' times or more') if bucket.name.endswith('+') else f'{bucket.name} times'}"


def _of_bucket(model: Model, index: int) -> Bucket | None:
    return model.buckets[index] if index < len(model.buckets) else None


def _apart(better: Estimate, worse: Estimate, lower_is_better: bool) -> bool:
    if better.low is None or worse.low is None:
        return False
    return better.span[1] < worse.span[0] if lower_is_better else better.span[0] > worse.span[1]


def _differs(leaders: Sequence[Model], other: Model) -> bool:
    if other.popularity is None:
        return False
    gaps = [other.popularity - m.popularity for m in leaders if m.popularity is not None]
    return bool(gaps) and (min(gaps) > SAME_POPULARITY or max(gaps) < -SAME_POPULARITY)


def _still_improving(curve: Curve) -> bool:
    return len(curve.epochs) > 1 and curve.best == curve.epochs[-1]


def _verb(word: str, n: int) -> str:
    return f"{word}s" if n == 1 else word


def _count(n: int, word: str) -> str:
    return f"{count_word(n)} {word if n == 1 else word + 's'}"
