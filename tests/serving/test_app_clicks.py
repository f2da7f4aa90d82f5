"""A click model behind the service: known, unknown and unnamed visitors, and a context of numbers and tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.features.config import FeaturesConfig
from rankine.pipeline import Pipeline
from rankine.recommender import Stages, fit
from rankine.retrieval.stages import TwoStageConfig
from rankine.runs.catalogue import catalogue, visitors

if TYPE_CHECKING:
    from conftest import Client

START = 1_700_000_000.0


def log() -> Dataset:
    """Impressions of 8 items: users like those of their parity, and cheap requests take item 0."""
    rng = np.random.default_rng(5)
    n = 1500
    user, item, budget = rng.integers(0, 20, n), rng.integers(0, 8, n), rng.uniform(0, 10, n)
    takes = rng.random(n) < np.where(user % 2 == item % 2, 0.8, 0.1) * np.where((item == 0) & (budget > 5), 0.2, 1)
    events = pl.DataFrame(
        {
            "user_id": [f"u{u}" for u in user],
            "item_id": [f"i{i}" for i in item],
            "event_type": ["impression"] * n,
            "value": takes.astype(float),
            "budget": budget,
            "wishes": [["warm", "new"] if warm else ["cold"] for warm in rng.random(n) < 0.5],
            "timestamp": START + 60.0 * np.arange(n),
        }
    )
    return Dataset.from_frames(events, name="clicks")


@pytest.fixture(scope="module")
def served() -> tuple[Dataset, Pipeline]:
    dataset = log()
    settings = {"epochs": 6, "embedding_dim": 4, "batch_size": 64, "learning_rate": 0.05}
    ranker = fit("fm", dataset, settings, features=FeaturesConfig(drop=("hour", "weekday")))
    finder = fit("popularity", dataset)
    pair = Stages("popular then ranked", finder, ranker, TwoStageConfig(candidates=4))
    return dataset, Pipeline([ranker, pair, finder], catalogue(dataset))


@pytest.fixture
def ask(served: tuple[Dataset, Pipeline], serve: Callable[..., Client]) -> Callable[..., Any]:
    """Posts to /v1/recommend."""
    dataset, pipeline = served
    client = serve(pipeline, dataset, visitors(dataset, pipeline.recommenders[0].encoder), "clicks")
    return lambda **body: client.post("/v1/recommend", {"k": 4, **body})


def top(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [item["item_id"] for item in response.json()["items"]]


def test_known_users_get_what_they_take(ask: Callable[..., Any]) -> None:
    for user, parity in (("u2", 0), ("u3", 1)):
        response = ask(user_id=user, context={"budget": 1.5})
        assert {int(item[1:]) % 2 for item in top(response)} == {parity}
        assert response.json()["items"][0]["model"] == "fm"


def test_unknown_and_unnamed_visitors_are_answered_from_the_context(ask: Callable[..., Any]) -> None:
    for who in ({"user_id": "never seen"}, {}):
        cheap = ask(**who, context={"budget": 1.0, "wishes": ["cold"]}, k=8)
        dear = ask(**who, context={"budget": 9.0, "wishes": ["cold"]}, k=8)
        place = [top(response).index("i0") for response in (cheap, dear)]
        assert place[0] < place[1]
        assert len(top(ask(**who, context={"wishes": "warm,new"}))) == 4
        assert len(top(ask(**who))) == 4


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"bugdet": 3}, "unknown context column `bugdet`; did you mean `budget`"),
        ({"budget": "dear"}, "`context.budget` must be a finite number; got 'dear'"),
        ({"budget": [3]}, "`context.budget` must be a finite number"),
        ({"budget": True}, "`context.budget` must be a finite number"),
        ({"budget": "1e400"}, "`context.budget` must be a finite number"),
        ({"wishes": {"a": 1}}, "`context.wishes` must be a category"),
        ({"wishes": [["warm"]]}, "`context.wishes` must be a category"),
        ({"hour": [7]}, "`context.hour` must be a category: text, a number, true or false"),
    ],
)
def test_a_context_that_cannot_be_read_is_refused(
    context: dict[str, Any], message: str, ask: Callable[..., Any]
) -> None:
    response = ask(user_id="u2", context=context)
    assert response.status_code == 400
    assert message in response.text


def test_two_stages_answer_with_the_scores_of_the_second(served: tuple[Dataset, Pipeline]) -> None:
    _, pipeline = served
    ranker, pair, finder = pipeline.recommenders
    query = pair.encoder.query(user="u2", context={"budget": 1.0})
    items, scores = pair.best(query, 8, np.empty(0, np.int32))
    found, _ = finder.best(query, 4, np.empty(0, np.int32))
    assert set(items[:4]) == set(found)
    assert scores[:4].tolist() == pytest.approx(ranker.model.score(query, items[:4])[0].tolist())
    assert sorted(items.tolist()) == list(range(8))
