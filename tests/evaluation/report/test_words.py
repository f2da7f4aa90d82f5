import pytest

from rankine.evaluation.report import words
from rankine.evaluation.report.values import Estimate

NBSP = "\u00a0"
AUG_25 = 1_787_616_000
DAY = 86_400


@pytest.mark.parametrize(
    ("value", "expected"), [(0.61, "61 %"), (0.05, "5.0 %"), (0.004, "0.4 %"), (1 / 2737, "1 in 2,737"), (0, "0 %")]
)
def test_shares(value, expected):
    assert words.share(value) == expected.replace(" ", NBSP)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.00031, "0.031 %"), (0.042, "4.2 %"), (0.61, "61 %"), (0.984, "98.4 %"), (0.9997, "99.970 %"), (0, "0 %"), (1, "100 %"),
     (1e-9, "<0.001 %"), (1 - 1e-9, ">99.999 %")],
)  # fmt: skip
def test_rates_keep_two_digits_that_count(value, expected):
    assert words.rate(value) == expected.replace(" ", NBSP)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.00031, "0.031"), (0.012, "1.2"), (0.12, "12"), (-0.012, "\u22121.2"), (0, "0")]
)
def test_differences_of_rates_are_points(value, expected):
    assert words.points(value) == expected


def test_times_below_a_tenth_of_a_millisecond_are_in_microseconds():
    assert [words.milliseconds(v) for v in (3.84, 0.0123, 0.0, 2500)] == [
        f"3.8{NBSP}ms", f"12.3{NBSP}\u00b5s", f"0.0{NBSP}ms", f"2.5{NBSP}s"
    ]  # fmt: skip


def test_a_share_in_a_column_is_never_rounded_to_nothing():
    assert [words.percent(v) for v in (0.61, 0.01, 0.004, 0.0)] == [f"{v}{NBSP}%" for v in ("61", "1", "<1", "0")]


@pytest.mark.parametrize(
    ("estimates", "expected"),
    [
        ([Estimate(0.312, 0.305, 0.319)], 3),
        ([Estimate(0.0416, 0.0408, 0.0424)], 4),
        ([Estimate(0.0416)], 4),
        ([Estimate(0.934)], 3),
        ([Estimate(12.5)], 2),
        ([Estimate(1250.0)], 1),
        ([Estimate(0.0)], 3),
        ([], 3),
    ],
)
def test_decimals_show_the_width_of_the_intervals(estimates, expected):
    assert words.places(estimates) == expected


def test_signs_and_dashes():
    assert words.decimal(-0.0001, 3) == "0.000"
    assert words.signed(0.0241, 3) == "+0.024"
    assert words.signed(-0.0241, 3) == "\u22120.024"
    assert words.decimal(None, 3) == words.integer(None) == words.integer(float("nan")) == "\u2013"
    assert words.integer(4148906) == "4,148,906"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.42, "0.4 s"), (48, "48 s"), (1140, "19 min"), (11520, "3.2 h"), (None, "\u2013")]
)
def test_durations(seconds, expected):
    assert words.duration(seconds) == expected.replace(" ", NBSP)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["A"], "A"),
        (["A", "B"], "A and B"),
        (list("ABCD"), "A, B, C and D"),
        (list("ABCDE"), "A, B, C and 2 more"),
    ],
)
def test_joined_names(names, expected):
    assert words.joined(names) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-23T09:31:00+00:00", "23 November 2026, 09:31 UTC"),
        ("2026-11-23T10:31:00+01:00", "23 November 2026, 09:31 UTC"),
        ("2026-11-23T09:31:00", "23 November 2026, 09:31"),
        ("yesterday", "yesterday"),
        (None, ""),
    ],
)
def test_moments(value, expected):
    assert words.moment(value) == expected


@pytest.mark.parametrize(
    ("days", "length", "when"),
    [
        (90, "90 days", "25 Aug to 22 Nov 2026"),
        (2, "2 days", "25 and 26 Aug 2026"),
        (7, "7 days", "25 to 31 Aug 2026"),
        (0.5, "12.0 hours", "25 Aug 2026"),
        (200, "200 days", "25 Aug 2026 to 12 Mar 2027"),
    ],
)
def test_spans_of_days(days, length, when):
    last = AUG_25 + days * DAY - 1
    assert words.days_between(AUG_25, last).replace(NBSP, " ") == length
    assert words.dates(AUG_25, last).replace(NBSP, " ") == when


def test_times_outside_of_the_calendar_do_not_fail():
    assert words.dates(0, 1e18) == ""
