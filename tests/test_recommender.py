from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine import __version__
from rankine.data.dataset import Dataset
from rankine.data.split import SplitConfig, make_folds
from rankine.errors import ConfigError, DataError, ModelError, RequestError
from rankine.features.config import FeaturesConfig
from rankine.features.encode import Encoder
from rankine.recommender import FORMAT, Ranked, Recommender, can_rank_similar, fit, fit_arrays, new_model


def shop(times: int = 1) -> Dataset:
    """Item a leads to b; c leads to d; e stands alone; z is in the catalogue only."""
    rows = [
        ("u", "s1", "a"),
        ("u", "s1", "b"),
        ("v", "s2", "a"),
        ("v", "s2", "b"),
        ("w", "s3", "c"),
        ("w", "s3", "d"),
        ("x", "s4", "e"),
    ]
    names = {"user_id": pl.String, "session_id": pl.String, "item_id": pl.String}
    frame = pl.DataFrame([*rows * times, ("w", "s3", "a")], schema=names, orient="row")
    frame = frame.with_columns(pl.int_range(pl.len()).cast(pl.Float64).alias("timestamp"))
    return Dataset.from_frames(frame, items=pl.DataFrame({"item_id": ["a", "z"]}))


def ids(ranking: list[Ranked]) -> list[str]:
    return [place.item_id for place in ranking]


def test_the_best_items_come_first_and_ties_stand_in_the_order_of_the_catalogue() -> None:
    popular = fit("popularity", shop())
    found = popular.recommend(k=6)
    assert ids(found) == ["a", "b", "c", "d", "e", "z"]
    assert [place.score for place in found] == [3, 2, 1, 1, 1, 0]
    assert repr(popular) == "Recommender('popularity', 4 users, 6 items)"


LATER = pl.DataFrame(
    {
        "user_id": ["u", "new", "new"],
        "item_id": ["d", "a", "n"],
        "session_id": ["s8", "s9", "s9"],
        "timestamp": [100.0, 101.0, 102.0],
    }
)


def test_an_update_takes_in_new_events_users_and_items_and_leaves_the_old_one_alone() -> None:
    before = shop(times=3)
    old = fit("als", before, {"embedding_dim": 4, "epochs": 8})
    state = {name: values.copy() for name, values in old.model.state().items()}
    new = old.update(before, LATER)
    for name, values in old.model.state().items():
        np.testing.assert_array_equal(values, state[name])
    assert new.encoder.users.ids.to_list() == [*old.encoder.users.ids, "new"]
    assert new.encoder.items.ids.to_list() == [*old.encoder.items.ids, "n"]
    assert new.encoder.fitted_on == before.extended(Dataset.from_frames(LATER).events).fingerprint()
    untouched = old.encoder.users.index(["v", "w", "x"])
    np.testing.assert_array_equal(new.model.state()["user_factors"][untouched], state["user_factors"][untouched])
    assert scores_of(new, "u")["d"] > scores_of(old, "u")["d"]
    assert scores_of(new, "new")["b"] > scores_of(new, "new")["d"]  # who took a likes b
    assert scores_of(new, "v")["n"] > scores_of(new, "w")["n"]  # and what was taken with a too


def test_an_updated_recommender_can_be_saved_and_updated_again(tmp_path: Path) -> None:
    before = shop(times=3)
    once = fit("als", before, {"embedding_dim": 4, "epochs": 8}).update(before, LATER)
    once.save(tmp_path / "once")
    between = before.extended(Dataset.from_frames(LATER).events)
    last = LATER.with_columns(pl.lit("c").alias("item_id"), pl.col("timestamp") + 10)
    twice = Recommender.load(tmp_path / "once").update(between, last)
    assert scores_of(twice, "new")["c"] > scores_of(once, "new")["c"]


def test_a_part_of_a_split_can_be_updated_with_the_next() -> None:
    fold = make_folds(shop(times=3), SplitConfig(by="random", test=0.2), seed=4)[0]
    new = fit("als", fold.train, {"embedding_dim": 2, "epochs": 2}).update(fold.train, fold.test)
    assert new.encoder.fitted_on == fold.train.extended(fold.test).fingerprint()


def test_an_update_is_refused_where_it_would_be_wrong() -> None:
    fitted = fit("als", shop(), {"embedding_dim": 2, "epochs": 1})
    with pytest.raises(DataError, match="`before` must hold the events that 'als' was fitted to"):
        fitted.update(shop(times=2), LATER)
    with pytest.raises(ModelError, match="Popularity cannot be updated in part"):
        fit("popularity", shop()).update(shop(), LATER)
    with pytest.raises(DataError, match="item_id"):
        fitted.update(shop(), LATER.drop("item_id"))


def scores_of(recommender: Recommender, user: str) -> dict[str, float]:
    return {place.item_id: place.score for place in recommender.recommend(user, k=20)}


def test_a_list_is_never_longer_than_the_catalogue_nor_than_asked() -> None:
    popular = fit("popularity", shop())
    assert len(popular.recommend(k=3)) == 3
    assert len(popular.recommend(k=100)) == 6
    with pytest.raises(RequestError, match="`k` must be at least 1; got 0"):
        popular.recommend(k=0)


def test_what_is_excluded_is_not_shown() -> None:
    popular = fit("popularity", shop())
    assert ids(popular.recommend(exclude=["a", "nope", "c", "a"], k=10)) == ["b", "d", "e", "z"]
    assert ids(popular.recommend(history=["a", "b"], exclude_history=True, k=2)) == ["c", "d"]
    assert ids(popular.recommend(history=["a", "b"], exclude_history=True, exclude=["c"], k=2)) == ["d", "e"]
    assert popular.recommend(exclude=list("abcdez")) == []


def test_a_history_of_unknown_items_is_no_error() -> None:
    rules = fit("sequential_rules", shop())
    assert ids(rules.recommend(history=["nope", "c"], k=1)) == ["d"]
    assert ids(rules.recommend(history=["c", "nope"], k=1)) == ["d"]
    assert len(rules.recommend(user="stranger", history=["nope"], k=4)) == 4


def test_an_unknown_context_column_names_the_closest() -> None:
    with pytest.raises(RequestError, match="unknown context column `huor`; did you mean `hour`"):
        fit("popularity", shop()).recommend(context={"huor": 3})


def test_unknown_names_and_settings_are_errors_before_any_work() -> None:
    with pytest.raises(ConfigError, match="unknown model `popularty`; did you mean `popularity`"):
        fit("popularty", shop())
    with pytest.raises(ConfigError, match="unknown setting `step` for sequential_rules; did you mean `steps`"):
        new_model("sequential_rules", {"step": 3})
    with pytest.raises(ModelError, match="`bias` needs a `value` per event"):
        fit("bias", shop())
    nothing = Dataset.from_frames(pl.DataFrame({"item_id": ["a"], "event_type": ["search"]}))
    with pytest.raises(ModelError, match="`popularity` got no training event with a known item"):
        fit("popularity", nothing)


def test_several_models_share_one_encoder() -> None:
    encoder = Encoder.fit(shop())
    data = encoder.events(shop().events)
    one, two = (fit_arrays(name, encoder, data) for name in ("popularity", "markov"))
    assert one.encoder is two.encoder
    assert ids(two.recommend(history=["c"], k=1)) == ["d"]


@pytest.mark.parametrize(
    ("name", "settings", "item", "expected"),
    [
        ("sequential_rules", {}, "a", ["b"]),
        ("item_to_item", {"min_support": 1, "neighbours": 2}, "b", ["a"]),
        ("als", {"embedding_dim": 2, "epochs": 10}, "c", ["d"]),
    ],
)
def test_similar_items_are_neighbours_or_close_vectors(
    name: str, settings: dict[str, Any], item: str, expected: list[str]
) -> None:
    recommender = fit(name, shop(times=3), settings)
    assert can_rank_similar(recommender.model)
    found = recommender.similar(item, k=1)
    assert ids(found) == expected
    assert found[0].score > 0
    many = recommender.similar(item, k=100)
    assert item not in ids(many)
    assert [p.score for p in many] == sorted((p.score for p in many), reverse=True)


def test_the_closeness_of_vectors_is_their_cosine() -> None:
    recommender = fit("als", shop(times=3), {"embedding_dim": 2, "epochs": 10})
    vectors = recommender.model.item_vectors()  # type: ignore[attr-defined]
    for place in recommender.similar("a", k=4):
        other = vectors[recommender.encoder.items.row(place.item_id)]
        norms = np.linalg.norm(vectors[0]) * np.linalg.norm(other)
        assert place.score == pytest.approx(float(vectors[0] @ other / norms) if norms else 0, abs=1e-5)


def test_similar_says_what_it_does_not_know() -> None:
    rules = fit("sequential_rules", shop())
    with pytest.raises(RequestError, match="unknown item 'aa'; did you mean `a`"):
        rules.similar("aa")
    with pytest.raises(RequestError, match="`k` must be at least 1; got -1"):
        rules.similar("a", k=-1)
    popular = fit("popularity", shop())
    assert not can_rank_similar(popular.model)
    with pytest.raises(ModelError, match="Popularity knows no similar items: use a neighbourhood or a vector model"):
        popular.similar("a")
    assert rules.similar("z") == []


def test_what_is_saved_can_be_read_by_people_and_loaded(tmp_path: Path) -> None:
    made = fit("popularity", shop(), {"recent_days": 2.0, "context": ["hour"]})
    made.save(tmp_path / "deep" / "popular")
    facts = json.loads((tmp_path / "deep" / "popular" / "recommender.json").read_text())
    assert facts == {
        "format": FORMAT,
        "rankine": __version__,
        "model": "popularity",
        "variant": "",
        "config": {"recent_days": 2.0, "context": ["hour"], "smoothing": 100.0, "prior": 20.0},
    }
    loaded = Recommender.load(tmp_path / "deep" / "popular")
    assert loaded.recommend(timestamp=0.0, k=6) == made.recommend(timestamp=0.0, k=6)
    assert loaded.model.config == made.model.config


def test_a_folder_that_holds_none_or_one_of_another_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no recommender in `.*`: expected recommender.json"):
        Recommender.load(tmp_path)
    fit("popularity", shop()).save(tmp_path)
    path = tmp_path / "recommender.json"
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', '"format": 99'))
    with pytest.raises(ConfigError, match=f"has format 99; this version reads {FORMAT}: fit and save it again"):
        Recommender.load(tmp_path)


# click models


def clicks() -> Dataset:
    """u takes a and leaves b, v takes b and leaves a; c is taken by both, in the evening."""
    rows = [
        (user, item, float(item in (liked, "c")), part)
        for user, liked in (("u", "a"), ("v", "b"))
        for item in "abc"
        for part in ("noon", "evening")
        if item != "c" or part == "evening"
    ]
    events = pl.DataFrame(rows * 20, schema=["user_id", "item_id", "value", "part"], orient="row")
    return Dataset.from_frames(events.with_columns(event_type=pl.lit("impression")))


def clicked(**features: Any) -> Recommender:
    settings = {"epochs": 8, "embedding_dim": 4, "batch_size": 32, "learning_rate": 0.05}
    return fit("fm", clicks(), settings, features=FeaturesConfig(**features))


def test_a_click_model_is_fitted_with_fields_and_keeps_them(tmp_path: Path) -> None:
    made = clicked()
    assert made.encoder.features is not None
    assert made.training is not None
    assert {f.name for f in made.encoder.features.layout.fields} == {"user_id", "item_id", "part"}
    assert {f.name for f in clicked(drop=("part",)).encoder.features.layout.fields} == {"user_id", "item_id"}  # type: ignore[union-attr]
    made.save(tmp_path / "fm")
    again = Recommender.load(tmp_path / "fm")
    assert again.recommend("u", context={"part": "noon"}) == made.recommend("u", context={"part": "noon"})
    assert again.training is None


def test_only_candidates_are_ranked() -> None:
    made = clicked()
    assert [r.item_id for r in made.recommend("u", candidates=["b", "a", "never heard of"])] == ["a", "b"]
    assert [r.item_id for r in made.recommend("v", candidates=["b", "a"], k=1)] == ["b"]
    assert [r.item_id for r in made.recommend("v", candidates=["b", "a"], exclude=["b"])] == ["a"]
    assert made.recommend("v", candidates=[]) == []
    whole = {r.item_id: r.score for r in made.recommend("u", k=3)}
    given = {r.item_id: r.score for r in made.recommend("u", candidates=["c", "a", "b"])}
    assert given == pytest.approx(whole)


def test_probabilities_are_of_the_items_that_are_asked_for() -> None:
    made = clicked()
    likes, leaves, unknown = made.probability(["a", "b", "never heard of"], "u", context={"part": "noon"})
    assert 0 < leaves < unknown < likes < 1
    assert made.probability([], "u") == []
    with pytest.raises(RequestError, match="unknown context column `prat`; did you mean `part`"):
        made.probability(["a"], "u", context={"prat": "noon"})
    with pytest.raises(ModelError, match="ranks items and knows no probabilities"):
        fit("markov", shop()).probability(["a"])


def test_models_that_need_no_fields_carry_none() -> None:
    dataset = clicks()
    encoder = Encoder.fit(dataset, features=FeaturesConfig())
    data = encoder.events(dataset.events)
    assert fit_arrays("popularity", encoder, data).encoder.features is None
    assert fit_arrays("lr", encoder, data, {"epochs": 1}).encoder is encoder
    assert fit("popularity", dataset, features=FeaturesConfig()).encoder.features is None
