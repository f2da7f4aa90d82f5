from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.errors import ConfigError, DataError
from rankine.evaluation.clicks import Clicks
from rankine.evaluation.compare import POISSON, Pair, compare, holm, interval, intervals, letters, resample
from rankine.evaluation.evaluation import Evaluation, pool
from rankine.kernels.ranks import auc
from rankine.random import stream


def evaluation(values: Any, units: Any = None, metric: str = "hr@10") -> Evaluation:
    """One value per case; without units each case is its own."""
    values = np.asarray(values, np.float64)
    units = np.arange(len(values)) if units is None else np.asarray(units)
    return Evaluation(
        values={metric: values},
        totals={"coverage@10": 0.5},
        unit_idx=units,
        unit_names=pl.Series([f"u{u}" for u in range(int(units.max()) + 1)]),
        unit="user",
        seconds=0.0,
    )


def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        found = interval(evaluation(rng.exponential(2.0, 150)), "hr@10", seed=seed, n_resamples=300)
        assert found.low < found.mean < found.high
        covered += found.low <= 2.0 <= found.high
    assert 0.90 <= covered / 300 <= 0.98


def test_the_interval_of_users_with_many_cases_is_that_of_users() -> None:
    """Cases of one user are alike: taking them for independent would make the interval far too narrow."""
    rng = np.random.default_rng(1)
    units = np.repeat(np.arange(40), 25)
    covered, narrow = 0, 0
    for seed in range(200):
        values = rng.normal(0, 1, 40)[units] + rng.normal(0, 0.1, 1000)
        found = interval(evaluation(values, units), "hr@10", seed=seed, n_resamples=300)
        alone = interval(evaluation(values), "hr@10", seed=seed, n_resamples=100)
        covered += found.low <= 0 <= found.high
        narrow += alone.low <= 0 <= alone.high
    assert 0.87 <= covered / 200 <= 0.98
    assert narrow / 200 < 0.5


def test_the_test_of_a_difference_that_is_not_there_rarely_sees_one() -> None:
    rng = np.random.default_rng(2)
    seen = 0
    for seed in range(300):
        shared = rng.normal(0, 3, 100)
        pair = {name: evaluation(shared + rng.normal(0, 1, 100)) for name in "ab"}
        (found,) = compare(pair, "hr@10", seed=seed, n_resamples=300).pairs
        seen += found.distinguishable
    assert seen / 300 < 0.10


def test_a_paired_comparison_sees_what_separate_intervals_cannot() -> None:
    rng = np.random.default_rng(3)
    shared = rng.normal(0, 5, 200)
    found = compare({"low": evaluation(shared), "high": evaluation(shared + rng.normal(0.3, 0.5, 200))}, "hr@10")
    assert found.order == ("high", "low")
    assert found.intervals["high"].low < found.intervals["low"].high  # they overlap
    (pair,) = found.pairs
    assert (pair.a, pair.b) == ("high", "low")
    assert 0 < pair.low < pair.difference < pair.high
    assert pair.distinguishable
    assert found.letters == {"high": "A", "low": "B"}


def test_identical_models_are_not_told_apart() -> None:
    values = np.random.default_rng(4).random(50)
    (pair,) = compare({"a": evaluation(values), "b": evaluation(values)}, "hr@10").pairs
    assert (pair.difference, pair.low, pair.high, pair.p, pair.p_holm) == (0, 0, 0, 1, 1)
    assert not pair.distinguishable
    constant = compare({"a": evaluation(np.zeros(9)), "b": evaluation(np.zeros(9))}, "hr@10")
    assert constant.letters == {"a": "A", "b": "A"}


def test_lower_is_better_for_errors_and_rmse_is_a_root() -> None:
    rng = np.random.default_rng(5)
    squares = rng.exponential(1.0, 300)
    found = compare(
        {"worse": evaluation(squares + 1, metric="rmse"), "better": evaluation(squares, metric="rmse")}, "rmse"
    )
    assert found.order == ("better", "worse")
    assert found.intervals["better"].mean == pytest.approx(math.sqrt(squares.mean()))
    assert found.intervals["better"].low < found.intervals["better"].mean < found.intervals["better"].high
    (pair,) = found.pairs
    assert pair.a == "better"
    assert pair.difference == pytest.approx(math.sqrt(squares.mean()) - math.sqrt(squares.mean() + 1))
    assert pair.distinguishable


def test_equal_seeds_repeat_and_every_model_sees_the_same_draw() -> None:
    values = np.random.default_rng(6).random(80)
    pair = [evaluation(values), evaluation(values + 1)]
    draws = resample(pair, "hr@10", seed=1, n_resamples=50)
    np.testing.assert_allclose(draws[:, 1] - draws[:, 0], 1)
    assert np.array_equal(draws, resample(pair, "hr@10", seed=1, n_resamples=50))
    assert not np.array_equal(draws, resample(pair, "hr@10", seed=2, n_resamples=50))


def test_many_figures_at_once_have_the_intervals_they_have_alone() -> None:
    rng = np.random.default_rng(8)
    units = np.repeat(np.arange(20), 3)
    both = evaluation(rng.random(60), units)
    both = Evaluation(**{**vars(both), "values": {"hr@10": both.values["hr@10"], "rmse": rng.random(60)}})
    part = Evaluation(**{**vars(both), "values": {"hr@10": rng.random(31)}, "unit_idx": units[:31]})  # some users only
    figures = [(both, "hr@10"), (both, "rmse"), (part, "hr@10")]
    for found, (one, metric) in zip(intervals(figures, seed=4), figures, strict=True):
        alone = interval(one, metric, seed=4)
        assert (found.mean, found.low, found.high) == pytest.approx((alone.mean, alone.low, alone.high))
    assert intervals([]) == []


def test_different_cases_are_not_compared() -> None:
    with pytest.raises(DataError, match="`b` and `a` were evaluated on different cases"):
        compare({"a": evaluation([1, 2, 3]), "b": evaluation([1, 2])}, "hr@10")
    with pytest.raises(DataError, match="different cases"):
        compare({"a": evaluation([1, 2, 3], [0, 0, 1]), "b": evaluation([1, 2, 3], [0, 1, 1])}, "hr@10")
    other = evaluation([1, 2])
    renamed = Evaluation(**{**vars(other), "unit_names": pl.Series(["x", "y"])})
    with pytest.raises(DataError, match="different cases"):
        compare({"a": other, "b": renamed}, "hr@10")


def test_a_metric_without_a_value_per_case_is_not_compared() -> None:
    with pytest.raises(ConfigError, match="`coverage@10` has no value per case for `a`"):
        compare({"a": evaluation([1, 2])}, "coverage@10")


def forecasts(seed: int, n_users: int = 60, noise: tuple[float, ...] = (0.5, 3.0)) -> list[Evaluation]:
    """Models that see the log-odds of the same clicks through more or less noise."""
    rng = np.random.default_rng(seed)
    unit_idx = np.repeat(np.arange(n_users), 10)
    odds = rng.normal(0, 1, n_users)[unit_idx] + rng.normal(0, 1, len(unit_idx))
    label = rng.random(len(odds)) < 1 / (1 + np.exp(-odds))
    found = []
    for sigma in noise:
        p = 1 / (1 + np.exp(-odds - rng.normal(0, sigma, len(odds))))
        clicks = Clicks(p.astype(np.float32), label, unit_idx)
        found.append(
            Evaluation(
                values={},
                totals={"auc": auc(clicks.probability, label), "gauc": 0.0, "coverage@10": 0.5},
                unit_idx=unit_idx,
                unit_names=pl.Series([f"u{u}" for u in range(n_users)]),
                unit="user",
                seconds=0.0,
                judged=(clicks,),
                clicks=clicks,
            )
        )
    return found


def test_a_unit_counts_as_often_as_a_poisson_draw_says() -> None:
    counts = np.bincount(POISSON.astype(int))
    np.testing.assert_allclose(counts, [65536 * math.exp(-1) / math.factorial(k) for k in range(9)], atol=1)
    assert POISSON.mean() == 1
    assert POISSON.var() == pytest.approx(1, abs=1e-4)


def test_an_auc_decides_with_the_draws_of_its_users() -> None:
    sharp, dull = forecasts(1)
    found = compare({"dull": dull, "sharp": sharp}, "auc")
    assert found.order == ("sharp", "dull")
    assert found.letters == {"sharp": "A", "dull": "B"}
    (pair,) = found.pairs
    assert pair.low < pair.difference < pair.high
    draws = resample([sharp, dull], "auc", seed=3, n_resamples=20)
    weights = POISSON[stream(3, "bootstrap").integers(0, 1 << 16, (60, 20), np.uint16)].astype(int).T
    for row in (0, 7, 19):
        for column, one in enumerate((sharp, dull)):
            assert one.clicks is not None
            times = weights[row][one.unit_idx]
            again = auc(np.repeat(one.clicks.probability, times), np.repeat(one.clicks.label, times))
            assert draws[row, column] == pytest.approx(again, abs=1e-12)


def test_the_interval_of_an_auc_covers_the_truth_as_often_as_it_says() -> None:
    truth = float(np.mean([forecasts(seed, 5000)[0].mean("auc") for seed in range(1000, 1004)]))
    covered = 0
    for seed in range(200):
        found = interval(forecasts(seed, noise=(0.5,))[0], "auc", seed=seed, n_resamples=200)
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_auc_of_fits_is_resampled_as_their_mean() -> None:
    parts = forecasts(4, noise=(0.5, 1.0, 2.0))
    both = pool(parts, same_cases=True)
    draws = resample([*parts, both], "auc", seed=0, n_resamples=30)
    np.testing.assert_allclose(draws[:, 3], draws[:, :3].mean(1))
    found = intervals([(both, "auc"), (parts[0], "gauc")], seed=0)
    assert found[0].low < both.mean("auc") < found[0].high
    compare({"once": parts[0], "three times": both}, "auc", n_resamples=20)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx(
        [0.03, 0.06, 0.06]
    )  # .01 x 3, then .03 x 2, and .04 x 1 is not below it
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def told_apart(*pairs: str) -> tuple[Pair, ...]:
    """All pairs of A to E, those named distinguishable."""
    names = sorted({name for pair in pairs for name in pair} | set("vwxyz"))
    return tuple(
        Pair(a, b, "hr@10", 0, 0, 0, 0, 0.01 if a + b in pairs else 0.5) for a, b in itertools.combinations(names, 2)
    )


@pytest.mark.parametrize(
    ("order", "apart", "expected"),
    [
        ("vwx", [], {"v": "A", "w": "A", "x": "A"}),
        ("vw", ["vw"], {"v": "A", "w": "B"}),
        ("vwx", ["vx"], {"v": "A", "w": "AB", "x": "B"}),
        ("vwx", ["vw", "vx"], {"v": "A", "w": "B", "x": "B"}),
        ("vwx", ["vw", "vx", "wx"], {"v": "A", "w": "B", "x": "C"}),
        ("vwxyz", ["vx", "vy", "vz", "wz"], {"v": "A", "w": "AB", "x": "BC", "y": "BC", "z": "C"}),
        ("v", [], {"v": "A"}),
    ],
)
def test_letters_by_hand(order: str, apart: list[str], expected: dict[str, str]) -> None:
    assert letters(list(order), told_apart(*apart)) == expected


def test_models_that_are_told_apart_never_share_a_letter() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        apart = [a + b for a, b in itertools.combinations("vwxyz", 2) if rng.random() < 0.4]
        found = letters("vwxyz", told_apart(*apart))
        for a, b in itertools.combinations("vwxyz", 2):
            assert not (set(found[a]) & set(found[b]) and a + b in apart)
        assert all(found.values())
