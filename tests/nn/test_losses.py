from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from rankine.nn import losses

EXTREME = [-1e4, -100.0, 0.0, 100.0, 1e4]


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def slope_at(loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], d: float) -> float:
    """dloss/dd, d = s_i - s_j."""
    positive = torch.tensor([d], dtype=torch.float64, requires_grad=True)
    return float(torch.autograd.grad(loss(positive, row(0.0)).sum(), positive)[0])


@pytest.mark.parametrize(
    ("d", "paper", "bounded"),
    [(-8, -0.99966, -0.000335), (-2, -0.881, -0.105), (0, -0.5, -0.25), (2, -0.119, -0.105), (8, -0.000335, -0.000335)],
)
def test_slopes_of_both_pairwise_forms(d: float, paper: float, bounded: float) -> None:
    assert slope_at(losses.bpr, d) == pytest.approx(paper, rel=5e-3)
    assert slope_at(losses.bpr_sigmoid, d) == pytest.approx(bounded, rel=5e-3)


def test_pairwise_losses_of_equal_scores() -> None:
    assert float(losses.bpr(torch.zeros(1), torch.zeros(1, 3))) == pytest.approx(math.log(2))
    assert float(losses.bpr_sigmoid(torch.zeros(1), torch.zeros(1, 3))) == pytest.approx(0.5)


def test_pairwise_losses_are_means_over_the_negatives() -> None:
    expected = np.mean([math.log1p(math.exp(-(1 - n))) for n in (0.0, 2.0, -3.0)])
    assert float(losses.bpr(torch.tensor([1.0]), torch.tensor([[0.0, 2.0, -3.0]]))) == pytest.approx(expected, rel=1e-6)


def test_logistic_by_hand() -> None:
    found = losses.logistic(row(2.0)[0], row(-1.0, 3.0), weight=0.5)
    assert float(found) == pytest.approx(
        math.log1p(math.exp(-2)) + 0.5 * (math.log1p(math.exp(-1)) + math.log1p(math.exp(3)))
    )


def test_squared_by_hand() -> None:
    assert float(losses.squared(torch.tensor([3.0]), torch.tensor([5.0]))) == 2.0


def test_warp_takes_the_first_violator_and_its_estimated_rank() -> None:
    found = losses.warp(
        torch.tensor([2.0, 5.0, 1.0]), torch.tensor([[0.0, 1.5, 3.0], [0.0, 1.0, 2.0], [3.0, 9.0, 9.0]]), 101
    )
    expected = [math.log(100 // 2) * (1 - 2 + 1.5), 0.0, math.log(100) * (1 - 1 + 3)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_all_pairs_over_a_users_pairs_is_the_error_on_every_item() -> None:
    rng = np.random.default_rng(1)
    x, y, taken = rng.normal(size=3), rng.normal(size=(7, 3)), [1, 4]
    expected = sum((x @ y[i] - 1) ** 2 for i in taken) + 0.3 * sum((x @ row) ** 2 for row in y)
    user, gram = torch.tensor(np.stack([x, x])), torch.tensor(y.T @ y)
    found = losses.all_pairs(torch.tensor(y[taken] @ x), user, torch.full((2,), 0.5, dtype=torch.float64), gram, 0.3)
    assert float(found.sum()) == pytest.approx(expected)


@pytest.mark.parametrize("s", EXTREME)
@pytest.mark.parametrize("loss", [losses.logistic, losses.bpr, losses.bpr_sigmoid, lambda p, n: losses.warp(p, n, 50)])
def test_no_score_is_too_large(loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], s: float) -> None:
    positive, negative = torch.tensor([s], requires_grad=True), torch.tensor([[-s, s]], requires_grad=True)
    value = loss(positive, negative)
    slopes = torch.autograd.grad(value.sum(), (positive, negative), allow_unused=True)
    assert torch.isfinite(value).all()
    assert all(torch.isfinite(g).all() for g in slopes if g is not None)
