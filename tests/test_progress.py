from __future__ import annotations

import io
from collections.abc import Generator
from typing import cast

import pytest

from rankine import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO, quiet_s: float) -> list[int]:
    """Three steps, in front of a terminal or not, where a bar appears after so long."""
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setattr(progress, "QUIET_S", quiet_s)
    return list(progress.track([1, 2, 3], "counting"))


def test_nothing_is_shown_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    assert run(monkeypatch, stderr, -1.0) == [1, 2, 3]
    assert stderr.getvalue() == ""


def test_short_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Terminal()
    assert run(monkeypatch, stderr, 60.0) == [1, 2, 3]
    assert "counting" not in stderr.getvalue()


def test_long_work_shows_a_bar_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stderr = Terminal()
    assert run(monkeypatch, stderr, -1.0) == [1, 2, 3]
    assert "counting" in stderr.getvalue()
    assert capsys.readouterr().out == ""


def test_the_bar_goes_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Terminal()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setattr(progress, "QUIET_S", -1.0)
    steps = cast(Generator[int], progress.track(iter([1, 2]), "counting", total=2))
    next(steps)
    steps.close()
    shown = stderr.getvalue()
    assert "counting" in shown
    assert shown.endswith("\x1b[?25h\r\x1b[1A\x1b[2K")  # the cursor is back, the line is gone
