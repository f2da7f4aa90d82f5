from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rankine.errors import ConfigError
from rankine.serving import Settings
from rankine.serving.server import listen

PROGRAM = """
import runpy, sys
from rankine.serving import Settings, serve
shop = runpy.run_path(sys.argv[1])
data = shop["tiny_shop"]()
settings = Settings(port=0, log_path=sys.argv[2])
serve(shop["tiny_pipeline"](data), data.schema, shop["tiny_visitors"](data), settings, "tiny",
      announce=lambda url: print(url, flush=True))
"""


def started(log: Path) -> tuple[subprocess.Popen[str], str]:
    """A service in a process of its own on this log, and its address."""
    arguments = [sys.executable, "-c", PROGRAM, str(Path(__file__).with_name("conftest.py")), str(log)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def stop(process: subprocess.Popen[str], how: signal.Signals) -> int:
    process.send_signal(how)
    code = process.wait(timeout=20)
    assert process.stdout is not None
    process.stdout.close()
    return code


def wait_until(holds: Iterator[bool]) -> None:
    until = time.monotonic() + 20
    for found in holds:
        if found:
            return
        assert time.monotonic() < until, "waited for too long"
        time.sleep(0.01)


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "events.sqlite"
    acknowledged: list[list[dict[str, str]]] = []
    sent, numbers = [0], itertools.count()

    def post(url: str) -> None:
        with httpx.Client(base_url=url, timeout=20) as http:
            while True:
                batch = [{"event_id": str(n), "user_id": f"new{n % 5}", "item_id": f"tea-{n % 6}"}
                         for n in itertools.islice(numbers, 7)]  # fmt: skip
                sent[0] += 1
                try:
                    if http.post("/v1/events", json=batch).status_code == 202:
                        acknowledged.append(batch)
                except httpx.TransportError:
                    return

    process, url = started(log)
    threads = [threading.Thread(target=post, args=(url,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(len(acknowledged) >= 40 for _ in itertools.repeat(None))
    assert stop(process, signal.SIGKILL) == -signal.SIGKILL
    for thread in threads:
        thread.join()
    assert sent[0] > len(acknowledged)  # it was in the middle of some

    process, url = started(log)
    with httpx.Client(base_url=url, timeout=20) as http:
        n_events = sum(map(len, acknowledged))
        stored = http.get("/healthz").json()["events_accepted"]
        assert n_events <= stored <= 7 * sent[0]
        assert stored % 7 == 0  # a request is stored whole or not at all
        for batch in acknowledged:
            assert http.post("/v1/events", json=batch).json() == {"accepted": 0, "duplicates": 7, "rejected": []}
        answer = http.get("/v1/recommend", params={"user_id": "new1"}).json()
        assert (answer["source"], answer["user_known"]) == ("session", True)
    assert stop(process, signal.SIGTERM) in (0, -signal.SIGTERM)
    assert not Path(f"{log}-wal").exists()  # closed in order


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on `127.0.0.1` port {port}: .*choose another"):
            listen(Settings(port=port))


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on `256\.0\.0\.1`"):
        listen(Settings(host="256.0.0.1", port=0))


def test_the_service_listens_to_this_machine_only_unless_told_otherwise() -> None:
    with listen(Settings(port=0)) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.get_inheritable() is False or os.name == "nt"
