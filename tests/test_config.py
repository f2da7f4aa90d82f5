from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest

from rankine.config import from_dict, read_toml, require, to_dict
from rankine.errors import ConfigError


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Settings:
    name: str
    size: int = 3
    rate: float = 0.1
    fast: bool = False
    limit: float | None = 2.0
    share: float | str = 0.2
    mode: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    words: tuple[str, ...] = ()
    pair: tuple[int, float] = (1, 2.0)
    inner: Inner = field(default_factory=Inner)
    table: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    figures: Mapping[str, float | tuple[float, float]] = field(default_factory=dict)
    anything: Any = None


GIVEN: dict[str, Any] = {
    "name": "x",
    "size": 4,
    "rate": 1,
    "fast": True,
    "limit": 3,
    "share": "7d",
    "mode": "b",
    "colour": "green",
    "words": ["p", "q"],
    "pair": [2, 3],
    "inner": {"rate": 0.25},
    "table": {"a": {"b": 1}},
    "figures": {"one": 1, "two": [1, 0.5]},
    "anything": [1, "x"],
}


def test_a_table_becomes_settings_of_the_right_types() -> None:
    made = from_dict(Settings, GIVEN)
    assert made == Settings(
        name="x",
        size=4,
        rate=1.0,
        fast=True,
        limit=3.0,
        share="7d",
        mode="b",
        colour=Colour.GREEN,
        words=("p", "q"),
        pair=(2, 3.0),
        inner=Inner(rate=0.25),
        table={"a": {"b": 1}},
        figures={"one": 1.0, "two": (1.0, 0.5)},
        anything=[1, "x"],
    )
    assert isinstance(made.rate, float)
    assert isinstance(made.limit, float)


def test_there_and_back_gives_the_same_settings() -> None:
    for settings in (
        from_dict(Settings, GIVEN),
        Settings(name="y"),
        Settings(name="z", limit=None, inner=Inner(rate=9)),
    ):
        plain = to_dict(settings)
        again = from_dict(Settings, plain)
        assert again == (settings if settings.limit is not None else Settings(name="z", inner=Inner(rate=9)))
        assert all(isinstance(v, (str, int, float, bool, list, dict)) for v in plain.values())


def test_what_is_none_is_left_out() -> None:
    assert "anything" not in to_dict(Settings(name="x"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nam": "x"}, "unknown setting `nam` for Settings; did you mean `name`?"),
        ({"zzz": 1}, "unknown setting `zzz` for Settings; valid: `anything`, `colour`"),
        ({"size": 2.5}, "`size` of Settings must be a whole number; got 2.5"),
        ({"size": True}, "`size` of Settings must be a whole number; got True"),
        ({"rate": "fast"}, "`rate` of Settings must be a number; got 'fast'"),
        ({"fast": 1}, "`fast` of Settings must be true or false; got 1"),
        ({"name": 5}, "`name` of Settings must be text; got 5"),
        ({"limit": "x"}, "`limit` of Settings must be a number; got 'x'"),
        ({"share": []}, "`share` of Settings: `share` of Settings must be a number; got []; or"),
        ({"mode": "c"}, "`mode` of Settings must be one of 'a', 'b'; got 'c'"),
        ({"colour": "gren"}, "`colour` of Settings: unknown value 'gren'; did you mean `green`?"),
        ({"words": "p"}, "`words` of Settings must be a list; got 'p'"),
        ({"words": [1]}, "`words` of Settings must be text; got 1"),
        ({"pair": [1]}, "`pair` of Settings must have 2 values; got 1"),
        ({"inner": 3}, "`inner` of Settings must be a table of settings; got 3"),
        ({"inner": {"rat": 1}}, "unknown setting `rat` for `inner` of Settings; did you mean `rate`?"),
        ({"table": [1]}, "`table` of Settings must be a table; got [1]"),
        ({"table": {"a": {"b": "c"}}}, "must be a whole number; got 'c'"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_dict(Settings, {"name": "x", **change})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_setting_is_named_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"recipe x.toml needs the setting `name`"):
        from_dict(Settings, {}, "recipe x.toml")


def test_what_is_no_table_is_an_error() -> None:
    with pytest.raises(ConfigError, match="Settings must be a table of settings; got 3"):
        from_dict(Settings, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bounds", "words"),
    [({"at_least": 4}, "at least 4"), ({"above": 3}, "above 3"), ({"at_most": 2}, "at most 2")],
)
def test_a_number_out_of_range_is_named(bounds: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=f"`size` of Settings must be {words}; got 3"):
        require(Settings(name="x"), "size", **bounds)
    require(Settings(name="x"), "size", at_least=3, above=2, at_most=3)


def test_what_is_no_number_is_in_no_range_and_none_is_in_any() -> None:
    with pytest.raises(ConfigError, match="must be at least 0; got nan"):
        require(Settings(name="x", rate=float("nan")), "rate", at_least=0)
    require(Settings(name="x", limit=None), "limit", above=0)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text('a = 1\n[b]\nc = "d"\n')
    assert read_toml(good) == {"a": 1, "b": {"c": "d"}}
    bad = tmp_path / "bad.toml"
    bad.write_text("a = 1\nb =\n")
    with pytest.raises(ConfigError, match=r"bad.toml` is not valid TOML: .*line 2"):
        read_toml(bad)
    bad.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_toml(bad)
    with pytest.raises(ConfigError, match=r"no file `.*nowhere.toml`: expected a TOML file"):
        read_toml(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match=r"cannot be read: .*; expected a TOML file"):
        read_toml(tmp_path)
