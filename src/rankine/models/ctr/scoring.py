"""Candidates of one request: what the request brings to a logit is worked out once, what they bring beside it for each.

Fields add up in a linear part, in a factorization machine and in the products of a first hidden layer. With r for the fields of the
request and c for those of the candidate, FM(r, c) = FM(r) + FM(c) + <sum_r v, sum_c v> and W (x_r, x_c) + b = W_c x_c + (W_r x_r + b).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rankine.arrays import Float, Int
from rankine.features.rows import Rows
from rankine.features.slots import Layout, Slots
from rankine.nn.fields import FieldEmbedding, FieldLinear
from rankine.nn.interactions import fm
from rankine.nn.mlp import MLP

KEPT = 1 << 24  # numbers of all items that are kept between requests
AT_A_TIME = 2048  # candidates looked up at a time


@dataclass(frozen=True)
class Parts:
    """What is added up to a logit: one number per slot, products of the vectors of all pairs of fields, hidden layers on vectors."""

    linear: FieldLinear
    pairs: FieldEmbedding | None = None
    deep: tuple[FieldEmbedding, MLP] | None = None


@dataclass(frozen=True)
class Sums:
    """One side of B rows: number [B], what it says by itself; vectors [B, D], their sum over fields; inputs [B, I] of the layers."""

    number: Tensor
    vectors: Tensor | None
    inputs: Tensor | None

    @property
    def size(self) -> int:
        return sum(part.numel() for part in (self.number, self.vectors, self.inputs) if part is not None)

    def take(self, rows: slice) -> Sums:
        """Some of the rows."""
        vectors, inputs = (None if part is None else part[rows] for part in (self.vectors, self.inputs))
        return Sums(self.number[rows], vectors, inputs)


class Side:
    """The parts of a model for the slots first:last of a row; crosses may follow, which only the linear part sees."""

    def __init__(self, parts: Parts, first: int, last: int, *, bias: bool) -> None:
        self.linear = parts.linear if bias else FieldLinear(parts.linear.table, bias=False)
        deep = None if parts.deep is None else parts.deep[0]
        self.pairs = _between(parts.pairs, first, last)
        self.deep = self.pairs if deep is parts.pairs else _between(deep, first, last)

    def sums(self, rows: Slots) -> Sums:
        """Of rows that hold these slots only."""
        idx, weight = torch.from_numpy(rows.idx), None if rows.weight is None else torch.from_numpy(rows.weight)
        number = self.linear(idx, weight)
        e_BFD = None if self.pairs is None else vectors_of(self.pairs, idx, weight)
        x_BFD = e_BFD if self.deep is self.pairs or self.deep is None else vectors_of(self.deep, idx, weight)
        if e_BFD is not None and e_BFD.shape[1] > 1:
            number = number + fm(e_BFD)
        vectors = None if e_BFD is None else e_BFD.sum(1)
        return Sums(number, vectors, None if self.deep is None or x_BFD is None else x_BFD.flatten(1))


class Halves:
    """The parts of a model, once for the fields of the request and once for those beside it."""

    def __init__(self, parts: Parts, layout: Layout) -> None:
        self.mlp = None if parts.deep is None else parts.deep[1]
        self.n_slots = sum(f.n_slots for f in layout.fields if f.side == "request")
        self.request = Side(parts, 0, self.n_slots, bias=True)
        self.beside = Side(parts, self.n_slots, layout.embedded.n_slots, bias=False)

    def all_items(self, rows: Rows) -> Sums | None:
        """What items bring, the same to every request; None where that depends on the request, or there are too many to keep."""
        if rows.pairs is not None or rows.crosses:
            return None
        items = rows.items.take(slice(0, len(rows.items) - 1))
        few = self.beside.sums(items.take(slice(0, 1)))
        return self.beside.sums(items) if few.size * len(items) <= KEPT else None

    def score(self, rows: Rows, items: Int, known: Sums | None = None) -> Float:
        """Logits [B, N] of requests beside items [N]; known: what exactly these items bring."""
        out = np.empty((len(rows), len(items)), np.float32)
        requests = self.request.sums(rows.request)
        if known is None and rows.pairs is None and not rows.crosses and len(items) <= AT_A_TIME:
            known = self.beside.sums(rows.items.take(items))
        step = 1 if self.mlp is not None or known is None else len(rows)
        for r in range(0, len(rows), step):
            some = requests.take(slice(r, r + step))
            for start in range(0, len(items), AT_A_TIME):
                part = slice(start, start + AT_A_TIME)
                candidates = self._beside(rows, r, items[part]) if known is None else known.take(part)
                out[r : r + step, part] = self._logits(some, candidates).numpy()
        return out

    def _beside(self, rows: Rows, request: int, items: Int) -> Sums:
        whole = rows.of(np.full(len(items), request), items)
        weight = None if whole.weight is None else whole.weight[:, self.n_slots :]
        return self.beside.sums(Slots(whole.idx[:, self.n_slots :], weight))

    def _logits(self, requests: Sums, beside: Sums) -> Tensor:
        """Of requests beside candidates [B, N]; of one request only where there are hidden layers."""
        logits = beside.number + requests.number.unsqueeze(1)
        if requests.vectors is not None and beside.vectors is not None:
            logits.addmm_(requests.vectors, beside.vectors.t())
        if self.mlp is not None and requests.inputs is not None and beside.inputs is not None:
            logits += self.mlp.behind(requests.inputs, beside.inputs)
        return logits


class AllItems:
    """What all items bring to every request, worked out at the first: only as long as the model stays as it is."""

    def __init__(self, halves: Halves) -> None:
        self.halves = halves
        self._known: tuple[Slots, Sums | None] | None = None

    def score(self, rows: Rows) -> Float:
        """Logits [B, n_items]."""
        if self._known is None or self._known[0] is not rows.items:
            self._known = rows.items, self.halves.all_items(rows)
        return self.halves.score(rows, np.arange(len(rows.items) - 1, dtype=np.int32), self._known[1])


def _between(part: FieldEmbedding | None, first: int, last: int) -> FieldEmbedding | None:
    """The vectors of the fields whose slots are first:last."""
    if part is None or first == last:
        return None
    field = np.repeat(np.arange(part.n_fields), np.diff(part.starts))[first:last]
    return FieldEmbedding(part.table, field - field[0])


def vectors_of(part: FieldEmbedding, idx: Tensor, weight: Tensor | None) -> Tensor:
    """The vectors [B, F, D] of the fields of a part; slots behind them, those of crosses, have none."""
    if idx.shape[1] > part.n_slots:
        idx, weight = idx[:, : part.n_slots], None if weight is None else weight[:, : part.n_slots]
    found: Tensor = part(idx, weight)
    return found
