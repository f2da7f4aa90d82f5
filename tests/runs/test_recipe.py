from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from rankine.config import from_dict
from rankine.data.readers import DataConfig
from rankine.data.synthetic import ClicksConfig
from rankine.data.synthetic.config import SIZES
from rankine.errors import ConfigError
from rankine.evaluation.metrics import MetricName
from rankine.models import MODELS
from rankine.runs import Recipe, load
from rankine.runs.recipe import DEFAULT_METRICS, EvaluateConfig, Expectation, find, model_name, shipped_recipes

SMALL = 'data = { shop = "small" }\nmodels = { popularity = {} }\n'
shipped = pytest.mark.parametrize("path", shipped_recipes(), ids=lambda path: path.stem)


def test_the_name_is_that_of_the_file_unless_it_says_another(parsed: Callable[..., Recipe]) -> None:
    assert parsed(SMALL, "my-shop").name == "my-shop"
    assert parsed(f'name = "other"\n{SMALL}').name == "other"
    assert parsed(SMALL).seed == 42


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('modles = { popularity = {} }\ndata = { shop = "small" }', "unknown setting `modles` .*did you mean `models`"),
        (SMALL + "split = { by = 'time', tset = 0.2 }", "unknown setting `tset` .*did you mean `test`"),
        (SMALL + "sessions = { gap = 30 }", "unknown setting `gap` .*`sessions`.*`gap_minutes`"),
        (SMALL + "split = { by = 'tmie' }", "`by` .*'tmie'"),
        (SMALL + "seed = '7'", "`seed` .*whole number.*'7'"),
        ("models = { popularity = {} }", "needs the setting `data`"),
        ('data = { shop = "small" }', "needs the setting `models`"),
        ('data = { shop = "small" }\nmodels = {}', "names no model"),
        ('data = { shop = "small" }\nmodels = { vsknm = {} }', "unknown model `vsknm`; did you mean `vsknn`"),
        (
            'data = { shop = "small" }\nmodels = { vsknn = { neigbours = 5 } }',
            "`neigbours` for `vsknn` under .*`neighbours`",
        ),
        ('data = { shop = "small" }\nmodels = { vsknn = { neighbours = 0 } }', "`neighbours` .*at least 1; got 0"),
        ('data = { shop = "small" }\nmodels = { "vsknm wide" = {} }', "unknown model `vsknm`"),
        (SMALL + "sessions = { min_length = 0 }", "`min_length` .*at least 1; got 0"),
        (SMALL + "sessions = { gap_minutes = 0 }", "`gap_minutes` .*above 0; got 0"),
        (SMALL + "evaluate = { max_cases = 0 }", "`max_cases` .*at least 1"),
        (SMALL + "evaluate = { protocol = 'next' }", "`protocol` .*'next_item'.*got 'next'"),
        ("models = [", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_named_with_what_was_expected(text: str, message: str, parsed: Callable[..., Recipe]) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        parsed(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        ({"metrics": ["recal@20"]}, r"unknown metric 'recal@20'; did you mean `recall`"),
        ({"metrics": ["recall"]}, "should be written `recall@20`"),
        ({"protocol": "ratings", "metrics": ["rmse@20"]}, "should be written `rmse`"),
        ({"metrics": ["coverage@20", "recall@20"]}, "`coverage@20` has no value per case and cannot decide"),
        ({"metrics": ["rmse"]}, "`rmse` does not fit the protocol `next_item`: use such as `recall@20`"),
        ({"protocol": "ratings", "metrics": ["ndcg@10"]}, "`ndcg@10` does not fit the protocol `ratings`.*`rmse`"),
        (
            {"protocol": "candidates", "candidates": {"file": "x.parquet"}, "metrics": ["hr@10", "novelty@10"]},
            "`novelty@10` does not fit the protocol `candidates`",
        ),
        ({"protocol": "candidates"}, r"`candidates` and the table \[evaluate.candidates\] go together"),
        ({"candidates": {"file": "x.parquet"}}, r"`candidates` and the table \[evaluate.candidates\] go together"),
        ({"protocol": "candidates", "candidates": {"flie": "x"}}, "unknown setting `flie` .*`file`"),
    ],
)
def test_metrics_fit_the_question(evaluate: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(EvaluateConfig, evaluate)


@pytest.mark.parametrize("protocol", DEFAULT_METRICS)
def test_the_usual_metrics_of_a_protocol_fit_it(protocol: str) -> None:
    lists = {"candidates": {"file": "lists.parquet"}} if protocol == "candidates" else {}
    evaluate = from_dict(EvaluateConfig, {"protocol": protocol, **lists})
    assert evaluate.names == DEFAULT_METRICS[protocol]


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ('vsknn = { "recall@20" = 0.5 }', r"\[expect\] names the model `vsknn`; valid: `popularity`"),
        ('popularty = { "recall@20" = 0.5 }', "`popularty`; did you mean `popularity`"),
        ('popularity = { "recall@10" = 0.5 }', r"\[expect\] names the metric `recall@10`; did you mean `recall@20`"),
        ('popularity = { "recall@20" = "0.5" }', "`figures`"),
    ],
)
def test_an_expectation_names_a_model_and_a_metric_of_the_recipe(
    figures: str, message: str, parsed: Callable[..., Recipe]
) -> None:
    with pytest.raises(ConfigError, match=message):
        parsed(f'{SMALL}[expect]\nsource = "a table"\ntolerance = 0.01\n[expect.figures]\n{figures}\n')


def test_a_figure_may_have_a_tolerance_of_its_own(parsed: Callable[..., Recipe]) -> None:
    text = '[expect]\nsource = "a table"\ntolerance = 0.01\nfigures.popularity = {"recall@20" = 0.5, "mrr@20" = [0.2, 0.003]}'
    first, second = parsed(SMALL + text).expectations
    assert (first.model, first.metric, first.value, first.tolerance) == ("popularity", "recall@20", 0.5, 0.01)
    assert (second.value, second.tolerance, second.source) == (0.2, 0.003, "a table")


@pytest.mark.parametrize(
    ("metric", "or_better", "reached"),
    [
        ("recall@20", False, {0.489: False, 0.491: True, 0.509: True, 0.511: False}),
        ("recall@20", True, {0.489: False, 0.491: True, 0.509: True, 0.9: True}),
        ("rmse", False, {0.489: False, 0.491: True, 0.509: True, 0.511: False}),
        ("rmse", True, {0.1: True, 0.491: True, 0.509: True, 0.511: False}),
    ],
)
def test_a_figure_is_reached_within_its_tolerance_or_on_its_good_side(
    metric: str, or_better: bool, reached: dict[float, bool]
) -> None:
    claim = Expectation(model="m", metric=metric, value=0.5, tolerance=0.01, source="s", or_better=or_better)
    assert {value: claim.ok(value) for value in reached} == reached


def test_a_model_may_occur_again_with_a_word_of_its_own(parsed: Callable[..., Recipe]) -> None:
    text = '[models]\nvsknn = {}\n"vsknn wide" = { neighbours = 500 }\n"vsknn x_1.5" = {}\n'
    recipe = parsed(f'data = {{ shop = "small" }}\n{text}')
    assert list(recipe.models) == ["vsknn", "vsknn wide", "vsknn x_1.5"]
    assert {model_name(key) for key in recipe.models} == {"vsknn"}


@pytest.mark.parametrize("key", ["vsknn very wide", "vsknn ../up", "vsknn a/b", "vsknn  wide", " vsknn", "vsknn ", ""])
def test_a_model_is_a_name_and_at_most_one_word(key: str, parsed: Callable[..., Recipe]) -> None:
    with pytest.raises(ConfigError, match="must be a name, or a name and one word"):
        parsed(f'data = {{ shop = "small" }}\n[models]\n"{key}" = {{}}\n')


def test_recipes_are_found_by_path_and_by_name() -> None:
    assert find("some/where.toml") == Path("some/where.toml")
    assert find("shop-small") in shipped_recipes()
    with pytest.raises(ConfigError, match=r"no recipe `shop-smal` .*did you mean `shop-small`"):
        find("shop-smal")
    with pytest.raises(ConfigError, match=r"no recipe `qqqq` \(a file needs its ending .toml\); valid: `adult"):
        find("qqqq")
    with pytest.raises(ConfigError, match=r"no file `no/such\.toml`"):
        load("no/such.toml")


@shipped
def test_a_recipe_that_ships_can_be_run_as_far_as_can_be_told_without_its_data(path: Path) -> None:
    recipe = load(path)
    assert recipe.name == path.stem
    assert recipe.title
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 15
    for key in recipe.models:
        assert model_name(key) in MODELS
    for metric in recipe.evaluate.names:
        assert str(MetricName.parse(metric)) == metric
    if "shop" in recipe.data:
        assert recipe.data["shop"] in SIZES
    elif "clicks" in recipe.data:
        from_dict(ClicksConfig, recipe.data["clicks"])
    else:
        config = from_dict(DataConfig, recipe.data, "[data]")
        assert config.events is not None
        assert not Path(config.path).is_absolute()


@shipped
def test_a_recipe_that_ships_writes_no_default_down(path: Path) -> None:
    written = tomllib.loads(path.read_text(encoding="utf-8"))
    recipe = load(path)
    usual = DEFAULT_METRICS[recipe.evaluate.protocol]
    assert tuple(written.get("evaluate", {}).get("metrics", ())) != usual
    plain, shared = {key: MODELS[model_name(key)].Config() for key in recipe.models}, written.get("shared", {})
    for keys, settings in written["models"].items():
        for key in keys.split(", "):
            usual = {**dataclasses.asdict(plain[key]), **shared}  # what holds where the model says nothing
            assert all(usual[name] != value for name, value in settings.items()), key
    for name, value in shared.items():
        having = [getattr(config, name) for config in plain.values() if hasattr(config, name)]
        assert any(default != value for default in having), name


def test_every_published_comparison_has_a_popularity_or_a_bias_baseline() -> None:
    for path in shipped_recipes():
        baselines = {MODELS[model_name(key)].baseline for key in load(path).models}
        assert "popularity" in baselines or load(path).evaluate.protocol == "ratings", path.name
