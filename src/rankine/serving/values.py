"""Forms: what a value in a request may look like, how it is read, and how that is said to people and to OpenAPI."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rankine.data.schema import Kind
from rankine.errors import RequestError
from rankine.features.columns import text_of
from rankine.pipeline import MAX_K

MAX_ID = 512  # characters of an id or a category
MAX_TEXT = 10_000  # characters
MAX_PARTS = 10_000  # numbers of a vector, categories of a list
LAST_TIME = 4_102_444_800.0  # 2100-01-01
FIRST_MILLISECONDS = 1e11  # as seconds this is the year 5138, as milliseconds 1973
SHOWN = 80  # characters of a bad value that are repeated in a message


class RefusedError(RequestError):
    """A request that is answered with this HTTP status and the message."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Form:
    """expected: what a value must be, in words; read: the value as we keep it, ValueError if it is not of this form."""

    expected: str
    read: Callable[[Any], Any]
    schema: dict[str, Any]

    def of(self, name: str, value: Any) -> Any:
        """The value of the parameter `name`. Raises RefusedError."""
        try:
            return self.read(value)
        except ValueError:
            raise RefusedError(f"`{name}` must be {self.expected}; got {shown(value)!r}") from None


def shown(value: Any) -> Any:
    """The value for a message: short scalars as they are, anything else as shortened text."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _need(holds: bool) -> None:
    if not holds:
        raise ValueError


def _id(value: Any) -> str:
    _need(isinstance(value, (str, int)) and not isinstance(value, bool))
    text = str(value)
    _need(0 < len(text) <= MAX_ID)
    return text


def _ids(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [part for part in value.split(",") if part]
    _need(isinstance(value, list))
    return [_id(part) for part in value]


def _count(value: Any) -> int:
    _need(isinstance(value, (int, str)) and not isinstance(value, bool))
    number = int(value)
    _need(1 <= number <= MAX_K)
    return number


def _flag(value: Any) -> bool:
    _need(value in (True, False, "true", "false") and isinstance(value, (bool, str)))
    return value in (True, "true")


def _time(value: Any) -> float:
    _need(isinstance(value, (int, float, str)) and not isinstance(value, bool))
    try:
        seconds = float(value)
        seconds /= 1000 if seconds >= FIRST_MILLISECONDS else 1
    except ValueError:
        moment = datetime.fromisoformat(value)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    _need(0 <= seconds <= LAST_TIME)
    return seconds


def _number(value: Any) -> float:
    _need(isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value))
    return float(value)


def _category(value: Any) -> str:
    _need(isinstance(value, (str, int, float)))
    text = text_of(value)
    _need(text is not None and len(text) <= MAX_ID)
    return str(text)


def _text(value: Any) -> str:
    _need(isinstance(value, str) and len(value) <= MAX_TEXT)
    return str(value)


def _list(read: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def parts(value: Any) -> list[Any]:
        _need(isinstance(value, list) and len(value) <= MAX_PARTS)
        return [read(part) for part in value]

    return parts


def _geo(value: Any) -> list[float]:
    parts = [float(part) for part in value.split(",")] if isinstance(value, str) else value
    _need(isinstance(parts, list) and len(parts) == 2)
    latitude, longitude = (_number(part) for part in parts)
    _need(abs(latitude) <= 90 and abs(longitude) <= 180)
    return [latitude, longitude]


_STRING = {"type": "string"}
ID = Form(f"an id: text of 1 to {MAX_ID} characters, or a whole number", _id, {"type": ["string", "integer"]})
IDS = Form(
    "item ids: a list, or text with commas between them",
    _ids,
    {"type": ["array", "string"], "items": {"type": ["string", "integer"]}},
)
COUNT = Form(f"a whole number from 1 to {MAX_K}", _count, {"type": "integer", "minimum": 1, "maximum": MAX_K})
FLAG = Form("`true` or `false`", _flag, {"type": "boolean"})
TIME = Form(
    "a time between 1970 and 2100: Unix seconds, Unix milliseconds, or ISO 8601 (UTC where it names no zone)",
    _time,
    {"type": ["number", "string"]},
)
CATEGORY = Form(
    f"a category: text of at most {MAX_ID} characters, a number, or true or false",
    _category,
    {"type": ["string", "number", "boolean"]},
)
CONTEXT_VALUE = Form(
    f"a category (text of at most {MAX_ID} characters, true or false), a number, or a list of at most {MAX_PARTS} categories",
    lambda value: _list(_category)(value) if isinstance(value, list) else _category(value),
    {"type": ["string", "number", "boolean", "array"], "items": {"type": ["string", "number", "boolean"]}},
)

FORMS: dict[Kind, Form] = {
    Kind.ID: ID,
    Kind.CATEGORY: CATEGORY,
    Kind.CATEGORIES: Form(
        f"a list of at most {MAX_PARTS} categories", _list(_category), {"type": "array", "items": _STRING}
    ),
    Kind.NUMBER: Form("a finite number", _number, {"type": "number"}),
    Kind.TEXT: Form(f"text of at most {MAX_TEXT} characters", _text, _STRING),
    Kind.TIME: TIME,
    Kind.GEO: Form(
        'latitude and longitude in degrees: "37.784,-122.401" or a list of two',
        _geo,
        {"type": ["array", "string"], "items": {"type": "number"}},
    ),
    Kind.VECTOR: Form(
        f"a list of at most {MAX_PARTS} numbers", _list(_number), {"type": "array", "items": {"type": "number"}}
    ),
}
