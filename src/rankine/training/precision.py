"""In which numbers a network multiplies its matrices: parameters, gradients and optimisers are float32 always."""

from __future__ import annotations

from typing import cast, get_args

import torch

from rankine.errors import ConfigError, closest
from rankine.nn.hidden import Precision


def resolve(wanted: str) -> Precision:
    """What `wanted` comes to on this machine: `auto` is bf16 where the processor multiplies tiles of it, fp32 elsewhere.

    Without tiles bf16 products are slower than fp32. Raises ConfigError for a precision that is not known.
    """
    if wanted == "auto":
        tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        return "bf16" if tiles() else "fp32"
    if wanted not in get_args(Precision):
        raise ConfigError(f"unknown `precision` {wanted!r}{closest(wanted, ['auto', *get_args(Precision)])}")
    return cast(Precision, wanted)
