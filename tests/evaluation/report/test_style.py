"""The style sheet: every text reads at 4.5 to 1 and every mark at 3 to 1, in light and in dark."""

import re
from itertools import product
from pathlib import Path

import pytest

import rankine.evaluation.report as report

CSS = (Path(report.__file__).parent / "rankine.css").read_text()
TOKENS = {name: both for name, *both in re.findall(r"--([\w-]+):\s*light-dark\(#(\w{6}), #(\w{6})\)", CSS)}
GROUNDS = ["bg", "surface", "surface-2"]
TEXT = [
    *product(["ink", "ink-2", "ink-3", "accent"], GROUNDS),
    *product(["good", "warn", "bad"], ["bg", "surface"]),
    ("on-accent", "accent"), ("good", "good-bg"), ("bad", "bad-bg"),
    *[(f"t{i}", f"t{i}-bg") for i in range(1, 6)],
    *[(f"p{i}", f"p{i}-bg") for i in range(1, 7)],
]  # fmt: skip
SHAPES = [
    *product([f"c{i}" for i in range(1, 9)], ["bg", "surface"]),
    *product([f"h{i}" for i in range(1, 6)], ["surface"]),
    *product(["line-2", "focus", "bar", "accent", "ink"], ["bg", "surface"]),
    ("good", "surface"),
]


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure_itself():
    assert contrast("000000", "FFFFFF") == pytest.approx(21)
    assert contrast("777777", "FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_has_a_contrast_of_four_and_a_half(theme):
    low = {(a, b): round(c, 2) for a, b in TEXT if (c := contrast(TOKENS[a][theme], TOKENS[b][theme])) < 4.5}
    assert low == {}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_mark_edge_and_ring_has_a_contrast_of_three(theme):
    low = {(a, b): round(c, 2) for a, b in SHAPES if (c := contrast(TOKENS[a][theme], TOKENS[b][theme])) < 3}
    assert low == {}


def test_no_text_is_set_below_twelve_pixels():
    # text in drawings may be set smaller where the page shows the drawing larger
    outside = re.sub(r"@container[^{]*\{ \.(wide|narrow) > svg text[^}]*\}\s*\}", "", CSS)
    assert min(float(size) for size in re.findall(r"font-size: ([\d.]+)px", outside)) >= 12


def test_every_colour_in_use_is_defined():
    defined = set(re.findall(r"(--[\w-]+):", CSS))
    assert set(re.findall(r"var\((--[\w-]+)\)", CSS)) <= defined


def test_colours_outside_of_the_tokens_are_only_black_and_white():
    rules = CSS[CSS.index("/* ---------- 2. base") :]
    assert set(re.findall(r"#[0-9A-Fa-f]{3,6}\b", rules)) <= {"#000", "#FFF"}
