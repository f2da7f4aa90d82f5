"""Numbers, dates and names as the report writes them: units with a space, equal decimals, intervals as `a to b`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from statistics import median
from typing import Any

from rankine.evaluation.report.values import Estimate, number

DASH = "\u2013"
MINUS = "\u2212"
NBSP = "\u00a0"  # keeps a unit on the line of its number
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
LONG_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
COUNTS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
DAY_S = 86_400


def integer(value: Any) -> str:
    """4,148,906; a dash for what is no number."""
    found = number(value)
    return DASH if found is None else f"{round(found):,}"


def decimal(value: float | None, places: int) -> str:
    """0.312; a dash for `None`; nothing is no minus nothing."""
    return DASH if value is None else f"{value:z.{places}f}".replace("-", MINUS)


def signed(value: float | None, places: int) -> str:
    """+0.024."""
    return DASH if value is None else f"{value:+.{places}f}".replace("-", MINUS)


def places(values: Iterable[Estimate]) -> int:
    """Decimals that show these estimates and their intervals: three, more for small ones, fewer for large ones."""
    found = list(values)
    largest = max((abs(v.mean) for v in found), default=1.0)
    if largest >= 10:
        return 1 if largest >= 100 else 2
    widths = [v.width for v in found if v.width > 0]
    fine = min(median(widths) / 4, largest / 20) if widths else largest / 100
    return next((d for d in (3, 4, 5) if 10.0**-d <= fine), 3 if fine == 0 else 5)


def difference_places(values: Iterable[float | None], at_least: int) -> int:
    """Decimals that leave none of these differences at zero, if up to six can do it."""
    sizes = [abs(v) for v in values if v]
    smallest = min(sizes, default=1.0)
    return next((d for d in range(at_least, 6) if smallest >= 0.5 * 10.0**-d), 6)


def span(low: float, high: float, places: int) -> str:
    """0.305 to 0.319; the number once if both ends round to it."""
    first, last = decimal(low, places), decimal(high, places)
    return first if first == last else f"{first} to {last}"


def interval(value: Estimate | None, places: int) -> str:
    """0.305 to 0.319; empty where no interval is known."""
    return span(*value.span, places) if value is not None and value.low is not None and value.high is not None else ""


def percent(value: float | None, places: int = 0) -> str:
    """61 %, in the decimals of its column; `<1 %` rather than nothing."""
    if value is None:
        return DASH
    least = 10.0**-places
    return f"<{least:g}{NBSP}%" if 0 < value * 100 < least / 2 else f"{value * 100:.{places}f}{NBSP}%"


def rate(value: float | None) -> str:
    """A probability in percent with two digits that count: 0.031 %, 4.2 %, 61 %, 98.4 %, 99.97 %; <0.001 % rather than nothing."""
    if value is None:
        return DASH
    small = min(value, 1 - value) * 100
    if 0 < small < 0.001:
        return f"{'<0.001' if value < 0.5 else '>99.999'}{NBSP}%"
    digits = 0 if small >= 10 or small <= 0 else 1 - math.floor(math.log10(small))
    return f"{value * 100:.{digits}f}{NBSP}%"


def points(value: float | None) -> str:
    """A difference of two percentages with two digits that count: 0.031, 1.2, 12."""
    if value is None:
        return DASH
    size = abs(value) * 100
    digits = 0 if size >= 10 or size == 0 else min(6, 1 - math.floor(math.log10(size)))
    return f"{value * 100:.{digits}f}".replace("-", MINUS)


def share(value: float | None) -> str:
    """61 %; one decimal below 10 %; `1 in 2,737` below a tenth of a percent."""
    if value is None:
        return DASH
    if 0 < value < 0.001:
        return f"1{NBSP}in{NBSP}{round(1 / value):,}"
    return f"{value * 100:.{1 if 0 < value < 0.0995 else 0}f}{NBSP}%"


def milliseconds(value: float | None) -> str:
    """3.8 ms; microseconds below a tenth of one."""
    if value is None or value >= 1000:
        return duration(None if value is None else value / 1000)
    return f"{value * 1000:.1f}{NBSP}\u00b5s" if 0 < value < 0.1 else f"{value:.1f}{NBSP}ms"


def duration(seconds: float | None) -> str:
    """1.2 s, 48 s, 19 min, 3.2 h."""
    if seconds is None:
        return DASH
    if seconds < 120:
        return f"{seconds:.{1 if seconds < 9.95 else 0}f}{NBSP}s"
    return f"{seconds / 60:.0f}{NBSP}min" if seconds < 7200 else f"{seconds / 3600:.1f}{NBSP}h"


def probability(value: float | None) -> str:
    """0.012, or `below 0.001`."""
    return DASH if value is None else "below 0.001" if value < 0.001 else f"{value:.3f}"


def counted(value: Any, word: str) -> str:
    """16,842 sessions; 1 session."""
    return f"{integer(value)}{NBSP}{word if value == 1 else word + 's'}"


def count_word(n: int) -> str:
    """Small counts as words."""
    return COUNTS[n] if n < len(COUNTS) else str(n)


def joined(names: Sequence[str], most: int = 4) -> str:
    """`A`, `A and B`, `A, B and C`; beyond `most` names the rest is counted."""
    shown = list(names) if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""


def sentence(text: str) -> str:
    """The text with its first letter large."""
    return text[:1].upper() + text[1:]


def moment(value: Any) -> str:
    """23 November 2026, 09:31 UTC, from an ISO 8601 string; what cannot be read stays as it is."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return str(value or "")
    if found.tzinfo is None:
        return f"{found.day} {LONG_MONTHS[found.month - 1]} {found.year}, {found:%H:%M}"
    found = found.astimezone(UTC)
    return f"{found.day} {LONG_MONTHS[found.month - 1]} {found.year}, {found:%H:%M} UTC"


def day(timestamp: float) -> date | None:
    """The UTC day of a time in unix seconds, or `None` outside of the calendar."""
    try:
        return datetime.fromtimestamp(timestamp, UTC).date()
    except (OverflowError, OSError, ValueError):
        return None


def short_day(value: date, year: bool = False) -> str:
    """18 Nov, 18 Nov 2026."""
    return f"{value.day}{NBSP}{MONTHS[value.month - 1]}{f'{NBSP}{value.year}' if year else ''}"


def days_between(first: float, last: float) -> str:
    """86 days (both ends counted), or hours and minutes where it is less than two days."""
    length = last - first
    start, end = day(first), day(last)
    if start is not None and end is not None and (length >= 1.5 * DAY_S or start != end):
        return counted((end - start).days + 1, "day")
    return f"{length / 3600:.1f}{NBSP}hours" if length >= 7200 else f"{length / 60:.0f}{NBSP}minutes"


def dates(first: float, last: float) -> str:
    """25 Aug to 22 Nov 2026, `21 and 22 Nov 2026`, or the one day."""
    start, end = day(first), day(last)
    if start is None or end is None:
        return ""
    if start == end:
        return short_day(end, year=True)
    same_month = (start.year, start.month) == (end.year, end.month)
    left = str(start.day) if same_month else short_day(start, year=start.year != end.year)
    return f"{left} {'and' if (end - start).days == 1 else 'to'} {short_day(end, year=True)}"
