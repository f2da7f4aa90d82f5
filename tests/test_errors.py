from __future__ import annotations

import inspect

import pytest

from rankine import errors
from rankine.errors import MAX_SEARCHED, RankineError, closest


def test_every_error_is_in_the_tree_of_the_docstring() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)]
    assert all(issubclass(c, RankineError) for c in classes)
    assert errors.__doc__ is not None
    assert all(c.__name__ in errors.__doc__ for c in classes)


@pytest.mark.parametrize(
    ("name", "valid", "expected"),
    [
        ("recal", ["recall", "ndcg"], "; did you mean `recall`?"),
        ("zzz", ["b", "a"], "; valid: `a`, `b`"),
        ("zzz", [], ""),
    ],
)
def test_the_closest_name_or_the_valid_ones(name: str, valid: list[str], expected: str) -> None:
    assert closest(name, valid) == expected


def test_a_message_never_lists_a_whole_catalogue() -> None:
    names = [f"item-{n}" for n in range(500)]
    assert closest("zzz", names).endswith("`item-115` and 480 more")
    assert closest("item-7x", names) == "; did you mean `item-7`?"
    assert closest("item-7x", map(str, range(MAX_SEARCHED + 1))) == ""
