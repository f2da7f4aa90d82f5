"""A shop of twelve items in two families, four models fitted on it, and a client that speaks to the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from fastapi import FastAPI

from rankine.data.dataset import Dataset
from rankine.pipeline import Pipeline
from rankine.random import stream
from rankine.recommender import fit
from rankine.serving import Settings, create_app

TEA = [f"tea-{n}" for n in range(6)]
LAMPS = [f"lamp-{n}" for n in range(6)]
START = 1_700_000_000.0


def tiny_shop() -> Dataset:
    """40 users with two visits each; even users look at teas on a phone, odd ones at lamps on a laptop."""
    draw = stream(7, "tiny shop")
    rows = []
    for visit in range(80):
        user, family, device = visit % 40, *((TEA, "phone") if visit % 2 == 0 else (LAMPS, "laptop"))
        # The first of a family is the most popular.
        seen = draw.choice(family, size=4, replace=False, p=np.array([10, 5, 4, 3, 2, 1]) / 25)
        rows += [{"user_id": f"u{user}", "item_id": str(item), "event_type": "view", "device": device,
                  "session_id": f"s{visit}", "timestamp": START + visit * 7200 + step * 60}
                 for step, item in enumerate(seen)]  # fmt: skip
    rows.append({**rows[0], "user_id": "u0", "item_id": "lamp-5", "event_type": "block"})
    items = pl.DataFrame({"item_id": TEA + LAMPS, "title": [name.title() for name in TEA + LAMPS],
                          "category": ["tea"] * 6 + ["lamps"] * 6})  # fmt: skip
    return Dataset.from_frames(pl.DataFrame(rows), items=items)


def tiny_pipeline(shop: Dataset) -> Pipeline:
    """Session, history, context: one model of each temperature."""
    recommenders = [
        fit("vsknn", shop),
        fit("als", shop, {"embedding_dim": 4, "epochs": 3}),
        fit("popularity", shop, {"context": ["device"]}),
    ]
    counts = shop.events.group_by("item_id").len("n_events")
    return Pipeline(recommenders, shop.items.join(counts, on="item_id", how="left").fill_null(0))


def tiny_visitors(shop: Dataset) -> pl.DataFrame:
    """The histories of the shop's users as a run stores them."""
    views = shop.events.filter(pl.col("event_type") == "view").group_by("user_id", maintain_order=True)
    rows = views.agg(
        pl.col("item_id").alias("items"),
        pl.col("timestamp").is_not_null().cast(pl.Float32).alias("weights"),
        pl.col("timestamp").last().alias("last_time"),
    )
    hidden = pl.Series("hidden", [["lamp-5"] if user == "u0" else [] for user in rows["user_id"]], pl.List(pl.String))
    return rows.with_columns(hidden)


class Client:
    """Sends requests to an application, each to its end, in one loop."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner) -> None:
        self.app = app
        self._runner = runner
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._http.request(method, path, **more))

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.request("GET", path, params=params)

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.request("POST", path, json=body)

    def events(self, *events: dict[str, Any]) -> httpx.Response:
        return self.post("/v1/events", list(events))

    def recommend(self, **asked: Any) -> dict[str, Any]:
        """The ranking asked for in a JSON object."""
        response = self.post("/v1/recommend", asked)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def raw(self, path: str, headers: list[tuple[bytes, bytes]], receive: Callable[[], Any]) -> list[dict[str, Any]]:
        """What is sent back to a POST whose body comes from `receive`."""
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers, "scheme": "http",
            "server": ("service", 80), "client": ("test", 1), "root_path": "", "http_version": "1.1",
        }  # fmt: skip
        self._runner.run(self.app(scope, receive, send))
        return sent

    def close(self) -> None:
        self._runner.run(self._http.aclose())


def names(answer: dict[str, Any]) -> list[str]:
    """The item ids of an answer in order."""
    return [place["item_id"] for place in answer["items"]]


@pytest.fixture(scope="session")
def shop() -> Dataset:
    return tiny_shop()


@pytest.fixture(scope="session")
def pipeline(shop: Dataset) -> Pipeline:
    return tiny_pipeline(shop)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def serve(runner: asyncio.Runner, tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Starts a service of a pipeline over a dataset, on the log of this test; a second call is a restart."""
    clients: list[Client] = []

    def started(pipeline: Pipeline, dataset: Dataset, visitors: pl.DataFrame, name: str, **settings: Any) -> Client:
        for client in clients:
            client.app.state.service.close()
        chosen = Settings(**{"log_path": str(tmp_path / "events.sqlite"), **settings})
        clients.append(Client(create_app(pipeline, dataset.schema, visitors, chosen, name), runner))
        return clients[-1]

    yield started
    for client in clients:
        client.app.state.service.close()
        client.close()


@pytest.fixture
def start(shop: Dataset, pipeline: Pipeline, serve: Callable[..., Client]) -> Callable[..., Client]:
    """Starts a service of the shop with these settings; a second call is a restart."""
    return lambda **settings: serve(pipeline, shop, tiny_visitors(shop), "tiny", **settings)


@pytest.fixture
def client(start: Callable[..., Client]) -> Client:
    return start()
