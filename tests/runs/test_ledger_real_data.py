"""Published figures, reached on the real data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rankine.data.split import make_folds
from rankine.features.encode import Encoder
from rankine.runs import load
from rankine.runs.ledger import reproduce
from rankine.runs.questions import known_events, make_cases
from rankine.runs.source import open_source

pytestmark = pytest.mark.real_data


@pytest.fixture
def root() -> Path:
    """The folder of the data sets."""
    if not os.environ.get("RANKINE_DATA"):
        pytest.skip("set RANKINE_DATA to the folder of data sets")
    return Path(os.environ["RANKINE_DATA"])


@pytest.fixture
def data_of(root: Path) -> Callable[[str], Path]:
    """The root, where it holds the data of a recipe."""

    def check(recipe: str) -> Path:
        path = root / str(load(recipe).data["path"])
        if not path.exists():
            pytest.skip(f"no {path.name} in RANKINE_DATA")
        return root

    return check


@pytest.mark.parametrize("name", ["rsc15-neighbours", "ml1m-popularity", "gowalla-popularity"])
def test_published_figures_are_reached(name: str, data_of: Callable[[str], Path]) -> None:
    rows = list(reproduce(load(name), data_of(name)))
    assert len(rows) == len(load(name).expectations)
    assert [row for row in rows if not row["ok"]] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_folds", "n_events", "n_cases"),
    [
        ("ml100k-rating", 5, 100_000, 20_000),
        ("ml100k-rating-official", 5, 100_000, 20_000),
        ("online-retail", 1, 531_285, None),
    ],
)
def test_a_longer_recipe_can_be_prepared(
    name: str, n_folds: int, n_events: int, n_cases: int | None, data_of: Callable[[str], Path]
) -> None:
    recipe = load(name)
    source = open_source(recipe, data_of(name))
    assert len(source.dataset.events) == n_events
    folds = make_folds(source.dataset, recipe.split, recipe.seed)
    assert len(folds) == n_folds
    fold = folds[-1]
    before = fold.before_test()
    encoder = Encoder.fit(before, collapse_repeats=recipe.sessions.collapse_repeats)
    cases = make_cases(recipe, encoder, known_events(before, fold), fold.test, source)
    assert len(cases) == n_cases if n_cases else len(cases) > 50_000
    assert np.isfinite(cases.queries.timestamp).all() or n_cases
