"""Click models beside their peers: training, scoring, single requests, and making rows of events.

Every system runs in a process and a Python of its own on the same arrays, on two threads, taking turns; one function judges
them all. `make peers` installs the peers; those that are missing are named and left out. `--only WORK` measures one work.
"""

from __future__ import annotations

import bench
from bench import Work
from parts.clicking import encoding, request, scoring, training
from parts.starting import machine

WORKS: dict[str, Work] = {
    "machine": machine,
    "deepfm": training("deepfm", "frappe", "deepfm", ("deepctr", "recbole", "fuxictr"), bf16=True),
    "wide-deep": training("wide-deep", "frappe", "wide_deep", ("deepctr", "recbole"), n_epochs=2, bf16=True),
    "ipnn": training("ipnn", "frappe", "pnn", ("deepctr", "recbole"), n_epochs=2, bf16=True),
    "fm": training("fm", "frappe", "fm", ("recbole",), turns=3),
    "deepfm-10k-ids": training("deepfm-10k-ids", "clicks-10k", "deepfm", ("deepctr",), batch=4096, n_epochs=2),
    "deepfm-1m-ids": training("deepfm-1m-ids", "clicks-1m", "deepfm", ("deepctr",), batch=4096, n_epochs=2),
    "deepfm-10m-ids": training("deepfm-10m-ids", "clicks-10m", "deepfm", (), batch=4096, n_epochs=2),
    "score": scoring,
    "one-row": request("one-row", 1),
    "200-candidates": request("200-candidates", 200),
    "encode": encoding,
}

if __name__ == "__main__":
    bench.main("ctr", WORKS)
