"""A data set as every system reads it: a folder of arrays, users by items or labelled rows of fields, train and test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


class Matrix:
    """indptr int64 [n_users + 1], indices int32 ascending within a row, values float32 (ones where nothing was rated)."""

    def __init__(self, folder: Path, part: str = "train") -> None:
        self.n_users, self.n_items = json.loads((folder / "facts.json").read_text())["shape"]
        self.indptr, self.indices = (np.load(folder / f"{part}_{name}.npy") for name in ("indptr", "indices"))
        rated = folder / f"{part}_values.npy"
        self.values = np.load(rated) if rated.exists() else np.ones(len(self.indices), np.float32)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def users(self) -> np.ndarray:
        """The row of each entry, int32."""
        return np.repeat(np.arange(self.n_users, dtype=np.int32), np.diff(self.indptr))

    def row(self, user: int) -> np.ndarray:
        """The items of a user."""
        return self.indices[self.indptr[user] : self.indptr[user + 1]]


class Clicks:
    """ids int32 [E, F], values 0 .. sizes[f] - 1 of each category; numbers float32 [E, D], none missing; label float32 [E], 0 or 1.

    names: those of the categories.
    """

    def __init__(self, folder: Path, part: str = "train") -> None:
        facts = json.loads((folder / "facts.json").read_text())
        self.names, self.sizes = facts["names"], facts["sizes"]
        self.ids, self.numbers, self.label = (
            np.load(folder / f"{part}_{name}.npy") for name in ("ids", "numbers", "label")
        )

    def __len__(self) -> int:
        return len(self.label)

    def columns(self) -> dict[str, np.ndarray]:
        """Every field by name, numbers behind categories."""
        numbers = {f"n{k}": column for k, column in enumerate(self.numbers.T)}
        return dict(zip(self.names, self.ids.T, strict=True)) | numbers


def save(folder: Path, **arrays: np.ndarray) -> None:
    """Hand arrays over to the side that judges them."""
    folder.mkdir(exist_ok=True, parents=True)
    for old in folder.glob("*.npy"):
        old.unlink()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def load(folder: Path) -> dict[str, np.ndarray]:
    """The arrays that `save` was given."""
    return {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
