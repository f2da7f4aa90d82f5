"""What every model says about its search. Models are found by themselves in MODELS: a new one needs no line here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from rankine.config import from_dict, to_dict
from rankine.models import MODELS
from rankine.models.tuning import Choice, Range, Value

every_model = pytest.mark.parametrize("name", sorted(MODELS))


def ends(span: Range) -> Iterator[Value]:
    """The values at the edge of a range: what lies between is no worse."""
    yield from span.options if isinstance(span, Choice) else (span.low, span.high)


@every_model
def test_what_is_searched_are_settings_and_their_defaults_lie_within(name: str) -> None:
    model = MODELS[name]
    plain = model.Config()
    assert set(model.tuning) <= {field.name for field in dataclasses.fields(model.Config)}
    for setting, span in model.tuning.items():
        assert getattr(plain, setting) in span, f"`{setting}`: {getattr(plain, setting)!r} is not in {span}"


@every_model
def test_every_end_of_a_range_is_a_valid_setting_that_can_be_written_down(name: str) -> None:
    model = MODELS[name]
    for setting, span in model.tuning.items():
        for value in ends(span):
            made = from_dict(model.Config, {setting: value})
            assert getattr(made, setting) == value
            assert type(getattr(made, setting)) is type(value)
            assert to_dict(made).get(setting) == value


@every_model
def test_epochs_are_not_searched_where_the_validation_curve_chooses_them(name: str) -> None:
    model = MODELS[name]
    assert not (model.iterative and "epochs" in model.tuning)


def test_models_that_every_comparison_contains_can_be_tuned() -> None:
    tunable = {model.baseline for model in MODELS.values() if model.tuning}
    assert {"popularity", "neighbourhood"} <= tunable
