from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from rankine.errors import ConfigError
from rankine.runs import Recipe
from rankine.runs.source import open_source

MODELS = "\nmodels = { popularity = {} }\n"


@pytest.fixture
def folder(tmp_path: Path, log: Callable[..., pl.DataFrame]) -> Path:
    """A root with one folder of data in it, `mine`."""
    (tmp_path / "root" / "mine").mkdir(parents=True)
    log().write_parquet(tmp_path / "root" / "mine" / "events.parquet")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{ shop = "tiny" }', "cannot have the size 'tiny'"),
        ('{ shop = "smal" }', "did you mean `small`"),
        ("{ shop = 5 }", "cannot have the size '5'"),
        (
            '{ shop = "small", n_user = 5 }',
            r"unknown setting `n_user` for \[data\] with a shop; did you mean `n_users`",
        ),
        ('{ shop = "small", n_users = "many" }', "`n_users` .* must be a whole number; got 'many'"),
        ('{ shop = "small", n_users = 0 }', "`n_users` .*at least 1; got 0"),
        ('{ shop = "small", path = "mine" }', "unknown setting `path`"),
        ("{ }", 'needs `path = "FOLDER"`, `shop = "small"` or'),
        ('{ path = "mine", file = "x" }', r"unknown setting `file` for \[data\]"),
        ('{ path = "no-such" }', "recipe `tiny` reads `no-such`, which is not below"),
    ],
)
def test_data_that_cannot_be_had_is_named(data: str, message: str, parsed: Callable[..., Recipe], folder: Path) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        open_source(parsed(f"data = {data}{MODELS}"), folder)
    assert "\n" not in str(error.value)


def test_without_a_root_the_variable_is_named(parsed: Callable[..., Recipe]) -> None:
    with pytest.raises(ConfigError, match=r"not here; --data DIR or \$RANKINE_DATA names the folder to look in"):
        open_source(parsed(f'data = {{ path = "no-such" }}{MODELS}'))


def test_a_path_counts_from_the_root_or_stands_alone(
    parsed: Callable[..., Recipe], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    for path, root in (("mine", folder), (str(folder / "mine"), None), ("~/mine", None), ("~/mine", Path("other"))):
        source = open_source(parsed(f'data = {{ path = "{path}" }}{MODELS}'), root)
        assert len(source.dataset.events) == 900
        assert source.folder == folder / "mine"
        assert source.counts["events"]["read"] == 900


def test_a_shop_has_the_settings_of_the_recipe(parsed: Callable[..., Recipe]) -> None:
    data = '{ shop = "small", n_users = 30, n_items = 50, n_topics = 3, n_events = 900, n_days = 7 }'
    source = open_source(parsed(f"data = {data}{MODELS}"))
    assert (len(source.dataset.users), len(source.dataset.items)) == (30, 50)
    assert source.oracle is not None
    assert source.folder is None
    span = source.dataset.events["timestamp"]
    assert span.max() - span.min() <= 7 * 86_400  # type: ignore[operator]


def test_a_gap_cuts_sessions_only_where_there_are_none(
    parsed: Callable[..., Recipe], folder: Path, log: Callable[..., pl.DataFrame]
) -> None:
    recipe = parsed(f'data = {{ path = "mine" }}\nsessions = {{ gap_minutes = 60 }}{MODELS}')
    assert open_source(recipe, folder).dataset.events["session_id"].equals(log()["session_id"])
    log().drop("session_id").write_parquet(folder / "mine" / "events.parquet")
    cut = open_source(recipe, folder).dataset.events
    pauses = cut.with_columns(pl.col("timestamp").diff().over("session_id").alias("pause"))["pause"].drop_nulls()
    assert len(pauses) > 0
    assert (pauses <= 3600).all()


def test_what_is_too_short_or_too_rare_is_left_out_and_counted(
    parsed: Callable[..., Recipe], folder: Path, log: Callable[..., pl.DataFrame]
) -> None:
    sessions = "{ min_length = 2, min_support = 24, iterate = true }"
    source = open_source(parsed(f'data = {{ path = "mine" }}\nsessions = {sessions}{MODELS}'), folder)
    events = source.dataset.events
    assert 0 < len(events) < 900
    assert events.group_by("session_id").len()["len"].min() >= 2  # type: ignore[operator]
    assert events.group_by("item_id").len()["len"].min() >= 24  # type: ignore[operator]
    (note,) = [note for note in source.notes if note.startswith("filtered: ")]
    counts = {what: int(n.replace(",", "")) for n, what in re.findall(r"([\d,]+) ([a-z ]+)", note)}
    assert counts["events of short sessions"] + counts["events of rare items"] == 900 - len(events)
    for column, what in (("session_id", "sessions"), ("item_id", "items")):
        assert counts[what] == log()[column].n_unique() - events[column].n_unique() > 0
