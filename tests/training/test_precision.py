from __future__ import annotations

import pytest
import torch

from rankine.errors import ConfigError
from rankine.training.precision import resolve


@pytest.mark.parametrize(("tiles", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_follows_the_processor(tiles: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles, raising=False)
    assert resolve("auto") == expected
    assert resolve("fp32") == "fp32"
    assert resolve("bf16") == "bf16"


def test_a_precision_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown `precision` 'bf61'; did you mean `bf16`"):
        resolve("bf61")
