"""The compiled machine beside the layers that it stands for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rankine.nn.fields import FieldEmbedding, FieldLinear
from rankine.nn.interactions import fm
from rankine.nn.machine import machine
from rankine.nn.tables import Kind, Table

N_ROWS = 40


def layers(
    dim: int, slot_field: list[int], kind: Kind = "plain", sparse: bool = True
) -> tuple[FieldLinear, FieldEmbedding]:
    generator = torch.Generator().manual_seed(dim)
    linear, embedding = (Table(N_ROWS, d, kind, 0.5, sparse=sparse) for d in (1, dim))
    for table in (linear, embedding):
        table.initialise(generator, 0.5)
    return FieldLinear(linear), FieldEmbedding(embedding, slot_field)


def learned(logit: Tensor, *tables: Table) -> list[Tensor]:
    """The gradients of a loss."""
    for table in tables:
        table.weight.grad = None
    (logit.sigmoid() * torch.linspace(-1, 2, len(logit))).sum().backward()  # type: ignore[no-untyped-call]
    gradients = [table.weight.grad for table in tables]
    assert all(g is not None for g in gradients)
    return [g.to_dense() for g in gradients if g is not None]


@pytest.mark.parametrize("n", [1, 70])
@pytest.mark.parametrize("dim", [1, 10, 16, 37])
def test_it_is_the_linear_part_and_the_pairs_and_so_are_its_gradients(dim: int, n: int) -> None:
    linear, embedding = layers(dim, [0, 1, 2])
    idx = torch.randint(0, N_ROWS, (n, 3), generator=torch.Generator().manual_seed(n), dtype=torch.int32)
    found, expected = machine(linear, embedding, idx, None), linear(idx) + fm(embedding(idx))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    tables = linear.table, embedding.table
    torch.testing.assert_close(learned(found, *tables), learned(expected, *tables), rtol=1e-4, atol=1e-5)


def test_rows_named_several_times_in_a_row_of_fields_count_as_often() -> None:
    linear, embedding = layers(4, [0, 1])
    idx = torch.tensor([[3, 3]], dtype=torch.int32)
    found, expected = machine(linear, embedding, idx, None), linear(idx) + fm(embedding(idx))
    tables = linear.table, embedding.table
    torch.testing.assert_close(learned(found, *tables), learned(expected, *tables))


def test_gradients_have_each_row_once_in_ascending_order() -> None:
    linear, embedding = layers(16, [0, 1])
    machine(linear, embedding, torch.tensor([[9, 2], [9, 5]], dtype=torch.int32), None).sum().backward()  # type: ignore[no-untyped-call]
    for table in (linear.table, embedding.table):
        assert table.weight.grad is not None
        assert table.weight.grad._indices().tolist() == [[2, 5, 9]]


@pytest.mark.parametrize("kind", ["plain", "hashed", "quotient_remainder"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_crosses_weights_pooled_fields_and_other_tables_are_as_their_layers_have_them(
    kind: Kind, sparse: bool, weighted: bool
) -> None:
    linear, embedding = layers(5, [0, 1, 1], kind, sparse)
    generator = torch.Generator().manual_seed(3)
    idx = torch.randint(0, N_ROWS, (20, 4), generator=generator, dtype=torch.int32)
    weight = torch.rand(20, 4, generator=generator) if weighted else None
    expected = linear(idx, weight) + fm(embedding(idx[:, :3], None if weight is None else weight[:, :3]))
    torch.testing.assert_close(machine(linear, embedding, idx, weight), expected)


def test_rows_out_of_the_table_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`idx` must lie in 0 \.\. 39; got 0 \.\. 40"):
        machine(*layers(4, [0, 1]), torch.tensor([[0, 40]], dtype=torch.int32), None)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_share_the_work_and_change_nothing(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    idx = torch.randint(0, N_ROWS, (6000, 3), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    results = []
    for n in (1, threads):
        monkeypatch.setattr("numba.core.config.NUMBA_NUM_THREADS", n)
        linear, embedding = layers(16, [0, 1, 2])
        logit = machine(linear, embedding, idx, None)
        results.append([logit.detach(), *learned(logit, linear.table, embedding.table)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
