"""The contract of a model: mathematics on arrays. It knows indices, never ids, files, devices or other models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Protocol

import numpy as np

from rankine.arrays import CSR, Array, Float, Int
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.features.slots import Slots
from rankine.kernels.ranks import Scores
from rankine.kernels.topk import PackedItems, Products
from rankine.models.tuning import Range, ranges


class Source(IntEnum):
    """How much of the visitor an answer rests on, from everybody's taste (cold) to the present session (hot)."""

    POPULAR = 1
    CONTEXT = 2
    TOGETHER = 3
    HISTORY = 4
    SESSION = 5


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a model needs of the training events; checked before any work."""

    values: bool = False
    sessions: bool = False
    timestamps: bool = False
    rows: bool = False
    context: tuple[str, ...] = ()

    def check(self, data: EventArrays, name: str) -> None:
        """Raise ModelError naming the first thing that is missing and how to add it."""
        lacks = [
            (
                self.values and (data.value is None or not np.isfinite(data.value).any()),
                "a `value` per event: map the rating column to `value`",
            ),
            (
                self.sessions and data.session_idx is None,
                "sessions: map a `session_id` column or set `gap_minutes` under [sessions]",
            ),
            (self.timestamps and data.timestamp is None, "a `timestamp` per event: map the time column to `timestamp`"),
            (self.rows and data.rows is None, "fields: fit the encoder with `features=FeaturesConfig()`"),
            *(
                (c not in data.context, f"the context column `{c}`; there are {sorted(data.context)}")
                for c in self.context
            ),
        ]
        for missing, what in lacks:
            if missing:
                raise ModelError(f"{name} needs {what}")


class Monitor(Protocol):
    """Called after each epoch or sweep; returns True to stop."""

    def __call__(self, epoch: int, model: Model, **values: float) -> bool: ...


def no_monitor(epoch: int, model: Model, **values: float) -> bool:
    """Watches nothing and never stops."""
    return False


class Model(ABC):
    """A ranking model over `n_items` items."""

    Config: ClassVar[type[Any]]
    label: ClassVar[str]  # the name that people read
    summary: ClassVar[str]  # what it looks at, in at most six words
    mark: ClassVar[int] = 8  # its colour and shape in every picture, 1 to 8
    baseline: ClassVar[str | None] = None  # "popularity" or "neighbourhood" for what every comparison must contain
    iterative: ClassVar[bool] = False  # whether it has `epochs` and a learning curve
    tuning: ClassVar[Mapping[str, Range]] = ranges()  # the settings that are worth a search, and where

    def __init__(self, config: Any | None = None) -> None:
        self.config = config if config is not None else self.Config()

    @property
    def needs(self) -> Needs:
        """What the training events must have."""
        return Needs()

    def network(self) -> Any:
        """The `Network` that the training loop trains to fit the model; None where the model fits itself."""
        return None

    @property
    def scheduled(self) -> bool:
        """Whether an epoch depends on how many there are: then a shorter training is another one, not the start of a longer."""
        return False

    @property
    @abstractmethod
    def source(self) -> Source:
        """How much of the visitor its answers rest on."""

    @abstractmethod
    def score_all(self, queries: Queries) -> Float:
        """A score for every item, higher is better, float32 [B, N]; finite always."""

    def score(self, queries: Queries, items: Int | None = None) -> Float:
        """Scores of all items, or of the given ones, float32 [B, N] or [B, len(items)]."""
        scores = self.score_all(queries)
        return scores if items is None else scores[:, items]

    def scorer(self) -> Callable[[Queries], Scores]:
        """What scores all items for many batches of requests, quicker than `score` where it can prepare for them.

        Only as long as the model stays as it is.
        """
        return self.score

    @abstractmethod
    def evidence(self, queries: Queries) -> Array:
        """Whether the model knows anything that bears on the request, bool [B]; without it its scores hold for everybody."""

    @abstractmethod
    def state(self) -> dict[str, Array]:
        """Everything fitted, as named arrays."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take over what `state` gave."""


class SolvedModel(Model):
    """A model fitted in closed form, by counting, or by a compiled loop of its own.

    `fitted` names the attributes that `solve` sets: numpy arrays or CSR matrices.
    """

    fitted: ClassVar[tuple[str, ...]]

    @abstractmethod
    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        """Fit to the events."""

    def state(self) -> dict[str, Array]:
        return dict(_flatten(self, self.fitted))

    def load_state(self, state: Mapping[str, Array]) -> None:
        for name in self.fitted:
            if f"{name}.indptr" in state:
                columns = int(state[f"{name}.n_columns"][0])
                indptr, indices, data = (state[f"{name}.{part}"] for part in ("indptr", "indices", "data"))
                setattr(self, name, CSR(indptr, indices, data, columns))
            elif name in state:
                setattr(self, name, state[name])
            else:
                raise ModelError(
                    f"the saved {self.label} has no `{name}`: it was saved by another version; fit it again"
                )


class VectorModel(Model):
    """A model whose score is a dot product: usable with any index."""

    @abstractmethod
    def query_vectors(self, queries: Queries) -> Float:
        """One vector per request, float32 [B, D]."""

    @abstractmethod
    def item_vectors(self) -> Float:
        """One vector per item, float32 [N, D]."""

    def score_all(self, queries: Queries) -> Float:
        return np.asarray(self.query_vectors(queries) @ self.item_vectors().T, np.float32)

    def scorer(self) -> VectorScorer:
        return VectorScorer(self)


class VectorScorer:
    """Scores requests with the items that a vector model has now; the scores are not written out."""

    def __init__(self, model: VectorModel) -> None:
        self.model = model
        self.items = PackedItems(model.item_vectors())

    def __call__(self, queries: Queries) -> Products:
        return Products(self.model.query_vectors(queries), self.items)


class Updatable(Model):
    """A model that takes in new events without being fitted again."""

    @abstractmethod
    def update(self, data: EventArrays, users: Int, items: Int) -> None:
        """Fit the rows of these users and items anew; all others stay as they are.

        `data` is every event there is, in the indices of training; users and items that came later have larger ones.
        """


class RatingModel(Model):
    """A model that predicts the value of an event."""

    @abstractmethod
    def rate(self, user_idx: Int, item_idx: Int) -> Float:
        """The predicted value of each pair, float32 [B]; unknown users and items are allowed."""

    def score_all(self, queries: Queries) -> Float:
        users = np.repeat(queries.user_idx, queries.n_items)
        items = np.tile(np.arange(queries.n_items, dtype=np.int32), len(queries))
        return self.rate(users, items).reshape(len(queries), queries.n_items)


class ClickModel(Model):
    """A model of how likely an item is taken when it is shown."""

    @abstractmethod
    def probability(self, queries: Queries, item_idx: Int) -> Float:
        """How likely each request takes the item beside it, float32 [B]; items not known (`n_items`) are allowed."""


class RowModel(ClickModel):
    """A click model that sees a request and an item as one row of fields, and nothing else."""

    @abstractmethod
    def logits(self, rows: Slots) -> Float:
        """The log-odds of each row, float32 [B]."""


class ItemNeighbours(Model):
    """A model that knows which items go with an item: answers `similar items`."""

    @abstractmethod
    def similar(self, item_idx: int) -> tuple[Int, Float]:
        """Neighbours of an item and their similarity, in no order."""


def _flatten(owner: object, names: tuple[str, ...]) -> Iterator[tuple[str, Array]]:
    for name in names:
        value = getattr(owner, name, None)
        if value is None:
            raise ModelError("the model is not fitted: call `solve` or `fit` first")
        if isinstance(value, CSR):
            yield from ((f"{name}.{part}", getattr(value, part)) for part in ("indptr", "indices", "data"))
            yield f"{name}.n_columns", np.array([value.n_columns], np.int64)
        else:
            yield name, value
