from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.data.vocab import Vocab


def test_ids_are_numbered_in_order_of_appearance() -> None:
    vocab = Vocab.of(pl.Series(["b", "a", None, "b"]), pl.Series(["c", "a"]))
    assert vocab.ids.to_list() == ["b", "a", "c"]
    assert (len(vocab), vocab.unknown, vocab.n_rows) == (3, 3, 4)
    assert [vocab.name(r) for r in range(3)] == ["b", "a", "c"]
    assert vocab.names(np.array([2, 0, 2], np.int32)) == ["c", "b", "c"]
    assert "a" in vocab
    assert "z" not in vocab
    assert None not in vocab


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(["b", "zzz", None, "a", "b"]),
        ["b", "zzz", None, "a", "b"],
        ("b", "zzz", None, "a", "b"),
        iter(["b", "zzz", None, "a", "b"]),
        np.array(["b", "zzz", None, "a", "b"], object),
    ],
    ids=["series", "list", "tuple", "iterator", "array"],
)
def test_many_ids_at_once(column: Any) -> None:
    rows = Vocab(["a", "b"]).index(column)
    assert rows.tolist() == [1, 2, 2, 0, 1]
    assert rows.dtype == np.int32
    rows[0] = 7  # a copy of its own


def test_one_id() -> None:
    vocab = Vocab(["a", "b"])
    assert [vocab.row(name) for name in ("a", "b", "zzz", None)] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    "ids", [["17", "18"], [17, 18], pl.Series([17, 18]), pl.Series([17, 18], dtype=pl.UInt8)], ids=str
)
def test_a_number_and_its_text_are_one_id(ids: Any) -> None:
    vocab = Vocab(ids)
    assert vocab.ids.to_list() == ["17", "18"]
    assert vocab.row(17) == vocab.row("17") == 0
    assert 18 in vocab
    assert "18" in vocab
    for column in (
        [18, 17, 5],
        ["18", "17", "5"],
        pl.Series([18, 17, 5]),
        np.array([18, 17, 5]),
        pl.Series(["18", "17", "5"]),
    ):
        assert vocab.index(column).tolist() == [1, 0, 2]


def test_an_empty_vocabulary_knows_nothing() -> None:
    vocab = Vocab([])
    assert (len(vocab), vocab.row("a")) == (0, 0)
    assert vocab.index(["a", None]).tolist() == [0, 0]
    assert vocab.index(pl.Series(["a"])).tolist() == [0]
    assert vocab.index([]).tolist() == []
    assert len(Vocab.of(pl.Series([None, None], dtype=pl.String))) == 0


@pytest.mark.parametrize("ids", [["a", "a"], ["a", None], pl.Series(["a", None]), [1, "1"]], ids=str)
def test_ids_are_unique_and_not_null(ids: Any) -> None:
    with pytest.raises(ValueError, match="unique and not null"):
        Vocab(ids)


def test_a_saved_vocabulary_comes_back(tmp_path: Path) -> None:
    vocab = Vocab(["b", "ä\n,", "", "a"])
    vocab.save(tmp_path / "deep" / "ids.parquet")
    assert Vocab.load(tmp_path / "deep" / "ids.parquet").ids.equals(vocab.ids)
