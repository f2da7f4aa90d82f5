"""DCN-v2: a cross network, whose layers multiply the vectors with what they have become, beside or below hidden layers.

x_0 = (v_1 .. v_F); x_{l+1} = x_0 * (W_l x_l + b_l) + x_l. Parallel: s = w . (x_L, MLP(x_0)) + b; stacked: s = w . MLP(x_L) + b.
Source: Wang et al. 2021, "DCN V2", equations 1 and 2, and 3 to 5 for low `rank`, there without its gates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rankine import config as settings
from rankine.models.ctr.config import TUNED_DEEP, DeepConfig
from rankine.models.ctr.deep import DeepModel
from rankine.models.tuning import Whole, choice, ranges
from rankine.nn.interactions import CrossNetwork
from rankine.nn.mlp import Linear


@dataclass(frozen=True, kw_only=True)
class DCNv2Config(DeepConfig):
    """Settings of DCN-v2. rank: of the matrices of the cross layers, in full where not set."""

    n_cross_layers: int = 3
    structure: Literal["parallel", "stacked"] = "parallel"
    rank: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_cross_layers", "rank"):
            settings.require(self, name, at_least=1)


class DCNv2(DeepModel):
    """A vector per table row; no linear part."""

    Config = DCNv2Config
    config: DCNv2Config
    label = "DCN-v2"
    summary = "learned crosses and hidden layers"
    mark = 4
    tuning = ranges(**TUNED_DEEP, n_cross_layers=Whole(1, 6), structure=choice("parallel", "stacked"))

    def layers(self) -> None:
        self.embedding = self.vector_part()
        n = self.n_vector_numbers
        self.cross = CrossNetwork(n, self.config.n_cross_layers, self.config.rank)
        self.mlp = self.deep_part(n, out=None)
        self.last = Linear(self.mlp.n_outputs + (n if self.config.structure == "parallel" else 0), 1)

    @property
    def intercept(self) -> nn.Parameter:
        return self.last.bias

    def logit(self, idx: Tensor, weight: Tensor | None) -> Tensor:
        x0_BN = self.vectors(idx, weight).flatten(1)
        crossed_BN = self.cross(x0_BN)
        if self.config.structure == "stacked":
            seen_BM: Tensor = self.mlp(crossed_BN)
        else:
            seen_BM = torch.cat([crossed_BN, self.mlp(x0_BN)], 1)
        logit: Tensor = self.last(seen_BM).squeeze(1)
        return logit
