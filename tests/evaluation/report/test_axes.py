import itertools

import numpy as np
import pytest

from rankine.evaluation.report.axes import Axis, nice_step, spread, step_places


@pytest.mark.parametrize("scale", [1e-6, 0.003, 1.0, 40.0, 1e7])
def test_ticks_are_round_and_few_and_hold_all_values(scale):
    rng = np.random.default_rng(1)
    for _ in range(50):
        values = rng.normal(0, scale, 4).tolist()
        axis = Axis.over(values, 0, 100, n=5)
        mantissa = axis.step / 10 ** np.floor(np.log10(axis.step) + 1e-9)
        assert min(abs(mantissa - m) for m in (1, 2, 2.5, 5)) < 1e-6
        assert len(axis.ticks) <= 7
        assert axis.low <= min(values) and max(values) <= axis.high
        assert axis.ticks[0] == pytest.approx(axis.low) and axis.ticks[-1] == pytest.approx(axis.high)


def test_the_step_is_the_smallest_that_fits():
    assert [nice_step(1.0, n) for n in (1, 2, 3, 4, 5, 10)] == pytest.approx([1, 0.5, 0.5, 0.25, 0.2, 0.1])


def test_zero_is_on_the_axis_if_asked_for():
    assert Axis.over([0.29, 0.31], 0, 100, zero=True).low == 0
    assert Axis.over([-0.29, -0.31], 0, 100, zero=True).high == 0
    assert Axis.over([0.29, 0.31], 0, 100).low > 0.2


def test_values_fall_in_proportion():
    axis = Axis.between(0.2, 0.4, 10, 110)
    assert [axis.at(v) for v in (0.2, 0.3, 0.4)] == pytest.approx([10, 60, 110])
    assert all(0.2 <= t <= 0.4 for t in axis.ticks)
    assert axis.holds(0.4) and not axis.holds(0.41)


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e-12])
def test_one_value_alone_still_has_an_axis(value):
    axis = Axis.over([value, value], 0, 100)
    assert axis.high > axis.low and 0 <= axis.at(value) <= 100


def test_labels_have_the_decimals_of_the_step():
    assert [step_places(s) for s in (5, 0.5, 0.25, 0.025, 100)] == [0, 1, 2, 3, 0]
    axis = Axis.over([-0.05, 0.1], 0, 100, n=4)
    assert {len(axis.label(t).strip("\u2212")) for t in axis.ticks} == {4}


def test_whole_numbers_get_whole_ticks():
    axis = Axis.whole(1, 3, 0, 100, n=6)
    assert all(t == int(t) for t in axis.ticks)
    assert Axis.whole(4, 4, 0, 100).at(4) == 0


def test_spread_labels_stand_apart_inside_and_as_close_as_can_be():
    rng = np.random.default_rng(2)
    grid = np.arange(0, 61, 4.0)
    for _ in range(20):
        wanted = sorted(rng.uniform(0, 60, 3).tolist())
        found = spread(wanted, 12, 0, 60)
        assert all(b - a >= 12 - 1e-9 for a, b in itertools.pairwise(found))
        assert min(found) >= 0 and max(found) <= 60 + 1e-9
        best = min(
            sum((x - w) ** 2 for x, w in zip(some, wanted, strict=True))
            for some in itertools.product(grid, repeat=3)
            if all(b - a >= 12 for a, b in itertools.pairwise(some))
        )
        assert sum((x - w) ** 2 for x, w in zip(found, wanted, strict=True)) <= best + 1e-6


def test_spread_keeps_the_order_and_what_already_fits():
    assert spread([50, 10, 30], 12, 0, 60) == [50, 10, 30]
    found = spread([30, 29.9, 30.1], 12, 0, 60)
    assert found[1] < found[0] < found[2]
