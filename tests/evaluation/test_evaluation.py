from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.evaluation.clicks import Clicks
from rankine.evaluation.evaluation import Evaluation, pool
from rankine.kernels.ranks import auc


def part(values: list[float], units: list[str], coverage: float) -> Evaluation:
    names = pl.Series(sorted(set(units)))
    return Evaluation(
        values={"hr@1": np.array(values)},
        totals={"coverage@1": coverage},
        unit_names=names,
        unit_idx=np.array([names.to_list().index(u) for u in units]),
        unit="user",
        seconds=1.0,
        popularity=coverage,
        counts={"unknown_targets": len(values)},
    )


def test_folds_are_pooled_case_by_case_and_units_of_a_name_joined() -> None:
    both = pool([part([1, 0], ["a", "b"], 0.5), part([1, 1, 0], ["b", "c", "b"], 0.0)])
    assert both.mean("hr@1") == 3 / 5
    assert both.mean("coverage@1") == 0.25
    assert both.unit_names.gather(both.unit_idx).to_list() == ["a", "b", "b", "c", "b"]
    assert both.unit_names.to_list() == ["a", "b", "c"]
    assert both.seconds == 2.0
    assert both.counts == {"unknown_targets": 5}
    assert both.popularity == 0.25
    alone = part([1], ["a"], 0.5)
    assert pool([alone]) is alone


def clicks_of(seed: int, units: list[str], labels: Any = None) -> Evaluation:
    """A forecast of random clicks."""
    rng = np.random.default_rng(seed)
    names = pl.Series(sorted(set(units)))
    unit_idx = np.array([names.to_list().index(u) for u in units])
    label = rng.random(len(units)) < 0.4 if labels is None else labels
    clicks = Clicks(rng.random(len(units)).astype(np.float32), label, unit_idx)
    return Evaluation(
        values={"logloss": rng.random(len(units)), "rmse": rng.random(len(units))},
        totals={"auc": auc(clicks.probability, label)},
        unit_names=names,
        unit_idx=unit_idx,
        unit="user",
        seconds=2.0,
        counts={"unknown_targets": 3},
        judged=(clicks,),
        clicks=clicks,
    )


def test_fits_of_one_model_have_the_mean_of_each_case_and_keep_their_own_figures() -> None:
    units = list("aabbcc")
    label = np.array([1, 0, 1, 0, 1, 0], bool)
    parts = [clicks_of(seed, units, label) for seed in range(3)]
    both = pool(parts, same_cases=True)
    assert len(both.unit_idx) == 6
    assert both.counts == {"unknown_targets": 3}
    assert both.seconds == 2.0
    assert both.mean("auc") == pytest.approx(np.mean([p.mean("auc") for p in parts]))
    assert both.mean("logloss") == pytest.approx(np.mean([p.mean("logloss") for p in parts]))
    assert both.mean("rmse") == pytest.approx(math.sqrt(np.mean([p.mean("rmse") ** 2 for p in parts])))
    assert [f["auc"] for f in both.fits] == [p.mean("auc") for p in parts]
    assert both.fits[1]["rmse"] == parts[1].mean("rmse")
    assert both.clicks is parts[0].clicks
    np.testing.assert_allclose(both.whole("auc")(np.ones((3, 1))), both.mean("auc"))
    with pytest.raises(ValueError, match="judged on the same cases"):
        pool([parts[0], clicks_of(0, list("ab"))], same_cases=True)


def test_folds_of_fits_have_the_mean_auc_of_all_and_one_name_per_unit() -> None:
    seeds = [[clicks_of(s, list("bbbaaa")) for s in (1, 2)], [clicks_of(s, list("cccbb")) for s in (3, 4)]]
    for fold in seeds:  # the same cases have the same labels
        assert fold[0].clicks is not None
        fold[1] = clicks_of(9, [fold[1].unit_names[int(u)] for u in fold[1].unit_idx], fold[0].clicks.label)
    both = pool([pool(fold, same_cases=True) for fold in seeds])
    assert both.unit_names.gather(both.unit_idx).to_list() == list("bbbaaacccbb")
    assert len(both.judged) == 4
    assert both.mean("auc") == pytest.approx(np.mean([p.mean("auc") for fold in seeds for p in fold]))
    assert both.clicks is not None
    np.testing.assert_array_equal(both.clicks.unit_idx, both.unit_idx)
    assert [round(f["auc"], 9) for f in both.fits] == [
        round(float(np.mean([fold[s].mean("auc") for fold in seeds])), 9) for s in range(2)
    ]
    weights = np.array([[0.0], [1.0], [1.0]])  # b is left out of the draw
    weights = weights[[["b", "a", "c"].index(name) for name in both.unit_names]]
    expected = []
    for fold in seeds:
        for one in fold:
            assert one.clicks is not None
            keep = np.array([one.unit_names[int(u)] != "b" for u in one.unit_idx])
            expected.append(auc(one.clicks.probability[keep], one.clicks.label[keep]))
    np.testing.assert_allclose(both.whole("auc")(weights), np.mean(expected))
