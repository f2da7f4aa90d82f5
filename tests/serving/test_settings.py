from __future__ import annotations

import dataclasses

import pytest

from rankine.errors import ConfigError
from rankine.serving.settings import Settings, table


def test_a_flag_goes_before_the_environment_and_that_before_the_default() -> None:
    environment = {"RANKINE_PORT": "9001", "RANKINE_MAX_HISTORY": "7"}
    settings = Settings.read({"port": 9002, "host": None}, environment)
    assert (settings.port, settings.max_history, settings.host) == (9002, 7, Settings().host)


def test_numbers_with_a_point_come_from_the_environment() -> None:
    assert Settings.read({}, {"RANKINE_SESSION_GAP_MINUTES": "2.5"}).session_gap_minutes == 2.5


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        ({}, {"RANKINE_PORT": "http"}, r"`RANKINE_PORT` must be a whole number; got 'http'"),
        ({}, {"RANKINE_PORT": "70000"}, r"`port` must be between 0 and 65,535; got 70000"),
        ({"max_body_bytes": 1}, {}, r"`max_body_bytes` must be between"),
        ({"session_gap_minutes": float("nan")}, {}, r"`session_gap_minutes` must be between"),
        ({"prot": 1}, {}, r"unknown setting `prot` for the service; did you mean `port`\?"),
        ({"port": "80"}, {}, r"`port` of the service must be a whole number"),
    ],
)
def test_a_setting_that_cannot_be_is_named(flags: dict[str, object], environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings.read(flags, environment)


def test_the_table_has_every_setting_with_unit_and_help() -> None:
    rows = table()
    assert [row.name for row in rows] == [f.name for f in dataclasses.fields(Settings)]
    assert all(row.unit and row.help for row in rows)
    assert (rows[1].flag, rows[1].variable, rows[3].flag) == ("--port", "RANKINE_PORT", "--max-body-bytes")
