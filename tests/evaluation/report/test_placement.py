import itertools

import numpy as np
import pytest

from rankine.evaluation.report.placement import REACH, Box, place_labels

BOUNDS = Box(40, 0, 700, 280)


def marks_of(points):
    return [Box(x - 8, y - 8, x + 8, y + 8) for x, y in points]


@pytest.mark.parametrize("seed", range(12))
def test_labels_cover_neither_marks_nor_each_other_nor_leave_the_plot(seed):
    rng = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in zip(rng.uniform(60, 400, 9), rng.uniform(30, 200, 9), strict=True)]
    marks = marks_of(points)
    found = [place for place in place_labels([90.0] * 9, points, marks, BOUNDS) if place is not None]
    assert len(found) >= 7
    for place in found:
        assert place.box.inside(BOUNDS)
        assert sum(place.box.overlap(m) for m in marks) <= 1
    for a, b in itertools.combinations(found, 2):
        assert a.box.overlap(b.box) <= 1


def test_a_lonely_label_stands_right_beside_its_mark():
    (place,) = place_labels([50.0], [(100, 100)], marks_of([(100, 100)]), BOUNDS)
    assert place is not None and place.box.left == 100 + REACH[0] and not place.lead


def test_a_label_that_does_not_fit_at_the_edge_goes_to_the_other_side():
    (place,) = place_labels([50.0], [(680, 100)], marks_of([(680, 100)]), BOUNDS)
    assert place is not None and place.box.right == 680 - REACH[0]


def test_a_label_without_room_is_left_out():
    assert place_labels([900.0], [(100, 100)], marks_of([(100, 100)]), BOUNDS) == [None]


def test_overlap_is_the_shared_area():
    assert Box(0, 0, 10, 10).overlap(Box(5, 8, 20, 20)) == 10
    assert Box(0, 0, 10, 10).overlap(Box(10, 0, 20, 10)) == 0
