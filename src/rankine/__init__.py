"""A ranking engine: from raw events to served recommendations.

The names below are the public ones; each is imported when it is first used, so that `import rankine` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "Dataset": "rankine.data.dataset",
    "EventType": "rankine.data.schema",
    "Kind": "rankine.data.schema",
    "MODELS": "rankine.models",
    "Pipeline": "rankine.pipeline",
    "RankineError": "rankine.errors",
    "Recommender": "rankine.recommender",
    "Request": "rankine.pipeline",
    "Run": "rankine.runs",
    "Schema": "rankine.data.schema",
    "fit": "rankine.recommender",
    "generate": "rankine.data.synthetic",
    "read_dataset": "rankine.data.readers",
    "shop_config": "rankine.data.synthetic",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'rankine' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
