"""What is written down of click models, from predictions whose properties are known."""

import json

import numpy as np
import pytest

from rankine.evaluation.clicks import Clicks
from rankine.runs.click_cards import click_card, histogram_card, wilson


def drawn(n: int = 4000, rate: float = 0.2, seed: int = 1) -> Clicks:
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-rng.normal(np.log(rate / (1 - rate)), 1.0, n)))
    return Clicks(p.astype(np.float32), rng.random(n) < p, np.zeros(n, np.int64))


def test_bins_hold_equally_many_rows_and_their_means():
    clicks = drawn()
    card = click_card(clicks)
    assert [b["n"] for b in card["bins"]] == [400] * 10
    order = np.array_split(np.argsort(clicks.probability, kind="stable"), 10)
    for b, rows in zip(card["bins"], order, strict=True):
        assert b["predicted"] == pytest.approx(clicks.probability[rows].mean(), rel=1e-5)
        assert b["observed"] == pytest.approx(clicks.label[rows].mean())
        assert 0 <= b["low"] < b["observed"] < b["high"] <= 1
    gaps = [abs(b["predicted"] - b["observed"]) for b in card["bins"]]
    assert card["error"] == pytest.approx(np.mean(gaps))
    assert (card["n"], card["taken"]) == (4000, clicks.label.sum())


def test_the_interval_of_a_share_is_wilsons():
    low, high = wilson(np.array([0.0, 0.5]), np.array([10, 100]))
    assert (low[0], high[0]) == pytest.approx((0.0, 0.27753), abs=1e-4)
    assert (low[1], high[1]) == pytest.approx((0.40383, 0.59617), abs=1e-4)


def test_the_shares_of_a_histogram_sum_to_one_for_each_kind():
    p = np.array([0.0, 1e-9, 1e-4, 0.5, 0.5, 0.9999, 1.0])
    found = histogram_card(p, np.array([0, 0, 0, 1, 0, 1, 1], bool))
    assert sum(found["taken"]) == pytest.approx(1) and sum(found["left"]) == pytest.approx(1)
    assert found["left"][0] == 0.5 and found["taken"][-1] == pytest.approx(1 / 3)
    assert len(found["edges"]) == len(found["left"]) + 1


def test_the_median_of_taken_rows_and_the_left_rows_above_it():
    p = np.array([0.1, 0.2, 0.9, 0.8, 0.85, 0.3], np.float32)
    taken = np.array([0, 0, 0, 1, 1, 1], bool)
    card = click_card(Clicks(p, taken, np.zeros(6, np.int64)))
    assert card["median_taken"] == pytest.approx(0.8)
    assert card["left_above"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("label", [True, False])
def test_rows_that_were_all_taken_or_all_left_are_written_without_a_gap(label):
    clicks = drawn(100)
    card = click_card(Clicks(clicks.probability, np.full(100, label), clicks.unit_idx))
    json.dumps(card, allow_nan=False)
    assert card["left_above"] is None


def test_nothing_is_written_where_nothing_was_predicted():
    assert click_card(None) is None
    assert click_card(Clicks(np.empty(0, np.float32), np.empty(0, bool), np.empty(0, np.int64))) is None
