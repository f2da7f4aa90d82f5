from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from rankine.pipeline import Answer, Request

if TYPE_CHECKING:
    from conftest import Client

TEA = {f"tea-{n}" for n in range(6)}
LAMPS = {f"lamp-{n}" for n in range(6)}
PLACE = {"item_id", "rank", "score", "title", "category", "source", "model", "reason"}
ANSWER = {"items", "source", "model", "steps", "user_known", "unknown_items", "took_ms"}


def names(answer: dict[str, Any]) -> list[str]:
    return [place["item_id"] for place in answer["items"]]


def view(item: str, **more: Any) -> dict[str, Any]:
    return {"item_id": item, **more}


def test_an_answer_has_every_key_and_ranks_from_one(client: Client) -> None:
    answer = client.recommend(history=["tea-0"], k=12)
    assert set(answer) == ANSWER
    assert all(set(place) == PLACE for place in answer["items"])
    assert [place["rank"] for place in answer["items"]] == list(range(1, 13))
    assert set(names(answer)) == TEA | LAMPS
    assert answer["items"][0]["title"] == answer["items"][0]["item_id"].title()
    assert (answer["source"], answer["model"]) == (answer["items"][0]["source"], answer["items"][0]["model"])
    assert answer["took_ms"] > 0


def test_get_and_post_answer_the_same(client: Client) -> None:
    asked = client.get("/v1/recommend", user_id="u1", history="lamp-1,lamp-2", k="3", exclude="lamp-0",
                       exclude_seen="true", at="1700000000", **{"context.device": "phone"}).json()  # fmt: skip
    posted = client.recommend(user_id="u1", history=["lamp-1", "lamp-2"], k=3, exclude=["lamp-0"], exclude_seen=True,
                              at=1_700_000_000_000, context={"device": "phone"})  # fmt: skip
    for answer in (asked, posted):
        del answer["took_ms"]
    assert asked == posted


def test_a_history_may_be_given_in_several_parameters(client: Client) -> None:
    several = client.request("GET", "/v1/recommend", params=[("history", "tea-1"), ("history", "tea-2")]).json()
    assert names(several) == names(client.recommend(history=["tea-1", "tea-2"]))


def test_a_session_answers_from_the_session(client: Client) -> None:
    answer = client.recommend(history=["lamp-3"], k=3)
    assert answer["source"] == "session"
    assert answer["model"] == "vsknn"
    assert set(names(answer)) <= LAMPS
    assert answer["items"][0]["reason"] == "often next after Lamp-3"


def test_a_known_user_is_answered_from_their_history(client: Client) -> None:
    tea, lamp = (client.recommend(user_id=user, k=3) for user in ("u2", "u3"))
    assert (tea["source"], tea["model"], tea["user_known"]) == ("history", "als", True)
    assert set(names(tea)) <= TEA
    assert set(names(lamp)) <= LAMPS


def test_an_anonymous_visitor_is_answered_from_the_context(client: Client) -> None:
    phone, laptop = (client.recommend(context={"device": device}, k=4) for device in ("phone", "laptop"))
    assert phone["source"] == laptop["source"] == "context"
    assert set(names(phone)) <= TEA
    assert set(names(laptop)) <= LAMPS
    assert not phone["user_known"]


def test_nobody_in_particular_gets_what_is_popular_and_every_step_says_why(client: Client) -> None:
    answer = client.get("/v1/recommend").json()
    assert (answer["source"], answer["model"]) == ("popular", "most events")
    assert [step["model"] for step in answer["steps"]] == ["vsknn", "als", "popularity", "most events"]
    assert answer["steps"][0] == {
        "model": "vsknn", "source": "session", "placed": 0, "why": "knows nothing about this visitor"}  # fmt: skip


def test_an_unknown_user_is_answered_and_said_to_be_unknown(client: Client) -> None:
    answer = client.recommend(user_id="nobody")
    assert (len(answer["items"]), answer["source"], answer["user_known"]) == (10, "popular", False)


def test_unknown_items_of_a_history_are_listed_and_the_known_ones_used(client: Client) -> None:
    answer = client.recommend(history=["new-1", "tea-1", "new-2", "new-1"])
    assert answer["unknown_items"] == ["new-1", "new-2"]
    assert answer["source"] == "session"
    assert "Tea-1" in answer["items"][0]["reason"]


def test_a_history_of_unknown_items_is_still_answered(client: Client) -> None:
    answer = client.recommend(history=["new-1"])
    assert (answer["source"], answer["unknown_items"], len(answer["items"])) == ("popular", ["new-1"], 10)


def test_unknown_items_of_the_session_do_not_draw_older_events_into_it(client: Client) -> None:
    assert client.recommend(user_id="u3", history=["new-1"])["source"] == "history"


def test_an_empty_history_is_still_answered(client: Client) -> None:
    assert client.recommend(history=[])["source"] == "popular"
    assert client.get("/v1/recommend", history="").json()["source"] == "popular"


def test_excluded_items_do_not_appear(client: Client) -> None:
    assert set(names(client.recommend(exclude=sorted(TEA), k=100))) == LAMPS


def test_what_was_seen_can_be_left_out(client: Client) -> None:
    client.events(view("tea-0", user_id="u3"))
    seen = set(names(client.recommend(user_id="u3", k=100))) - set(
        names(client.recommend(user_id="u3", k=100, exclude_seen=True))
    )
    assert "tea-0" in seen
    assert seen & LAMPS


@pytest.mark.parametrize("who", [{"user_id": "u3"}, {"user_id": "new"}, {"session_id": "visit"}])
def test_a_new_event_changes_the_next_answer(client: Client, who: dict[str, str]) -> None:
    before = client.recommend(**who, k=4)
    assert before["source"] != "session"
    assert client.events(view("tea-4", **who)).status_code == 202
    after = client.recommend(**who, k=4)
    assert after["source"] == "session"
    assert names(after) != names(before)
    assert set(names(after)) <= TEA
    client.events(view("lamp-4", **who))
    assert "Lamp-4" in client.recommend(**who)["items"][0]["reason"]


def test_a_user_becomes_known_by_the_first_event(client: Client) -> None:
    assert not client.recommend(user_id="new")["user_known"]
    client.events(view("tea-4", user_id="new"))
    assert client.recommend(user_id="new")["user_known"]


def test_an_old_event_is_history_but_not_of_this_session(client: Client) -> None:
    client.events(view("tea-4", user_id="new", timestamp="2024-05-01T12:00:00Z"))
    assert client.recommend(user_id="new")["source"] == "history"
    assert client.recommend(user_id="new", at="2024-05-01T12:05:00Z")["source"] == "session"
    assert client.recommend(user_id="new", at="2024-05-01T11:00:00Z")["source"] == "popular"


def test_a_session_id_names_the_session_even_after_a_pause(client: Client) -> None:
    client.events(view("tea-4", user_id="new", session_id="s", timestamp="2024-05-01T12:00:00Z"))
    assert client.recommend(user_id="new", session_id="s")["source"] == "session"


def test_a_blocked_item_is_never_shown_to_that_user_again(client: Client, start: Callable[..., Client]) -> None:
    assert "tea-0" in names(client.recommend(user_id="u3", k=12))
    client.events({"user_id": "u3", "item_id": "tea-0", "event_type": "block"})
    for restarted in (False, True):
        service = start() if restarted else client
        assert "tea-0" not in names(service.recommend(user_id="u3", k=12))
        assert "tea-0" not in names(service.recommend(user_id="u3", history=["tea-1"], k=12))
        assert "tea-0" in names(service.recommend(user_id="u5", k=12))


def test_an_item_blocked_in_the_training_data_is_not_shown(client: Client) -> None:
    assert "lamp-5" not in names(client.recommend(user_id="u0", k=12))


def test_a_ranking_is_made_for_the_moment_asked_about_or_for_now(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = client.app.state.service.pipeline
    answer = pipeline.answer
    asked: list[float] = []

    def watched(request: Request) -> Answer:
        asked.append(request.timestamp or 0.0)
        return cast(Answer, answer(request))

    monkeypatch.setattr(pipeline, "answer", watched)
    before = time.time()
    client.recommend()
    client.recommend(at="2024-05-01T12:00:00Z")
    assert before <= asked[0] <= time.time()
    assert asked[1] == 1_714_564_800


def test_an_event_id_counts_once(client: Client, start: Callable[..., Client]) -> None:
    event = view("tea-1", user_id="u1", event_id="e1")
    assert client.events(event, event).json() == {"accepted": 1, "duplicates": 1, "rejected": []}
    again = start().events(event)
    assert (again.status_code, again.json()) == (202, {"accepted": 0, "duplicates": 1, "rejected": []})


def test_good_events_are_accepted_beside_bad_ones(client: Client) -> None:
    answer = client.events(view("tea-1", user_id="u1"), {"user_id": "u1"}, view("tea-2", user_id="u1", value="x"))
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], [r["index"] for r in body["rejected"]]) == (1, [1, 2])
    assert body["rejected"][1] == {
        "index": 2, "field": "value", "value": "x", "reason": "`value` must be a finite number"}  # fmt: skip


def test_fields_that_no_model_reads_are_named(client: Client) -> None:
    assert client.events(view("tea-1", user_id="u1", devise="phone")).json()["unknown_fields"] == ["devise"]


def test_live_events_survive_a_restart(client: Client, start: Callable[..., Client]) -> None:
    client.events(view("tea-4", user_id="new"), view("tea-2", session_id="s"))
    before = [client.recommend(user_id="new"), client.recommend(session_id="s")]
    service = start()
    after = [service.recommend(user_id="new"), service.recommend(session_id="s")]
    assert [names(a) for a in after] == [names(a) for a in before]
    assert service.get("/healthz").json()["events_accepted"] == 2


def test_a_visitor_that_left_memory_is_not_forgotten(start: Callable[..., Client]) -> None:
    client = start(max_visitors=1)
    client.events(view("tea-4", user_id="new"), {"user_id": "new", "item_id": "tea-0", "event_type": "block"})
    client.recommend(user_id="other")
    answer = client.recommend(user_id="new", k=12)
    assert answer["source"] == "session"
    assert "tea-0" not in names(answer)


def test_similar_items_are_of_the_same_family(client: Client) -> None:
    answer = client.get("/v1/items/lamp-1/similar", k="3").json()
    assert set(answer) == {"item_id", "items", "source", "model", "steps", "took_ms"}
    assert set(names(answer)) <= LAMPS - {"lamp-1"}
    assert answer["items"][0]["reason"] == "close to Lamp-1"


def test_an_unknown_item_has_no_similar_ones_and_the_closest_is_named(client: Client) -> None:
    answer = client.get("/v1/items/lamp_1/similar")
    assert answer.status_code == 404
    assert answer.json() == {"error": "unknown item 'lamp_1'; did you mean `lamp-1`?"}
    assert client.get("/v1/items/a/b%2Fc/similar").json() == {"error": "unknown item 'a/b/c'"}


def test_health_says_what_is_served_and_since_when(client: Client) -> None:
    health = client.get("/healthz")
    assert health.status_code == 200
    body = health.json()
    assert (body["status"], body["run"], body["models"]) == ("ok", "tiny", ["vsknn", "als", "popularity"])
    assert body["since"].startswith(time.strftime("%Y-", time.gmtime()))


def test_a_log_that_cannot_be_written_is_said_and_nothing_is_accepted(client: Client) -> None:
    log = client.app.state.service.log
    log._writer.execute("PRAGMA query_only = ON")
    refused = client.events(view("tea-1", user_id="u1"))
    assert refused.status_code == 503
    assert "nothing was accepted: send it again" in refused.json()["error"]
    assert client.get("/healthz").status_code == 503
    assert client.recommend(user_id="u1")["source"] == "history"
    log._writer.execute("PRAGMA query_only = OFF")
    assert client.events(view("tea-1", user_id="u1")).status_code == 202
    assert client.get("/healthz").status_code == 200


def test_metrics_count_requests_events_and_answers(client: Client) -> None:
    client.events(view("tea-1", user_id="u1", event_id="1"), view("tea-1", user_id="u1", event_id="1"), {})
    client.recommend(user_id="u1")
    client.get("/v1/recommend", nonsense="1")
    client.get("/v1/items/tea-1/similar")
    client.get("/nowhere/at/all")
    text = client.get("/metrics").text
    for line in (
        'rankine_events_total{outcome="accepted"} 1.0',
        'rankine_events_total{outcome="duplicate"} 1.0',
        'rankine_events_total{outcome="rejected"} 1.0',
        'rankine_answers_total{source="session"} 1.0',
        'rankine_requests_total{route="/v1/events",status="202"} 1.0',
        'rankine_requests_total{route="/v1/recommend",status="400"} 1.0',
        'rankine_requests_total{route="/v1/items/{item_id}/similar",status="200"} 1.0',
        'rankine_requests_total{route="other",status="404"} 1.0',
        'rankine_request_seconds_count{route="/v1/recommend"} 2.0',
        "rankine_live_visitors 1.0",
    ):
        assert line in text.splitlines(), line
