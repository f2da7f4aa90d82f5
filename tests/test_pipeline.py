from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.errors import RequestError
from rankine.kernels.topk import PackedItems, Products
from rankine.pipeline import MAX_K, Answer, Pipeline, Request
from rankine.recommender import Recommender, best, fit

START = 1_760_000_000.0


def shop() -> Dataset:
    """a leads to b and c to d; most like a, b and e, one c and d, on a phone; z is in the catalogue only."""
    visits = {
        ("u", "s1"): "abe",
        ("v", "s2"): "abe",
        ("w", "s3"): "cd",
        ("w", "s5"): "cd",
        ("x", "s6"): "ab",
        ("y", "s7"): "af",
    }
    rows = [(user, session, item) for (user, session), items in visits.items() for item in items]
    frame = pl.DataFrame(rows, schema=["user_id", "session_id", "item_id"], orient="row").with_columns(
        timestamp=START + pl.int_range(pl.len()) * 60.0,
        device=pl.when(pl.col("item_id").is_in(["c", "d"])).then(pl.lit("phone")).otherwise(pl.lit("laptop")),
    )
    return Dataset.from_frames(frame, items=pl.DataFrame({"item_id": [*"abcdefz"]}))


def catalogue() -> pl.DataFrame:
    counts = shop().events["item_id"].value_counts(name="n_events")
    facts = pl.DataFrame({"item_id": [*"abcdefz"], "title": ["Anvil", "Bell", None, "Drum", "Eel", "Fan", "Zip"]})
    return facts.join(counts, on="item_id", how="left").with_columns(
        pl.col("n_events").fill_null(0), category=pl.lit("things")
    )


def fitted(name: str, **settings: Any) -> Recommender:
    return fit(name, shop(), settings)


@pytest.fixture(scope="module")
def chain() -> Pipeline:
    together = fitted("item_to_item", min_support=1)
    return Pipeline(
        [fitted("sequential_rules"), together, fitted("popularity", context=["device"], smoothing=1.0)], catalogue()
    )


def placed(answer: Answer) -> list[tuple[str, str, str]]:
    return [(p.item_id, p.source, p.model) for p in answer.places]


def test_the_first_model_that_knows_something_answers_and_the_next_fill_the_rest(chain: Pipeline) -> None:
    answer = chain.answer(Request(history=["c", "a"], k=5, context={"device": "phone"}))
    assert placed(answer) == [
        ("b", "session", "sequential_rules"),
        ("e", "session", "sequential_rules"),
        ("f", "session", "sequential_rules"),  # as often as e, but less popular
        ("d", "together", "item_to_item"),
        ("c", "context", "popularity"),
    ]
    assert answer.source == "session"
    assert answer.model == "sequential_rules"
    assert [(s.model, s.source, s.placed, s.why) for s in answer.steps] == [
        ("sequential_rules", "session", 3, "answered"),
        ("item_to_item", "together", 1, "answered"),
        ("popularity", "context", 1, "answered"),
    ]
    scores = [p.score for p in answer.places]
    assert scores[0] > scores[1] > scores[2]


def test_a_model_without_evidence_is_asked_but_does_not_answer(chain: Pipeline) -> None:
    answer = chain.answer(Request(context={"device": "phone"}, k=2))
    assert placed(answer) == [("c", "context", "popularity"), ("d", "context", "popularity")]
    assert [(s.placed, s.why) for s in answer.steps] == [
        (0, "knows nothing about this visitor"),
        (0, "knows nothing about this visitor"),
        (2, "answered"),
    ]


@pytest.mark.parametrize(
    "request_", [{}, {"user": "stranger"}, {"history": ["nope"]}, {"context": {"device": "watch"}}], ids=str
)
def test_when_nobody_knows_anything_the_items_with_most_events_are_shown(
    chain: Pipeline, request_: dict[str, Any]
) -> None:
    answer = chain.answer(Request(**request_, k=7))
    assert [p.item_id for p in answer.places] == ["a", "b", "c", "d", "e", "f", "z"]
    assert {(p.source, p.model, p.reason) for p in answer.places} == {
        ("popular", "most events", "popular with everybody")
    }
    assert answer.steps[-1].why == "the last resort"
    assert answer.source == "popular"


def test_the_last_resort_fills_what_is_left(chain: Pipeline) -> None:
    answer = chain.answer(Request(history=["a"], k=7))
    assert [p.item_id for p in answer.places] == ["b", "e", "f", "a", "c", "d", "z"]
    assert [p.source for p in answer.places] == ["session"] * 3 + ["popular"] * 4
    assert sum(s.placed for s in answer.steps) == 7


def test_no_item_is_shown_twice_and_none_that_is_excluded(chain: Pipeline) -> None:
    answer = chain.answer(Request(history=["c", "a"], exclude=["f", "nope"], exclude_history=True, k=20))
    shown = [p.item_id for p in answer.places]
    assert sorted(shown) == ["b", "d", "e", "z"]
    nothing = chain.answer(Request(exclude=[*"abcdefz"], k=3))
    assert (nothing.places, nothing.source, nothing.model) == ((), "popular", None)


def test_a_model_that_has_only_what_is_hidden_says_so(chain: Pipeline) -> None:
    answer = chain.answer(Request(history=["c"], exclude=["d"], k=1))
    assert answer.steps[0].why == "has nothing new to show"


def test_places_carry_titles_and_a_reason_in_words(chain: Pipeline) -> None:
    answer = chain.answer(Request(history=["c", "a"], context={"device": "phone"}, k=5))
    assert [p.title for p in answer.places] == ["Bell", "Eel", "Fan", "Drum", None]
    assert {p.category for p in answer.places} == {"things"}
    assert [p.reason for p in answer.places] == [
        *["often next after Anvil"] * 3,
        "often together with Anvil",
        "popular with device phone",
    ]
    assert chain.title("c") == "c"
    assert chain.title("nope") == "nope"


def test_only_the_session_speaks_to_a_session_model(chain: Pipeline) -> None:
    answer = chain.answer(Request(history=["a", "c"], session_len=0, k=1))
    assert answer.source == "together"


def test_weights_reach_the_model() -> None:
    pipeline = Pipeline([fitted("als", embedding_dim=2, epochs=5, weights="events")], catalogue())
    light, heavy = (pipeline.answer(Request(history=["a", "c"], weights=[1.0, w], k=7)) for w in (0.01, 50.0))
    rank = {
        name: [p.item_id for p in answer.places].index("d") for name, answer in (("light", light), ("heavy", heavy))
    }
    assert rank["heavy"] < rank["light"]
    with pytest.raises(RequestError, match="`weights` must have one value per item"):
        pipeline.answer(Request(history=["a"], weights=[]))


def test_a_request_that_cannot_be_answered_says_why(chain: Pipeline) -> None:
    for k in (0, MAX_K + 1):
        with pytest.raises(RequestError, match=f"`k` must be between 1 and {MAX_K}; got {k}"):
            chain.answer(Request(k=k))
        with pytest.raises(RequestError, match="`k` must be between"):
            chain.similar("a", k)
    with pytest.raises(RequestError, match="unknown context column `devise`; did you mean `device`"):
        chain.answer(Request(context={"devise": "phone"}))
    with pytest.raises(RequestError, match="a pipeline needs at least one recommender"):
        Pipeline([], catalogue())
    assert chain.context == ["device", "hour", "weekday"]


def test_similar_items_come_from_the_first_model_that_knows_any(chain: Pipeline) -> None:
    answer = chain.similar("a", k=3)
    assert [p.item_id for p in answer.places] == ["b", "e", "f"]
    assert {(p.source, p.model, p.reason) for p in answer.places} == {
        ("together", "sequential_rules", "close to Anvil")
    }
    assert placed(chain.similar("b", k=2))[0] == ("e", "together", "sequential_rules")
    assert placed(chain.similar("e", k=2)) == [("b", "together", "item_to_item"), ("a", "together", "item_to_item")]


def test_an_item_without_neighbours_is_answered_like_a_stranger_without_itself(chain: Pipeline) -> None:
    answer = chain.similar("z", k=10)
    assert [p.item_id for p in answer.places] == ["a", "b", "c", "d", "e", "f"]
    assert answer.source == "popular"


def test_an_unknown_item_names_the_closest() -> None:
    items = pl.DataFrame({"item_id": [f"i-{n:05d}" for n in range(3000)], "n_events": np.arange(3000)})
    pipeline = Pipeline([fitted("popularity")], items)
    with pytest.raises(RequestError, match="unknown item 'i-0123x'; did you mean `i-01"):
        pipeline.similar("i-0123x")
    with pytest.raises(RequestError, match=r"unknown item 'completely'$"):
        pipeline.similar("completely")
    assert "i-00007" in pipeline
    assert "seven" not in pipeline
    assert pipeline.closest_item("x" * 100_000) is None


def test_an_item_that_is_not_in_the_catalogue_has_no_title_but_is_shown() -> None:
    answer = Pipeline([fitted("popularity")], catalogue().filter(pl.col("item_id") != "a")).answer(Request(k=2))
    assert [(p.item_id, p.title) for p in answer.places] == [("a", None), ("b", "Bell")]


def test_a_pipeline_can_be_warmed_up(chain: Pipeline) -> None:
    chain.warm_up()
    Pipeline([fitted("popularity")], catalogue().clear()).warm_up()


def test_the_best_stand_above_the_lowest_and_ties_in_the_order_of_rows() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        scores = rng.integers(0, 5, 30).astype(np.float32)
        exclude, k = rng.permutation(40)[:6].astype(np.int32), int(rng.integers(1, 40))
        allowed = [i for i in range(30) if scores[i] > scores.min() and i not in exclude]
        expected = sorted(allowed, key=lambda i: (-scores[i], i))[:k]
        for given in (scores[None], Products(scores[None], PackedItems(np.eye(30, dtype=np.float32)))):
            items, found = best(given, exclude, k)
            assert items.tolist() == expected
            assert found.tolist() == scores[expected].tolist()


def test_history_items_outside_the_catalogue_are_left_out_and_named(chain: Pipeline) -> None:
    answer = chain.answer(Request(history=["no such", "a"], weights=[1.0, 1.0], session_len=1, k=2))
    assert answer.unknown_items == ("no such",)
    assert "no such" not in "".join(place.reason for place in answer.places)
