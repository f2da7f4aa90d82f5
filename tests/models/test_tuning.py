from __future__ import annotations

import pytest

from rankine.models.tuning import Choice, Real, Whole, choice, ranges


def test_a_range_holds_its_ends_and_nothing_beyond_or_of_another_type() -> None:
    assert all(value in Real(0.5, 2.0) for value in (0.5, 1, 2.0))
    assert not any(value in Real(0.5, 2.0) for value in (0.49, 2.01, True, "1", None, float("nan")))
    assert all(value in Whole(1, 3) for value in (1, 2, 3))
    assert not any(value in Whole(1, 3) for value in (0, 4, 2.0, True, None))
    assert all(value in choice(None, 1.0, "a") for value in (None, 1.0, "a"))
    assert not any(value in choice(None, 1.0, "a") for value in (1, True, "b"))


@pytest.mark.parametrize(
    ("drawn", "tried"),
    [(0.012345678, 0.01235), (123.456789, 123.5), (9_999_999.7, 1e7), (0.0, 0.0), (1e-9, 1e-3), (3.0000001, 3.0)],
)
def test_a_number_is_tried_as_it_can_be_written_down_and_within_its_bounds(drawn: float, tried: float) -> None:
    span = Real(0.0, 1e7) if not drawn else Real(1e-3, 1e7, log=True)
    assert span.tried(drawn) == tried


def test_whole_numbers_and_choices_are_tried_as_drawn() -> None:
    assert Whole(1, 9).tried(7) == 7
    assert Choice(("a", None)).tried(None) is None


def test_ranges_say_what_they_are_and_stay_as_they_are() -> None:
    found = ranges(a=Real(1e-3, 10, log=True), b=Whole(1, 30), c=choice(None, 7.0, "x"))
    assert [str(span) for span in found.values()] == ["0.001 to 10, log", "1 to 30", "none, 7.0, x"]
    with pytest.raises(TypeError):
        found["a"] = Whole(1, 2)  # type: ignore[index]


def test_a_range_over_orders_of_magnitude_cannot_start_at_nothing() -> None:
    for broken in (lambda: Real(0.0, 1.0, log=True), lambda: Whole(0, 5, log=True), lambda: Real(2.0, 1.0)):
        with pytest.raises(AssertionError):
            broken()
