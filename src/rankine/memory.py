"""How much memory is left, so that what cannot fit is refused before the system kills the process."""

from __future__ import annotations

import os
from pathlib import Path

SYSTEM = Path("/proc/meminfo")
UNKNOWN = 1 << 62
GROUP = Path("/sys/fs/cgroup")  # of the container, where there is one


def available_bytes() -> int:
    """What can still be taken without swapping: of the machine, and of the container where its limit is nearer."""
    return min(_of_machine(), _of_container())


def _of_machine() -> int:
    try:
        rows = dict(line.split(":", 1) for line in SYSTEM.read_text("utf-8").splitlines())
        return int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux: all there is, as far as the system tells
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, OSError, ValueError):
            return UNKNOWN


def _of_container() -> int:
    try:
        limit, used = (int((GROUP / name).read_text("utf-8")) for name in ("memory.max", "memory.current"))
        rows = dict(line.split() for line in (GROUP / "memory.stat").read_text("utf-8").splitlines())
        return limit - used + int(rows["inactive_file"])  # file pages give way
    except (OSError, KeyError, ValueError):  # no limit
        return UNKNOWN
