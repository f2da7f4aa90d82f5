from __future__ import annotations

import math

import numpy as np
import pytest

from rankine.evaluation import clicks as by
from rankine.evaluation.clicks import Clicks, accuracy, bins_of, calibration, histogram, logloss, unit_aucs
from rankine.kernels.ranks import auc


def forecast(seed: int, n: int = 400, n_units: int = 12) -> Clicks:
    """Predictions with ties, that say something, of units of very different size."""
    rng = np.random.default_rng(seed)
    p = rng.random(n).round(2).astype(np.float32)
    return Clicks(p, rng.random(n) < p, np.minimum(rng.geometric(0.3, n) - 1, n_units - 1))


def repeated(clicks: Clicks, weights: np.ndarray) -> Clicks:
    """Each row as often as its unit was drawn."""
    times = weights[clicks.unit_idx].astype(int)
    return Clicks(*(np.repeat(column, times) for column in (clicks.probability, clicks.label, clicks.unit_idx)))


@pytest.mark.parametrize("figure", [by.auc, by.gauc, by.normalised_entropy])
@pytest.mark.parametrize("seed", range(4))
def test_a_draw_counts_each_row_as_often_as_its_unit(figure: by.Figure, seed: int) -> None:
    clicks, rng = forecast(seed), np.random.default_rng(seed)
    weights = rng.poisson(1.0, (12, 45)).astype(float)
    found = figure(clicks, 12)(weights)
    assert found.shape == (45,)
    for column in (0, 31, 32, 44):
        again = figure(repeated(clicks, weights[:, column]), 12)(np.ones((12, 1)))[0]
        if figure is by.gauc:  # a unit drawn twice is two of its size, not one of twice the size
            values, counts = unit_aucs(clicks, 12)
            w = weights[:, column] * counts
            again = float(np.nansum(w * values) / w.sum())
        assert found[column] == pytest.approx(again, abs=1e-12)


def test_auc_of_all_is_the_auc_and_of_one_label_is_none() -> None:
    clicks = forecast(5)
    ones = np.ones((12, 1))
    assert by.auc(clicks, 12)(ones)[0] == auc(clicks.probability, clicks.label)
    assert np.isnan(by.auc(Clicks(clicks.probability, clicks.label | True, clicks.unit_idx), 12)(ones)[0])
    assert np.isnan(by.auc(clicks, 12)(0 * ones)[0])


def test_gauc_is_the_mean_auc_of_the_units_that_have_both_labels() -> None:
    clicks = forecast(6)
    mean, total = 0.0, 0
    for unit in range(12):
        rows = clicks.unit_idx == unit
        if len(np.unique(clicks.label[rows])) == 2:
            mean += rows.sum() * auc(clicks.probability[rows], clicks.label[rows])
            total += rows.sum()
    assert total < len(clicks)  # some unit is left out
    assert by.gauc(clicks, 12)(np.ones((12, 1)))[0] == pytest.approx(mean / total)


def test_a_forecast_of_the_share_has_a_normalised_entropy_of_one() -> None:
    label = np.array([1, 0, 0, 0, 1, 0, 0, 0], bool)
    share = Clicks(np.full(8, 0.25, np.float32), label, np.arange(8))
    ones = np.ones((8, 1))
    assert by.normalised_entropy(share, 8)(ones)[0] == pytest.approx(1.0)
    better = Clicks(np.where(label, 0.5, 0.2).astype(np.float32), label, np.arange(8))
    assert by.normalised_entropy(better, 8)(ones)[0] < 1


def test_calibration_error_is_that_of_the_curve() -> None:
    clicks = forecast(8, 5000)
    curve = calibration(clicks.probability, clicks.label)
    assert by.calibration_error(clicks, 12)(np.ones((12, 1)))[0] == pytest.approx(curve.error)
    assert curve.count.sum() == 5000
    assert (np.diff(curve.predicted) > 0).all()


def test_equal_predictions_share_a_bin() -> None:
    label = np.arange(100) < 30  # in the order of the table: bins cut by place would see gaps that are none
    curve = calibration(np.full(100, 0.3), label)
    assert curve.count.tolist() == [100]
    assert curve.error == pytest.approx(0, abs=1e-9)
    assert bins_of(np.array([0.5, 0.1, 0.5, 0.9]), 4).tolist() == [1, 0, 1, 3]


def test_calibration_by_hand() -> None:
    p = np.array([0.1, 0.9, 0.2, 0.8])
    found = calibration(p, np.array([0, 1, 1, 1]), n_bins=2)
    np.testing.assert_allclose(found.predicted, [0.15, 0.85])
    np.testing.assert_allclose(found.observed, [0.5, 1.0])
    assert found.count.tolist() == [2, 2]
    assert found.error == pytest.approx((0.35 + 0.15) / 2)


def test_calibration_of_an_honest_forecast_is_small_and_of_a_boast_large() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(20_000)
    label = rng.random(20_000) < truth
    assert calibration(truth, label).error < 0.01
    assert calibration(np.sqrt(truth), label).error > 0.1
    assert calibration(truth[:3], label[:3], n_bins=10).count.tolist() == [1, 1, 1]


def test_a_histogram_counts_every_row_once_however_sure() -> None:
    found = histogram(
        np.array([0.0, 1e-9, 1e-3, 0.49, 0.51, 0.51, 1.0, 1.0]), np.array([0, 1, 0, 1, 0, 1, 1, 1]), n_bins=4
    )
    assert found.left.tolist() == [1, 1, 1, 0]
    assert found.taken.tolist() == [1, 1, 1, 2]
    assert found.edges[[0, 2, -1]].tolist() == [0, 0.5, 1]
    steps = np.diff(np.log(found.edges[1:-1]) - np.log1p(-found.edges[1:-1]))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


def test_logloss_by_hand_and_at_the_ends() -> None:
    p, y = np.array([0.8, 0.8, 0.5, 0.0, 1.0]), np.array([1, 0, 1, 1, 1])
    expected = [-math.log(0.8), -math.log(0.2), math.log(2), -math.log(1e-7), 0]
    np.testing.assert_allclose(logloss(p, y), expected, atol=2e-7)
    np.testing.assert_allclose(logloss(np.array([0.0, 1.0]), np.array([0, 0])), [0, -math.log(1e-7)], atol=2e-7)


def test_accuracy_takes_one_half_for_a_yes() -> None:
    assert accuracy(np.array([0.5, 0.5, 0.4, 0.6]), np.array([1, 0, 0, 0])).tolist() == [1, 0, 1, 0]
