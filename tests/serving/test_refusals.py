from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankine.serving.requests import RECOMMEND

if TYPE_CHECKING:
    from conftest import Client
    from rankine.pipeline import Request

FEW = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def refused(client: Client, method: str, path: str, status: int, **more: Any) -> str:
    """The message of a refusal, which is one line and speaks of no code."""
    response = client.request(method, path, **more)
    assert response.status_code == status, response.text
    message: str = response.json()["error"]
    assert "\n" not in message
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("k=0", "`k` must be a whole number from 1 to 1000; got '0'"),
        ("k=ten", "`k` must be a whole number from 1 to 1000; got 'ten'"),
        ("kk=5", "unknown query parameter `kk`; did you mean `k`?"),
        ("context.devise=phone", "unknown query parameter `context.devise`; did you mean `context.device`?"),
        ("k=1&k=2", "`k` was given twice: give it once"),
        ("exclude_seen=yes", "`exclude_seen` must be `true` or `false`; got 'yes'"),
        ("user_id=", "`user_id` must be an id: text of 1 to 512 characters, or a whole number; got ''"),
        ("user_id=a&visitor_id=b", "`visitor_id` is another name for `user_id`: give one, or the same in both"),
        ("at=noon", "`at` must be a time between 1970 and 2100"),
    ],
)
def test_a_bad_query_is_refused_with_what_was_expected(client: Client, query: str, message: str) -> None:
    assert refused(client, "GET", f"/v1/recommend?{query}", 400).startswith(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "expected a JSON body; got '{': "),
        ("", "expected a JSON body; got an empty one"),
        ("[]", "the body must be a JSON object with some of `user_id`"),
        ('{"usr_id": 1}', "unknown field `usr_id`; did you mean `user_id`?"),
        ('{"k": 1.5}', "`k` must be a whole number from 1 to 1000; got 1.5"),
        ('{"context": [1]}', "`context` must be an object of column and value; got '[1]'"),
        ('{"context": {"devise": 1}}', "unknown context column `devise`; did you mean `device`?"),
        ('{"context": {"device": [1]}}', "`context.device` must be a category"),
        ('{"history": 5}', "`history` must be item ids: a list, or text with commas between them; got 5"),
        ("[" * 100_000, "expected a JSON body; got"),
        (b"\xff\xfe{}", "expected a JSON body; got"),
        ('{"user_id": "\\ud800"}', "expected a JSON body; got"),
    ],
)
def test_a_bad_body_is_refused_with_what_was_expected(client: Client, body: str | bytes, message: str) -> None:
    found = refused(client, "POST", "/v1/recommend", 400, content=body)
    assert found.startswith(message)
    assert len(found) < 300


def test_a_post_with_parameters_in_its_address_is_refused(client: Client) -> None:
    assert "got `k` in the address" in refused(client, "POST", "/v1/recommend?k=5", 400, json={})
    assert "got `k` in the address" in refused(client, "POST", "/v1/events?k=5", 400, json={})


def test_a_history_longer_than_the_limit_is_refused(start: Any) -> None:
    client = start(max_history=3)
    message = refused(client, "GET", "/v1/recommend?history=a,b,c,d", 400)
    assert message == "`history` must have at most 3 items; got 4: send the most recent ones"


def test_a_body_above_the_limit_is_refused_whether_announced_or_not(start: Any) -> None:
    client, body = start(max_body_bytes=1024), json.dumps({"user_id": "x" * 2000}).encode()

    async def parts() -> Any:
        yield body[:600]
        yield body[600:]

    for content in (body, parts()):
        for path in ("/v1/events", "/v1/recommend"):
            message = refused(client, "POST", path, 413, content=content if content is body else parts())
            assert message.startswith("expected a body of at most 1024 bytes")


def test_a_body_announced_as_too_large_is_not_even_read(client: Client) -> None:
    async def receive() -> None:
        pytest.fail("the body was read")

    sent = client.raw("/v1/events", [(b"content-length", b"99999999")], receive)
    assert sent[0]["status"] == 413


def test_a_client_that_leaves_in_the_middle_is_counted_and_is_no_fault(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert client.raw("/v1/events", [], receive) == []
    assert 'rankine_requests_total{route="/v1/events",status="499"} 1.0' in client.get("/metrics").text
    assert not caplog.records


def test_too_many_events_are_refused(start: Any) -> None:
    message = refused(start(max_events_per_request=2), "POST", "/v1/events", 413, json=[{}] * 3)
    assert message == "expected at most 2 events in one request; got 3: send several requests"


def test_a_request_of_bad_events_only_is_refused_and_each_is_named(client: Client) -> None:
    response = client.events({"user_id": "u"}, {"item_id": "a"})
    assert response.status_code == 400
    body = response.json()
    assert body["error"].startswith("no event could be accepted; the first one: `view` needs `item_id`")
    assert (body["accepted"], [r["index"] for r in body["rejected"]]) == (0, [0, 1])
    assert client.get("/healthz").json()["events_accepted"] == 0


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v1/events", 405, "`/v1/events` answers POST; got GET"),
        ("DELETE", "/healthz", 405, "`/healthz` answers GET, HEAD; got DELETE"),
        ("GET", "/v1/recomend", 404, "no route `/v1/recomend`; there is /v1/recommend"),
        ("GET", "/", 404, "no route `/`; there is /v1/events, /v1/recommend"),
        ("GET", "/v1/items/tea-1/similar?n=5", 400, "unknown query parameter `n`; valid: `k`"),
        ("GET", "/v1/items/tea-1/similar?k=1001", 400, "`k` must be a whole number from 1 to 1000"),
        ("GET", "/v1/items/" + "x" * 5000 + "/similar", 404, "unknown item 'xxx"),
    ],
)
def test_a_request_to_no_route_says_which_there_are(
    client: Client, method: str, path: str, status: int, message: str
) -> None:
    assert refused(client, method, path, status).startswith(message)


def test_a_405_names_the_methods_in_its_header_too(client: Client) -> None:
    assert client.get("/v1/events").headers["allow"] == "POST"


def test_a_fault_of_ours_is_a_plain_500_without_details(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(request: Request) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(client.app.state.service.pipeline, "answer", broken)
    assert (
        refused(client, "POST", "/v1/recommend", 500, json={}) == "the service failed on this request; its log says why"
    )


_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8),
    st.sampled_from(["tea-1", "u1", "view", "block", "search", "phone", "2024-05-01", "1,2", "true", 5, 1e12]),
)  # fmt: skip
_FIELDS = [*RECOMMEND, "context", "events", "item_id", "event_type", "timestamp", "value", "event_id", "device"]
_NAMES = st.text(max_size=5) | st.sampled_from(_FIELDS)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=6))
_OBJECTS = st.dictionaries(_NAMES, _JSON, max_size=8)


@FEW
@given(body=_OBJECTS | _JSON)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/recommend"])
def test_no_json_body_makes_the_service_fail(client: Client, path: str, body: Any) -> None:
    response = client.request("POST", path, content=json.dumps(body).encode())
    assert response.status_code < 500, response.text
    assert isinstance(response.json(), dict)


_WHO = st.fixed_dictionaries(
    {}, optional={"user_id": st.sampled_from(["u1", "u2", 3]), "session_id": st.text(min_size=1)}
)
_EVENT = st.fixed_dictionaries(
    {"item_id": st.text(min_size=1) | st.sampled_from(["tea-1", "lamp-2"])},
    optional={
        "timestamp": st.integers(0, 4_102_444_800),
        "event_type": st.sampled_from(["view", "block", "purchase", "return"]),
    },
)


@FEW
@given(who=_WHO, events=st.lists(_EVENT, max_size=4))
def test_any_readable_events_are_counted_and_a_ranking_follows(client: Client, who: Any, events: Any) -> None:
    sent = [{**who, **event} for event in events] or [{}]
    answer = client.events(*sent)
    assert answer.status_code in (202, 400)
    body = answer.json()
    assert body["accepted"] + body["duplicates"] + len(body["rejected"]) == len(sent)
    assert len(client.recommend(**who)["items"]) <= 10


@FEW
@given(body=st.binary(max_size=60))
def test_no_bytes_make_the_service_fail(client: Client, body: bytes) -> None:
    assert client.request("POST", "/v1/events", content=body).status_code == 400


@FEW
@given(pairs=st.lists(st.tuples(_NAMES, st.text(max_size=6)), max_size=5))
def test_no_query_makes_the_service_fail(client: Client, pairs: list[tuple[str, str]]) -> None:
    assert client.request("GET", "/v1/recommend", params=pairs).status_code in (200, 400)
