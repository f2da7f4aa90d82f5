"""Settings that all click models share, each seen in what it does to a fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rankine.arrays import Array
from rankine.errors import ConfigError, ModelError
from rankine.features.events import EventArrays
from rankine.features.rows import Rows
from rankine.features.slots import Field, Layout, Slots
from rankine.recommender import fit_model, new_model

LAYOUT = Layout(
    (Field(name="user", side="request", n_rows=7), Field(name="item", side="item", n_rows=6))  # user 5 is in no event
)
N = 60
STILL = {"learning_rate": 1e-12, "epochs": 1}


def shown(n: int = N) -> EventArrays:
    """Impressions of five items to five users, taken where both are even or by chance."""
    rng = np.random.default_rng(4)
    user, item = rng.integers(0, 5, (2, n)).astype(np.int32)
    taken = (user % 2 + item % 2 == 0) | (rng.random(n) < 0.3)
    items = (7 + np.arange(6, dtype=np.int32))[:, None]
    return EventArrays(
        n_users=6,
        n_items=5,
        user_idx=user,
        item_idx=item,
        weight=taken.astype(np.float32),
        shown=np.ones(n, bool),
        rows=Rows(layout=LAYOUT, request=Slots(user[:, None]), items=Slots(items)),
    )


def state(name: str, **settings: Any) -> dict[str, Array]:
    model = new_model(name, {"epochs": 1, "batch_size": N} | settings)
    fit_model(model, shown(), seed=2)
    return model.state()


@pytest.mark.parametrize("lazy", [True, False])
def test_the_penalty_of_tables_is_for_tables_and_for_all_their_rows_unless_lazy(lazy: bool) -> None:
    """One step of Adam moves each number by the learning rate, against a penalty that is all its gradient."""
    settings = {"embedding_dim": 2, "hidden_dims": [3], "init_sd": 0.5, "lazy": lazy, "embedding_l2": 1e4}
    before, after = state("deepfm", **settings | STILL), state("deepfm", **settings, learning_rate=0.01)
    for name in ("linear.table.weight", "embedding.table.weight"):
        moved = (after[name] - before[name]) * np.sign(before[name])
        touched = np.isin(np.arange(13), [0, 1, 2, 3, 4, 7, 8, 9, 10, 11])
        np.testing.assert_allclose(moved[touched], -0.01, rtol=0.01)
        np.testing.assert_allclose(moved[~touched], 0 if lazy else -0.01, rtol=0.01)
    first = "mlp.hidden.0.linear.weight"
    assert (np.sign(before[first]) * (after[first] - before[first]) > 0).any()


def test_the_other_penalty_is_for_all_that_is_no_table() -> None:
    settings = {"embedding_dim": 2, "hidden_dims": [3], "init_sd": 0.5, "embedding_l2": 0.0, "l2": 1e4}
    before, after = state("deepfm", **settings | STILL), state("deepfm", **settings, learning_rate=0.01)
    for name in ("mlp.hidden.0.linear.weight", "mlp.last.weight", "mlp.last.bias"):
        np.testing.assert_allclose((after[name] - before[name]) * np.sign(before[name]), -0.01, rtol=0.01)
    embedding = "embedding.table.weight"
    moved = (np.sign(before[embedding]) * (after[embedding] - before[embedding]))[:5]
    assert (moved > 0).any()


@pytest.mark.parametrize("name", ["lr", "wide_deep"])
def test_with_ftrl_only_what_has_gathered_more_gradient_than_l1_is_not_zero(name: str) -> None:
    """One step on all rows, from probabilities that are those of the labels: the gradient is known."""
    settings: dict[str, Any] = {"lr": {"optimizer": "ftrl"}}.get(name, {"wide_optimizer": "ftrl", "hidden_dims": [3]})
    data, l1 = shown(), 1.5
    found = state(name, l1=l1, clip_norm=1e9, **settings)["linear.table.weight"][:, 0]
    assert data.rows is not None
    idx = data.rows.of(slice(None), data.item_idx).idx
    gathered = np.zeros(13)
    np.add.at(gathered, idx, (data.weight.mean() - data.weight)[:, None])
    if name == "lr":
        assert ((found != 0) == (np.abs(gathered) > l1)).all()
        assert 0 < (found != 0).sum() < 10
        np.testing.assert_array_equal(np.sign(found[found != 0]), -np.sign(gathered[found != 0]))
    assert not found[[5, 6, 12]].any()  # in no batch


def test_bf16_reaches_the_products_of_the_layers() -> None:
    settings = {"embedding_dim": 2, "hidden_dims": [8], "init_sd": 0.5, "epochs": 3, "dropout": 0.0}
    whole, half = (state("deepfm", precision=p, **settings) for p in ("fp32", "bf16"))
    for name, numbers in whole.items():
        assert np.isfinite(half[name]).all()
        assert half[name].dtype == numbers.dtype
    first = "mlp.hidden.0.linear.weight"
    assert 0 < np.abs(half[first] - whole[first]).max() < 0.01


def test_a_batch_of_one_row_at_the_end_is_trained_on_too() -> None:
    again = state("deepfm", batch_size=N - 1, hidden_dims=[4])
    assert all(np.isfinite(numbers).all() for numbers in again.values())
    assert (again["mlp.hidden.0.norm.variance"] != 1).all()


@pytest.mark.parametrize("rate", [1e30])
def test_a_fit_that_went_to_infinity_is_an_error(rate: float) -> None:
    with pytest.raises(ModelError, match="FM diverged in epoch"):
        state("fm", learning_rate=rate, init_sd=0.5, epochs=3)


def test_a_share_of_a_table_that_is_kept_whole_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'`share` = 0\.5 has no effect on `table = "plain"`'):
        new_model("fm", {"share": 0.5})
    new_model("fm", {"share": 0.5, "table": "hashed"})
