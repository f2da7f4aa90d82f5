from __future__ import annotations

import numpy as np

from rankine.features.slots import Field, Layout, Slots


def test_a_layout_comes_back_from_its_state_whatever_fields_are_called() -> None:
    layout = Layout(
        (
            Field(name="user\nname", side="request", n_rows=4),
            Field(name="", side="item", n_slots=2, n_rows=3),
            Field(name="last \0 \u00e9", side="request", n_slots=5, shares=""),
            Field(name="user\nname x ", side="pair", n_rows=9, cross=True),
        )
    )
    state = layout.state()
    assert all(array.dtype in (np.uint8, np.int64) for array in state.values())
    assert Layout.of_state(state) == layout


def test_rows_beside_each_other_have_weights_where_one_part_has() -> None:
    plain, weighted = (
        Slots(np.array([[1], [2]], np.int32)),
        Slots(np.array([[3], [4]], np.int32), np.float32([[0], [9]])),
    )
    assert Slots.beside([plain, plain]).weight is None
    both = Slots.beside([plain, weighted])
    assert both.idx.tolist() == [[1, 3], [2, 4]]
    assert both.weight is not None
    assert both.weight.tolist() == [[1, 0], [1, 9]]


def test_rows_are_taken_by_index_by_mask_and_by_slice() -> None:
    rows = Slots(np.array([[1], [2], [3]], np.int32), np.float32([[1], [2], [3]]))
    for which in (np.array([0, 2]), np.array([True, False, True]), slice(0, 3, 2)):
        taken = rows.take(which)
        assert taken.weight is not None
        assert taken.idx.tolist() == [[1], [3]] == taken.weight.tolist()
