"""The service without HTTP: takes events in, answers requests for rankings, says how it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from rankine.data.schema import Schema
from rankine.pipeline import Answer, Pipeline, Request
from rankine.serving.events import EventReader
from rankine.serving.history import Histories, StoredVisitors
from rankine.serving.live import LiveState
from rankine.serving.metrics import Metrics
from rankine.serving.requests import Ask
from rankine.serving.settings import Settings
from rankine.serving.store import EventLog
from rankine.serving.values import RefusedError

T = TypeVar("T")


class Service:
    """One run being served. The log's thread writes events, a small pool makes rankings: the loop never waits."""

    def __init__(
        self, pipeline: Pipeline, schema: Schema, visitors: pl.DataFrame, settings: Settings, name: str
    ) -> None:
        self.pipeline, self.settings, self.name = pipeline, settings, name
        self.since = time.time()
        self.reader = EventReader(schema, settings.max_events_per_request)
        self.live = LiveState(
            lambda visitor, limit: self.log.replay(visitor, limit), settings.max_visitors, settings.max_history
        )
        self.log = EventLog(Path(settings.log_path), listener=self.live.add)
        self.metrics = Metrics(lambda: len(self.live))
        self._histories = Histories(
            StoredVisitors(visitors), self.live, settings.session_gap_minutes * 60, settings.max_history
        )
        self._pool = ThreadPoolExecutor(settings.scoring_threads, thread_name_prefix="ranking")

    async def record(self, body: Any) -> dict[str, Any]:
        """Take the events of a body in; returns when they are on disk. Raises RefusedError where that cannot be."""
        batch = self.reader.read(body, time.time())
        stored, duplicates = 0, 0
        if batch.events:
            try:
                receipt = await asyncio.wrap_future(self.log.append(batch.events))
            except Exception:
                raise RefusedError(
                    f"the event log cannot be written ({self.log.failure}); nothing was accepted: send it again", 503
                ) from None
            stored, duplicates = len(receipt.stored), receipt.duplicates
        self.metrics.events(stored, len(batch.rejected), duplicates)
        answer: dict[str, Any] = {"accepted": stored, "duplicates": duplicates, "rejected": batch.rejected}
        if batch.unknown_fields:
            answer["unknown_fields"] = sorted(batch.unknown_fields)
        return answer

    async def recommend(self, ask: Ask) -> dict[str, Any]:
        """A ranking, what it rests on and how it came about."""
        answer = await self._in_pool(lambda: self._recommend(ask))
        self.metrics.answer(answer["source"])
        return answer

    async def similar(self, item_id: str, k: int) -> dict[str, Any]:
        """Items close to one. Raises RefusedError with status 404 for an item that is not in the catalogue."""
        if item_id not in self.pipeline:
            near = await self._in_pool(lambda: self.pipeline.closest_item(item_id))
            raise RefusedError(f"unknown item {item_id[:80]!r}" + (f"; did you mean `{near}`?" if near else ""), 404)
        return _ranking(await self._in_pool(lambda: self.pipeline.similar(item_id, k))) | {"item_id": item_id}

    def health(self) -> dict[str, Any]:
        """Whether the service works, what it serves and since when."""
        return {
            "status": "ok" if self.log.failure is None else f"the event log cannot be written: {self.log.failure}",
            "run": self.name,
            "models": [recommender.title for recommender in self.pipeline.recommenders],
            "since": datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds"),
            "events_accepted": self.log.count,
        }

    def close(self) -> None:
        """Finish what was begun, then close the log."""
        self._pool.shutdown()
        self.log.close()

    def _recommend(self, ask: Ask) -> dict[str, Any]:
        now = time.time() if ask.at is None else ask.at
        past = self._histories.of(ask.user_id, ask.session_id, ask.history, now, until=ask.at)
        answer = self.pipeline.answer(
            Request(
                user=ask.user_id,
                history=past.items,
                weights=past.weights,
                session_len=past.session_len,
                context=ask.context,
                timestamp=now,
                k=ask.k,
                exclude=[*ask.exclude, *past.hidden],
                exclude_history=ask.exclude_seen,
            )
        )
        return _ranking(answer) | {"user_known": past.user_known, "unknown_items": list(answer.unknown_items)}

    async def _in_pool(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _ranking(answer: Answer) -> dict[str, Any]:
    items = [
        {
            "item_id": p.item_id,
            "rank": rank,
            "score": p.score,
            "title": p.title,
            "category": p.category,
            "source": p.source,
            "model": p.model,
            "reason": p.reason,
        }
        for rank, p in enumerate(answer.places, start=1)
    ]
    return {"items": items, "source": answer.source, "model": answer.model, "steps": answer.steps}
