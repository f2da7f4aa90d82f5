"""What every model promises. Models are found by themselves in MODELS: a new one needs no line here."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import importlib
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankine.arrays import Ragged
from rankine.config import from_dict, to_dict
from rankine.data.dataset import Dataset
from rankine.errors import ConfigError, ModelError
from rankine.features.config import FeaturesConfig
from rankine.features.encode import Encoder
from rankine.features.events import EventArrays
from rankine.features.history import Past
from rankine.features.queries import Queries
from rankine.features.rows import Rows
from rankine.features.slots import Slots
from rankine.kernels.ranks import pair_scores
from rankine.models import MODELS
from rankine.models.base import (
    ClickModel,
    ItemNeighbours,
    Model,
    Needs,
    RatingModel,
    RowModel,
    SolvedModel,
    Source,
    VectorModel,
)
from rankine.models.neural import NeuralModel
from rankine.recommender import Recommender, fit_arrays, new_model

SMALL: dict[str, Any] = {  # settings that keep a fit short, where a model has them
    "epochs": 3,
    "embedding_dim": 4,
    "batch_size": 32,
    "n_negatives": 1,
    "hidden_dims": [8, 4],
    "fm_epochs": 1,
}
FEATURES = FeaturesConfig(last_items=3, met_before=True, crosses=(("item_id", "device"),))
START = 1_760_000_000.0
every_model = pytest.mark.parametrize("name", sorted(MODELS))


def shop(n: int = 500, seed: int = 11) -> Dataset:
    """Events with everything that a model may need, some of it missing here and there, and items that nobody took."""
    rng = np.random.default_rng(seed)
    session = np.sort(rng.integers(0, n // 5, n))
    user = rng.integers(0, 25, n // 5)[session]
    item = (rng.geometric(0.12, n) + user) % 30
    events = pl.DataFrame(
        {
            "user_id": [None if u == 0 else f"u{u}" for u in user.tolist()],
            "item_id": [f"i{i}" for i in item.tolist()],
            "event_type": rng.choice(["view", "view", "view", "cart", "purchase", "return"], n).tolist(),
            "timestamp": START + np.cumsum(rng.exponential(600, n)),
            "value": [None if v == 0 else float(v) for v in rng.integers(0, 6, n).tolist()],
            "session_id": [f"s{s}" for s in session.tolist()],
            "device": rng.choice(["phone", "laptop"], n).tolist(),
        }
    )
    return Dataset.from_frames(events, items=pl.DataFrame({"item_id": [f"i{i}" for i in range(33)]}))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.fit(shop(), features=FEATURES)


@pytest.fixture(scope="module")
def data(encoder: Encoder) -> EventArrays:
    return encoder.events(shop().events)


def settings_of(name: str) -> dict[str, Any]:
    return {
        key: value for key, value in SMALL.items() if key in {f.name for f in dataclasses.fields(MODELS[name].Config)}
    }


@pytest.fixture(scope="module")
def fitted(encoder: Encoder, data: EventArrays) -> Callable[[str], Recommender]:
    """Each model fitted once."""
    made: dict[str, Recommender] = {}

    def get(name: str) -> Recommender:
        if name not in made:
            made[name] = fit_arrays(name, encoder, data, settings_of(name), seed=5)
        return made[name]

    return get


def requests(encoder: Encoder, seed: int = 3, n: int = 40) -> Queries:
    """Users known and not; no history, short and long ones, of items known and not; with and without a session."""
    rng = np.random.default_rng(seed)
    batch = []
    for _ in range(n):
        length = int(rng.choice([0, 1, 2, 5, 30]))
        batch.append(
            encoder.query(
                user=str(rng.choice(["u1", "u2", "u7", "stranger"])) if rng.random() < 0.7 else None,
                history=[f"i{i}" for i in rng.integers(0, 40, length).tolist()],
                session_len=int(rng.integers(0, length + 1)),
                context={"device": str(rng.choice(["phone", "watch"]))} if rng.random() < 0.5 else None,
                timestamp=START + float(rng.integers(0, 10_000)) if rng.random() < 0.5 else None,
            )
        )
    return together(batch)


def together(batch: list[Queries]) -> Queries:
    return Queries(
        user_idx=np.concatenate([q.user_idx for q in batch]),
        history=Ragged.from_rows([q.history[0] for q in batch]),
        history_weight=np.concatenate([q.history_weight for q in batch]),
        session_len=np.concatenate([q.session_len for q in batch]),
        timestamp=np.concatenate([q.timestamp for q in batch]),
        n_users=batch[0].n_users,
        n_items=batch[0].n_items,
        context={c: np.concatenate([q.context[c] for q in batch]) for c in batch[0].context},
        rows=rows_together([q.rows for q in batch if q.rows is not None]),
    )


def rows_together(batch: list[Rows]) -> Rows | None:
    if not batch:
        return None
    pasts = [rows.pairs.past for rows in batch if rows.pairs is not None and rows.pairs.past is not None]
    histories = [past.line.items[past.start[0] : past.end[0]] for past in pasts]
    assert len(histories) == len(batch)
    assert batch[0].pairs is not None
    time = np.concatenate([rows.pairs.time for rows in batch if rows.pairs is not None])
    weights = [rows.request.weight for rows in batch if rows.request.weight is not None]
    return dataclasses.replace(
        batch[0],
        request=Slots(np.concatenate([rows.request.idx for rows in batch]), np.concatenate(weights)),
        pairs=dataclasses.replace(batch[0].pairs, time=time, past=Past.of_rows(Ragged.from_rows(histories))),
    )


def without_history(queries: Queries) -> Queries:
    """The same visitors, of whom nothing is known but who they are."""
    return dataclasses.replace(
        queries,
        history=Ragged.empty(len(queries)),
        history_weight=np.empty(0, np.float32),
        session_len=np.zeros_like(queries.session_len),
    )


def bare(data: EventArrays) -> EventArrays:
    """The same events with nothing but who and what."""
    return dataclasses.replace(
        data, value=None, timestamp=None, session_idx=None, context={}, context_sizes={}, rows=None
    )


def equal_states(a: Model, b: Model) -> bool:
    first, second = a.state(), b.state()
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


def other_value(value: Any, hint: Any) -> Any:
    """A valid value that differs from the default, as a user might write it."""
    choices = [c for c in typing.get_args(hint) if c != value] if typing.get_origin(hint) is typing.Literal else []
    if choices:
        return choices[0]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value * 0.5 + 0.25 if isinstance(value, float) else value


@every_model
def test_settings_survive_the_way_to_a_file_and_back(name: str) -> None:
    config = MODELS[name].Config
    hints = typing.get_type_hints(config)
    other = {f.name: other_value(getattr(config(), f.name), hints[f.name]) for f in dataclasses.fields(config)}
    for settings in (
        config(),
        from_dict(config, to_dict(config())),
        from_dict(config, {k: v for k, v in other.items() if v is not None}),
    ):
        assert from_dict(config, to_dict(settings)) == settings
        assert all(value is not None for value in to_dict(settings).values())


@every_model
def test_settings_are_frozen_and_named(name: str) -> None:
    config = MODELS[name].Config
    assert dataclasses.is_dataclass(config)
    assert config.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert all(f.kw_only for f in dataclasses.fields(config))


@every_model
def test_an_unknown_setting_names_the_closest(name: str) -> None:
    fields = [f.name for f in dataclasses.fields(MODELS[name].Config)]
    for field in fields:
        typo = field + field[-1]
        near = difflib.get_close_matches(typo, sorted(fields), n=1)[0]
        with pytest.raises(ConfigError, match=f"unknown setting `{typo}` for {name}; did you mean `{near}`"):
            new_model(name, {typo: 1})
    with pytest.raises(ConfigError, match=f"unknown setting `colour` for {name}"):
        new_model(name, {"colour": 1})


@every_model
def test_people_can_read_what_it_is(name: str) -> None:
    model = MODELS[name]
    assert model.label
    assert 1 <= len(model.summary.split()) <= 6
    assert 1 <= model.mark <= 8
    assert model.baseline in (None, "popularity", "neighbourhood")
    module = importlib.import_module(model.__module__)
    assert module.__doc__ is not None
    assert "Source" in module.__doc__
    assert model.__doc__
    assert MODELS[name]().source in Source


@every_model
def test_one_that_is_not_fitted_says_so(name: str) -> None:
    with pytest.raises(ModelError, match="not fitted"):
        new_model(name).state()


@every_model
def test_what_is_saved_and_loaded_scores_the_same(
    name: str, fitted: Callable[[str], Recommender], encoder: Encoder, tmp_path: Path
) -> None:
    recommender, queries = fitted(name), requests(encoder)
    recommender.save(tmp_path / "saved")
    loaded = Recommender.load(tmp_path / "saved")
    assert loaded.name == name
    assert loaded.model.config == recommender.model.config
    assert equal_states(loaded.model, recommender.model)
    assert np.array_equal(loaded.model.score(queries), recommender.model.score(queries))
    assert np.array_equal(loaded.model.evidence(queries), recommender.model.evidence(queries))
    asked: dict[str, Any] = {"user": "u1", "history": ["i3", "i5"], "context": {"device": "phone"}, "timestamp": START}
    assert loaded.recommend(**asked) == recommender.recommend(**asked)
    assert {p.suffix for p in (tmp_path / "saved").rglob("*") if p.is_file()} <= {".json", ".safetensors", ".parquet"}


@every_model
def test_the_same_seed_repeats_to_the_bit(
    name: str, fitted: Callable[[str], Recommender], encoder: Encoder, data: EventArrays
) -> None:
    again = fit_arrays(name, encoder, data, settings_of(name), seed=5)
    assert equal_states(again.model, fitted(name).model)
    queries = requests(encoder)
    assert np.array_equal(again.model.score(queries), fitted(name).model.score(queries))
    if isinstance(again.model, NeuralModel):
        assert not equal_states(fit_arrays(name, encoder, data, settings_of(name), seed=6).model, again.model)


@every_model
def test_what_a_monitor_asks_on_the_way_leaves_no_trace(
    name: str, fitted: Callable[[str], Recommender], encoder: Encoder, data: EventArrays
) -> None:
    queries = requests(encoder)

    def ask(epoch: int, model: Model, **values: float) -> bool:
        model.score(queries)
        return False

    watched = fit_arrays(name, encoder, data, settings_of(name), seed=5, monitor=ask).model
    assert np.array_equal(watched.score(queries), fitted(name).model.score(queries))


@every_model
def test_events_of_nobody_known_are_refused_or_leave_finite_scores(name: str) -> None:
    frame = shop().events.with_columns(pl.lit(None, pl.String).alias("user_id"))
    dataset = Dataset.from_frames(frame)
    encoder = Encoder.fit(dataset, features=FEATURES)
    try:
        model = fit_arrays(name, encoder, encoder.events(dataset.events), settings_of(name)).model
    except ModelError as error:
        assert "nothing to train on" in str(error)
    else:
        assert np.isfinite(model.score(requests(encoder))).all()


@every_model
def test_the_state_is_plain_arrays(name: str, fitted: Callable[[str], Recommender]) -> None:
    for key, array in fitted(name).model.state().items():
        assert isinstance(key, str)
        assert isinstance(array, np.ndarray)
        assert array.dtype.kind in "fiub", key
        assert array.dtype.kind != "f" or np.isfinite(array).all(), key


@every_model
def test_any_request_gets_finite_scores_for_all_items(
    name: str, fitted: Callable[[str], Recommender], encoder: Encoder
) -> None:
    model, queries = fitted(name).model, requests(encoder)
    scores = model.score(queries)
    assert scores.shape == (len(queries), len(encoder.items))
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


@every_model
@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"user": "stranger"},
        {"user": "u1"},
        {"history": ["no such item", "nor this"]},
        {"history": ["no such item", "i3"], "session_len": 1},
        {"user": "u1", "history": ["i3", "i3", "i3"], "session_len": 0},
        {"context": {"device": "watch", "hour": "25"}},
        {"user": "u1", "history": ["i31"], "timestamp": 0.0},  # an item of the catalogue that nobody took
    ],
    ids=[
        "nobody",
        "unknown user",
        "no history",
        "unknown items",
        "some unknown",
        "no session",
        "unknown context",
        "never taken",
    ],
)
def test_strangers_get_an_answer(
    name: str, request_: dict[str, Any], fitted: Callable[[str], Recommender], encoder: Encoder
) -> None:
    recommender = fitted(name)
    scores = recommender.model.score(encoder.query(**request_))
    assert scores.shape == (1, len(encoder.items))
    assert np.isfinite(scores).all()
    asked = {key: value for key, value in request_.items() if key != "session_len"}
    assert len(recommender.recommend(**asked, k=5)) == 5


@every_model
def test_one_request_alone_scores_as_it_does_among_others(
    name: str, fitted: Callable[[str], Recommender], encoder: Encoder
) -> None:
    model, queries = fitted(name).model, requests(encoder)
    whole, evidence = model.score(queries), model.evidence(queries)
    for row in range(len(queries)):
        alone = queries.take(np.array([row]))
        np.testing.assert_allclose(model.score(alone)[0], whole[row], rtol=2e-5, atol=1e-6)
        assert model.evidence(alone)[0] == evidence[row]


@every_model
def test_scores_of_some_items_are_those_of_all(
    name: str, fitted: Callable[[str], Recommender], encoder: Encoder
) -> None:
    model, queries = fitted(name).model, requests(encoder)
    items = np.array([4, 0, 17], np.int32)
    np.testing.assert_allclose(model.score(queries, items), model.score(queries)[:, items], rtol=1e-5, atol=1e-6)


@every_model
def test_what_is_prepared_for_many_requests_scores_like_the_model(
    name: str, fitted: Callable[[str], Recommender], encoder: Encoder
) -> None:
    model, queries = fitted(name).model, requests(encoder)
    found, scores = model.scorer()(queries), model.score(queries)
    rows = np.repeat(np.arange(len(scores)), scores.shape[1])
    columns = np.tile(np.arange(scores.shape[1]), len(scores))
    np.testing.assert_allclose(pair_scores(found, rows, columns), scores.ravel(), rtol=1e-5, atol=1e-6)


@every_model
def test_without_evidence_nothing_of_the_visitor_shows(
    name: str, fitted: Callable[[str], Recommender], encoder: Encoder
) -> None:
    model, queries = fitted(name).model, requests(encoder)
    evidence = model.evidence(queries)
    assert evidence.shape == (len(queries),)
    assert evidence.dtype == bool
    blank = dataclasses.replace(without_history(queries), user_idx=np.full_like(queries.user_idx, queries.n_users))
    np.testing.assert_allclose(model.score(queries)[~evidence], model.score(blank)[~evidence], rtol=1e-6)


@every_model
def test_fitting_and_scoring_leave_their_inputs_alone(name: str, encoder: Encoder, data: EventArrays) -> None:
    queries = requests(encoder)
    events_before, queries_before = copy.deepcopy(vars(data)), copy.deepcopy(vars(queries))
    model = fit_arrays(name, encoder, data, settings_of(name)).model
    state = copy.deepcopy(model.state())
    model.score(queries)
    model.evidence(queries)
    for before, after in ((events_before, vars(data)), (queries_before, vars(queries))):
        assert all(same(value, after[key]) for key, value in before.items())
    assert all(np.array_equal(array, model.state()[key]) for key, array in state.items())
    assert not getattr(model, "training", False)


def same(a: Any, b: Any) -> bool:
    if dataclasses.is_dataclass(a) and not isinstance(a, type):
        return all(same(value, vars(b)[key]) for key, value in vars(a).items())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return bool(a == b)


@every_model
def test_what_is_missing_is_said_before_any_work(
    name: str, encoder: Encoder, data: EventArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs, without = new_model(name, settings_of(name)).needs, bare(data)
    if needs == Needs():
        assert np.isfinite(fit_arrays(name, encoder, without, settings_of(name)).model.score(requests(encoder))).all()
        return
    for work in ("solve", "initialise", "build"):
        monkeypatch.setattr(MODELS[name], work, lambda *_, **__: pytest.fail("it had begun"), raising=False)
    wanted = [
        word
        for flag, word in (
            (needs.values, "value"),
            (needs.sessions, "session"),
            (needs.timestamps, "timestamp"),
            (needs.rows, "fields"),
        )
        if flag
    ]
    with pytest.raises(ModelError, match=f"`{name}` needs .*{wanted[0] if wanted else needs.context[0]}"):
        fit_arrays(name, encoder, without, settings_of(name))


@every_model
def test_no_event_to_learn_from_is_an_error(name: str, encoder: Encoder) -> None:
    searches = shop().events.with_columns(pl.lit("search").alias("event_type"))
    with pytest.raises(ModelError, match=f"`{name}`"):
        fit_arrays(name, encoder, encoder.events(searches), settings_of(name))


@every_model
def test_one_event_is_enough(name: str, encoder: Encoder) -> None:
    one = shop().events.filter(pl.col("user_id").is_not_null(), pl.col("value").is_not_null()).head(1)
    model = fit_arrays(name, encoder, encoder.events(one), settings_of(name)).model
    assert np.isfinite(model.score(requests(encoder))).all()


@every_model
def test_a_learning_curve_is_drawn_and_can_be_cut_short(name: str, encoder: Encoder, data: EventArrays) -> None:
    calls: list[tuple[int, float]] = []

    def stop_at_two(epoch: int, model: Model, **values: float) -> bool:
        assert np.isfinite(model.score(requests(encoder, n=3))).all()
        calls.append((epoch, values["loss"]))
        return epoch == 2

    fit_arrays(name, encoder, data, settings_of(name), monitor=stop_at_two)
    assert [epoch for epoch, _ in calls] == ([1, 2] if MODELS[name].iterative else [])
    assert all(np.isfinite(loss) for _, loss in calls)


@every_model
def test_each_kind_of_model_keeps_its_own_promise(
    name: str, fitted: Callable[[str], Recommender], encoder: Encoder
) -> None:
    model, queries = fitted(name).model, requests(encoder)
    assert isinstance(model, (SolvedModel, NeuralModel))
    scores = model.score(queries)
    if isinstance(model, VectorModel):
        vectors, items = model.query_vectors(queries), model.item_vectors()
        assert vectors.dtype == items.dtype == np.float32
        np.testing.assert_allclose(vectors @ items.T, scores, rtol=1e-5, atol=1e-6)
    if isinstance(model, RatingModel):
        by_user = model.score(without_history(queries))  # `rate` sees no history
        for row, item in ((0, 0), (5, 32), (11, 7)):
            rated = model.rate(queries.user_idx[row : row + 1], np.array([item], np.int32))
            np.testing.assert_allclose(rated, by_user[row, item], rtol=1e-5)
        unknown = model.rate(np.array([len(encoder.users)], np.int32), np.array([len(encoder.items)], np.int32))
        assert np.isfinite(unknown).all()
    if isinstance(model, ItemNeighbours):
        close, likeness = model.similar(3)
        assert len(close) == len(likeness) == len(set(close.tolist()))
        assert ((close >= 0) & (close < len(encoder.items))).all()
        assert np.isfinite(likeness).all()
    if isinstance(model, ClickModel):
        items = np.resize(np.arange(len(encoder.items) + 1, dtype=np.int32), len(queries))  # one of them not known
        chance = model.probability(queries, items)
        assert chance.shape == (len(queries),)
        assert chance.dtype == np.float32
        assert ((chance >= 0) & (chance <= 1)).all()
    if isinstance(model, RowModel):
        assert queries.rows is not None
        logits = model.logits(queries.rows.of(slice(None), items))
        assert logits.shape == (len(queries),)
        assert np.isfinite(logits).all()
