"""Settings: a frozen dataclass on one side, a dict or a TOML table on the other.

An unknown key, a missing key or a value of the wrong type is a `ConfigError` that names the key and the closest valid one.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rankine.errors import ConfigError, closest

T = TypeVar("T")


def from_dict(cls: type[T], values: Mapping[str, Any], where: str | None = None) -> T:
    """An instance of the dataclass `cls` from a mapping of its fields; `where` names the place in messages.

    Nested dataclasses are built from nested tables. Raises ConfigError.
    """
    place = where or cls.__name__
    if not isinstance(values, Mapping):
        raise ConfigError(f"{place} must be a table of settings; got {values!r}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in fields:
            raise ConfigError(f"unknown setting `{key}` for {place}{closest(key, fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"{place} needs the setting `{name}`")
    return cls(**{key: _convert(value, hints[key], f"`{key}` of {place}") for key, value in values.items()})


def to_dict(config: Any) -> dict[str, Any]:
    """The settings of a dataclass instance as plain, TOML-ready values; `None` is left out."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return to_dict(value)
        if isinstance(value, Mapping):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        return value

    pairs = ((f.name, getattr(config, f.name)) for f in dataclasses.fields(config))
    return {name: plain(value) for name, value in pairs if value is not None}


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError with the line for a file that cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no file `{path}`: expected a TOML file") from None
    except OSError as error:
        raise ConfigError(f"`{path}` cannot be read: {error.strerror}; expected a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"`{path}` is not valid TOML: {error}") from None


def require(
    config: Any, name: str, *, at_least: float | None = None, above: float | None = None, at_most: float | None = None
) -> None:
    """Raise ConfigError unless the number `name` of `config` lies in the stated range."""
    value = getattr(config, name)
    bounds: list[tuple[float | None, str, Callable[[float, float], bool]]] = [
        (at_least, "at least", lambda a, b: a >= b),
        (above, "above", lambda a, b: a > b),
        (at_most, "at most", lambda a, b: a <= b),
    ]
    for bound, words, holds in bounds:
        if bound is not None and value is not None and not holds(value, bound):
            raise ConfigError(f"`{name}` of {type(config).__qualname__} must be {words} {bound}; got {value!r}")


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, args, where)
    if origin is typing.Literal:
        if value not in args:
            raise ConfigError(f"{where} must be one of {', '.join(map(repr, args))}; got {value!r}")
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else from_dict(hint, value, where)
    if origin in (tuple, list):
        return _convert_sequence(value, origin, args, where)
    if origin in (dict, Mapping) or getattr(origin, "__name__", "") == "Mapping":
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table; got {value!r}")
        return {_convert(k, args[0], where): _convert(v, args[1], f"{where}, `{k}`") for k, v in value.items()}
    return _convert_scalar(value, hint, where)


def _convert_union(value: Any, args: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in args:
        return None
    options = [a for a in args if a is not type(None)]
    problems = []
    for option in options:
        try:
            return _convert(value, option, where)
        except ConfigError as error:
            problems.append(str(error))
    raise ConfigError(problems[0] if len(problems) == 1 else f"{where}: {'; or '.join(problems)}")


def _convert_sequence(value: Any, origin: Any, args: tuple[Any, ...], where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where} must be a list; got {value!r}")
    if origin is tuple and args and args[-1] is not Ellipsis:
        if len(args) != len(value):
            raise ConfigError(f"{where} must have {len(args)} values; got {len(value)}")
        return tuple(_convert(v, a, where) for v, a in zip(value, args, strict=True))
    return origin(_convert(v, args[0], where) for v in value)


def _convert_scalar(value: Any, hint: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and issubclass(hint, str) and hint is not str:  # a StrEnum
        try:
            return hint(value)
        except ValueError:
            valid = [str(v) for v in hint]  # type: ignore[attr-defined]
            raise ConfigError(f"{where}: unknown value {value!r}{closest(str(value), valid)}") from None
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} must be {_type_name(hint)}; got {value!r}")
    return value


def _type_name(hint: type) -> str:
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(hint, hint.__name__)
