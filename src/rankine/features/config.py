"""FeaturesConfig: which columns become fields of a row, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from rankine.config import require
from rankine.errors import ConfigError

NumberKind = Literal["quantile", "log", "value"]
Pooling = Literal["mean", "sum"]


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """How rows of fields are made; all of it is fitted on training events alone.

    fields: the columns to use, empty for all that can be; drop: columns to leave out. min_count: events in which a value must
    occur to have a row of its own, by field in min_counts. hash_rows: fields whose values share so many rows by hash.
    numbers: how a number is looked up (by field in number_kinds): the quantile of training it lies in, the logarithm of it, or
    one vector that is multiplied by the standardised value. max_values: most values of a list that count, the first of it;
    pooling: whether their vectors are averaged or summed. item_age: the age of the item at the request, in buckets.
    crosses: combinations of fields, each hashed to cross_rows rows. last_items: so many of the items met last;
    count_before: how many events came before; met_before: how many of them were of this very item.
    """

    fields: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    min_count: int = 1
    min_counts: Mapping[str, int] = field(default_factory=dict)
    hash_rows: Mapping[str, int] = field(default_factory=dict)
    numbers: NumberKind = "quantile"
    number_kinds: Mapping[str, NumberKind] = field(default_factory=dict)
    n_quantiles: int = 20
    pooling: Pooling = "mean"
    max_values: int = 10
    item_age: bool = False
    crosses: tuple[tuple[str, ...], ...] = ()
    cross_rows: int = 10_000
    last_items: int = 0
    count_before: bool = False
    met_before: bool = False

    def __post_init__(self) -> None:
        for name in ("min_count", "max_values", "cross_rows"):
            require(self, name, at_least=1)
        require(self, "n_quantiles", at_least=2)
        require(self, "last_items", at_least=0, at_most=500)
        for setting in ("min_counts", "hash_rows"):
            for name, number in getattr(self, setting).items():
                if number < 1:
                    raise ConfigError(
                        f"`{setting}` of FeaturesConfig must be at least 1 for every field; got {number} for `{name}`"
                    )
        for setting, allowed in (("numbers", NumberKind), ("pooling", Pooling)):
            _one_of(setting, getattr(self, setting), get_args(allowed))
        for name, kind in self.number_kinds.items():
            _one_of(f"number_kinds.{name}", kind, get_args(NumberKind))
        if len(set(self.crosses)) < len(self.crosses):
            raise ConfigError(f"`crosses` of FeaturesConfig must differ; got {[list(cross) for cross in self.crosses]}")
        for cross in self.crosses:
            if len(cross) < 2 or len(set(cross)) < len(cross):
                raise ConfigError(f"a cross must name at least two different fields; got {list(cross)}")

    @property
    def looks_back(self) -> bool:
        """Whether a row needs to know what the visitor did before."""
        return self.last_items > 0 or self.count_before or self.met_before

    def needed_count(self, name: str) -> int:
        """Events in which a value of this field must occur to have a row of its own."""
        return self.min_counts.get(name, self.min_count)


def _one_of(setting: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(
            f"`{setting}` of FeaturesConfig must be one of {', '.join(map(repr, allowed))}; got {value!r}"
        )
