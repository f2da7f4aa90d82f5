"""ALS: implicit feedback as weighted regression on all pairs, solved row by row.

L = sum_{(u,i) in S} w_ui (x_u . y_i - 1)^2 + a0 sum_{all u,i} (x_u . y_i)^2 + sum_u l_u |x_u|^2 + sum_i l_i |y_i|^2,
l_u = l2 (w_u + a0 n_items)^nu with w_u = sum_i w_ui, l_i likewise.
x_u = (a0 Y'Y + sum_i w_ui y_i y_i' + l_u I)^-1 sum_i w_ui y_i.
Source: Hu, Koren, Volinsky 2008; notation and regularisation of Rendle et al. 2021, "Revisiting the performance of iALS";
conjugate gradients: Takacs, Pilaszy, Tikk 2011; blocks of coordinates: Rendle et al. 2021, "iALS++".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float, Int
from rankine.errors import ConfigError, ModelError
from rankine.features.events import EventArrays, positive
from rankine.features.queries import Queries
from rankine.kernels.als import FixedSide, aligned_rows, fold_in, objective, row_sums, solve_rows
from rankine.kernels.jit import check_indices
from rankine.kernels.sparse import to_csr, transpose
from rankine.models.base import Monitor, SolvedModel, Source, Updatable, VectorModel, no_monitor
from rankine.models.factorization.histories import history_matrix, someone_known, trained_vectors
from rankine.models.tuning import Real, Whole, choice, ranges
from rankine.progress import track
from rankine.random import stream


@dataclass(frozen=True, kw_only=True)
class ALSConfig:
    """Settings of ALS.

    unobserved_weight: a0 above; without it all pairs together weigh `unobserved_ratio` times what the observed ones do;
    l2, nu: strength and frequency scaling of the penalty; init_sd: times 1 / sqrt(embedding_dim);
    solver: per row and sweep `cg_steps` steps of conjugate gradient, the exact solution, or blocks of `block` coordinates;
    weights: `binary` counts each pair once, `events` sums what the event types are worth.
    """

    embedding_dim: int = 64
    epochs: int = 16
    unobserved_ratio: float = 12.0
    unobserved_weight: float | None = None
    l2: float = 0.008
    nu: float = 1.0
    init_sd: float = 0.1
    solver: Literal["cg", "cholesky", "ials++"] = "cg"
    cg_steps: int = 3
    block: int = 64
    weights: Literal["binary", "events"] = "binary"

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "epochs", "cg_steps", "block"):
            settings.require(self, name, at_least=1)
        for name in ("unobserved_ratio", "unobserved_weight", "l2", "init_sd"):
            settings.require(self, name, above=0)
        settings.require(self, "nu", at_least=0)

    @classmethod
    def of_confidences(cls, *, alpha: float, regularization: float, **others: Any) -> ALSConfig:
        """The settings that rank as those of 2008: confidence 1 + alpha for what was taken and 1 elsewhere, one penalty.

        With a0 = 1 / alpha and l2 = regularization / (1 + alpha) every vector is that of 2008 times (1 + a0)^-1/2.
        Raises ConfigError for what that notation lacks: weights that differ, a penalty that is not the same for all rows.
        """
        if not alpha > 0:
            raise ConfigError(f"`alpha` must be above 0; got {alpha!r}: at 0 what was taken counts as what was not")
        for name in others.keys() & {"unobserved_ratio", "unobserved_weight", "l2", "nu", "weights"}:
            raise ConfigError(f"`{name}` follows from `alpha` and `regularization`: leave it out")
        return cls(unobserved_weight=1 / alpha, l2=regularization / (1 + alpha), nu=0.0, **others)


class ALS(VectorModel, SolvedModel, Updatable):
    """A visitor's vector is solved from their history as it is now; who has none but is known gets the trained vector."""

    Config = ALSConfig
    config: ALSConfig
    label = "Implicit ALS"
    summary = "factors of the whole history"
    mark = 6
    source = Source.HISTORY
    iterative = True
    fitted = ("user_factors", "item_factors", "alpha0")
    tuning = ranges(
        unobserved_ratio=Real(1.0, 100.0, log=True), l2=Real(1e-4, 0.1, log=True),
        embedding_dim=Whole(16, 256, log=True), weights=choice("binary", "events"),
    )  # fmt: skip

    user_factors: Float  # [n_users, D]
    item_factors: Float  # [n_items, D]
    alpha0: Array  # [1]
    _items: FixedSide | None = None

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        _check_weights(data)
        users = self._counted(data.interactions)
        items = transpose(users)
        if self.config.weights == "binary":
            items = replace(items, data=users.data)  # ones, in either order
        self.alpha0 = np.array([self.config.unobserved_weight or self._relative_weight(users)])
        rng, dim = stream(seed, "init"), self.config.embedding_dim
        self.user_factors, self.item_factors = aligned_rows(data.n_users, dim), aligned_rows(data.n_items, dim)
        for factors in (self.user_factors, self.item_factors):
            rng.standard_normal(dtype=np.float32, out=factors)
            factors *= np.float32(self.config.init_sd / math.sqrt(dim))
        user_l2, item_l2 = self._penalty(users), self._penalty(items)
        for epoch in track(range(1, self.config.epochs + 1), f"solving {self.label}"):
            self._sweep(users, self.item_factors, self.user_factors, user_l2)
            self._sweep(items, self.user_factors, self.item_factors, item_l2)
            self._items = None  # they changed in place
            if monitor is not no_monitor and monitor(epoch, self, loss=self._loss(users, user_l2, item_l2)):
                break

    def update(self, data: EventArrays, users: Int, items: Int) -> None:
        """Half a sweep each, as in training: first these users against the items as they were, then these items.

        A new row starts at zero and adds nothing until it is solved. All rows that are solved are solved exactly.
        """
        _check_weights(data)
        check_indices("users", users, data.n_users)
        check_indices("items", items, data.n_items)
        user_factors, item_factors = _grown(self.user_factors, data.n_users), _grown(self.item_factors, data.n_items)
        self._renew(users, data.user_idx, data.item_idx, data, item_factors, user_factors)
        self._renew(items, data.item_idx, data.user_idx, data, user_factors, item_factors)
        self.user_factors, self.item_factors = user_factors, item_factors

    def load_state(self, state: Mapping[str, Array]) -> None:
        super().load_state(state)
        self.user_factors, self.item_factors = (_grown(f, len(f)) for f in (self.user_factors, self.item_factors))

    def query_vectors(self, queries: Queries) -> Float:
        vectors = trained_vectors(queries, self.user_factors)
        fresh = queries.history.lengths > 0
        if fresh.any():
            vectors[fresh] = self._solved(self._counted(history_matrix(queries)), self._item_side())[fresh]
        return vectors

    def item_vectors(self) -> Float:
        return self.item_factors

    def evidence(self, queries: Queries) -> Array:
        return someone_known(queries)

    def _item_side(self) -> FixedSide:
        """What histories are solved against: made when first needed, kept while the items stay what they are."""
        side, items = self._items, self.item_factors
        if side is None or side.vectors is not items:
            side = self._items = FixedSide.of(items, self.alpha0[0])
        return side

    def _sweep(self, matrix: CSR, fixed: Float, solved: Float, penalty: Array) -> None:
        """Solve one side in place, the other held fixed."""
        solve_rows(
            matrix, fixed, solved, alpha0=self.alpha0[0], regularization=penalty,
            solver=self.config.solver, cg_steps=self.config.cg_steps, block=self.config.block,
        )  # fmt: skip

    def _renew(self, rows: Int, own: Int, other: Int, data: EventArrays, fixed: Float, out: Float) -> None:
        """Solve these rows of one side in place, the other held fixed; `own` and `other` are the sides of the events."""
        rows = np.unique(rows)
        place = np.full(len(out) + 1, -1, np.int32)  # the last is nobody in particular
        place[rows] = np.arange(len(rows))
        keep = np.flatnonzero((place[own] >= 0) & (data.user_idx < data.n_users))
        matrix = positive(to_csr(place[own[keep]], other[keep], data.weight[keep], len(rows), len(fixed)))
        out[rows] = self._solved(self._counted(matrix), FixedSide.of(fixed, self.alpha0[0]))

    def _solved(self, rows: CSR, fixed: FixedSide) -> Float:
        """The exact vectors of these rows."""
        return fold_in(rows, fixed, alpha0=fixed.alpha0, regularization=self._penalty(rows))

    def _relative_weight(self, matrix: CSR) -> float:
        """The a0 with which all pairs weigh `unobserved_ratio` times the entries of the matrix; 1 where it is empty."""
        mean = float(matrix.data.sum(dtype=np.float64)) / max(matrix.n_rows * matrix.n_columns, 1)
        return self.config.unobserved_ratio * mean or 1.0

    def _counted(self, matrix: CSR) -> CSR:
        """w of the summed weights of events."""
        if self.config.weights == "events" or (matrix.data == 1).all():
            return matrix
        return CSR(matrix.indptr, matrix.indices, np.ones(matrix.nnz, np.float32), matrix.n_columns)

    def _penalty(self, matrix: CSR) -> Array:
        """l of each row, float64 [n_rows]."""
        scale = (row_sums(matrix) + self.alpha0[0] * matrix.n_columns) ** self.config.nu
        return np.asarray(self.config.l2 * scale)

    def _loss(self, users: CSR, user_l2: Array, item_l2: Array) -> float:
        total = objective(
            users, self.user_factors, self.item_factors, alpha0=self.alpha0[0],
            x_regularization=user_l2, y_regularization=item_l2,
        )  # fmt: skip
        return total / max(users.nnz, 1)


def _check_weights(data: EventArrays) -> None:
    """Raise ModelError unless the weights of all events are finite: sums of others would be left out unseen."""
    if not np.isfinite(data.weight).all():
        event = int(np.argmin(np.isfinite(data.weight)))
        raise ModelError(f"the weights of events must be finite; that of event {event} is {data.weight[event]}")


def _grown(factors: Float, n: int) -> Float:
    """The rows, and zeros up to n of them, where the kernels use them without a copy."""
    if n < len(factors):
        raise ValueError(f"`data` must hold all {len(factors)} rows that the model knows; got {n}")
    table = aligned_rows(n, factors.shape[1])
    table[: len(factors)] = factors
    return table
