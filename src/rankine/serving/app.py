"""The routes. A request is read, checked against the tables, handed to the service; a refusal is one JSON message."""

from __future__ import annotations

import difflib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import polars as pl
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from rankine import __version__
from rankine.data.schema import Schema
from rankine.errors import RankineError
from rankine.pipeline import Pipeline
from rankine.serving.metrics import CONTENT_TYPE, Metrics
from rankine.serving.openapi import describe
from rankine.serving.requests import SIMILAR, ask_of_body, ask_of_query, parse, read_json, single
from rankine.serving.service import Service
from rankine.serving.settings import Settings
from rankine.serving.values import RefusedError, shown

logger = logging.getLogger(__name__)
_SIMILAR_PATH = "/v1/items/{item_id:path}/similar"
_NOT_READ = 499  # counted where the client left before it had sent its request


def create_app(pipeline: Pipeline, schema: Schema, visitors: pl.DataFrame, settings: Settings, name: str) -> FastAPI:
    """The service over a run: its models, schema, histories and name. The event log is opened at once.

    A server closes it when it stops; else `app.state.service.close()`. Raises ConfigError for a log it cannot use.
    """
    service = Service(pipeline, schema, visitors, settings, name)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pipeline.warm_up()
        yield
        service.close()

    document = describe(name, service.reader, pipeline.context, settings)
    paths = list(document["paths"])
    app = _App(document, lifespan)
    app.state.service = service
    routes = Routes(service)
    app.add_route("/v1/events", routes.events, methods=["POST"])
    app.add_route("/v1/recommend", routes.recommend, methods=["GET", "POST"])
    app.add_route(_SIMILAR_PATH, routes.similar, methods=["GET"])
    app.add_route("/healthz", routes.health, methods=["GET"])
    app.add_route("/metrics", routes.metrics, methods=["GET"])
    app.add_exception_handler(RankineError, _refused)
    app.add_exception_handler(HTTPException, _no_route(paths))
    app.add_middleware(Watch, metrics=service.metrics, paths=paths)
    return app


class _App(FastAPI):
    """An application that describes itself by our document: plain routes are not in the one that FastAPI makes."""

    def __init__(self, document: dict[str, Any], lifespan: Lifespan[FastAPI]) -> None:
        self._document = document
        super().__init__(
            title="Rankine",
            version=__version__,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            lifespan=lifespan,
        )

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return self._document


class Routes:
    """One method per path."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._columns = service.pipeline.context

    async def events(self, request: HttpRequest) -> Response:
        """POST /v1/events"""
        answer = await self._service.record(await read_json(request, self._service.settings.max_body_bytes))
        if answer["accepted"] or answer["duplicates"]:
            return _json(answer, 202)
        first = answer["rejected"][0]
        return _json({"error": f"no event could be accepted; the first one: {first.reason}", **answer}, 400)

    async def recommend(self, request: HttpRequest) -> Response:
        """GET and POST /v1/recommend"""
        start = time.perf_counter()
        limit = self._service.settings.max_history
        if request.method == "POST":
            body = await read_json(request, self._service.settings.max_body_bytes)
            ask = ask_of_body(body, self._columns, limit)
        else:
            ask = ask_of_query(request.query_params.multi_items(), self._columns, limit)
        return _timed(await self._service.recommend(ask), start)

    async def similar(self, request: HttpRequest) -> Response:
        """GET /v1/items/{item_id}/similar"""
        start = time.perf_counter()
        asked = parse(single(request.query_params.multi_items(), SIMILAR), SIMILAR)
        return _timed(await self._service.similar(request.path_params["item_id"], asked["k"]), start)

    async def health(self, request: HttpRequest) -> Response:
        """GET /healthz"""
        health = self._service.health()
        return _json(health, 200 if health["status"] == "ok" else 503)

    async def metrics(self, request: HttpRequest) -> Response:
        """GET /metrics"""
        return Response(self._service.metrics.text(), headers={"content-type": CONTENT_TYPE})


class Watch:
    """Counts and times every request, and answers 500 in JSON should anything be raised that nobody expected."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: list[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            status = _NOT_READ
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            if not status:
                await _json({"error": "the service failed on this request; its log says why"}, 500)(
                    scope, receive, watched
                )
        self._metrics.request(self._route(scope["path"]), status, time.perf_counter() - start)

    def _route(self, path: str) -> str:
        if path.startswith("/v1/items/") and path.endswith("/similar"):
            return "/v1/items/{item_id}/similar"
        return path if path in self._paths else "other"


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _timed(answer: dict[str, Any], start: float) -> Response:
    return _json({**answer, "took_ms": round((time.perf_counter() - start) * 1e3, 3)})


async def _refused(request: HttpRequest, error: Exception) -> Response:
    return _json({"error": str(error)}, error.status if isinstance(error, RefusedError) else 400)


def _no_route(paths: list[str]) -> Callable[[HttpRequest, Exception], Any]:
    async def answer(request: HttpRequest, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path, headers = request.url.path, error.headers or {}
        if error.status_code == 405:
            allowed = ", ".join(sorted(headers.get("Allow", "").split(", ")))
            message = f"`{shown(path)}` answers {allowed}; got {request.method}"
        elif error.status_code == 404:
            near = difflib.get_close_matches(path[:100], paths, n=1) or [", ".join(paths)]
            message = f"no route `{shown(path)}`; there is {near[0]}"
        else:
            message = str(error.detail)
        response = _json({"error": message}, error.status_code)
        response.headers.update(headers)
        return response

    return answer
