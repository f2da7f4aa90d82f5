from __future__ import annotations

from pathlib import Path

import pytest

from rankine import memory


def test_the_nearer_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:  5000 kB\n")
    monkeypatch.setattr(memory, "SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    assert memory.available_bytes() == 5000 * 1024
    (tmp_path / "memory.max").write_text("4000000\n")
    (tmp_path / "memory.current").write_text("1500000\n")
    (tmp_path / "memory.stat").write_text("anon 900000\ninactive_file 500000\n")
    assert memory.available_bytes() == 3_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes() == 5000 * 1024


def test_elsewhere_it_is_the_memory_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SYSTEM", tmp_path / "none")
    assert memory.available_bytes() > 1_000_000
