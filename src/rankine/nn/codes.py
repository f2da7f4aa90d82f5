"""Codes: which rows of a smaller table stand for a row, so that a table need not have a row for every value.

All are computed from the number of the row, with seeds that are saved beside the weights: nothing is stored per row, and every
process and machine finds the same places. Fields of few rows keep a row of their own for each value.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

SEEDS = (0x9E3779B9, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1, 0xD3A2646C, 0xFD7046C5, 0xB55A4F09)
LOW_32 = 0xFFFFFFFF


def mixed(x: Tensor) -> Tensor:
    """A number of 32 well-mixed bits for each of these, int64 in 0 .. 2^32 - 1; a one-to-one map of 32-bit numbers."""
    x = (x ^ (x >> 16)) * 0x85EBCA6B & LOW_32
    x = (x ^ (x >> 13)) * 0xC2B2AE35 & LOW_32
    return x ^ (x >> 16)


class Code(nn.Module):
    """Places of rows: `n_places` rows of a table stand for the rows of several fields, each row for `width` places.

    sizes: rows of each field, in order. Fields of at most `min_rows` rows are kept whole. places int64 [..., width].
    """

    width: int
    starts: Tensor
    first: Tensor
    n_places: int

    def __init__(self, sizes: Sequence[int], min_rows: int) -> None:
        super().__init__()
        self.sizes = [n for n in sizes if n > 0]
        self.small = [n <= min_rows for n in self.sizes]
        self.register_buffer("starts", torch.tensor([0, *accumulate(self.sizes)][: len(self.sizes)]), persistent=False)

    def forward(self, idx: Tensor) -> tuple[Tensor, Tensor | None]:
        """Places of these rows int64 [..., width], and their weights of the same shape, None where all are 1.

        Raises IndexError for a row of no field, which a hash would give a place like any other.
        """
        idx, n_rows = idx.long(), sum(self.sizes)
        if idx.numel():
            low, high = (int(border) for border in torch.aminmax(idx))
            if low < 0 or high >= n_rows:
                raise IndexError(f"`idx` must name rows 0 to {n_rows - 1} of the table; got {low} to {high}")
        return self.places(idx)

    @abstractmethod
    def places(self, idx: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same of int64 rows that are there."""

    def _field_of(self, idx: Tensor) -> Tensor:
        return torch.bucketize(idx, self.starts, right=True) - 1


class HashCode(Code):
    """Each row hashed to `n_hashes` places that lie apart; one hash is feature hashing, several are a Bloom code.

    The ceil(share n) places of a field are cut into `n_hashes` parts, a hash for each, so the places of a row always differ.
    Source: Weinberger et al. 2009; Serra and Karatzoglou 2017.
    """

    seeds: Tensor
    part_size: Tensor
    part_start: Tensor
    whole: Tensor

    def __init__(self, sizes: Sequence[int], min_rows: int, share: float, n_hashes: int) -> None:
        super().__init__(sizes, min_rows)
        self.width = n_hashes
        kept = [n if s else max(math.ceil(share * n), n_hashes) for n, s in zip(self.sizes, self.small, strict=True)]
        first = [0, *accumulate(kept)]
        parts = [[-(-(m - j) // n_hashes) for j in range(n_hashes)] for m in kept]
        starts = [[f + sum(p[:j]) for j in range(n_hashes)] for f, p in zip(first, parts, strict=False)]
        self.n_places = first[-1]
        self.register_buffer("seeds", torch.tensor(SEEDS[:n_hashes]))
        self.register_buffer("part_size", torch.tensor(parts).clamp_min(1), persistent=False)
        self.register_buffer("part_start", torch.tensor(starts), persistent=False)
        self.register_buffer("whole", torch.tensor(self.small), persistent=False)
        self.register_buffer("first", torch.tensor(first[:-1]), persistent=False)

    def places(self, idx: Tensor) -> tuple[Tensor, Tensor | None]:
        hashed = mixed(idx.unsqueeze(-1) ^ self.seeds)
        if len(self.sizes) == 1 and not self.small[0]:
            return hashed % self.part_size[0] + self.part_start[0], None
        field = self._field_of(idx)
        places = hashed % self.part_size[field] + self.part_start[field]
        whole = self.whole[field].unsqueeze(-1)
        own = (idx - self.starts[field] + self.first[field]).unsqueeze(-1)
        places = torch.where(whole, own, places)
        if self.width == 1 or not any(self.small):
            return places, None
        weight = torch.ones(places.shape)
        weight[..., 1:] -= whole.float()  # a field kept whole has its one row, not `n_hashes` times
        return places, weight


class QuotientRemainderCode(Code):
    """Row x of a field at places x // m and x mod m: the pair is different for every row.

    The places of quotients come before those of remainders; m is such that both together are about share n rows, or, where
    that cannot be, as few as possible (2 sqrt n). A field kept whole has m = n: one quotient. Source: Shi et al. 2019.
    """

    width = 2
    modulus: Tensor
    first_quotient: Tensor

    def __init__(self, sizes: Sequence[int], min_rows: int, share: float) -> None:
        super().__init__(sizes, min_rows)
        modulus = [n if s else modulus_for(n, share) for n, s in zip(self.sizes, self.small, strict=True)]
        quotients = [0, *accumulate(-(-n // m) for n, m in zip(self.sizes, modulus, strict=True))]
        remainders = [*accumulate(modulus, initial=quotients[-1])]
        self.n_quotients, self.n_places = quotients[-1], remainders[-1]
        self.register_buffer("modulus", torch.tensor(modulus), persistent=False)
        self.register_buffer("first_quotient", torch.tensor(quotients[:-1]), persistent=False)
        self.register_buffer("first", torch.tensor(remainders[:-1]), persistent=False)

    def places(self, idx: Tensor) -> tuple[Tensor, Tensor | None]:
        field = self._field_of(idx)
        x, modulus = idx - self.starts[field], self.modulus[field]
        quotient = torch.div(x, modulus, rounding_mode="floor")
        return torch.stack(
            [self.first_quotient[field] + quotient, self.first[field] + x - quotient * modulus], -1
        ), None


def modulus_for(n: int, share: float) -> int:
    """The m for which m + n / m is share n, at least sqrt n."""
    total = share * n
    return min(n, max(math.ceil(math.sqrt(n)), math.floor((total + math.sqrt(max(total**2 - 4 * n, 0))) / 2)))
