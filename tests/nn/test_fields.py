from __future__ import annotations

import numpy as np
import pytest
import torch

from rankine.nn.fields import FieldEmbedding, FieldLinear
from rankine.nn.tables import KINDS, Kind, Table

SLOT_FIELDS = [[0, 1, 2, 3, 4], [0, 0, 0, 1, 2], [0, 1, 1, 2, 2], [0, 0, 1, 1, 1]]


def drawn(kind: Kind, dim: int) -> Table:
    table = Table(300, dim, kind, 0.5)
    table.initialise(torch.Generator().manual_seed(5), 0.3)
    return table


def batch(n: int, weighted: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    g = torch.Generator().manual_seed(n)
    idx = torch.randint(300, (n, 5), generator=g, dtype=torch.int32)
    weight = torch.rand(n, 5, generator=g) * (torch.rand(n, 5, generator=g) < 0.7)
    return idx, weight if weighted else None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slot_field", SLOT_FIELDS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_a_field_is_the_weighted_sum_of_its_slots(kind: Kind, slot_field: list[int], weighted: bool, n: int) -> None:
    table = drawn(kind, 4)
    idx, weight = batch(n, weighted)
    rows = table(torch.arange(300)).detach().double().numpy()
    expected = np.zeros((n, max(slot_field) + 1, 4))
    for b in range(n):
        for slot, field in enumerate(slot_field):
            expected[b, field] += rows[idx[b, slot]] * (1 if weight is None else float(weight[b, slot]))
    fields = FieldEmbedding(table, slot_field)
    e = fields(idx, weight)
    assert e.shape == expected.shape
    assert e.dtype == torch.float32
    np.testing.assert_allclose(e.detach().numpy(), expected, atol=1e-6)
    e.sum().backward()
    assert table.weight.grad is not None


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_the_linear_part_is_the_weighted_sum_of_all_slots_and_the_bias(bias: bool, weighted: bool, n: int) -> None:
    part = FieldLinear(Table(300, 1), bias=bias)
    part.initialise(torch.Generator().manual_seed(5), 0.3)
    idx, weight = batch(n, weighted)
    if part.bias is not None:
        torch.nn.init.constant_(part.bias, 0.75)
    w = part.table.weight.detach().numpy()[:, 0].astype(float)
    expected = (w[idx.numpy()] * (1 if weight is None else weight.numpy())).sum(1) + (0.75 if bias else 0)
    np.testing.assert_allclose(part(idx, weight).detach().numpy(), expected, atol=1e-6)
    assert sum(p.numel() for p in part.parameters()) == 300 + bias


def test_the_gradient_of_a_row_is_the_sum_over_the_slots_that_name_it() -> None:
    part = FieldLinear(Table(6, 1))
    idx, weight = torch.tensor([[0, 2], [2, 2]]), torch.tensor([[1.0, 3.0], [0.5, 0.25]])
    (part(idx, weight) * torch.tensor([1.0, 10.0])).sum().backward()
    assert part.table.weight.grad is not None
    assert part.table.weight.grad.to_dense().squeeze(1).tolist() == [1, 0, 3 + 7.5, 0, 0, 0]


def test_slots_of_a_field_must_lie_together() -> None:
    with pytest.raises(ValueError, match="must ascend"):
        FieldEmbedding(Table(3, 1), [0, 1, 0])
