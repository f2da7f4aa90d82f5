"""What the figures of a run do not say, and how its models were tuned, in the form of checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rankine.runs.experiment import Experiment

SHOWN = ("impressions", "logged")  # protocols about items that were shown, and taken or left
BASELINES: dict[str, tuple[str, ...]] = {"ratings": (), **dict.fromkeys(SHOWN, ("popularity",))}
"""What a comparison must contain, where it is no comparison of rankings."""
FATES = {
    "ratings": "are predicted without them",
    "impressions": "are predicted by what else is known",
    "logged": "are never chosen by a model",
}
"""What becomes of targets that training never saw."""


def counts_of(experiment: Experiment) -> Mapping[str, int]:
    """What was left out of the cases or could not be found, over all folds."""
    return next(iter(experiment.models.values())).evaluation.counts


def limits(experiment: Experiment) -> list[dict[str, Any]]:
    """What the figures do not say, in the form of checks."""
    counts = counts_of(experiment)
    notes = [{"ok": True, "text": "No score was infinite or not a number."}, *unknown(experiment), *missing(experiment)]
    if counts.get("unlabelled"):
        text = f"{counts['unlabelled']:,} test events that say nothing of an item shown were left out."
        notes.append({"ok": True, "text": text})
    notes += [
        {"ok": True, "text": sentence(f"{what}: {count:,} events left out of the split, counted")}
        for what, count in experiment.folds[0].dropped.items()
        if count
    ]
    if experiment.source.oracle is not None:
        text = "A generated shop has planted taste. Do not expect these values on your data."
        notes.append({"ok": False, "text": text})
    notes += searches(experiment)
    return notes + [{"ok": True, "text": note} for note in experiment.source.notes]


def unknown(experiment: Experiment) -> list[dict[str, Any]]:
    """What became of items that training never saw."""
    counts, notes = counts_of(experiment), []
    if missed := counts.get("unknown_targets", 0):
        share = missed / max(experiment.n_targets, 1)
        fate = FATES.get(experiment.recipe.evaluate.protocol, "count as misses")
        text = f"{missed:,} targets ({share:.1%}) are items never seen in training. They {fate}."
        notes.append({"ok": False, "text": text})
    if dropped := counts.get("dropped_unknown_events"):
        text = f"{dropped:,} test events of items never seen in training were left out before counting"
        notes.append({"ok": False, "text": f"{text}; a service could not do that."})
    return notes


def missing(experiment: Experiment) -> list[dict[str, Any]]:
    """The baselines that the comparison lacks."""
    found = {fitted.model.baseline for fitted in experiment.models.values()}
    wanted = BASELINES.get(experiment.recipe.evaluate.protocol, ("popularity", "neighbourhood"))
    text = "No {} baseline is part of this comparison: add one to say what the others are worth."
    return [{"ok": False, "text": text.format(kind)} for kind in wanted if kind not in found]


def searches(experiment: Experiment) -> list[dict[str, Any]]:
    """How much effort went into the settings of each model, where the recipe says; unequal effort is no fair comparison."""
    tuned = experiment.recipe.tuned
    if not tuned:
        return []
    counts = {key: found.trials for key, found in tuned.items() if found.settings}
    untuned = [key for key, fitted in experiment.models.items() if key not in tuned and fitted.model.tuning]
    said = ", ".join(f"{key} {count}" for key, count in counts.items()) or "none"
    text = f"Settings were chosen on the validation part; trials: {said}."
    if untuned:
        text += f" Not tuned: {', '.join(untuned)}."
    notes = [{"ok": len(set(counts.values())) <= 1 and not untuned, "text": text}]
    if len(experiment.folds) > 1:
        notes.append(
            {
                "ok": False,
                "text": f"The settings were chosen on the validation part of the first {fold_word(experiment)}, "
                f"whose events are test events of other {fold_word(experiment)}s.",
            }
        )
    return notes


def fold_word(experiment: Experiment) -> str:
    """What one fold is: a part of the events in turn, or an independent draw."""
    return "draw" if experiment.recipe.split.repeats > 1 else "fold"


def sentence(text: str) -> str:
    """The text with a capital at its start and a full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
