"""Runs one system in its own Python: reads a JSON request per line, does it, answers with one line of JSON.

`worker.py NAME FOLDER` starts the system `run_NAME.py` on the data set in FOLDER. A request is {"do": method, ...settings};
the answer holds what the method returned and what it took. Nothing is imported here that a peer's environment might lack.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")


def answer(system: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Does what is asked; peak_mb is the most that the process held meanwhile, None where the machine does not tell."""
    method = getattr(system, request.pop("do"))
    forget_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    found = method(**request)
    return {
        "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "peak_mb": peak_mb(), "found": found,
    }  # fmt: skip


def forget_peak() -> None:
    """Let the peak of memory start anew from what is held now."""
    with suppress(OSError):  # not everywhere allowed: then it is the peak since the start
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float | None:
    """Largest resident memory since then, in MB."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM:")), None)


def main(name: str, folder: str) -> None:
    """Serves requests until the other side hangs up."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    sys.argv = sys.argv[:1]  # some systems read settings there
    os.dup2(2, 1)  # what a system prints must not stand among the answers
    start = time.perf_counter()
    system = importlib.import_module(f"run_{name}").System(Path(folder))
    print(json.dumps({"start_s": time.perf_counter() - start}), file=replies)
    for line in sys.stdin:
        try:
            reply = answer(system, json.loads(line))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies)


if __name__ == "__main__":
    main(*sys.argv[1:])
