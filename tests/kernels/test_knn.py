import math
from typing import Any

import numpy as np
import pytest

from rankine.arrays import Ragged
from rankine.kernels.knn import index_sessions, score_sessions

N_ITEMS = 30
POSITION = {
    "same": lambda p, n: 1.0,
    "div": lambda p, n: p / n,
    "linear": lambda p, n: max(0.0, 1 - 0.1 * (n - p)),
    "quadratic": lambda p, n: (p / n) ** 2,
    "log": lambda p, n: 1 / math.log10(n - p + 1.7),
}
STEP = {
    "same": lambda s: 1.0,
    "div": lambda s: 1 / s,
    "linear": lambda s: max(0.0, 1 - 0.1 * s),
    "quadratic": lambda s: 1 / s**2,
    "log": lambda s: 1 / math.log10(s + 1.7),
}


def brute_force(past: list[list[int]], times: Any, current: list[int], k: int, m: int, w: str, sim: str, w_score: str,
                idf_weight: float) -> np.ndarray:  # fmt: skip
    current = [i for i in current if i < N_ITEMS]
    n = len(current)
    last_place = {item: p for p, item in enumerate(current, 1)}
    weights = {item: POSITION[w](p, n) for item, p in last_place.items()}
    sets = [set(s) for s in past]
    sharing = [s for s in range(len(past)) if sets[s] & set(current)]
    newest = sorted(sharing, key=lambda s: (times[s], s), reverse=True)[:m]
    found = []
    for session in newest:
        common = sorted(sets[session] & set(current), key=lambda i: last_place[i])
        similarity = sum(weights[i] for i in common)
        if sim == "vec":
            similarity /= len(weights)
        else:
            squares = sum(weights[i] ** 2 for i in sorted(weights, key=lambda i: last_place[i]))
            similarity /= math.sqrt(squares) * math.sqrt(len(sets[session]))
        found.append((similarity, times[session], session, n - last_place[common[-1]] + 1))
    scores = np.zeros(N_ITEMS)
    for similarity, _, session, step in sorted(found, reverse=True)[:k]:
        for item in sets[session]:
            idf = math.log(len(past) / sum(item in s for s in sets))
            scores[item] += similarity * STEP[w_score](step) * (1 + idf_weight * idf)
    return scores


def data(seed: int, n: int = 200) -> tuple[list[list[int]], np.ndarray]:
    """Sessions with repeats over a skewed catalogue, and times with many ties."""
    rng = np.random.default_rng(seed)
    past = [(N_ITEMS * rng.random(rng.integers(1, 9)) ** 1.5).astype(int).tolist() for _ in range(n)]
    return past, rng.integers(0, 40, n).astype(np.float64)


QUERIES = [[0], [3, 5], [5, 3], [1, 1, 4, 1], [29], [], [30], [2, 30, 7], list(range(15)), [0, 9, 0, 8, 0, 7]]


@pytest.mark.parametrize(
    ("k", "m", "w", "sim", "w_score", "idf_weight"),
    [
        (100, 1000, "quadratic", "vec", "quadratic", 0.0),
        (10, 30, "quadratic", "vec", "quadratic", 0.0),
        (5, 17, "div", "vec", "div", 2.0),
        (7, 25, "linear", "vec", "linear", 0.5),
        (8, 500, "log", "vec", "log", 0.0),
        (10, 40, "same", "cosine", "same", 0.0),
        (500, 50, "same", "vec", "same", 0.0),
        (10, 50, "div", "cosine", "same", 10.0),
        (1, 1, "same", "vec", "same", 0.0),
    ],
)
def test_scores_equal_a_brute_force_search(k: int, m: int, w: Any, sim: Any, w_score: Any, idf_weight: float) -> None:
    past, times = data(seed=k)
    queries = QUERIES + data(seed=1000 + k, n=60)[0]
    index = index_sessions(Ragged.from_rows(past), times, N_ITEMS)
    found = score_sessions(index, Ragged.from_rows(queries), n_neighbours=k, sample_size=m, position_weights=w,
                           similarity=sim, score_decay=w_score, idf_weight=idf_weight)  # fmt: skip
    expected = [brute_force(past, times, q, k, m, w, sim, w_score, idf_weight) for q in queries]
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-5, atol=1e-6)
    assert np.any(found)


def test_of_equal_times_the_later_session_is_newer() -> None:
    index = index_sessions(Ragged.from_rows([[0, 1], [0, 2], [0, 3]]), np.array([5.0, 9.0, 9.0]), 4)
    scores = score_sessions(index, Ragged.from_rows([[0]]), sample_size=1)
    assert np.flatnonzero(scores[0]).tolist() == [0, 3]


def test_of_equally_similar_sessions_the_newer_is_the_neighbour() -> None:
    index = index_sessions(Ragged.from_rows([[0, 1], [0, 2], [0, 3]]), np.array([9.0, 5.0, 7.0]), 4)
    scores = score_sessions(index, Ragged.from_rows([[0]]), n_neighbours=2)
    assert np.flatnonzero(scores[0]).tolist() == [0, 1, 3]


def test_repeats_in_a_past_session_count_once() -> None:
    once = index_sessions(Ragged.from_rows([[0, 1, 2]]), np.array([1.0]), 3)
    often = index_sessions(Ragged.from_rows([[0, 1, 0, 0, 2, 2]]), np.array([1.0]), 3)
    query = Ragged.from_rows([[0, 1]])
    np.testing.assert_array_equal(score_sessions(once, query), score_sessions(often, query))


def test_a_batch_scores_as_its_rows_do() -> None:
    past, times = data(seed=3)
    index, queries = index_sessions(Ragged.from_rows(past), times, N_ITEMS), Ragged.from_rows(data(4, 40)[0])
    alone = [score_sessions(index, queries.take(slice(b, b + 1)))[0] for b in range(40)]
    np.testing.assert_array_equal(score_sessions(index, queries), alone)


def test_an_index_without_sessions_scores_zero() -> None:
    index = index_sessions(Ragged.empty(0), np.empty(0), 4)
    np.testing.assert_array_equal(score_sessions(index, Ragged.from_rows([[1, 2], []])), np.zeros((2, 4)))


def test_wrong_input_is_an_error() -> None:
    with pytest.raises(ValueError, match="one value per session, 2; got 1"):
        index_sessions(Ragged.from_rows([[0], [1]]), np.zeros(1), 2)
    with pytest.raises(ValueError, match="`sessions` must lie in"):
        index_sessions(Ragged.from_rows([[0, 2]]), np.zeros(1), 2)
    index = index_sessions(Ragged.from_rows([[0]]), np.zeros(1), 2)
    with pytest.raises(ValueError, match="vec or cosine; got 'dot'"):
        score_sessions(index, Ragged.from_rows([[0]]), similarity="dot")  # type: ignore[arg-type]
