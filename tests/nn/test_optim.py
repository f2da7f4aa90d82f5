"""Optimisers against slow loops: tables with repeats in the batch, and ordinary parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rankine.nn.optim import FTRL, OPTIMIZERS, SGD, LazyAdam, RowAdaGrad, RowOptimizer, clip

N_ROWS, DIM, STEPS = 7, 5, 6
Numbers = np.ndarray[Any, Any]
BATCHES = [np.random.default_rng(s).integers(0, N_ROWS - 1, 9) for s in range(STEPS)]  # the last row is in none
GRADIENTS = [np.random.default_rng(50 + s).normal(0, 1, (9, DIM)).astype(np.float32) for s in range(STEPS)]


def table(seed: int = 3) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.random.default_rng(seed).normal(0, 1, (N_ROWS, DIM)).astype(np.float32)))


def sparse(idx: Numbers, gradients: Numbers, n_rows: int = N_ROWS) -> Tensor:
    where, shape = torch.from_numpy(idx).unsqueeze(0), (n_rows, gradients.shape[1])
    return torch.sparse_coo_tensor(where, torch.from_numpy(gradients), shape, check_invariants=False)


def trained(make: Callable[[list[nn.Parameter]], RowOptimizer], dense: bool = False) -> Numbers:
    parameter = table()
    optimizer = make([parameter])
    for idx, gradients in zip(BATCHES, GRADIENTS, strict=True):
        gradient = sparse(idx, gradients)
        parameter.grad = gradient.to_dense() if dense else gradient
        optimizer.step()
    return parameter.detach().numpy()


def slow(update: Callable[..., Any], dense: bool = False) -> Numbers:
    """Every number by itself: `update(w, g, state, t)` gives the new w; rows out of the batch stand still, but where dense."""
    w = table().detach().numpy().astype(np.float64)
    state: dict[tuple[int, int], dict[str, float]] = {(r, d): {} for r in range(N_ROWS) for d in range(DIM)}
    for t, (idx, gradients) in enumerate(zip(BATCHES, GRADIENTS, strict=True), 1):
        for r in range(N_ROWS) if dense else sorted(set(idx.tolist())):
            for d in range(DIM):
                g = float(gradients[idx == r, d].astype(np.float64).sum())
                w[r, d] = update(w[r, d], g, state[r, d], t)
    return w


def sgd(w: float, g: float, s: dict[str, float], t: int, l2: float = 0.0) -> float:
    return w - 0.1 * (g + l2 * w)


def adam(w: float, g: float, s: dict[str, float], t: int, l2: float = 0.0) -> float:
    g += l2 * w
    s["m"] = 0.9 * s.get("m", 0.0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0.0) + 0.001 * g * g
    return w - 0.1 * (s["m"] / (1 - 0.9**t)) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)


def adagrad(w: float, g: float, s: dict[str, float], t: int) -> float:
    s["n"] = s.get("n", 0.2) + g * g
    return w - 0.1 * g / (np.sqrt(s["n"]) + 1e-10)


def ftrl(w: float, g: float, s: dict[str, float], t: int, alpha: float = 0.1, beta: float = 1.0) -> float:
    l1, l2 = 0.7, 0.3
    n = s.get("n", 0.0)
    z = s.get("z", -(w * (beta / alpha + l2) + np.sign(w) * l1))
    z += g - (np.sqrt(n + g * g) - np.sqrt(n)) / alpha * w
    s["n"], s["z"] = n + g * g, z
    return 0.0 if abs(z) <= l1 else -(z - np.sign(z) * l1) / ((beta + np.sqrt(n + g * g)) / alpha + l2)


CASES = {
    "sgd": (lambda p: SGD(p, 0.1), sgd),
    "sgd l2": (lambda p: SGD(p, 0.1, l2=0.4), lambda *a: sgd(*a, l2=0.4)),
    "adam": (lambda p: LazyAdam(p, 0.1), adam),
    "adam l2": (lambda p: LazyAdam(p, 0.1, l2=0.4), lambda *a: adam(*a, l2=0.4)),
    "adagrad": (lambda p: RowAdaGrad(p, 0.1, per_row=False, first=0.2), adagrad),
    "ftrl": (lambda p: FTRL(p, 0.1, l1=0.7, l2=0.3), ftrl),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dense", [False, True], ids=["rows", "ordinary"])
def test_steps_are_those_of_the_formula(name: str, dense: bool) -> None:
    make, update = CASES[name]
    found = trained(make, dense)
    np.testing.assert_allclose(found, slow(update, dense), rtol=2e-4, atol=2e-5)
    if not dense:
        assert np.array_equal(found[-1], table().detach().numpy()[-1])  # nothing touched it


def test_one_accumulator_per_row_takes_the_mean_square_of_the_row() -> None:
    w, n = table().detach().numpy().astype(np.float64), np.zeros(N_ROWS)
    for idx, gradients in zip(BATCHES, GRADIENTS, strict=True):
        for r in set(idx.tolist()):
            g = gradients[idx == r].astype(np.float64).sum(0)
            n[r] += (g**2).mean()
            w[r] -= 0.1 * g / (np.sqrt(n[r]) + 1e-10)
    np.testing.assert_allclose(trained(lambda p: RowAdaGrad(p, 0.1)), w, rtol=1e-4, atol=1e-5)


def test_what_has_not_gathered_enough_gradient_is_exactly_zero() -> None:
    parameter = nn.Parameter(torch.zeros(N_ROWS, DIM))
    optimizer = FTRL([parameter], 0.1, l1=2.5)
    for idx, gradients in zip(BATCHES, GRADIENTS, strict=True):
        parameter.grad = sparse(idx, gradients)
        optimizer.step()
    zeros = (parameter[:-1] == 0).float().mean().item()
    assert 0.2 < zeros < 0.9


def test_ftrl_takes_a_mean_for_the_sum_that_it_stands_for() -> None:
    of_sums, of_means = table(), table()
    first, second = FTRL([of_sums], 0.1, l1=0.7, l2=0.3), FTRL([of_means], 0.1, l1=0.7, l2=0.3)
    second.mean_of = 4
    for idx, gradients in zip(BATCHES, GRADIENTS, strict=True):
        of_sums.grad, of_means.grad = sparse(idx, gradients), sparse(idx, gradients / 4)
        first.step()
        second.step()
    np.testing.assert_allclose(of_sums.detach(), of_means.detach(), rtol=1e-5, atol=1e-6)


def test_a_lower_learning_rate_leaves_the_weights_of_ftrl_where_they_are() -> None:
    parameter = table()
    optimizer = FTRL([parameter], 0.1, l1=0.7, l2=0.3)
    for idx, gradients in zip(BATCHES, GRADIENTS, strict=True):
        parameter.grad = sparse(idx, gradients)
        optimizer.step()
    before = parameter.detach().clone()
    optimizer.param_groups[0]["lr"] = 0.01
    parameter.grad = sparse(BATCHES[0], 1e-6 * GRADIENTS[0])
    optimizer.step()
    np.testing.assert_allclose(parameter.detach(), before, rtol=1e-3, atol=1e-5)


def test_the_joint_norm_of_all_gradients_is_cut() -> None:
    rows, plain = table(), nn.Parameter(torch.ones(4))
    optimizers = [SGD([rows], 1.0, l2=0.5), SGD([plain], 1.0, l2=2.0)]
    idx, gradients = BATCHES[0], GRADIENTS[0]
    first, plain_gradient = rows.detach().numpy().copy(), np.array([1.0, -2.0, 0.5, 3.0])
    total = sparse(idx, gradients).to_dense().numpy()
    touched = np.isin(np.arange(N_ROWS), idx)
    total[touched] += 0.5 * first[touched]
    norm = np.sqrt((total**2).sum() + ((plain_gradient + 2.0) ** 2).sum())
    rows.grad, plain.grad = sparse(idx, gradients), torch.tensor(plain_gradient, dtype=torch.float32)
    assert clip(optimizers, 3.0) == pytest.approx(norm, rel=1e-5)
    for optimizer in optimizers:
        optimizer.step()
    np.testing.assert_allclose(rows.detach(), first - total * 3 / norm, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(plain.detach(), 1 - (plain_gradient + 2) * 3 / norm, rtol=1e-5)


def test_a_short_gradient_is_left_as_it_is() -> None:
    plain = nn.Parameter(torch.ones(4))
    plain.grad = torch.full((4,), 0.5)
    assert clip([SGD([plain], 1.0)], 3.0) == pytest.approx(1.0)
    assert torch.equal(plain.grad, torch.full((4,), 0.5))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_all_rows_of_a_large_batch_move_alike_on_one_and_two_threads(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(8)
    n_rows, n = 3000, 20_000
    start = rng.normal(0, 1, (n_rows, 16)).astype(np.float32)
    batches = [
        ((n_rows * rng.random(n) ** 3).astype(np.int64), rng.normal(0, 1, (n, 16)).astype(np.float32)) for _ in "ab"
    ]

    def result(threads: int) -> Numbers:
        monkeypatch.setattr("numba.core.config.NUMBA_NUM_THREADS", threads)
        parameter = nn.Parameter(torch.from_numpy(start.copy()))
        optimizer = OPTIMIZERS[name]([parameter], 0.1)
        for idx, gradients in batches:
            parameter.grad = sparse(idx, gradients, n_rows)
            optimizer.step()
        return parameter.detach().numpy()

    one = result(1)
    assert not np.array_equal(one, start)
    assert np.array_equal(one, result(2))
    assert np.array_equal(one, result(3))


def test_parameters_without_a_gradient_stay() -> None:
    parameter = table()
    for make in OPTIMIZERS.values():
        make([parameter], 0.1).step()
    assert torch.equal(parameter, table())


def test_a_gradient_that_is_no_row_of_the_table_is_refused() -> None:
    parameter = table()
    parameter.grad = sparse(np.array([0, N_ROWS]), GRADIENTS[0][:2])
    with pytest.raises(ValueError, match=r"must lie in 0 \.\. 6"):
        SGD([parameter], 0.1).step()


@pytest.mark.parametrize("dim", [16, 37])
def test_adam_on_long_rows_is_adam_by_the_book(dim: int) -> None:
    rng = np.random.default_rng(dim)
    p = torch.nn.Parameter(torch.from_numpy(rng.normal(0, 1, (6, dim)).astype(np.float32)))
    optimizer, w = LazyAdam([p], 0.1), p.detach().double().numpy()
    mean, square, rows = np.zeros_like(w), np.zeros_like(w), [1, 4]
    for t in (1, 2, 3):
        g = rng.normal(0, 1, (2, dim)).astype(np.float32)
        p.grad = torch.sparse_coo_tensor(torch.tensor([rows]), torch.from_numpy(g), p.shape, check_invariants=False)
        optimizer.step()
        mean[rows] = 0.9 * mean[rows] + 0.1 * g
        square[rows] = 0.999 * square[rows] + 0.001 * g.astype(np.float64) ** 2
        w[rows] -= 0.1 * mean[rows] / (1 - 0.9**t) / (np.sqrt(square[rows] / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(p.detach().numpy(), w, rtol=1e-4, atol=1e-5)
