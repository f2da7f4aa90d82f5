"""The factorization machine as one layer: compiled where a row is one plain slot per field, made of other layers elsewhere."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rankine.kernels.fm import fm_gradients, fm_logits
from rankine.kernels.grouping import Groups
from rankine.nn.fields import FieldEmbedding, FieldLinear
from rankine.nn.interactions import fm


def machine(linear: FieldLinear, embedding: FieldEmbedding, idx: Tensor, weight: Tensor | None) -> Tensor:
    """The linear part and the inner products of all pairs of fields [B], of idx int [B, L] and weight float [B, L], None for ones.

    Slots behind those of `embedding` belong to the linear part alone. Source: Rendle 2010, equation 5.
    """
    if (
        weight is None
        and idx.dtype == torch.int32
        and idx.is_contiguous()
        and _compiled(linear, embedding, idx.shape[1])
    ):
        pairs = cast(Tensor, _Machine.apply(linear.table.weight, embedding.table.weight, idx))  # type: ignore[no-untyped-call]
        return pairs if linear.bias is None else pairs + linear.bias
    n = embedding.n_slots
    return cast(Tensor, linear(idx, weight) + fm(embedding(idx[:, :n], None if weight is None else weight[:, :n])))


def _compiled(linear: FieldLinear, embedding: FieldEmbedding, n_slots: int) -> bool:
    whole = all(
        table.code is None
        and table.sparse
        and table.weight.dtype == torch.float32
        and table.weight.device.type == "cpu"
        for table in (linear.table, embedding.table)
    )
    return whole and 0 < n_slots == embedding.n_slots == embedding.n_fields


class _Machine(torch.autograd.Function):
    """Gradients of tables are sparse, with each row once, in ascending order."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, vectors: Tensor, idx: Tensor) -> Tensor:
        out, sums = fm_logits(idx.numpy(), weights.detach().view(-1).numpy(), vectors.detach().numpy())
        ctx.save_for_backward(vectors, idx)
        ctx.sums, ctx.shapes = sums, (weights.shape, vectors.shape)
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        vectors, idx = ctx.saved_tensors
        groups = Groups.of(idx.numpy().reshape(-1), len(vectors))
        by_logit = grad.contiguous().numpy()
        found = fm_gradients(groups, idx.shape[1], by_logit, ctx.sums, vectors.detach().numpy())
        places = torch.from_numpy(groups.rows).unsqueeze(0)
        by_weight, by_vector = (
            torch.sparse_coo_tensor(
                places, torch.from_numpy(rows.reshape(len(rows), -1)), shape, check_invariants=False
            )
            for rows, shape in zip(found, ctx.shapes, strict=True)
        )
        return by_weight, by_vector, None
