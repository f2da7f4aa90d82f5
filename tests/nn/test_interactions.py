from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from rankine.nn.interactions import (
    CrossNetwork,
    InnerProducts,
    Kernel,
    OuterProducts,
    fm,
    superposed,
)

SIZES = [(0, 3, 2), (1, 4, 3), (6, 5, 4), (3, 1, 2), (2, 2, 1)]  # B, F, D
each_size = pytest.mark.parametrize("size", SIZES)


def vectors(size: tuple[int, int, int], dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(sum(size)), dtype=torch.float64).to(dtype)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(8)


def check_gradients(run: torch.nn.Module, *inputs: torch.Tensor) -> None:
    parameters = [p.detach().clone().requires_grad_() for p in run.parameters()]
    names = [name for name, _ in run.named_parameters()]

    def call(*values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(run, dict(zip(names, values, strict=False)), values[len(names) :])

    assert torch.autograd.gradcheck(call, (*parameters, *(i.clone().requires_grad_() for i in inputs)))


@each_size
def test_fm_is_the_sum_over_pairs(size: tuple[int, int, int]) -> None:
    e = vectors(size)
    expected = [sum(a @ b for a, b in combinations(row, 2)) for row in e.numpy()]
    np.testing.assert_allclose(fm(e).numpy(), expected, atol=1e-12)
    assert torch.autograd.gradcheck(fm, (e.requires_grad_(),))


def test_fm_of_half_numbers_is_computed_in_float32() -> None:
    e = (100 + vectors((3, 40, 8))).bfloat16()
    assert fm(e).dtype == torch.float32
    np.testing.assert_allclose(fm(e).numpy(), fm(e.double()).numpy(), rtol=1e-5)


def test_fm_of_extreme_vectors_is_right() -> None:
    assert float(fm(torch.full((1, 3, 2), 1e15))[0]) == pytest.approx(6e30)
    assert float(fm(torch.zeros(1, 3, 2))[0]) == 0
    assert torch.isnan(fm(torch.full((1, 3, 2), torch.nan)))


@each_size
def test_inner_products_come_by_first_then_second_field(size: tuple[int, int, int]) -> None:
    layer, e = InnerProducts(size[1]), vectors(size)
    expected = [[a @ b for a, b in combinations(row, 2)] for row in e.numpy()]
    np.testing.assert_allclose(layer(e).numpy(), np.reshape(expected, (size[0], layer.n_outputs)), atol=1e-12)
    assert layer.n_outputs == size[1] * (size[1] - 1) // 2
    check_gradients(layer, e)


@each_size
@pytest.mark.parametrize("kernel", ["matrix", "vector", "number"])
def test_outer_products_go_through_a_kernel_per_pair(size: tuple[int, int, int], kernel: Kernel) -> None:
    layer, e, dim = OuterProducts(size[1], size[2], kernel).double(), vectors(size), size[2]
    layer.initialise(generator())
    weight = layer.weight.detach().numpy()
    full = {
        "matrix": lambda: weight,
        "vector": lambda: [np.diag(w) for w in weight],
        "number": lambda: [w * np.eye(dim) for w in weight],
    }[kernel]()
    expected = [[a @ w @ b for w, (a, b) in zip(full, combinations(r, 2), strict=True)] for r in e.numpy()]
    np.testing.assert_allclose(layer(e).detach().numpy(), np.reshape(expected, (size[0], layer.n_outputs)), atol=1e-12)
    check_gradients(layer, e)


def test_kernels_of_outer_products_are_drawn_xavier_uniform() -> None:
    for kernel, bound in (
        ("matrix", np.sqrt(6 / 32)),
        ("vector", np.sqrt(6 / (435 + 16))),
        ("number", np.sqrt(6 / 436)),
    ):
        layer = OuterProducts(30, 16, kernel)
        layer.initialise(generator())
        assert 0.95 * bound < float(layer.weight.detach().abs().max()) <= bound


@each_size
def test_superposed_is_the_outer_product_of_the_summed_fields(size: tuple[int, int, int]) -> None:
    e = vectors(size)
    expected = [np.outer(r.sum(0), r.sum(0)).ravel() for r in e.numpy()]
    np.testing.assert_allclose(superposed(e).numpy(), np.reshape(expected, (size[0], size[2] ** 2)), atol=1e-12)
    assert torch.autograd.gradcheck(superposed, (e.requires_grad_(),))


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_cross_layers_multiply_what_came_in_with_what_it_became(rank: int | None, n: int) -> None:
    layer, x0 = CrossNetwork(6, 3, rank).double(), vectors((n, 6, 1)).squeeze(2)
    layer.initialise(generator())
    torch.nn.init.normal_(layer.bias, generator=generator())
    x = x0.numpy()
    for level in range(3):
        w = layer.weight[level].detach().numpy()
        w = w if rank is None else w @ layer.down[level].detach().numpy()
        x = x0.numpy() * (x @ w.T + layer.bias[level].detach().numpy()) + x
    np.testing.assert_allclose(layer(x0).detach().numpy(), x, atol=1e-12)
    check_gradients(layer, x0)


def test_a_cross_network_without_layers_changes_nothing() -> None:
    x = vectors((2, 3, 1)).squeeze(2)
    assert torch.equal(CrossNetwork(3, 0)(x), x)
