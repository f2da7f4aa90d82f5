from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from starlette.routing import Route

from rankine.serving.requests import RECOMMEND

if TYPE_CHECKING:
    from conftest import Client


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def fits(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether a JSON value has the type, the keys and the parts that a schema of this document states."""
    if "$ref" in schema:
        return fits(value, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], document)
    kinds: dict[str, tuple[type, ...]] = {
        "object": (dict,),
        "array": (list,),
        "string": (str,),
        "boolean": (bool,),
        "integer": (int,),
        "number": (int, float),
        "null": (type(None),),
    }
    stated = schema.get("type", list(kinds))
    if not any(isinstance(value, kinds[kind]) for kind in ([stated] if isinstance(stated, str) else stated)):
        return False
    if isinstance(value, dict):
        keys = set(value)
        complete = set(schema.get("required", ())) <= keys <= set(schema.get("properties", keys))
        return complete and all(
            fits(value[k], s, document) for k, s in schema.get("properties", {}).items() if k in value
        )
    if isinstance(value, list):
        return all(fits(part, schema["items"], document) for part in value)
    return value in schema.get("enum", [value])


def test_every_route_with_every_method_is_described(client: Client, document: dict[str, Any]) -> None:
    routes = [route for route in client.app.routes if isinstance(route, Route)]
    assert len(routes) == len(client.app.routes)
    served = {(route.path.replace(":path", ""), method.lower()) for route in routes for method in route.methods or ()}
    described = {(path, method) for path, operations in document["paths"].items() for method in operations}
    assert {pair for pair in served if pair[1] != "head"} == described


def test_every_parameter_is_described_and_no_other(document: dict[str, Any]) -> None:
    ways = document["paths"]["/v1/recommend"]
    context = {"device", "hour", "weekday"}
    assert {p["name"] for p in ways["get"]["parameters"]} == set(RECOMMEND) | {f"context.{c}" for c in context}
    body = ways["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert set(body) == {*RECOMMEND, "context"}
    assert set(body["context"]["properties"]) == context
    similar = document["paths"]["/v1/items/{item_id}/similar"]["get"]["parameters"]
    assert [p["name"] for p in similar] == ["item_id", "k"]


def test_every_described_parameter_is_understood(client: Client, document: dict[str, Any]) -> None:
    for parameter in document["paths"]["/v1/recommend"]["get"]["parameters"]:
        answer = client.get(
            "/v1/recommend", **{parameter["name"]: "true" if parameter["name"] == "exclude_seen" else "1"}
        )
        assert answer.status_code == 200, parameter["name"]


def test_an_event_is_described_with_the_columns_of_the_schema(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["Event"]["properties"]
    assert {
        "user_id",
        "visitor_id",
        "session_id",
        "item_id",
        "event_type",
        "timestamp",
        "value",
        "event_id",
        "device",
    } == set(fields)
    assert all(field["description"] for field in fields.values())


@pytest.mark.parametrize(
    ("method", "path", "template", "body"),
    [
        ("GET", "/v1/recommend?history=tea-1", "/v1/recommend", None),
        ("GET", "/v1/recommend?k=2000", "/v1/recommend", None),
        ("POST", "/v1/recommend", "/v1/recommend", {"user_id": "u1"}),
        ("POST", "/v1/events", "/v1/events", {"user_id": "u1", "item_id": "tea-1", "x": 1}),
        ("POST", "/v1/events", "/v1/events", [{"user_id": "u1"}]),
        ("POST", "/v1/events", "/v1/events", [{"user_id": "u1", "item_id": "tea-1"}, 5]),
        ("GET", "/v1/items/tea-1/similar", "/v1/items/{item_id}/similar", None),
        ("GET", "/v1/items/tee-1/similar", "/v1/items/{item_id}/similar", None),
        ("GET", "/healthz", "/healthz", None),
    ],
)
def test_answers_are_as_described(
    client: Client, document: dict[str, Any], method: str, path: str, template: str, body: Any
) -> None:
    answer = client.request(method, path, json=body)
    described = document["paths"][template][method.lower()]["responses"][str(answer.status_code)]
    schema = described["content"]["application/json"]["schema"]
    assert fits(answer.json(), schema, document), (schema, answer.text)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for name in re.findall(r"#/components/schemas/(\w+)", str(document)):
        assert name in document["components"]["schemas"]
