"""Recommender: a fitted model and its vocabularies. It speaks outside ids; it is what is saved, loaded and served."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

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
from rankine.features.encode import Encoder
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.kernels.ranks import Scores, top_k
from rankine.models import MODELS
from rankine.models.base import ItemNeighbours, Model, Monitor, SolvedModel, Updatable, VectorModel, no_monitor

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
    monitor: Monitor = no_monitor,
) -> Recommender:
    """Fit the model `name` of MODELS to all events of `dataset`.

    Raises ConfigError for an unknown model or setting, ModelError where the dataset lacks what the model needs.
    """
    encoder = Encoder.fit(dataset, collapse_repeats=collapse_repeats)
    return fit_arrays(name, encoder, encoder.events(dataset.events), settings, seed=seed, monitor=monitor)


def fit_arrays(
    name: str,
    encoder: Encoder,
    data: EventArrays,
    settings: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    monitor: Monitor = no_monitor,
) -> Recommender:
    """`fit` for events that are encoded already, so that several models share the work.

    `name` may add a word that tells variants apart: `popularity recent`.
    """
    base, _, variant = name.partition(" ")
    model = new_model(base, settings)
    model.needs.check(data, f"`{name}`")
    if not len(data):
        raise ModelError(f"`{name}` got no training event with a known item and a weight other than zero")
    fit_model(model, data, seed=seed, monitor=monitor)
    return Recommender(base, model, encoder, variant)


def fit_model(model: Model, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
    """Fit a model to encoded events, by its own solution or by the training loop."""
    network = model.network()
    if network is None:
        assert isinstance(model, SolvedModel)
        model.solve(data, seed=seed, monitor=monitor)
    else:
        from rankine.training.fit import fit as train  # torch is loaded only for models that need it

        train(network, data, seed=seed, monitor=monitor)


def new_model(name: str, settings: Mapping[str, Any] | None = None) -> Model:
    """A model of MODELS with these settings, not fitted. Raises ConfigError."""
    model_class = MODELS[name]
    return model_class(from_dict(model_class.Config, settings or {}, name))


class Recommender:
    """A fitted model that answers in outside ids. `variant` tells two of the same name apart."""

    def __init__(self, name: str, model: Model, encoder: Encoder, variant: str = "") -> None:
        self.name = name
        self.variant = variant
        self.model = model
        self.encoder = encoder

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
        context: Mapping[str, Any] | None = None,
        timestamp: float | None = None,
    ) -> list[Ranked]:
        """The k best items for a user, a history of item ids (oldest first), or both; unknown ids are no error.

        timestamp is the moment of the request in Unix seconds. Raises RequestError for k below 1 or an unknown context column.
        """
        query = self.encoder.query(user=user, history=history, context=context, timestamp=timestamp)
        hidden = [*exclude, *(history if exclude_history else ())]
        items, scores = self.rank(query, k, hidden)
        return [Ranked(name, float(score)) for name, score in zip(self.encoder.items.names(items), scores, strict=True)]

    def rank(self, query: Queries, k: int, exclude: Sequence[str] = ()) -> tuple[Int, Float]:
        """Rows and scores of the k best items for one encoded request, best first, ties to the lower row."""
        if k < 1:
            raise RequestError(f"`k` must be at least 1; got {k}")
        rows = self.encoder.items.index(exclude) if exclude else np.empty(0, np.int32)
        hidden = Ragged.from_rows([np.sort(rows)])
        items, scores = top_k(self.scores(query), min(k, len(self.encoder.items)), hidden)
        found = items[0] >= 0
        return items[0][found], scores[0][found]

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
