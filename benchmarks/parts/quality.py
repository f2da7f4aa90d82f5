"""How good a result is, by one piece of plain NumPy for every system, from what it exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse as sp
from systems.exchange import Matrix, load

MAX_USERS = 10_000  # with more, a sample of them is ranked
BLOCK = 1000


def ranking(place: Path, exported: Path, k: int = 10) -> str:
    """NDCG@k over all items but those of the training, mean over users who have a test item; `among_100` where that is asked."""
    if (place / "test_negatives.npy").exists():
        return among_100(place, exported, k)
    train, test, result = Matrix(place), Matrix(place, "test"), load(exported)
    users = np.flatnonzero(np.diff(test.indptr))
    if len(users) > MAX_USERS:
        users = np.sort(np.random.default_rng(0).choice(users, MAX_USERS, replace=False))
    taken, wanted = as_scipy(train), as_scipy(test)
    near = _similarities(result, train.n_items) if "similarity" in result else None
    total = 0.0
    for start in range(0, len(users), BLOCK):
        rows = users[start : start + BLOCK]
        scores = _of_factors(result, rows) if near is None else (taken[rows] @ near).toarray()
        total += _ndcg(top_lists(scores, taken[rows], k), wanted[rows], k).sum()
    return f"ndcg@{k} {total / max(len(users), 1):.4f}"


def among_100(place: Path, exported: Path, k: int = 10) -> str:
    """Hit rate and NDCG of the one test item of each user among 99 others; only higher scores stand above it."""
    test, negatives, result = Matrix(place, "test"), np.load(place / "test_negatives.npy"), load(exported)
    items = np.concatenate([test.indices[:, None], negatives[test.users]], axis=1)
    bias = result.get("item_bias", np.zeros(test.n_items, np.float32))
    scores = np.einsum("nd,nkd->nk", result["user"][test.users], result["item"][items]) + bias[items]
    rank = 1 + (scores[:, 1:] > scores[:, :1]).sum(axis=1)
    hit = rank <= k
    return f"hr@{k} {hit.mean():.4f}, ndcg@{k} {(hit / np.log2(rank + 1)).mean():.4f} among 100"


def rmse(place: Path, exported: Path) -> str:
    """Root mean squared error on the test ratings, predictions held within 1 to 5."""
    test, result = Matrix(place, "test"), load(exported)
    user, item, total = test.users, test.indices, 0.0
    for start in range(0, len(user), 100_000):
        part = slice(start, start + 100_000)
        dots = np.einsum("nd,nd->n", result["user"][user[part]], result["item"][item[part]], dtype=np.float64)
        biases = sum(
            result[name][rows[part]] for name, rows in (("user_bias", user), ("item_bias", item)) if name in result
        )
        predicted = np.clip(dots + biases + result.get("mean", np.zeros(1)), 1, 5)
        total += np.square(predicted - test.values[part]).sum()
    return f"rmse {np.sqrt(total / len(user)):.4f}"


def clicks(place: Path, exported: Path) -> str:
    """AUC, ties counting half, and log loss, probabilities held within 1e-7 of 0 and 1, on the labels of the test."""
    label, p = np.load(place / "test_label.npy") > 0, load(exported)["probability"].astype(np.float64)
    left = np.sort(p[~label])
    below = np.searchsorted(left, p[label], "left") + np.searchsorted(left, p[label], "right")
    p = np.clip(p, 1e-7, 1 - 1e-7)
    loss = -np.log(np.where(label, p, 1 - p)).mean()
    return f"auc {below.mean() / 2 / max(len(left), 1):.4f}, logloss {loss:.4f}"


def exactness(place: Path, factors: Path, lists: np.ndarray, users: np.ndarray) -> str:
    """How many of the lists hold the best items there are, by scores in float64; equal within float32 rounding counts."""
    train, result = Matrix(place), load(factors)
    user, item = result["user"][users].astype(np.float64), result["item"].astype(np.float64)
    k, right = lists.shape[1], 0
    taken = as_scipy(train)[users]
    for row in range(len(users)):
        scores = item @ user[row]
        slack = 1e-5 * np.abs(scores).max()
        scores[taken[row].indices] = -np.inf
        best = -np.partition(-scores, k - 1)[:k]
        right += len(np.unique(lists[row])) == k and scores[lists[row]].min() >= best.min() - slack
    return f"{right / len(users):.2%} of lists exact"


def top_lists(scores: np.ndarray, taken: sp.csr_matrix, k: int) -> np.ndarray:
    """The k best items of each row, best first, what was taken left out."""
    scores = np.asarray(scores, np.float32)
    scores[np.repeat(np.arange(len(scores)), np.diff(taken.indptr)), taken.indices] = -np.inf
    found = np.argpartition(-scores, k, axis=1)[:, :k]
    return np.take_along_axis(found, np.argsort(-np.take_along_axis(scores, found, 1), axis=1, kind="stable"), 1)


def as_scipy(matrix: Matrix) -> sp.csr_matrix:
    """The entries of a matrix, 1 each."""
    ones = np.ones(len(matrix), np.float32)
    return sp.csr_matrix((ones, matrix.indices, matrix.indptr), (matrix.n_users, matrix.n_items))


def _of_factors(result: dict[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    return result["user"][rows] @ result["item"].T + result.get("item_bias", np.zeros(1, np.float32))


def _similarities(result: dict[str, np.ndarray], n_items: int) -> sp.csr_matrix:
    return sp.csr_matrix((result["similarity"], result["indices"], result["indptr"]), (n_items, n_items))


def _ndcg(lists: np.ndarray, wanted: sp.csr_matrix, k: int) -> np.ndarray:
    """NDCG of each list."""
    discount = 1 / np.log2(np.arange(k) + 2)
    rows = np.repeat(np.arange(len(lists)), k)
    hits = np.asarray(wanted[rows, lists.reshape(-1)]).reshape(len(lists), k) > 0
    best = np.cumsum(discount)[np.minimum(np.diff(wanted.indptr), k) - 1]
    return (hits @ discount) / best
