from __future__ import annotations

from typing import Any

import pytest

from rankine.data.schema import Kind
from rankine.serving.values import COUNT, FLAG, FORMS, ID, IDS, TIME, Form, RefusedError, shown

MOMENT = 1_476_884_080.0


@pytest.mark.parametrize(
    "value",
    [MOMENT, int(MOMENT), int(MOMENT * 1000), "1476884080", "1476884080000", "2016-10-19T13:34:40Z",
     "2016-10-19T15:34:40+02:00", "2016-10-19 13:34:40"],
)  # fmt: skip
def test_seconds_milliseconds_and_iso_are_told_apart(value: object) -> None:
    assert TIME.read(value) == MOMENT


BAD: list[tuple[Form, list[Any]]] = [
    (TIME, [True, "noon", "", -1, 1e300, "nan", "inf", 5e9, "9999-12-31", "0001-01-01T00:00:00+23:59", []]),
    (ID, ["", "x" * 513, 1.5, True, None, [], {}]),
    (IDS, [5, [["a"]], [""], {"a": 1}]),
    (COUNT, [0, 1001, "ten", 2.0, True, "", "9" * 5000]),
    (FLAG, [1, 0, "yes", [], None]),
    (FORMS[Kind.GEO], ["1", "a,b", [1], [1, 2, 3], [91, 0], [0, 181], ["1", "2"], "nan,1", 3]),
    (FORMS[Kind.NUMBER], ["1", True, float("nan"), []]),
    (FORMS[Kind.VECTOR], [1, ["a"], [0] * 10_001]),
    (FORMS[Kind.CATEGORIES], ["a", [[]], {}]),
    (FORMS[Kind.TEXT], [1, "x" * 10_001]),
    (FORMS[Kind.CATEGORY], [[], {}, "x" * 513]),
]


@pytest.mark.parametrize(("form", "value"), [(form, value) for form, values in BAD for value in values])
def test_a_value_of_another_form_is_refused_with_what_was_expected(form: Form, value: Any) -> None:
    with pytest.raises(RefusedError) as error:
        form.of("it", value)
    assert form.expected in str(error.value)
    assert error.value.status == 400
    assert len(str(error.value)) < 400


def test_ids_are_text_whether_written_as_number_or_text() -> None:
    assert ID.read(17) == ID.read("17") == "17"
    assert IDS.read("a,,b") == IDS.read(["a", "b"]) == ["a", "b"]


def test_geo_is_read_from_text_and_from_a_list() -> None:
    assert FORMS[Kind.GEO].read("37.784,-122.401") == FORMS[Kind.GEO].read([37.784, -122.401]) == [37.784, -122.401]


def test_flags_counts_and_categories_are_read() -> None:
    assert [FLAG.read(v) for v in (True, "true", False, "false")] == [True, True, False, False]
    assert (COUNT.read("12"), COUNT.read(1000)) == (12, 1000)
    assert [FORMS[Kind.CATEGORY].read(v) for v in ("phone", 3, True)] == ["phone", "3", "true"]
    assert [FORMS[Kind.CATEGORY].read(v) for v in (3.0, 3.5)] == ["3", "3.5"]  # as tables store them


def test_every_kind_of_column_has_a_form() -> None:
    assert set(FORMS) == set(Kind)


def test_long_values_are_cut_in_messages() -> None:
    assert len(shown("x" * 1000)) == 80
    assert len(shown({"a": "x" * 1000})) == 80
    assert shown(1.5) == 1.5
