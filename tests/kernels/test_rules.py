import math

import numpy as np
import pytest

from rankine.arrays import Ragged
from rankine.kernels.rules import score_last, sequential_rules

WEIGHT = {
    "div": lambda d: 1 / d,
    "quadratic": lambda d: 1 / d**2,
    "log": lambda d: 1 / math.log10(d + 1.7),
    "linear": lambda d: max(0.0, 1 - 0.1 * d),
    "same": lambda d: 1.0,
}


def random_sessions(seed: int, n: int = 80, n_items: int = 20) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n_items, rng.integers(0, 18)).tolist() for _ in range(n)]


def slow(sessions: list[list[int]], n_items: int, steps: int, decay: str) -> np.ndarray:
    out = np.zeros((n_items, n_items))
    for session in sessions:
        for place, item in enumerate(session):
            for d in range(1, min(steps, place) + 1):
                out[session[place - d], item] += WEIGHT[decay](d)
    return out


def dense(rules: object) -> np.ndarray:
    n_items = rules.n_rows  # type: ignore[attr-defined]
    return score_last(rules, Ragged.from_rows([[i] for i in range(n_items)]))  # type: ignore[arg-type]


@pytest.mark.parametrize("decay", list(WEIGHT))
@pytest.mark.parametrize("steps", [1, 3, 15])
def test_rules_equal_the_slow_definition(decay: str, steps: int) -> None:
    sessions = random_sessions(steps)
    rules = sequential_rules(Ragged.from_rows(sessions), 20, steps=steps, decay=decay)
    np.testing.assert_allclose(dense(rules), slow(sessions, 20, steps, decay), rtol=1e-5)
    assert all((np.diff(rules.row(r)[0]) > 0).all() for r in range(20))
    assert (rules.data > 0).all()


def test_one_step_with_equal_weights_counts_transitions_and_an_item_may_follow_itself() -> None:
    rules = sequential_rules(Ragged.from_rows([[0, 1, 1], [0, 1], [2]]), 3, steps=1, decay="same")
    np.testing.assert_array_equal(dense(rules), [[0, 2, 0], [0, 1, 0], [0, 0, 0]])


def test_the_best_targets_are_kept_and_the_lower_item_among_equals() -> None:
    sessions = [[0, 1], [0, 2], [0, 3], [0, 3]]
    rules = sequential_rules(Ragged.from_rows(sessions), 4, keep=2)
    assert rules.row(0)[0].tolist() == [1, 3]


def test_sessions_do_not_run_into_each_other() -> None:
    assert sequential_rules(Ragged.from_rows([[0], [1], [], [2]]), 3, steps=5).nnz == 0


def test_a_session_scores_by_its_last_known_item() -> None:
    rules = sequential_rules(Ragged.from_rows([[0, 1], [1, 2]]), 3, steps=1)
    scores = score_last(rules, Ragged.from_rows([[1, 0], [0, 1, 3], [3], []]))  # 3 is unknown
    np.testing.assert_array_equal(scores, [[0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]])
    assert scores.dtype == np.float32


def test_rules_without_an_event_are_empty() -> None:
    assert sequential_rules(Ragged.empty(3), 4).n_rows == 4


def test_an_unknown_item_in_the_training_sessions_is_an_error() -> None:
    with pytest.raises(ValueError, match="`sessions` must lie in 0"):
        sequential_rules(Ragged.from_rows([[0, 3]]), 3)
