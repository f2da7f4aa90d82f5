from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from rankine.cli import serve
from rankine.errors import ConfigError


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`rankine serve` in a process of its own, and the line in which it says where it listens."""
    script = Path(sys.executable).with_name("rankine")
    command = [str(script), "serve", str(folder), "--port", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def test_the_service_starts_answers_and_stops_when_told(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    with serving(folder, "--log-path", str(log)) as (process, line):
        assert line.startswith("Serving tiny-shop on http://127.0.0.1:")
        assert line.rstrip().endswith(f", events in {log}")
        with httpx.Client(base_url=line.split(" on ")[1].split(",")[0], timeout=20) as http:
            assert http.get("/healthz").status_code == 200
            assert len(http.get("/v1/recommend", params={"k": 3}).json()["items"]) == 3
            event = {"user_id": "new", "item_id": "i-00001", "event_type": "view"}
            assert http.post("/v1/events", json=event).status_code == 202
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode in (0, -signal.SIGTERM)
    assert (out, err) == ("", "")
    assert log.is_file()


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ({}, {}, ("127.0.0.1", 8000, "shop.events.sqlite")),
        ({"port": 0, "host": "0.0.0.0"}, {"RANKINE_PORT": "9"}, ("0.0.0.0", 0, "shop.events.sqlite")),
        ({}, {"RANKINE_PORT": "9", "RANKINE_LOG_PATH": "x.sqlite"}, ("127.0.0.1", 9, "x.sqlite")),
        ({"set_": ["port=7", "log_path=y.sqlite"]}, {"RANKINE_PORT": "9"}, ("127.0.0.1", 7, "y.sqlite")),
        ({"set_": ["port=7"], "port": 8}, {}, ("127.0.0.1", 8, "shop.events.sqlite")),
        ({"log_path": Path("z.sqlite")}, {"RANKINE_LOG_PATH": "x.sqlite"}, ("127.0.0.1", 8000, "z.sqlite")),
    ],
)
def test_a_flag_goes_before_a_variable_before_the_default(
    given: dict[str, Any], environment: dict[str, str], expected: tuple[str, int, str], folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: list[Any] = []
    monkeypatch.setattr("rankine.serving.serve", lambda *arguments, **_: seen.append(arguments[3]))
    for name in ("RANKINE_PORT", "RANKINE_LOG_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    serve.serve_command(folder, **{"host": None, "port": None, "log_path": None, "set_": None, **given})
    (settings,) = seen
    assert (settings.host, settings.port, Path(settings.log_path).name) == expected


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("max_hystory=5", "unknown setting `max_hystory` .*did you mean `max_history`"),
        ("max_history", "--set expects name=value; got 'max_history'"),
        ("max_history=many", "`max_history` .* must be a whole number; got 'many'"),
        ("port=70000", "`port` must be between 0 and 65,535; got 70000"),
        ("session_gap_minutes=nan", "`session_gap_minutes` must be between"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(option: str, message: str, folder: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        serve.serve_command(folder, None, None, None, [option])


def test_a_port_that_is_taken_is_one_line(folder: Path, rankine: Callable[..., Any], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = rankine("serve", folder, "--port", port, "--log-path", tmp_path / "log.sqlite")
    assert found.code == 2
    assert found.err.startswith(f"rankine: cannot listen on `127.0.0.1` port {port}: ")
    assert found.err.count("\n") == 1
