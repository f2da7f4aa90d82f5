"""Every error a user can cause.

RankineError
├── ConfigError     a setting, recipe or command line is wrong
├── DataError       a table, a file or a schema is wrong
│   └── SplitError  a split that cannot be made from this data
├── LeakError       the audit found the future in the past
├── ModelError      a model cannot do what was asked of it
├── ScoreError      a score is NaN or infinite
└── RequestError    a request that cannot be answered as it was asked

Messages say what was expected, what arrived and what to do, in one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RankineError(Exception):
    """Base of all errors that a change of input, settings or request can mend."""


class ConfigError(RankineError):
    """A setting, recipe or command line is wrong."""


class DataError(RankineError):
    """A table, a file or a schema is wrong."""


class SplitError(DataError):
    """A split that cannot be made from this data."""


class LeakError(RankineError):
    """The audit found the future in the past, or a target in its own query."""


class ModelError(RankineError):
    """A model cannot do what was asked of it."""


class ScoreError(RankineError):
    """A score is NaN or infinite."""


class RequestError(RankineError):
    """A request that cannot be answered as it was asked."""


MAX_LISTED = 20  # names in a message
MAX_SEARCHED = 10_000  # among more names the search takes longer than the answer is worth


def closest(name: str, valid: Iterable[str]) -> str:
    """`; did you mean `x`?` for the nearest valid name, or the valid names if they are few."""
    names = list(valid)
    if len(names) > MAX_SEARCHED:
        return ""
    names.sort()
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean `{near[0]}`?"
    listed = ", ".join(f"`{n}`" for n in names[:MAX_LISTED])
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return f"; valid: {listed}{more}" if names else ""
