"""From the results to what the page template shows, section by section; a section without content is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from rankine.evaluation.report import charts, click_tables, figures, tables
from rankine.evaluation.report.comparison import Comparison, read_comparison
from rankine.evaluation.report.examples import SOURCES, examples
from rankine.evaluation.report.facts import facts
from rankine.evaluation.report.headline import headline, plain_words
from rankine.evaluation.report.ranking import ranking
from rankine.evaluation.report.results import Model
from rankine.evaluation.report.values import number, rows, table, whole
from rankine.evaluation.report.words import (
    NBSP,
    decimal,
    duration,
    integer,
    joined,
    moment,
    places,
    sentence,
    share,
)

PROPER = {
    "python": "Python",
    "torch": "PyTorch",
    "rankine": "Rankine",
    "numpy": "NumPy",
    "numba": "Numba",
    "polars": "Polars",
}
UNITS = {"session": "sessions", "user": "users", "rating": "ratings", "row": "rows"}


def page(results: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the template needs. Raises DataError for a part of the results of the wrong kind."""
    comparison = read_comparison(results)
    run, data, protocol = table(results, "run"), table(results, "data"), table(results, "protocol")
    listed = [str(name) for name in protocol.get("metrics") or []]
    first = headline(comparison)
    name = str(run.get("name") or data.get("name") or "")
    content: dict[str, Any] = {
        "title": f"Report {name}".strip(),
        "eyebrow": ", ".join(part for part in (f"Run {name}" if name else "", moment(run.get("created"))) if part),
        "claim": unbroken(first.claim, comparison),
        "amount": unbroken(first.amount, comparison),
        "lede": plain_words(comparison, results),
        "data": {
            "text": data.get("description"),
            "facts": facts(results),
            "split": table(results, "split").get("sentence"),
        },
        "table": _comparison(comparison, protocol, listed, results),
        "learning": figures.learnt(comparison),
        "popularity": figures.popularity(comparison),
        "temperature": figures.by_temperature(comparison),
        "probabilities": figures.probabilities(comparison),
        "importance": figures.importance(comparison),
        "size": figures.size(comparison),
        "stages": click_tables.stages(comparison),
        "examples": examples(results),
        "published": _published(results, comparison),
        "checks": [{"ok": bool(c.get("ok")), "text": str(c.get("text") or "")} for c in rows(results, "checks")],
        "again": _again(run, table(results, "split"), comparison),
        "sources": SOURCES,
    }
    return content | {"sections": _sections(content)}


def unbroken(text: str, comparison: Comparison) -> Markup:
    """The text with short model names kept on one line (they would break at a hyphen)."""
    out = escape(text)
    for label in sorted(
        {m.label for m in comparison.models if "-" in m.label and len(m.label) < 24}, key=len, reverse=True
    ):
        out = Markup(out.replace(escape(label), Markup('<span class="nowrap">{}</span>').format(label)))
    return out


def _sections(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    data = content["data"]
    found = [
        ("result", "Result", True),
        ("data", "Data", bool(data["facts"] or data["text"])),
        ("table", "Comparison", True),
        ("learn", "Learning", bool(content["learning"])),
        ("pop", "Popularity", content["popularity"] is not None),
        ("cold", "Cold start", content["temperature"] is not None),
        ("prob", "Probabilities", bool(content["probabilities"])),
        ("fields", "Fields", content["importance"] is not None),
        ("size", "Size", content["size"] is not None),
        ("ex", "Examples", content["examples"] is not None),
        ("published", "Published figures", content["published"] is not None),
        ("checks", "Checks and limits", True),
        ("again", "Run it again", content["again"] is not None),
    ]
    return [(anchor, title) for anchor, title, there in found if there]


def _comparison(
    comparison: Comparison, protocol: Mapping[str, Any], listed: list[str], results: Mapping[str, Any]
) -> dict[str, Any] | None:
    if not comparison.models:
        return None
    return {
        "text": protocol.get("sentence"),
        "ranking": ranking(comparison, listed),
        "note": _table_note(comparison, protocol, results),
        "bars": figures.of_primary(comparison),
        "metrics": tables.every_metric(comparison, listed),
        "pairs": tables.tested_pairs(comparison),
    }


def _table_note(comparison: Comparison, protocol: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    test = table(table(results, "split"), "test")
    unit = UNITS.get(str(protocol.get("unit") or test.get("unit") or ""), "cases")
    units, unknown, cases = (
        whole(test.get("n_units")),
        whole(protocol.get("n_unknown_targets")),
        whole(test.get("n_cases")),
    )
    digits = places(comparison.value(m) for m in comparison.scored)
    over = f"over {integer(units)} {unit}" if units is not None else f"over {unit}"
    said = []
    if comparison.tested and any(m.letter for m in comparison.models):
        said.append(
            "Models that share a letter are not distinguishable from each other "
            f"(paired bootstrap {over}, Holm-corrected, 5{NBSP}%)."
        )
    elif len(comparison.models) > 1 and not comparison.tested:
        said.append("No two models were tested against each other.")
    if any(comparison.value(m).width for m in comparison.scored):
        said.append(f"Dot: mean. Bar: 95{NBSP}% interval{'' if comparison.tested else f', {over}'}.")
    if (held := comparison.reference) is not None:
        where = "Dashed line: the" if charts.whisker_axis(comparison).holds(held.value) else "Outside of the scale: the"
        said.append(f"{where} {held.meaning}, {decimal(held.value, digits)}.")
    if comparison.primary.lower_is_better:
        said.append(f"{comparison.primary.title} is an error: lower is better.")
    said += _how_fitted(comparison.models)
    if unknown:
        part = f" of {integer(cases)}" if cases and cases >= unknown else ""
        ratio = f" ({share(unknown / cases)})" if part and cases else ""
        said.append(f"{integer(unknown)}{part} targets{ratio} were never seen in training.")
    return said


def _how_fitted(models: Sequence[Model]) -> list[str]:
    """From how many seeds the figures come, and in which precision models were trained."""
    seeds = {m.seeds.n for m in models if m.seeds}
    said = (
        [f"Each figure is the mean of {min(seeds)} fits from different seeds; sd: their standard deviation."]
        if seeds
        else []
    )
    by_precision: dict[str, list[str]] = {}
    for model in models:
        if model.precision:
            by_precision.setdefault(model.precision, []).append(model.label)
    if len(by_precision) == 1:
        return [*said, f"Trained in {next(iter(by_precision))}."]
    trained = ((joined(names), "was" if len(names) == 1 else "were", how) for how, names in by_precision.items())
    return said + [f"{names} {verb} trained in {how}." for names, verb, how in trained]


def _published(results: Mapping[str, Any], comparison: Comparison) -> dict[str, Any] | None:
    figures = tables.published(results, comparison)
    if figures is None:
        return None
    right = sum(bool(row.get("ok")) for row in rows(results, "expect"))
    n = len(figures.lines)
    verb = "is" if right == 1 else "are"
    within = "all are" if right == n > 1 else "it is" if right == n else f"{right} of {n} {verb}"
    text = f"What this run got beside what was published: {within} within the stated tolerance."
    return {"text": text, "table": figures}


def _again(run: Mapping[str, Any], split: Mapping[str, Any], comparison: Comparison) -> dict[str, Any] | None:
    if not run:
        return None
    versions = ", ".join(
        f"{PROPER.get(name, name)} {version}" for name, version in table(run, "versions").items() if version
    )
    cores, seed, seconds = whole(run.get("cores")), run.get("seed"), number(run.get("seconds"))
    on = f"on {cores} CPU {'core' if cores == 1 else 'cores'}" if cores else ""
    said = [" ".join(part for part in (versions, on) if part), f"seed {seed}" if seed is not None else ""]
    said += [f"{duration(seconds)} in all" if seconds is not None else ""]
    unit = UNITS.get(str(table(split, "test").get("unit") or ""), "cases")
    limits = f" The intervals say how far other {unit} could move them; they say nothing about another seed."
    widths = any(comparison.value(m).width for m in comparison.scored)
    return {
        "text": "Same data, seed and versions, same numbers." + (limits if widths else ""),
        "command": run.get("command"),
        "environment": sentence(", ".join(part for part in said if part)),
    }
