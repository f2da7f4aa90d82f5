"""From the results to what the page template shows, section by section; a section without content is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from rankine.evaluation.report import charts, curves, findings, scatter, tables
from rankine.evaluation.report.comparison import Comparison, read_comparison
from rankine.evaluation.report.examples import SOURCES, examples
from rankine.evaluation.report.facts import facts
from rankine.evaluation.report.headline import headline, plain_words
from rankine.evaluation.report.ranking import ranking
from rankine.evaluation.report.results import Metric, Model, number, rows, table, whole
from rankine.evaluation.report.svg import Plot
from rankine.evaluation.report.tables import Table
from rankine.evaluation.report.words import (
    NBSP,
    decimal,
    duration,
    integer,
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
UNITS = {"session": "sessions", "user": "users", "rating": "ratings"}


@dataclass(frozen=True)
class Figure:
    """A chart: what was found, what is drawn, the drawing, and the numbers behind it."""

    finding: str
    caption: str
    plot: Plot
    numbers: Table | None = None


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
        "learning": _learning(comparison),
        "popularity": _popularity(comparison),
        "temperature": _temperature(comparison),
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
    scored, caption = comparison.scored, f"{comparison.primary.title}, bars from zero"
    caption += f", whiskers: 95{NBSP}% intervals." if any(comparison.value(m).width for m in scored) else "."
    drawn = scored and any(abs(end) > 0 for m in scored for end in comparison.value(m).span)
    return {
        "text": protocol.get("sentence"),
        "ranking": ranking(comparison, listed),
        "note": _table_note(comparison, protocol, results),
        "bars": Figure(findings.bars(comparison), caption, charts.bars(comparison)) if drawn else None,
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
    if comparison.oracle is not None:
        axis = charts.whisker_axis(comparison)
        where = "Dashed line: the" if axis.holds(comparison.oracle) else "Outside of the scale: the"
        said.append(f"{where} best any model can reach on this data, {decimal(comparison.oracle, digits)}.")
    if comparison.primary.lower_is_better:
        said.append(f"{comparison.primary.title} is an error: lower is better.")
    if unknown:
        part = f" of {integer(cases)}" if cases and cases >= unknown else ""
        ratio = f" ({share(unknown / cases)})" if part and cases else ""
        said.append(f"{integer(unknown)}{part} targets{ratio} were never seen in training.")
    return said


def _learning(comparison: Comparison) -> list[Figure]:
    """One chart for each metric that curves were kept for."""
    by_metric: dict[Metric, list[Model]] = {}
    for model in comparison.models:
        if model.curve is not None:
            by_metric.setdefault(model.curve.metric, []).append(model)
    found = []
    for metric, models in by_metric.items():
        values = [v for m in models if m.curve for v in m.curve.values]
        digits = 3 if max(map(abs, values)) >= 0.1 else 4
        caption = f"{metric.title} on the validation part, by epoch. The mark is the epoch that was kept."
        found.append(
            Figure(
                findings.learning(models),
                caption,
                curves.learning(models, metric, digits),
                tables.epochs(models, digits),
            )
        )
    return found


def _popularity(comparison: Comparison) -> dict[str, Any] | None:
    models = [m for m in comparison.scored if m.popularity is not None]
    if not models:
        return None
    good = "Low" if comparison.primary.lower_is_better else "High"
    caption = f"{comparison.primary.title} with interval, against the mean popularity of what is shown."
    figure = Figure(
        findings.popularity(comparison, models),
        caption,
        scatter.accuracy_popularity(comparison, models),
        tables.popularity(comparison, models),
    )
    return {"text": f"{good} and left is good: accurate without showing everybody the same items.", "figure": figure}


def _temperature(comparison: Comparison) -> Figure | None:
    every = [m for m in comparison.models if any(b.estimate for b in m.buckets)]
    shown = curves.shown_by_temperature(comparison)
    if not shown:
        return None
    caption = f"{comparison.primary.title} with 95{NBSP}% intervals, from cold to warm."
    if len(shown) < len(every):
        caption += f" Drawn for {len(shown)} of {len(every)} models; the numbers hold all."
    return Figure(
        findings.temperature(comparison, shown),
        caption,
        curves.temperature(shown, comparison.primary),
        tables.temperature(every),
    )


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
