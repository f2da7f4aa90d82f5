"""Requests: the one table of parameters that the routes read, check and describe."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request as HttpRequest

from rankine.errors import closest
from rankine.serving.values import CONTEXT_VALUE, COUNT, FLAG, ID, IDS, TIME, Form, RefusedError, shown

CONTEXT = "context."


@dataclass(frozen=True)
class Parameter:
    """One parameter of a route."""

    form: Form
    help: str
    default: Any = None


RECOMMEND: dict[str, Parameter] = {
    "user_id": Parameter(ID, "who asks; unknown users are answered too"),
    "visitor_id": Parameter(ID, "another name for `user_id`"),
    "session_id": Parameter(
        ID, "the present visit: its events are the session; without it, the user's events since the last idle gap"
    ),
    "history": Parameter(IDS, "items of the present session, oldest first, after whatever is remembered", ()),
    "k": Parameter(COUNT, "how many items", 10),
    "exclude": Parameter(IDS, "items that must not be shown", ()),
    "exclude_seen": Parameter(FLAG, "whether to leave out what the visitor did before", False),
    "at": Parameter(TIME, "the moment of the request; later live events are left out; now if not given"),
}
SIMILAR: dict[str, Parameter] = {"k": RECOMMEND["k"]}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request for a ranking, read and checked; at in Unix seconds, None is now."""

    user_id: str | None
    session_id: str | None
    history: list[str]
    k: int
    exclude: list[str]
    exclude_seen: bool
    at: float | None
    context: dict[str, str | list[str]]


def ask_of_query(pairs: Iterable[tuple[str, str]], columns: Collection[str], max_history: int) -> Ask:
    """A ranking asked for in a query string; context columns come as `context.NAME`. Raises RefusedError."""
    valid = [*RECOMMEND, *(CONTEXT + name for name in columns)]
    values = single(pairs, valid)
    context = {name.removeprefix(CONTEXT): value for name, value in values.items() if name.startswith(CONTEXT)}
    return _ask({name: value for name, value in values.items() if name in RECOMMEND}, context, max_history)


def ask_of_body(body: Any, columns: Collection[str], max_history: int) -> Ask:
    """A ranking asked for in a JSON object; context columns are in its `context`. Raises RefusedError."""
    if not isinstance(body, dict):
        raise RefusedError(
            f"the body must be a JSON object with some of {_listed(RECOMMEND)}, `context`; got {shown(body)!r}"
        )
    for name in body:
        if name not in RECOMMEND and name != "context":
            raise RefusedError(f"unknown field `{shown(name)}`{closest(name, [*RECOMMEND, 'context'])}")
    context = body.get("context") or {}
    if not isinstance(context, dict):
        raise RefusedError(f"`context` must be an object of column and value; got {shown(context)!r}")
    for name in context:
        if name not in columns:
            raise RefusedError(f"unknown context column `{shown(name)}`{closest(name, columns)}")
    return _ask({name: value for name, value in body.items() if name != "context"}, context, max_history)


def single(pairs: Iterable[tuple[str, str]], valid: Collection[str]) -> dict[str, str]:
    """The parameters of a query string, each known and given once, but for lists. Raises RefusedError."""
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in valid:
            raise RefusedError(f"unknown query parameter `{shown(name)}`{closest(name, valid)}")
        if name in values and not (name in RECOMMEND and RECOMMEND[name].form is IDS):
            raise RefusedError(f"`{name}` was given twice: give it once")
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def parse(values: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The value of every parameter, its default where it is not given or null. Raises RefusedError."""
    given = {name: value for name, value in values.items() if value is not None}
    return {
        name: parameter.form.of(name, given[name]) if name in given else parameter.default
        for name, parameter in parameters.items()
    }


async def read_json(request: HttpRequest, max_bytes: int) -> Any:
    """The JSON value in the body. Raises RefusedError: 413 for a body too large, 400 for one that is not JSON."""
    if request.query_params:
        raise RefusedError(
            f"a POST takes its parameters from the body; got `{shown(next(iter(request.query_params)))}` in the address"
        )
    announced = request.headers.get("content-length", "")
    size, parts = int(announced) if announced.isascii() and announced.isdigit() else 0, []
    if size <= max_bytes:
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > max_bytes:
                break
            parts.append(part)
    if size > max_bytes:
        raise RefusedError(f"expected a body of at most {max_bytes} bytes; got {size} or more: send less at once", 413)
    return _json(b"".join(parts))


def _json(body: bytes) -> Any:
    if not body:
        raise RefusedError("expected a JSON body; got an empty one")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        start = shown(body[:200].decode(errors="replace"))
        raise RefusedError(f"expected a JSON body; got {start!r}: {error}") from None


def _ask(values: Mapping[str, Any], context: Mapping[str, Any], max_history: int) -> Ask:
    asked = parse(values, RECOMMEND)
    visitor_id = asked.pop("visitor_id")
    if visitor_id is not None and asked["user_id"] not in (None, visitor_id):
        raise RefusedError("`visitor_id` is another name for `user_id`: give one, or the same in both")
    asked["user_id"] = asked["user_id"] or visitor_id
    for name in ("history", "exclude"):
        asked[name] = list(asked[name])
        if len(asked[name]) > max_history:
            raise RefusedError(
                f"`{name}` must have at most {max_history} items; got {len(asked[name])}: send the most recent ones"
            )
    given = {name: CONTEXT_VALUE.of(CONTEXT + name, value) for name, value in context.items() if value is not None}
    return Ask(context=given, **asked)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
