"""What all click models share: rows of fields in, a logit out; batches of impressions, or of events with sampled negatives.

Minimised is the mean over a batch of y softplus(-s) + (1 - y) softplus(s), the cross-entropy of sigmoid(s) with labels y.
A model states its layers and `logit`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from rankine.arrays import Array, Float, Int
from rankine.errors import ModelError
from rankine.features.events import EventArrays
from rankine.features.queries import Queries
from rankine.features.rows import Rows, row_batches
from rankine.features.slots import Layout, Slots
from rankine.kernels.lookups import FEW
from rankine.models.base import Needs, RowModel, Source
from rankine.models.ctr.examples import Impressions, Sampled, examples_of
from rankine.models.ctr.negatives import Negatives
from rankine.models.ctr.scoring import AllItems, Halves, Parts, vectors_of
from rankine.models.neural import NeuralModel
from rankine.nn.fields import FieldEmbedding, FieldLinear
from rankine.nn.optim import FTRL, OPTIMIZERS, RowOptimizer
from rankine.nn.tables import Table

BLOCK = 2048  # rows scored at a time: what hidden layers make of them stays in cache


class CTRModel(NeuralModel, RowModel):
    """A click model: `layout` is what it was fitted to, `negatives` how they were drawn, None after impressions."""

    config: Any
    source = Source.HISTORY
    mean_loss = True
    layout: Layout
    negatives: Negatives | None
    linear: FieldLinear
    embedding: FieldEmbedding
    _examples: Impressions | Sampled

    @abstractmethod
    def layers(self) -> None:
        """Create the layers for `layout`."""

    @abstractmethod
    def logit(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        """The log-odds [B] of rows with slots idx int32 [B, L] and weight float32 [B, L], None where all are 1."""

    @property
    def intercept(self) -> nn.Parameter:
        """The parameter that all logits share: it starts as the log-odds of the labels."""
        assert self.linear.bias is not None
        return self.linear.bias

    @property
    def needs(self) -> Needs:
        column = self.config.negatives_context if self.config.negatives == "same_context" else None
        return Needs(rows=True, context=() if column is None else (column,))

    def linear_part(self, *, bias: bool) -> FieldLinear:
        """One number per table row, those of crosses included."""
        return FieldLinear(self._table(self.layout, 1), bias=bias)

    def vector_part(self) -> FieldEmbedding:
        """One vector per table row but for crosses."""
        return FieldEmbedding(
            self._table(self.layout.embedded, self.config.embedding_dim), self.layout.embedded.slot_field
        )

    def _table(self, layout: Layout, dim: int) -> Table:
        config, sizes = self.config, [f.n_rows for f in layout.fields]
        return Table(
            layout.n_rows, dim, config.table, config.share, sizes=sizes, min_rows=config.whole_below, sparse=config.lazy
        )

    def vectors(self, idx: Tensor, weight: Tensor | None, part: FieldEmbedding | None = None) -> Tensor:
        """The vector of each field but for crosses [B, F, D]."""
        return vectors_of(self.embedding if part is None else part, idx, weight)

    def weights(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        """The linear part [B], crosses included."""
        found: Tensor = self.linear(idx, weight)
        return found

    def prepare(self, data: EventArrays, generator: torch.Generator) -> None:
        assert data.rows is not None
        self.layout = data.rows.layout
        self._examples = examples_of(data, self.config, self.label)
        self.negatives = self._examples.negatives
        super().prepare(data, generator)

    def build(self, n_users: int, n_items: int) -> None:
        self.layers()
        self.__dict__.pop("_halves", None)

    def initialise(self, data: EventArrays, generator: torch.Generator) -> None:
        for layer in self.children():
            if isinstance(layer, FieldEmbedding):
                layer.table.initialise(generator, self.config.init_sd)
            elif isinstance(layer, FieldLinear):
                layer.initialise(generator, self.config.init_sd)
            elif next(layer.parameters(), None) is not None:
                layer.initialise(generator)  # type: ignore[operator]
        with torch.no_grad():
            self.intercept.fill_(self._examples.log_odds)

    def finish(self) -> None:
        del self._examples

    def optimizers(self) -> list[RowOptimizer]:
        return [self.optimizer(self.config.optimizer, self.config.learning_rate, list(self.parameters()))]

    def optimizer(self, name: str, learning_rate: float, parameters: Sequence[nn.Parameter]) -> RowOptimizer:
        """What moves these parameters: tables with a penalty of their own."""
        config = self.config
        if name == "ftrl":
            return FTRL(parameters, learning_rate, l1=config.l1, l2=config.embedding_l2)
        tables = {table.weight for table in self.modules() if isinstance(table, Table)}
        groups = [
            {"params": [p for p in parameters if p in tables], "l2": config.embedding_l2},
            {"params": [p for p in parameters if p not in tables], "l2": config.l2},
        ]
        return OPTIMIZERS[name]([g for g in groups if g["params"]], learning_rate)

    def batches(self, data: EventArrays, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        rows = rows_of(data)
        for batch in row_batches(self._examples.epoch(rng), self.config.batch_size, rng):
            yield columns(rows.of(batch["event"], batch["item"])) | {"label": batch["label"]}

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        logit = self.logit(batch["idx"], batch.get("weight"))
        return binary_cross_entropy_with_logits(logit.float(), batch["label"])

    def logits(self, rows: Slots) -> Float:
        found = np.empty(len(rows), np.float32)
        with judging(self):
            for start in range(0, len(rows), BLOCK):
                part = slice(start, start + BLOCK)
                weight = None if rows.weight is None else torch.from_numpy(rows.weight[part])
                found[part] = self.logit(torch.from_numpy(rows.idx[part]), weight).float().numpy()
        return found

    def probability(self, queries: Queries, item_idx: Int) -> Float:
        rows, logit = self._rows(queries), np.empty(len(item_idx), np.float32)
        for start in range(0, len(logit), BLOCK):
            part = slice(start, start + BLOCK)
            logit[part] = self.logits(rows.of(part, item_idx[part]))
        if self.negatives is None:
            return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)), np.float32)
        return np.asarray(np.exp(np.minimum(logit + self._log_rate(queries, slice(None), item_idx), 0)), np.float32)

    def score_all(self, queries: Queries) -> Float:
        return self.score(queries, np.arange(queries.n_items, dtype=np.int32))

    def scorer(self) -> Callable[[Queries], Float]:
        if self._halves is None:
            return self.score
        prepared = AllItems(self._halves)

        def score(queries: Queries) -> Float:
            with judging(self):
                return self._adjusted(queries, prepared.score(self._rows(queries)))

        return score

    def score(self, queries: Queries, items: Int | None = None) -> Float:
        if items is None:
            return self.score_all(queries)
        if self._halves is None or len(items) <= FEW:
            return self._adjusted(queries, self._row_by_row(self._rows(queries), items), items)
        with judging(self):
            return self._adjusted(queries, self._halves.score(self._rows(queries), items), items)

    def parts(self) -> Parts | None:
        """What its logit is the sum of, where that is so: candidates of one request are then scored quicker."""
        return None

    @cached_property
    def _halves(self) -> Halves | None:
        parts, layout = self.parts(), self.layout.embedded
        sides = {f.side == "request" for f in layout.fields}
        return None if parts is None or len(sides) < 2 else Halves(parts, layout)

    def _row_by_row(self, rows: Rows, items: Int) -> Float:
        """The logits [B, N] of requests beside items."""
        scores = np.empty(len(rows) * len(items), np.float32)
        for start in range(0, len(scores), BLOCK):
            request, place = np.divmod(np.arange(start, min(start + BLOCK, len(scores))), len(items))
            scores[start : start + BLOCK] = self.logits(rows.of(request, items[place]))
        return scores.reshape(len(rows), len(items))

    def _adjusted(self, queries: Queries, scores: Float, items: Int | None = None) -> Float:
        """Logits [B, N], with what uneven draws of negatives took from them put back, in place."""
        if self.negatives is None or self.negatives.even:
            return scores
        items = np.arange(scores.shape[1], dtype=np.int32) if items is None else items
        for row, _ in enumerate(scores):
            scores[row] += self._log_rate(queries, np.full(len(items), row), items)
        return scores

    def _log_rate(self, queries: Queries, requests: Array | slice, items: Int) -> Float:
        """log(n Q(item)) of items [B] beside requests."""
        assert self.negatives is not None
        column = self.config.negatives_context if len(self.negatives.within) else None
        context = None if column is None else queries.context[column][requests]
        return self.negatives.log_rate(items, queries.user_idx[requests], context)

    def evidence(self, queries: Queries) -> Array:
        rows = self._rows(queries).request
        known = rows.idx != unknown_rows(self.layout)[: rows.idx.shape[1]]
        return np.asarray((known if rows.weight is None else known & (rows.weight != 0)).any(1))

    def _rows(self, queries: Queries) -> Rows:
        rows = rows_of(queries)
        if rows.layout is not self.layout and rows.layout != self.layout:
            raise ModelError(
                f"{self.label} was fitted to other fields than those of these requests: use its own encoder"
            )
        return rows

    def state(self) -> dict[str, Array]:
        fitted = super().state() | self.layout.state()
        return fitted if self.negatives is None else fitted | self.negatives.state()

    def load_state(self, state: Mapping[str, Array]) -> None:
        self.layout, self.negatives = Layout.of_state(state), Negatives.of_state(state)
        own = {name: a for name, a in state.items() if not name.startswith(("layout.", "negatives."))}
        super().load_state(own)


def rows_of(source: EventArrays | Queries) -> Rows:
    """The rows of fields of events or requests. Raises ModelError where they were made without."""
    if source.rows is None:
        raise ModelError("click models need fields: fit the encoder with `features=FeaturesConfig()`")
    return source.rows


def columns(rows: Slots) -> dict[str, Array]:
    """Rows as a batch: idx, and weight where some is not 1."""
    return {"idx": rows.idx} if rows.weight is None else {"idx": rows.idx, "weight": rows.weight}


def unknown_rows(layout: Layout) -> Array:
    """The table row that stands for the unknown, for each slot, int64 [L]."""
    sizes = {f.name: f.n_rows for f in layout.fields}
    last = [layout.first_rows[f.name] + sizes[f.shares or f.name] - 1 for f in layout.fields]
    return np.repeat(np.asarray(last, np.int64), [f.n_slots for f in layout.fields])


@contextmanager
def judging(model: nn.Module) -> Iterator[None]:
    """Out of training, without gradients; the mode is then what it was."""
    training = model.training
    if training:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if training:
            model.train()
