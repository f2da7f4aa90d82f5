"""Makes the environments of the peers: `install.py [--peers FOLDER] [NAME ...]`, all that peers.toml lists if none is named.

Each peer gets a virtual environment FOLDER/NAME of its own, so that their pins neither meet each other nor ours. One that is
there already stays. What fails is named, and does not stop the others.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS = tomllib.loads((HERE / "peers.toml").read_text(encoding="utf-8"))


def install(name: str, folder: Path) -> None:
    """The environment of a peer, made if it is not there."""
    peer: dict[str, Any] = PEERS[name]
    python = folder / name / "bin" / "python"
    if (folder / name / "ready").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
    if "torch" in peer:
        subprocess.run(["sh", str(ROOT / "tools" / "install-torch.sh"), str(python), peer["torch"]], check=True)
    for step in peer["steps"]:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *step], check=True)
    (folder / name / "ready").touch()


def main() -> None:
    """Installs what is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--peers", type=Path, default=Path(os.environ.get("RANKINE_PEERS", ROOT / ".peers")))
    given = parser.parse_args()
    if unknown := set(given.names) - set(PEERS):
        parser.error(f"unknown peers {', '.join(sorted(unknown))}: expected some of {', '.join(PEERS)}")
    given.peers.mkdir(parents=True, exist_ok=True)
    (given.peers / ".gitignore").write_text("*\n")
    failed = []
    for name in given.names or PEERS:
        try:
            install(name, given.peers)
            print(f"{name}: ready")
        except subprocess.CalledProcessError as error:
            failed.append(name)
            print(f"{name}: failed: {error}", file=sys.stderr)
    if failed:
        sys.exit(f"without {', '.join(failed)} the benchmarks run, and leave them out")


if __name__ == "__main__":
    main()
