from __future__ import annotations

from typing import Any

import numpy as np

from rankine.models.ctr.lr import LR


def test_the_logit_is_the_weighted_sum_of_all_slots_and_a_bias(clicks: Any) -> None:
    model = clicks.fitted("lr")
    state = model.state()
    expected = clicks.linear(state["linear.table.weight"]) + state["linear.bias"]
    np.testing.assert_allclose(model.logits(clicks.slots), expected, rtol=1e-5, atol=1e-6)


def test_an_epoch_is_plain_adam_on_the_mean_cross_entropy(clicks: Any) -> None:
    """One step on all rows at once: with Adam, each number moves by the learning rate against its gradient."""
    settings = {"batch_size": 1000, "lazy": False, "clip_norm": 1e9, "epochs": 1, "learning_rate": 0.01}
    model, before = clicks.fitted("lr", **settings), clicks.fitted("lr", **settings | {"learning_rate": 1e-12})
    w, b = before.state()["linear.table.weight"][:, 0].astype(float), float(before.state()["linear.bias"])
    weight = clicks.slots.weight.astype(float)
    p = 1 / (1 + np.exp(-((w[clicks.slots.idx] * weight).sum(1) + b)))
    error = (p - clicks.data.weight) / len(p)
    gradient = np.zeros_like(w)
    np.add.at(gradient, clicks.slots.idx, error[:, None] * weight)
    moved = np.where(np.abs(gradient) > 1e-6, -0.01 * np.sign(gradient), 0)
    clear = (np.abs(gradient) > 1e-6) | (gradient == 0)
    after = model.state()["linear.table.weight"][:, 0]
    np.testing.assert_allclose(after[clear], (w + moved)[clear], atol=2e-4)
    assert abs(float(model.state()["linear.bias"]) - (b - 0.01 * np.sign(error.sum()))) < 2e-4


def test_the_bias_starts_as_the_log_odds_of_the_labels(clicks: Any) -> None:
    model = clicks.fitted("lr", epochs=1, learning_rate=1e-12)
    share = clicks.data.weight.mean()
    assert abs(float(model.state()["linear.bias"]) - np.log(share / (1 - share))) < 1e-5


def test_ftrl_leaves_weights_at_exactly_zero_and_the_rest_useful(clicks: Any) -> None:
    settings = {"optimizer": "ftrl", "learning_rate": 0.3, "init_sd": 1e-9, "epochs": 40}
    free, strict = (clicks.fitted("lr", l1=l1, **settings).state()["linear.table.weight"] for l1 in (0.0, 60.0))
    assert (free == 0).sum() < 5
    assert 0.3 < (strict == 0).mean() < 1


def test_it_has_as_many_parameters_as_published(count: Any) -> None:
    assert count("lr") == 5_390


def test_a_row_says_nothing_about_another(clicks: Any) -> None:
    model: LR = clicks.fitted("lr")
    alone = [model.logits(clicks.slots.take(slice(r, r + 1)))[0] for r in range(10)]
    np.testing.assert_allclose(alone, model.logits(clicks.slots)[:10], rtol=1e-6)
