"""What factor models share about visitors: whose vector is trained, whose is made from a history, and which items are alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rankine.arrays import CSR, Array, Float, Int, Ragged
from rankine.errors import ModelError
from rankine.features.events import EventArrays, positive
from rankine.features.queries import Queries
from rankine.kernels.pairs import held
from rankine.kernels.sparse import to_csr


def check_pairs(taken: CSR, label: str) -> None:
    """Raise ModelError where no known user took anything: there is nothing to learn from."""
    if not taken.nnz:
        raise ModelError(f"{label} got nothing to train on: no event of a known user speaks for an item")


def trained_vectors(queries: Queries, trained: Float) -> Float:
    """The trained vector of each known user, zeros for strangers, float32 [B, D]; `trained` is [n_users, D]."""
    vectors, known = np.zeros((len(queries), trained.shape[1]), np.float32), queries.known_user
    vectors[known] = trained[queries.user_idx[known]]
    return vectors


def trained_or_folded(queries: Queries, trained: Float, fold_in: Callable[[CSR], Float]) -> Float:
    """One vector per request, float32 [B, D]: the trained one of a known user, else the history folded in, else zeros.

    A user whose trained vector is zero has nothing that training could use, and counts as a stranger.

    `trained` is [n_users, D]; `fold_in` makes [R, D] of the histories of R visitors.
    """
    vectors = trained_vectors(queries, trained)
    fresh = np.flatnonzero(~vectors.any(1) & (queries.history.lengths > 0))
    if len(fresh):
        vectors[fresh] = fold_in(history_matrix(queries.take(fresh)))
    return vectors


def history_matrix(queries: Queries) -> CSR:
    """Requests by items: summed weights of their history, entries not above zero left out; [B, n_items]."""
    row, item = queries.history.row_of_value(), queries.history.values
    return positive(to_csr(row, item, queries.history_weight, len(queries), queries.n_items))


def seen_in(data: EventArrays) -> CSR:
    """Known users by the items that they met in training, for better or worse; no values, [n_users, n_items]."""
    met = data.interactions
    if (data.weight <= 0).any():
        known = data.user_idx < data.n_users
        met = to_csr(data.user_idx[known], data.item_idx[known], None, data.n_users, data.n_items)
    return CSR(met.indptr, met.indices, np.empty(0, np.float32), met.n_columns)


def news_matrix(queries: Queries, seen: CSR) -> CSR:
    """The same without what training has seen of a known user: what should move a trained vector, and all of a stranger."""
    row, item = queries.history.row_of_value(), queries.history.values
    new = ~held(seen, queries.user_idx[row], item)
    return positive(to_csr(row[new], item[new], queries.history_weight[new], len(queries), queries.n_items))


def met_matrix(queries: Queries, seen: CSR) -> CSR:
    """Requests by what the visitor took, in the history or in training: what must not be drawn as a negative."""
    liked = queries.history_weight > 0
    known = np.flatnonzero(queries.known_user)
    old = Ragged(seen.indices, seen.indptr).take(queries.user_idx[known])
    row = np.concatenate([queries.history.row_of_value()[liked], known[old.row_of_value()]])
    item = np.concatenate([queries.history.values[liked], old.values])
    return to_csr(row, item, None, len(queries), queries.n_items)


def someone_known(queries: Queries) -> Array:
    """Whether the user is known or has a history, bool [B]."""
    return np.asarray(queries.known_user | (queries.history.lengths > 0))


def alike(factors: Float, item_idx: int) -> tuple[Int, Float]:
    """All items and the cosine of their factors [n_items, D] with those of one item; 0 where one has none."""
    norms = np.maximum(np.linalg.norm(factors, axis=1), 1e-12)
    cosine = (factors @ factors[item_idx]) / (norms * norms[item_idx])
    return np.arange(len(factors), dtype=np.int32), cosine.astype(np.float32)
