"""Permutation importance against a slow loop, and where the answer is planted."""

from collections.abc import Mapping

import numpy as np
import pytest

from rankine.arrays import Array, Float, Int
from rankine.errors import DataError, ScoreError
from rankine.evaluation.importance import MOST_ROWS, importance
from rankine.features.queries import Queries
from rankine.features.slots import Field, Layout, Slots
from rankine.models.base import RowModel, Source

LAYOUT = Layout(
    (
        Field(name="noise", side="request", n_rows=5),
        Field(name="tags", side="request", n_slots=2, n_rows=6),
        Field(name="item", side="item", n_rows=10),
        Field(name="unused", side="item", n_rows=4),
    )
)


class Weights(RowModel):
    """Log-odds that are a sum of one number per table row."""

    label, summary = "Weights", "a sum"

    def __init__(self, values: Array) -> None:
        super().__init__(())
        self.values = values

    @property
    def source(self) -> Source:
        return Source.CONTEXT

    def logits(self, rows: Slots) -> Float:
        weight = 1.0 if rows.weight is None else rows.weight
        return np.asarray((self.values[rows.idx] * weight).sum(axis=1), np.float32)

    def probability(self, queries: Queries, item_idx: Int) -> Float:
        raise NotImplementedError

    def score_all(self, queries: Queries) -> Float:
        raise NotImplementedError

    def evidence(self, queries: Queries) -> Array:
        raise NotImplementedError

    def state(self) -> dict[str, Array]:
        return {"values": self.values}

    def load_state(self, state: Mapping[str, Array]) -> None:
        self.values = state["values"]


def drawn(n: int, seed: int = 7, weighted: bool = True) -> tuple[Weights, Slots, Array]:
    """Rows of random fields, and labels that follow `item` strongly, `tags` a little, and nothing else."""
    rng = np.random.default_rng(seed)
    first = list(LAYOUT.first_rows.values())
    parts = [(first[0], 5), (first[1], 6), (first[1], 6), (first[2], 10), (first[3], 4)]
    idx = np.stack([start + rng.integers(0, size, n) for start, size in parts], axis=1).astype(np.int32)
    weight = np.ones((n, 5), np.float32)
    weight[:, 1:3] = 0.5
    values = np.zeros(LAYOUT.n_rows)
    values[first[2] : first[2] + 10] = np.linspace(-3, 3, 10)
    values[first[1] : first[1] + 6] = np.linspace(-1, 1, 6)
    model, rows = Weights(values), Slots(idx, weight if weighted else None)
    labels = (rng.random(n) < 1 / (1 + np.exp(-model.logits(rows)))).astype(np.float64)
    return model, rows, labels


def slow_auc(scores: Array, labels: Array) -> float:
    above = scores[labels > 0][:, None] - scores[labels == 0][None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def test_a_field_that_the_model_does_not_read_is_worth_exactly_nothing():
    found = {f.field: f for f in importance(*drawn(2000), LAYOUT).fields}
    assert found["noise"].drop == found["noise"].deviation == 0
    assert found["unused"].drop == found["unused"].deviation == 0


def test_the_planted_field_is_worth_most_and_comes_in_the_order_of_the_layout():
    found = importance(*drawn(3000), LAYOUT)
    assert [f.field for f in found.fields] == [f.name for f in LAYOUT.fields]
    drop = {f.field: f.drop for f in found.fields}
    assert drop["item"] > 5 * drop["tags"] > 0.01
    assert 0 < found.fields[2].deviation < 0.02


def test_dealing_out_the_decisive_field_leaves_a_coin():
    model, rows, labels = drawn(4000)
    model.values[LAYOUT.first_rows["tags"] : LAYOUT.first_rows["item"]] = 0
    found = importance(model, rows, labels, LAYOUT)
    assert found.auc == pytest.approx(slow_auc(model.logits(rows), labels), abs=1e-9)
    assert found.auc - found.fields[2].drop == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("weighted", [True, False])
def test_all_slots_of_a_field_move_together_with_their_weights(weighted):
    model, rows, labels = drawn(400, weighted=weighted)
    seen: list[Slots] = []
    ask = model.logits
    model.logits = lambda given: (seen.append(given), ask(given))[1]  # type: ignore[method-assign]
    importance(model, rows, labels, LAYOUT, repeats=1)
    changed = seen[2]  # the first is the whole, the second has another `noise`
    assert (changed.weight is None) == (rows.weight is None)
    kept = [0, 3, 4]
    assert np.array_equal(changed.idx[:, kept], rows.idx[:, kept])
    pairs = sorted(map(tuple, rows.idx[:, 1:3].tolist()))
    assert sorted(map(tuple, changed.idx[:, 1:3].tolist())) == pairs
    assert not np.array_equal(changed.idx, rows.idx)


def test_equal_seeds_give_equal_figures_and_others_do_not():
    made = drawn(500)
    assert importance(*made, LAYOUT, seed=3) == importance(*made, LAYOUT, seed=3)
    assert importance(*made, LAYOUT, seed=3) != importance(*made, LAYOUT, seed=4)


def test_many_rows_are_sampled_and_the_given_ones_stay_as_they_were():
    model, rows, labels = drawn(MOST_ROWS + 500)
    before = rows.idx.copy(), labels.copy()
    assert importance(model, rows, labels, LAYOUT, repeats=1).n_rows == MOST_ROWS
    assert np.array_equal(rows.idx, before[0]) and np.array_equal(labels, before[1])


def test_rows_that_were_all_taken_cannot_be_judged():
    model, rows, labels = drawn(50)
    with pytest.raises(DataError, match="taken and rows that were left"):
        importance(model, rows, np.ones_like(labels), LAYOUT)


def test_scores_that_are_no_numbers_are_an_error():
    model, rows, labels = drawn(50)
    model.values[:] = np.nan
    with pytest.raises(ScoreError):
        importance(model, rows, labels, LAYOUT)
