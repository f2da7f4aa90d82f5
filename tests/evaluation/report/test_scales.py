import itertools

import numpy as np
import pytest

from rankine.evaluation.report.scales import log_odds, odds, rate_label, rates, size_label, sizes

NBSP = "\u00a0"


def test_rates_that_fill_the_range_are_drawn_straight():
    scale, by_root = rates([0.1, 0.4, 0.5, 0.9])
    assert not by_root and (scale.low, scale.high) == (0.0, 1.0)
    assert scale.over(0, 100).at(0.25) == pytest.approx(25)


def test_small_rates_are_drawn_by_square_root_so_that_they_stand_apart():
    scale, by_root = rates([0.0005, 0.001, 0.002, 0.003, 0.08])
    drawn = scale.over(0, 100)
    assert by_root and drawn.at(0.0) == 0
    assert drawn.at(scale.high / 4) == pytest.approx(50)
    assert drawn.at(0.002) > 12


def test_a_scale_runs_backwards_where_its_ends_do():
    scale = rates([0.2, 0.8])[0].over(200, 0)
    assert scale.at(0.0) == 200 and scale.at(scale.high) == 0


@pytest.mark.parametrize("scale", [rates([0.001] * 5 + [0.3])[0], odds(1e-5, 0.9999), sizes(900, 4e6, 0, 1)])
@pytest.mark.parametrize("gap", [20, 50])
def test_ticks_stand_apart_ascend_and_lie_on_the_scale(scale, gap):
    drawn = scale.over(0, 220)
    ticks = drawn.ticks(gap)
    assert len(ticks) >= 3
    assert all(b - a >= gap for a, b in itertools.pairwise([drawn.at(t) for t in ticks]))
    assert all(scale.low <= t <= scale.high for t in ticks)


def test_odds_are_symmetric_around_one_half():
    scale = odds(0.001, 0.999).over(0, 100)
    assert scale.at(0.5) == pytest.approx(50)
    assert scale.at(0.01) == pytest.approx(100 - scale.at(0.99))
    assert 0.5 in scale.ticks(20)
    assert log_odds(0.5) == 0 and log_odds(0.9) == pytest.approx(np.log(9))


def test_values_outside_stand_at_the_nearer_end():
    scale = odds(0.01, 0.99).over(0, 100)
    assert scale.at(0.0) == 0 and scale.at(1.0) == 100


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (0.001, "0.1 %"), (0.5, "50 %"), (0.9999, "99.99 %"), (1e-7, "1e-05 %"), (1, "100 %")],
)
def test_rates_are_written_in_percent(value, expected):
    assert rate_label(value) == expected.replace(" ", NBSP)


@pytest.mark.parametrize(("value", "expected"), [(500, "500"), (20_000, "20k"), (1_500_000, "1.5M"), (2e9, "2G")])
def test_sizes_are_short(value, expected):
    assert size_label(value) == expected
