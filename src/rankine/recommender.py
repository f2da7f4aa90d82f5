"""Recommender: a fitted model and its vocabularies. It speaks outside ids; it is what is saved, loaded and served."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from polars.exceptions import PolarsError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from rankine import __version__
from rankine.arrays import Array, Float, Int, Ragged
from rankine.config import from_dict, to_dict
from rankine.data.dataset import Dataset
from rankine.errors import ConfigError, DataError, ModelError, RequestError, closest
from rankine.features.config import FeaturesConfig
from rankine.features.encode import Encoder
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.ranks import Scores, top_k
from rankine.kernels.topk import Products
from rankine.models import MODELS
from rankine.models.base import (
    ClickModel,
    ItemNeighbours,
    Model,
    Monitor,
    SolvedModel,
    Updatable,
    VectorModel,
    no_monitor,
)
from rankine.retrieval.stages import TwoStage, TwoStageConfig

if TYPE_CHECKING:
    from rankine.training.fit import Training, Validate

FORMAT = 1


@dataclass(frozen=True)
class Ranked:
    """One place of a ranking."""

    item_id: str
    score: float


def fit(
    name: str,
    dataset: Dataset,
    settings: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    collapse_repeats: bool = False,
    features: FeaturesConfig | None = None,
    monitor: Monitor = no_monitor,
) -> Recommender:
    """Fit the model `name` of MODELS to all events of `dataset`; `features` is how a click model sees them.

    Raises ConfigError for an unknown model or setting, ModelError where the dataset lacks what the model needs.
    """
    rows = new_model(name.partition(" ")[0], settings).needs.rows
    encoder = Encoder.fit(
        dataset, collapse_repeats=collapse_repeats, features=(features or FeaturesConfig()) if rows else None
    )
    return fit_arrays(name, encoder, encoder.events(dataset.events), settings, seed=seed, monitor=monitor)


def fit_arrays(
    name: str,
    encoder: Encoder,
    data: EventArrays,
    settings: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    monitor: Monitor = no_monitor,
    validate: Validate | None = None,
) -> Recommender:
    """`fit` for events that are encoded already, so that several models share the work.

    `name` may add a word that tells variants apart: `popularity recent`. validate: a figure on other events, higher is better, that
    a network which can lowers its learning rate by, and stops by; its best epoch is kept.
    """
    base, _, variant = name.partition(" ")
    model = new_model(base, settings)
    model.needs.check(data, f"`{name}`")
    if not len(data):
        raise ModelError(f"`{name}` got no training event with a known item and a weight other than zero")
    training = fit_model(model, data, seed=seed, monitor=monitor, validate=validate)
    if encoder.features is not None and not model.needs.rows:
        encoder = replace(encoder, features=None)
    return Recommender(base, model, encoder, variant, training)


def fit_model(
    model: Model,
    data: EventArrays,
    *,
    seed: int = 0,
    monitor: Monitor = no_monitor,
    validate: Validate | None = None,
) -> Training | None:
    """Fit a model to encoded events, by its own solution or by the training loop, which says what it did."""
    network = model.network()
    if network is not None:
        from rankine.training.fit import fit as train  # torch is loaded only for models that need it

        return train(network, data, seed=seed, monitor=monitor, validate=validate if can_stop(model) else None)
    assert isinstance(model, SolvedModel)
    model.solve(data, seed=seed, monitor=monitor)
    return None


def can_stop(model: Model) -> bool:
    """Whether training follows a validation figure: the model has the `patience` to."""
    return hasattr(model.config, "patience")


def new_model(name: str, settings: Mapping[str, Any] | None = None) -> Model:
    """A model of MODELS with these settings, not fitted. Raises ConfigError."""
    model_class = MODELS[name]
    return model_class(from_dict(model_class.Config, settings or {}, name))


class Recommender:
    """A fitted model that answers in outside ids. `variant` tells two of the same name apart.

    training: what the training loop did, None where there was none or the model was loaded.
    """

    def __init__(
        self, name: str, model: Model, encoder: Encoder, variant: str = "", training: Training | None = None
    ) -> None:
        self.name = name
        self.variant = variant
        self.model = model
        self.encoder = encoder
        self.training = training

    @property
    def title(self) -> str:
        """Its name in MODELS, and its variant where it has one: what a recipe calls it."""
        return f"{self.name} {self.variant}".strip()

    def __repr__(self) -> str:
        return f"Recommender({self.title!r}, {len(self.encoder.users):,} users, {len(self.encoder.items):,} items)"

    def recommend(
        self,
        user: str | None = None,
        history: Sequence[str] = (),
        *,
        k: int = 10,
        exclude: Sequence[str] = (),
        exclude_history: bool = False,
        candidates: Sequence[str] | None = None,
        context: Mapping[str, Any] | None = None,
        timestamp: float | None = None,
    ) -> list[Ranked]:
        """The k best items for a user, a history of item ids (oldest first), or both; unknown ids are no error.

        candidates: the only items that are ranked. timestamp is the moment of the request in Unix seconds.
        Raises RequestError for k below 1 or an unknown context column.
        """
        query = self.encoder.query(user=user, history=history, context=context, timestamp=timestamp)
        hidden = [*exclude, *(history if exclude_history else ())]
        items, scores = self.rank(query, k, hidden, candidates=candidates)
        return [Ranked(name, float(score)) for name, score in zip(self.encoder.items.names(items), scores, strict=True)]

    def rank(
        self, query: Queries, k: int, exclude: Sequence[str] = (), *, candidates: Sequence[str] | None = None
    ) -> tuple[Int, Float]:
        """Rows and scores of the k best items for one encoded request, best first, ties to the lower row.

        candidates: the only items that are scored; those not known are left out.
        """
        if k < 1:
            raise RequestError(f"`k` must be at least 1; got {k}")
        rows = self.encoder.items.index(exclude) if exclude else np.empty(0, np.int32)
        if candidates is not None:
            return self._of_given(query, k, np.setdiff1d(self.encoder.items.index(candidates), rows))
        hidden = Ragged.from_rows([np.sort(rows)])
        items, scores = top_k(self.scores(query), min(k, len(self.encoder.items)), hidden)
        found = items[0] >= 0
        return items[0][found], scores[0][found]

    def _of_given(self, query: Queries, k: int, rows: Int) -> tuple[Int, Float]:
        """The k best of these items, ascending."""
        rows = rows[rows < len(self.encoder.items)]
        if not len(rows):
            return rows, np.empty(0, np.float32)
        scores = self.model.score(query, rows)[0]
        order = np.lexsort((rows, -scores))[:k]
        return rows[order], scores[order]

    def probability(
        self,
        items: Sequence[str],
        user: str | None = None,
        history: Sequence[str] = (),
        *,
        context: Mapping[str, Any] | None = None,
        timestamp: float | None = None,
    ) -> list[float]:
        """How likely each of these items is taken when it is shown; items never heard of are judged by what else is known.

        Raises ModelError for a model that only ranks.
        """
        if not isinstance(self.model, ClickModel):
            raise ModelError(f"{self.model.label} ranks items and knows no probabilities: use a click model")
        query = self.encoder.query(user=user, history=history, context=context, timestamp=timestamp)
        rows = self.encoder.items.index(items)
        found = self.model.probability(query.take(np.zeros(len(rows), np.int64)), rows)
        return [float(p) for p in found]

    def best(self, query: Queries, k: int, exclude: Int) -> tuple[Int, Float]:
        """Rows and scores of the k best items that the model says something about, best first, without the rows `exclude`."""
        return best(self.scores(query), exclude, k)

    @cached_property
    def scores(self) -> Callable[[Queries], Scores]:
        """What scores all items for requests: prepared once, as the model of a recommender does not change."""
        return self.model.scorer()

    def similar(self, item_id: str, k: int = 10) -> list[Ranked]:
        """The k items closest to one, by the model's own neighbours or the cosine of its item vectors.

        Raises RequestError for an unknown item or a k below 1, ModelError where the model has neither.
        """
        if k < 1:
            raise RequestError(f"`k` must be at least 1; got {k}")
        if item_id not in self.encoder.items:
            raise RequestError(f"unknown item {item_id!r}{closest(item_id, self.encoder.items.ids.to_list())}")
        row = self.encoder.items.row(item_id)
        items, scores = _neighbours(self.model, row)
        keep = items != row
        items, scores = items[keep], scores[keep]
        order = np.lexsort((items, -scores))[:k]
        names = self.encoder.items.names(items[order])
        return [Ranked(name, float(score)) for name, score in zip(names, scores[order], strict=True)]

    def update(self, before: Dataset, events: pl.DataFrame) -> Recommender:
        """One that knows `events` too (in our column names), users and items among them that are new; this one stays as it is.

        `before` is what this one was fitted to. Only the rows that the events touch are solved again; reading all events
        in costs a little for each. What everybody shares drifts, so fit anew from time to time.
        Raises ModelError where the model can only be fitted anew, DataError for a `before` that holds other events.
        """
        if not isinstance(self.model, Updatable):
            raise ModelError(f"{self.model.label} cannot be updated in part: fit it to all events")
        if before.fingerprint() != self.encoder.fitted_on:
            raise DataError(
                f"`before` must hold the events that {self.title!r} was fitted to; it holds others: fit it anew"
            )
        more = Dataset.from_frames(events, schema=before.schema).events
        after = before.extended(more)
        encoder = self.encoder.extended(after)
        touched = encoder.events(more)
        users = np.unique(touched.user_idx[touched.user_idx < touched.n_users])
        model = new_model(self.name, to_dict(self.model.config))
        assert isinstance(model, Updatable)
        model.load_state(self.model.state())
        model.update(encoder.events(after.events), users, np.unique(touched.item_idx))
        return Recommender(self.name, model, encoder, self.variant)

    def save(self, folder: Path) -> None:
        """Write recommender.json, weights.safetensors, encoder.json and vocab/*.parquet. Nothing saved can run code."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "format": FORMAT,
            "rankine": __version__,
            "model": self.name,
            "variant": self.variant,
            "config": to_dict(self.model.config),
        }
        (folder / "recommender.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        save_file({n: np.ascontiguousarray(a) for n, a in self.model.state().items()}, folder / "weights.safetensors")
        self.encoder.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Recommender:
        """The recommender that `save` wrote. Raises ConfigError for a folder that holds none."""
        path = folder / "recommender.json"
        if not path.is_file():
            raise ConfigError(f"no recommender in `{folder}`: expected recommender.json")
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts.get("format") != FORMAT:
            raise ConfigError(
                f"`{path}` has format {facts.get('format')!r}; this version reads {FORMAT}: fit and save it again"
            )
        try:
            model = new_model(facts["model"], facts["config"])
            model.load_state(load_file(folder / "weights.safetensors"))
            return cls(facts["model"], model, Encoder.load(folder), facts.get("variant", ""))
        except (KeyError, ValueError, RuntimeError, OSError, SafetensorError, PolarsError) as error:
            raise ConfigError(f"the recommender in `{folder}` is damaged ({error}): fit and save it again") from None


class Stages(Recommender):
    """Two recommenders that know the same items: what the first finds, the second ranks."""

    model: TwoStage

    def __init__(self, name: str, first: Recommender, second: Recommender, config: TwoStageConfig) -> None:
        super().__init__(name, TwoStage(first.model, second.model, config), second.encoder)

    def best(self, query: Queries, k: int, exclude: Int) -> tuple[Int, Float]:
        return self.model.rank(query, k, exclude)

    def save(self, folder: Path) -> None:
        """Two stages are saved as what they are made of. Raises ModelError."""
        raise ModelError(f"{self.title!r} is made of two models: save each, and name both")


def best(row: Scores, exclude: Int, k: int) -> tuple[Int, Float]:
    """The k best items of one request that stand above the lowest score: at the lowest a sparse model says nothing about an item."""
    if isinstance(row, Products):
        items, found = row.top_k(k + 1, Ragged.from_rows([exclude]))
        if items[0, k] >= 0 and found[0, k] < found[0, k - 1]:
            return items[0, :k], found[0, :k]  # something stands below them, so the lowest score does
        row = row.written()
    scores = row[0]
    floor = scores.min()
    allowed = scores > floor
    allowed[exclude[exclude < len(scores)]] = False
    rows = np.flatnonzero(allowed)
    if len(rows) > k:
        rows = rows[scores[rows] >= np.partition(scores[rows], len(rows) - k)[len(rows) - k]]  # ties at the k-th stay
    rows = rows[np.lexsort((rows, -scores[rows]))][:k]
    return rows.astype(np.int32), scores[rows]


def can_rank_similar(model: Model) -> bool:
    """Whether the model can tell which items are close to one."""
    return isinstance(model, (ItemNeighbours, VectorModel))


def _neighbours(model: Model, row: int) -> tuple[Int, Float]:
    if isinstance(model, ItemNeighbours):
        return model.similar(row)
    if isinstance(model, VectorModel):
        vectors = model.item_vectors()
        norms = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
        cosine: Array = (vectors @ vectors[row]) / (norms * norms[row])
        return np.arange(len(vectors), dtype=np.int32), cosine.astype(np.float32)
    raise ModelError(f"{model.label} knows no similar items: use a neighbourhood or a vector model")
