"""The description of the service for machines, made from the same tables that check requests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rankine import __version__
from rankine.serving.events import EVENT_HELP, EventReader
from rankine.serving.requests import CONTEXT, RECOMMEND, SIMILAR, Parameter
from rankine.serving.settings import Settings
from rankine.serving.values import CONTEXT_VALUE

_TEXT, _NUMBER, _COUNT, _FLAG = ({"type": t} for t in ("string", "number", "integer", "boolean"))
_MAYBE_TEXT = {"type": ["string", "null"]}


def describe(name: str, events: EventReader, columns: Collection[str], settings: Settings) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a service over the run `name` with these context columns."""
    about = f"Ranked recommendations from the run {name}."
    paths = {
        "/v1/events": {"post": _accept_events(settings)},
        "/v1/recommend": {"get": _recommend_by_query(columns), "post": _recommend_by_body(columns)},
        "/v1/items/{item_id}/similar": {"get": _similar()},
        "/healthz": {"get": _operation(
            "Whether the service works, what it serves and since when.",
            {200: ("It works", "Health"), 503: ("It does not", "Health")})},
        "/metrics": {"get": _plain("Counters in the text format of Prometheus.", "text/plain", _TEXT)},
        "/openapi.json": {"get": _plain("This description.", "application/json", {"type": "object"})},
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": "Rankine", "version": __version__, "description": about},
        "paths": paths,
        "components": {"schemas": {"Event": _event(events), **_ANSWERS}},
    }


def _accept_events(settings: Settings) -> dict[str, Any]:
    one = _ref("Event")
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": settings.max_events_per_request}
    return _operation(
        f"Accept events, at most {settings.max_events_per_request} at once. What is acknowledged is on disk.",
        {
            202: ("What was accepted", "EventsAnswer"),
            400: ("No event could be accepted", "Error"),
            413: (f"Too many events, or a body above {settings.max_body_bytes} bytes", "Error"),
            503: ("The log cannot be written; nothing was accepted", "Error"),
        },
        requestBody=_json({"anyOf": [one, many, _object({"events": many}, required=["events"], closed=True)]}),
    )


def _event(events: EventReader) -> dict[str, Any]:
    fields = {
        name: {**form.schema, "description": f"{EVENT_HELP.get(name, 'context')}: {form.expected}"}
        for name, form in events.forms.items()
    }
    somebody = [{"required": [name]} for name in ("user_id", "visitor_id", "session_id")]
    other = {"description": "any other field is stored, but no model reads it"}
    return {**_object(fields), "anyOf": somebody, "additionalProperties": other}


def _recommend_by_query(columns: Collection[str]) -> dict[str, Any]:
    context = [
        {"name": CONTEXT + column, "in": "query", "description": f"the {column} of the request", "schema": _TEXT}
        for column in columns
    ]
    return _operation(
        "Rank items for a user, a history, a session, or nobody in particular.",
        {200: ("The ranking", "Ranking"), 400: ("Not understood", "Error")},
        parameters=[*_query(RECOMMEND), *context],
    )


def _recommend_by_body(columns: Collection[str]) -> dict[str, Any]:
    asked = {name: {**p.form.schema, "description": _words(p)} for name, p in RECOMMEND.items()}
    asked["context"] = _object(dict.fromkeys(columns, CONTEXT_VALUE.schema), closed=True)
    return _operation(
        "The same, asked in a JSON object.",
        {200: ("The ranking", "Ranking"), 400: ("Not understood", "Error"), 413: ("Too large a body", "Error")},
        requestBody=_json(_object(asked, closed=True)),
    )


def _similar() -> dict[str, Any]:
    path = {"name": "item_id", "in": "path", "required": True, "schema": _TEXT}
    return _operation(
        "Items close to one.",
        {
            200: ("The items", "Similar"),
            400: ("Not understood", "Error"),
            404: ("No such item; the message names the closest", "Error"),
        },
        parameters=[path, *_query(SIMILAR)],
    )


def _operation(summary: str, answers: Mapping[int, tuple[str, str]], **more: Any) -> dict[str, Any]:
    """An operation; answers: description and schema name of the JSON body by status."""
    responses = {
        str(status): {"description": text, "content": {"application/json": {"schema": _ref(name)}}}
        for status, (text, name) in answers.items()
    }
    return {"summary": summary, **more, "responses": responses}


def _plain(summary: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": {"200": {"description": summary, "content": {media_type: {"schema": schema}}}},
    }


def _object(properties: Mapping[str, Any], required: list[str] | None = None, closed: bool = False) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    if required:
        schema["required"] = required
    if closed:
        schema["additionalProperties"] = False
    return schema


def _whole(properties: Mapping[str, Any]) -> dict[str, Any]:
    return _object(properties, required=list(properties))


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _words(parameter: Parameter) -> str:
    return f"{parameter.help}: {parameter.form.expected}"


def _query(parameters: Mapping[str, Parameter]) -> list[dict[str, Any]]:
    rows = []
    for name, p in parameters.items():
        schema = p.form.schema if p.default in (None, ()) else {**p.form.schema, "default": p.default}
        rows.append({"name": name, "in": "query", "description": _words(p), "schema": schema, "explode": False})
    return rows


_PLACE = _whole(
    {
        "item_id": _TEXT,
        "rank": _COUNT,
        "score": _NUMBER,
        "title": _MAYBE_TEXT,
        "category": _MAYBE_TEXT,
        "source": _TEXT,
        "model": _TEXT,
        "reason": _TEXT,
    }
)
_STEP = _whole({"model": _TEXT, "source": _TEXT, "placed": _COUNT, "why": _TEXT})
_SOURCE = {"type": "string", "enum": ["session", "history", "together", "context", "popular"]}
_RANKING = {"items": _list(_PLACE), "source": _SOURCE, "model": _MAYBE_TEXT, "steps": _list(_STEP)}
_REJECTED = _whole({"index": _COUNT, "field": _MAYBE_TEXT, "value": {}, "reason": _TEXT})
_EVENTS = {"accepted": _COUNT, "duplicates": _COUNT, "rejected": _list(_REJECTED)}
_ANSWERS: dict[str, Any] = {
    "Ranking": _whole({**_RANKING, "user_known": _FLAG, "unknown_items": _list(_TEXT), "took_ms": _NUMBER}),
    "Similar": _whole({"item_id": _TEXT, **_RANKING, "took_ms": _NUMBER}),
    "EventsAnswer": _object({**_EVENTS, "unknown_fields": _list(_TEXT)}, required=list(_EVENTS)),
    "Error": _object({"error": _TEXT, **_EVENTS, "unknown_fields": _list(_TEXT)}, required=["error"]),
    "Health": _whole(
        {"status": _TEXT, "run": _TEXT, "models": _list(_TEXT), "since": _TEXT, "events_accepted": _COUNT}
    ),
}
