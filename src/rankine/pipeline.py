"""Pipeline: a chain of recommenders, best first. The first that knows something about the visitor answers; the next fill the rest.

Whoever asks gets an answer: when no model has evidence, the items with most events in training are shown.
"""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import polars as pl

from rankine.errors import RequestError, closest
from rankine.models.base import Source
from rankine.recommender import Ranked, Recommender, can_rank_similar

MAX_K = 1000
NEIGHBOURS = 200  # ids on each side, in sorted order, among which the closest to an unknown one is sought
MAX_COMPARED = 128  # characters of an unknown id that are compared


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who asks: a user id, what the visitor did (item ids oldest first, their weights, how many belong to the present session),
    the context of now, and what must not be shown."""

    user: str | None = None
    history: Sequence[str] = ()
    weights: Sequence[float] | None = None
    session_len: int | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    timestamp: float | None = None
    k: int = 10
    exclude: Sequence[str] = ()
    exclude_history: bool = False


@dataclass(frozen=True)
class Place:
    """One place of an answer: the item, its score under the model that put it there, and what that rests on."""

    item_id: str
    score: float
    source: str
    model: str
    reason: str
    title: str | None = None
    category: str | None = None


@dataclass(frozen=True)
class Step:
    """What one recommender of the chain did with a request."""

    model: str
    source: str
    placed: int
    why: str


@dataclass(frozen=True)
class Answer:
    """A ranking, the source of its first place, the steps that led to it, and the items of the history nobody knows."""

    places: tuple[Place, ...]
    source: str
    steps: tuple[Step, ...]
    unknown_items: tuple[str, ...] = ()

    @property
    def model(self) -> str | None:
        """What put the first place there; None for an empty ranking."""
        return self.places[0].model if self.places else None


class Pipeline:
    """Recommenders in the order in which they are asked, and the catalogue for titles and the last resort.

    items: a frame with item_id, n_events and, where known, title and category (String); one row per item.
    """

    def __init__(self, recommenders: Sequence[Recommender], items: pl.DataFrame) -> None:
        if not recommenders:
            raise RequestError("a pipeline needs at least one recommender")
        self.recommenders = list(recommenders)
        popular = items.sort("n_events", "item_id", descending=[True, False])
        self._popular: list[tuple[str, float]] = list(popular.select("item_id", "n_events").iter_rows())
        self._facts = {row["item_id"]: row for row in items.iter_rows(named=True)}
        self._ids = sorted(self._facts)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._facts

    @cached_property
    def context(self) -> list[str]:
        """The context columns that a request may name."""
        return sorted({name for recommender in self.recommenders for name in recommender.encoder.columns})

    def warm_up(self) -> None:
        """Answer once, so that what is compiled or loaded at first use is there before the first visitor."""
        popular = [item_id for item_id, _ in self._popular[:1]]
        self.answer(Request(history=popular, timestamp=0.0))
        for item_id in popular:
            self.similar(item_id)

    def closest_item(self, item_id: str) -> str | None:
        """The id most like an unknown one, among those that sort next to it; None where none is alike."""
        item_id = item_id[:MAX_COMPARED]
        place = bisect.bisect_left(self._ids, item_id)
        near = difflib.get_close_matches(item_id, self._ids[max(0, place - NEIGHBOURS) : place + NEIGHBOURS], n=1)
        return near[0] if near else None

    def answer(self, request: Request) -> Answer:
        """The best `k` items for the request. Raises RequestError for a `k` out of range or an unknown context column."""
        if not 1 <= request.k <= MAX_K:
            raise RequestError(f"`k` must be between 1 and {MAX_K}; got {request.k}")
        for name in request.context:
            if name not in self.context:
                raise RequestError(f"unknown context column `{name}`{closest(name, self.context)}")
        request, unknown = self._without_unknown(request)
        hidden = {*request.exclude, *(request.history if request.exclude_history else ())}
        places: dict[str, Place] = {}
        steps = []
        for recommender in self.recommenders:
            found, why = self._ask(recommender, request, [*hidden, *places])
            source = recommender.model.source.name.lower()
            new = found[: request.k - len(places)]
            reason = self._reason(recommender.model.source, request)
            places |= {r.item_id: self._place(r, source, recommender.title, reason) for r in new}
            steps.append(Step(recommender.title, source, len(new), why))
            if len(places) == request.k:
                break
        if len(places) < request.k:
            rest = (Ranked(i, n) for i, n in self._popular if i not in places and i not in hidden)
            new = [r for r, _ in zip(rest, range(request.k - len(places)), strict=False)]
            reason = self._reason(Source.POPULAR, request)
            places |= {r.item_id: self._place(r, "popular", "most events", reason) for r in new}
            steps.append(Step("most events", "popular", len(new), "the last resort"))
        ranking = tuple(places.values())
        return Answer(ranking, ranking[0].source if ranking else "popular", tuple(steps), unknown)

    def _without_unknown(self, request: Request) -> tuple[Request, tuple[str, ...]]:
        """The request without history items that are not in the catalogue, and those."""
        known = [item in self._facts for item in request.history]
        if all(known):
            return request, ()
        weights = request.weights
        if weights is not None and len(weights) != len(known):
            raise RequestError(f"`weights` must have one value per item of `history`, {len(known)}; got {len(weights)}")
        in_session = 0 if request.session_len is None else len(known) - request.session_len
        unknown = dict.fromkeys(item for item, here in zip(request.history, known, strict=True) if not here)
        kept = replace(
            request,
            history=[item for item, here in zip(request.history, known, strict=True) if here],
            weights=None if weights is None else [w for w, here in zip(weights, known, strict=True) if here],
            session_len=None if request.session_len is None else sum(known[in_session:]),
        )
        return kept, tuple(unknown)

    def similar(self, item_id: str, k: int = 10) -> Answer:
        """Items close to one. Raises RequestError for an item that is not in the catalogue, with the closest id."""
        if item_id not in self._facts:
            near = self.closest_item(item_id)
            raise RequestError(f"unknown item {item_id!r}" + (f"; did you mean `{near}`?" if near else ""))
        if not 1 <= k <= MAX_K:
            raise RequestError(f"`k` must be between 1 and {MAX_K}; got {k}")
        for recommender in self.recommenders:
            if can_rank_similar(recommender.model) and item_id in recommender.encoder.items:
                reason = f"close to {self.title(item_id)}"
                places = tuple(
                    self._place(r, "together", recommender.title, reason)
                    for r in recommender.similar(item_id, k)
                    if r.score > 0
                )
                if places:
                    return Answer(
                        places, "together", (Step(recommender.title, "together", len(places), "knows this item"),)
                    )
        return self.answer(Request(k=k, exclude=[item_id]))

    def _ask(self, recommender: Recommender, request: Request, exclude: Sequence[str]) -> tuple[list[Ranked], str]:
        """The items a recommender has evidence for, best first, and in words what it knew."""
        columns = recommender.encoder.columns
        known = {name: value for name, value in request.context.items() if name in columns}
        query = recommender.encoder.query(
            user=request.user,
            history=request.history,
            weights=request.weights,
            session_len=request.session_len,
            context=known,
            timestamp=request.timestamp,
        )
        if not bool(recommender.model.evidence(query)[0]):
            return [], "knows nothing about this visitor"
        items, values = recommender.best(query, request.k, recommender.encoder.items.index(list(exclude)))
        names = recommender.encoder.items.names(items)
        found = [Ranked(name, float(value)) for name, value in zip(names, values, strict=True)]
        return found, "answered" if found else "has nothing new to show"

    def _place(self, ranked: Ranked, source: str, model: str, reason: str) -> Place:
        facts = self._facts.get(ranked.item_id, {})
        return Place(ranked.item_id, ranked.score, source, model, reason, facts.get("title"), facts.get("category"))

    def _reason(self, source: Source, request: Request) -> str:
        last = self.title(request.history[-1]) if request.history else ""
        context = ", ".join(f"{name} {value}" for name, value in request.context.items())
        return {
            Source.SESSION: f"often next after {last}",
            Source.HISTORY: "close to what this visitor took before",
            Source.TOGETHER: f"often together with {last}",
            Source.CONTEXT: f"popular with {context}" if context else "popular at this hour",
            Source.POPULAR: "popular with everybody",
        }[source]

    def title(self, item_id: str) -> str:
        """The title of an item, its id where it has none."""
        return str(self._facts.get(item_id, {}).get("title") or item_id)
