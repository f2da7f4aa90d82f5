"""Settings of the service in one table: name, default, unit, bounds and help. A flag goes before RANKINE_<NAME>."""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rankine.config import from_dict
from rankine.errors import ConfigError
from rankine.features.queries import MAX_HISTORY

PREFIX = "RANKINE_"


def _setting(default: Any, unit: str, about: str, low: float | None = None, high: float | None = None) -> Any:
    return dataclasses.field(default=default, metadata={"unit": unit, "help": about, "low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the service listens, what it remembers and what it refuses. Raises ConfigError for a value out of bounds."""

    host: str = _setting("127.0.0.1", "address", "where to listen; 0.0.0.0 is every interface of this machine")
    port: int = _setting(8000, "port", "where to listen; 0 takes a free one", 0, 65_535)
    log_path: str = _setting(
        "events.sqlite", "file", "the log of accepted events; made if missing, read at every start"
    )
    max_body_bytes: int = _setting(1_048_576, "bytes", "largest request body", 1_024, 1 << 30)
    max_events_per_request: int = _setting(1_000, "events", "most events in one request", 1, 100_000)
    max_history: int = _setting(
        MAX_HISTORY,
        "items",
        "longest `history` and `exclude` of a request, and what is remembered of a visitor",
        1,
        100_000,
    )
    max_visitors: int = _setting(
        100_000, "visitors", "visitors kept in memory; others are read from the log again", 1, 1 << 30
    )
    session_gap_minutes: float = _setting(
        30.0, "minutes", "idle time after which a visitor's next event starts a new session", 0.01, 525_600
    )
    scoring_threads: int = _setting(2, "threads", "requests ranked at the same time", 1, 256)

    def __post_init__(self) -> None:
        for name, low, high in ((f.name, f.metadata["low"], f.metadata["high"]) for f in dataclasses.fields(self)):
            value = getattr(self, name)
            if low is not None and not low <= value <= high:
                raise ConfigError(f"`{name}` must be between {low:,} and {high:,}; got {value!r}")

    @classmethod
    def read(cls, flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings: flags (None is not given) before the environment (by default this process's) before defaults.

        Raises ConfigError for an unknown flag, and for a value of the wrong type or out of bounds.
        """
        environment = os.environ if environment is None else environment
        hints = typing.get_type_hints(cls)
        found = {
            name: _convert(environment[PREFIX + name.upper()], hint, PREFIX + name.upper())
            for name, hint in hints.items()
            if environment.get(PREFIX + name.upper())
        }
        given = {name: value for name, value in (flags or {}).items() if value is not None}
        return from_dict(cls, {**found, **given}, "the service")


@dataclass(frozen=True)
class Row:
    """One line of the table of settings, for the command line and the docs."""

    name: str
    flag: str
    variable: str
    default: Any
    unit: str
    help: str


def table() -> list[Row]:
    """Every setting in order."""
    return [
        Row(
            f.name,
            "--" + f.name.replace("_", "-"),
            PREFIX + f.name.upper(),
            f.default,
            f.metadata["unit"],
            f.metadata["help"],
        )
        for f in dataclasses.fields(Settings)
    ]


def _convert(text: str, hint: type, variable: str) -> Any:
    try:
        return hint(text)
    except ValueError:
        words = "a whole number" if hint is int else "a number"
        raise ConfigError(f"`{variable}` must be {words}; got {text!r}") from None
