"""What a generated log of clicks must look like, and that its oracle is right."""

from __future__ import annotations

import numpy as np
import pytest

from rankine.arrays import Array
from rankine.data.schema import Kind
from rankine.data.synthetic import Clicks, ClicksConfig, generate_clicks
from rankine.data.synthetic import clicks as module
from rankine.errors import ConfigError


@pytest.fixture(scope="module")
def clicks() -> Clicks:
    return generate_clicks(ClicksConfig(n_rows=100_000, n_ids=20_000))


def auc(score: Array, label: Array) -> float:
    """The share of pairs of a click and none that stand in the right order."""
    clicked, not_clicked = np.sort(score[label == 1]), np.sort(score[label == 0])
    below = np.searchsorted(not_clicked, clicked, "left") + np.searchsorted(not_clicked, clicked, "right")
    return float(below.mean() / 2 / len(not_clicked))


def test_the_same_seed_gives_the_same_log_and_another_one_another() -> None:
    one, same, other = (generate_clicks(ClicksConfig(n_rows=500, n_ids=1000, seed=seed)) for seed in (1, 1, 2))
    for name in ("ids", "numbers", "probability", "label"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))


def test_a_longer_log_begins_with_the_shorter_one(clicks: Clicks) -> None:
    first = generate_clicks(ClicksConfig(n_rows=module.BLOCK, n_ids=20_000))
    np.testing.assert_array_equal(first.ids, clicks.ids[: module.BLOCK])
    np.testing.assert_array_equal(first.label, clicks.label[: module.BLOCK])


def test_it_has_as_many_ids_and_clicks_as_were_asked_for(clicks: Clicks) -> None:
    assert clicks.sizes.sum() == 20_000 and len(clicks) == 100_000
    assert (clicks.ids >= 0).all() and (clicks.ids < clicks.sizes).all()
    assert clicks.label.mean() == pytest.approx(0.25, abs=0.01)


def test_numbers_have_heavy_tails_and_gaps(clicks: Clicks) -> None:
    missing = np.isnan(clicks.numbers).mean(0)
    assert missing.min() == 0 and 0.2 < missing.max() < 0.5
    assert (np.nanmax(clicks.numbers, 0) > 8 * np.nanmedian(clicks.numbers, 0)).all()


def test_ids_are_zipf_distributed(clicks: Clicks) -> None:
    size = int(clicks.sizes[-1])
    share = np.bincount(clicks.ids[:, -1], minlength=size)[:20] / len(clicks)
    k = np.arange(1, 21)
    np.testing.assert_allclose(share, np.log((k + 1) / k) / np.log(size), atol=0.004)


def test_no_score_beats_the_probability_and_its_best_figures_are_what_it_reaches(clicks: Clicks) -> None:
    p, label = clicks.probability, clicks.label
    assert auc(p, label) == pytest.approx(clicks.best_auc, abs=0.004)
    assert -np.log(np.where(label == 1, p, 1 - p)).mean() == pytest.approx(clicks.best_logloss, abs=0.004)
    order = np.argsort(p)  # among rows of like probability so many click as it says
    for rows in np.array_split(order, 10):
        assert label[rows].mean() == pytest.approx(p[rows].mean(), abs=0.02)


def test_fields_alone_do_not_reach_what_pairs_of_fields_tell(clicks: Clicks) -> None:
    world = module._World(clicks.config)
    z = np.nan_to_num((np.log1p(clicks.numbers) - world.mean) / world.spread).astype(np.float32)
    pairs = world._products(clicks.ids, z)
    alone = np.log(clicks.probability / (1 - clicks.probability)) - pairs
    assert auc(alone, clicks.label) < clicks.best_auc - 0.03
    assert abs(np.corrcoef(pairs, alone)[0, 1]) < 0.02


def test_products_of_pairs_are_summed_over_all_pairs() -> None:
    world = module._World(ClicksConfig(n_ids=500))
    ids, numbers = world.draw(3, np.random.default_rng(0))
    z = np.nan_to_num((np.log1p(numbers) - world.mean) / world.spread).astype(np.float32)
    found = world._products(ids, z)
    for row in range(3):
        vectors = [
            vectors[classes[ids[row, f]]] / np.sqrt(1 + (ids[row, f] + 1) / module.FADE)
            for f, (classes, vectors) in zip(module.PAIRED, world.vectors, strict=True)
        ]
        vectors += [z[row, k] * world.directions[k] for k in range(module.N_PAIRED_NUMBERS)]
        expected = sum(float(a @ b) for n, a in enumerate(vectors) for b in vectors[:n])
        assert found[row] == pytest.approx(expected, abs=1e-5)


def test_as_a_dataset_rows_are_impressions_with_numbers_categories_and_an_item(clicks: Clicks) -> None:
    events, schema = clicks.dataset.events, clicks.dataset.schema
    assert len(events) == len(clicks) and set(events["event_type"]) == {"impression"}
    np.testing.assert_array_equal(events["value"], clicks.label)
    context = dict.fromkeys(module.NUMBER_NAMES, Kind.NUMBER) | dict.fromkeys(module.CATEGORY_NAMES, Kind.CATEGORY)
    assert schema.context == {name: kind for name, kind in context.items() if name != "item_id"}
    assert events["c26"][:5].to_list() == list(map(str, clicks.ids[:5, 25]))
    assert events["item_id"][:5].to_list() == list(map(str, clicks.ids[:5, module.ITEM_FIELD]))
    np.testing.assert_array_equal(events["n01"].is_null(), np.isnan(clicks.numbers[:, 0]))
    assert events["timestamp"].is_sorted() and events["timestamp"].n_unique() == len(events)


def test_sizes_grow_geometrically_and_sum_to_the_ids() -> None:
    for n_ids in (104, 10_000, 1_000_000, 10_000_000):
        sizes = module.category_sizes(n_ids)
        assert sizes.sum() == n_ids and sizes.min() >= 3 and (np.diff(sizes) >= 0).all()


def test_settings_that_make_no_log_are_refused() -> None:
    with pytest.raises(ConfigError, match="`n_ids`"):
        ClicksConfig(n_ids=50)
    with pytest.raises(ConfigError, match="`click_rate`"):
        ClicksConfig(click_rate=0)
