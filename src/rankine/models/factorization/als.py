"""ALS: implicit feedback as weighted regression on all pairs, solved row by row.

L = sum_{(u,i) in S} w_ui (x_u . y_i - 1)^2 + a0 sum_{all u,i} (x_u . y_i)^2 + sum_u l_u |x_u|^2 + sum_i l_i |y_i|^2,
l_u = l2 (w_u + a0 n_items)^nu with w_u = sum_i w_ui, l_i likewise.
x_u = (a0 Y'Y + sum_i w_ui y_i y_i' + l_u I)^-1 sum_i w_ui y_i.
Source: Hu, Koren, Volinsky 2008; notation and regularisation of Rendle et al. 2021, "Revisiting the performance of iALS";
conjugate gradients: Takacs, Pilaszy, Tikk 2011. In the notation of 2008, c = 1 + w / a0 and lambda = l / a0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rankine import config as settings
from rankine.arrays import CSR, Array, Float
from rankine.features.events import EventArrays, positive
from rankine.features.queries import Queries
from rankine.kernels.als import fold_in, objective, solve_rows
from rankine.kernels.sparse import to_csr, transpose
from rankine.models.base import Monitor, SolvedModel, Source, VectorModel, no_monitor
from rankine.models.tuning import Real, Whole, choice, ranges
from rankine.progress import track
from rankine.random import stream


@dataclass(frozen=True, kw_only=True)
class ALSConfig:
    """Settings of ALS.

    unobserved_weight: a0 above; l2, nu: strength and frequency scaling of the penalty; init_sd: times 1 / sqrt(embedding_dim);
    weights: `binary` counts each pair once, `events` sums what the event types are worth.
    """

    embedding_dim: int = 64
    epochs: int = 16
    unobserved_weight: float = 0.1
    l2: float = 0.003
    nu: float = 1.0
    init_sd: float = 0.1
    solver: Literal["cg", "cholesky"] = "cg"
    cg_steps: int = 3
    weights: Literal["binary", "events"] = "binary"

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "epochs", "cg_steps"):
            settings.require(self, name, at_least=1)
        for name in ("unobserved_weight", "l2", "init_sd"):
            settings.require(self, name, above=0)


class ALS(VectorModel, SolvedModel):
    """A visitor's vector is solved from their history as it is now; who has none but is known gets the trained vector."""

    Config = ALSConfig
    config: ALSConfig
    label = "Implicit ALS"
    summary = "factors of the whole history"
    mark = 6
    source = Source.HISTORY
    iterative = True
    fitted = ("user_factors", "item_factors")
    tuning = ranges(
        unobserved_weight=Real(1e-3, 10.0, log=True), l2=Real(1e-5, 10.0, log=True), nu=Real(0.0, 1.0),
        embedding_dim=Whole(16, 256, log=True), weights=choice("binary", "events"),
    )  # fmt: skip

    user_factors: Float  # [n_users, D]
    item_factors: Float  # [n_items, D]

    def solve(self, data: EventArrays, *, seed: int = 0, monitor: Monitor = no_monitor) -> None:
        users = self._weighted(data.interactions)
        items = transpose(users)
        rng, sd = stream(seed, "init"), self.config.init_sd / math.sqrt(self.config.embedding_dim)
        shapes = [(n, self.config.embedding_dim) for n in (data.n_users, data.n_items)]
        self.user_factors, self.item_factors = (rng.normal(0, sd, shape).astype(np.float32) for shape in shapes)
        user_l2, item_l2 = self._penalty(users), self._penalty(items)
        for epoch in track(range(1, self.config.epochs + 1), f"solving {self.label}"):
            self._sweep(users, self.item_factors, self.user_factors, user_l2)
            self._sweep(items, self.user_factors, self.item_factors, item_l2)
            if monitor is not no_monitor and monitor(epoch, self, loss=self._loss(users, user_l2, item_l2)):
                break

    def _sweep(self, matrix: CSR, fixed: Float, solved: Float, penalty: Array) -> None:
        """Solve one side in place, the other held fixed."""
        solve_rows(
            matrix, fixed, solved, alpha0=self.config.unobserved_weight, regularization=penalty,
            solver=self.config.solver, cg_steps=self.config.cg_steps,
        )  # fmt: skip

    def query_vectors(self, queries: Queries) -> Float:
        vectors = np.zeros((len(queries), self.item_factors.shape[1]), np.float32)
        known = queries.known_user
        vectors[known] = self.user_factors[queries.user_idx[known]]
        fresh = np.flatnonzero(queries.history.lengths > 0)
        if len(fresh):
            row, item = queries.history.row_of_value(), queries.history.values
            history = positive(to_csr(row, item, queries.history_weight, len(queries), queries.n_items))
            history = self._weighted(history)
            solved = fold_in(
                history, self.item_factors, alpha0=self.config.unobserved_weight, regularization=self._penalty(history)
            )
            vectors[fresh] = solved[fresh]
        return vectors

    def item_vectors(self) -> Float:
        return self.item_factors

    def evidence(self, queries: Queries) -> Array:
        return np.asarray(queries.known_user | (queries.history.lengths > 0))

    def _weighted(self, matrix: CSR) -> CSR:
        if self.config.weights == "events":
            return matrix
        return CSR(matrix.indptr, matrix.indices, np.ones(matrix.nnz, np.float32), matrix.n_columns)

    def _penalty(self, matrix: CSR) -> Array:
        total = np.concatenate([[0.0], np.cumsum(matrix.data, dtype=np.float64)])
        weight = total[matrix.indptr[1:]] - total[matrix.indptr[:-1]]
        scale = (weight + self.config.unobserved_weight * matrix.n_columns) ** self.config.nu
        return np.asarray(self.config.l2 * scale)

    def _loss(self, users: CSR, user_l2: Array, item_l2: Array) -> float:
        total = objective(
            users,
            self.user_factors,
            self.item_factors,
            alpha0=self.config.unobserved_weight,
            x_regularization=user_l2,
            y_regularization=item_l2,
        )
        return total / max(users.nnz, 1)
