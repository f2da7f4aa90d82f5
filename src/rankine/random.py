"""One seed, separate streams: a draw for the shuffle never moves the negatives."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, purpose: str, *keys: int | str) -> np.random.Generator:
    """A generator of its own for `purpose` (and `keys`, a fold or a thread), the same for the same arguments."""
    return np.random.default_rng(seed_of(seed, purpose, *keys))


def seed_of(seed: int, purpose: str, *keys: int | str) -> int:
    """A 63-bit seed for a library that seeds itself, the same for the same arguments on every machine."""
    text = "/".join(map(str, (seed, purpose, *keys)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
