"""The data card: how much there was, of when, and how it was cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankine.evaluation.report.values import number, table, whole
from rankine.evaluation.report.words import NBSP, counted, dates, days_between, integer, share


@dataclass(frozen=True)
class Fact:
    """One tile: a term, its number, and a line that says more."""

    term: str
    value: str
    note: str = ""


def facts(results: Mapping[str, Any]) -> list[Fact]:
    """The tiles of the data card; what is not known is left out."""
    data, split = table(results, "data"), table(results, "split")
    found = [_events(data), _users(data), _items(data), _sessions(data)]
    found += [
        _part("Train", table(split, "train")),
        _part("Validate", table(split, "valid")),
        _test(split),
        _rejected(data),
    ]
    return [fact for fact in found if fact is not None]


def _events(data: Mapping[str, Any]) -> Fact | None:
    n = whole(data.get("n_events"))
    return None if n is None else Fact("Events", integer(n), _dates(data))


def _users(data: Mapping[str, Any]) -> Fact | None:
    n, anonymous = whole(data.get("n_users")), number(data.get("anonymous_share"))
    what = "sessions" if whole(data.get("n_sessions")) is not None else "events"
    return (
        None if n is None else Fact("Users", integer(n), f"{share(anonymous)} of {what} anonymous" if anonymous else "")
    )


def _items(data: Mapping[str, Any]) -> Fact | None:
    n = whole(data.get("n_items"))
    return None if n is None else Fact("Items", integer(n), _events_each(data, n))


def _sessions(data: Mapping[str, Any]) -> Fact | None:
    n = whole(data.get("n_sessions"))
    return None if n is None else Fact("Sessions", integer(n), _events_each(data, n))


def _events_each(data: Mapping[str, Any], n: int) -> str:
    n_events = whole(data.get("n_events"))
    return f"{n_events / n:,.1f} events each" if n > 1 and n_events else ""


def _part(term: str, part: Mapping[str, Any], said: Sequence[str] = ()) -> Fact | None:
    """A part of the split: how long and when, or how many where there are no times."""
    first, last = number(part.get("first")), number(part.get("last"))
    amounts = [*said] or _events_of(part)
    if first is not None and last is not None:
        return Fact(term, days_between(first, last), _listed([dates(first, last), *amounts]))
    if not amounts:
        return None
    count, _, word = amounts[0].partition(NBSP)
    return Fact(term, count, _listed([word, *amounts[1:]]))


def _test(split: Mapping[str, Any]) -> Fact | None:
    test, folds = table(split, "test"), whole(split.get("n_folds"))
    units, cases = whole(test.get("n_units")), whole(test.get("n_cases"))
    said = [counted(units, str(test.get("unit") or "unit"))] if units is not None else []
    what = "row" if number(test.get("taken")) is not None else "ranking"
    said += [counted(cases, what)] if cases is not None and cases != units else []
    taken = number(test.get("taken"))
    said += [f"{share(taken)} taken"] if taken is not None else []
    if folds is not None and folds > 1:
        return Fact("Test", counted(folds, str(split.get("fold") or "fold")), _listed(said or _events_of(test)))
    return _part("Test", test, said)


def _events_of(part: Mapping[str, Any]) -> list[str]:
    n = whole(part.get("n_events"))
    return [] if n is None else [counted(n, "event")]


def _rejected(data: Mapping[str, Any]) -> Fact | None:
    n, read = whole(data.get("rejected")), whole(data.get("read"))
    if n is None:
        return None
    note = "" if read is None else f"all {integer(read)} read" if n == 0 else f"of {integer(read)} read"
    return Fact("Rejected rows", integer(n), note)


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(part for part in parts if part)


def _dates(data: Mapping[str, Any]) -> str:
    first, last = number(data.get("first")), number(data.get("last"))
    return "" if first is None or last is None else dates(first, last)
