import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

import rankine.evaluation.report as report
from rankine.errors import DataError
from rankine.evaluation.report import render, write
from rankine.evaluation.report.glyphs import THINGS, Pictures, initials, thing_of

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks nesting and collects elements and text; children of svg count as text of nobody."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open[-1:]):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).replace("\u00a0", " ").split())

    def having(self, attribute: str) -> list[str]:
        return [a[attribute] for _, a in self.elements if a.get(attribute) is not None]


@pytest.fixture(scope="module")
def rendered():
    cache = {}

    def page(results):
        key = repr(results)
        if key not in cache:
            cache[key] = render(results)
        return cache[key]

    return page


@pytest.fixture
def every(shop_results, rating_results, single_results):
    return [shop_results, rating_results, single_results, {}, {"models": []}]


def test_pages_are_well_formed_whatever_is_missing(every, rendered):
    for results in every:
        page = Page(rendered(results))
        assert [tag for tag, _ in page.elements].count("h1") == 1
        ids = page.having("id")
        assert len(ids) == len(set(ids))


def test_drawings_are_well_formed_xml(shop_results, rendered):
    drawings = re.findall(r"<svg.*?</svg>", rendered(shop_results), re.DOTALL)
    assert len(drawings) > 30
    for drawing in drawings:
        ElementTree.fromstring(drawing)


def test_contents_lead_to_sections_that_exist(every, rendered):
    for results in every:
        page = Page(rendered(results))
        links = {link[1:] for link in page.having("href") if link.startswith("#")}
        assert links <= set(page.having("id"))


def test_nothing_is_asked_from_anywhere(every, rendered):
    for results in every:
        html = rendered(results)
        page = Page(html)
        assert "http://" not in html and "https://" not in html
        assert page.having("src") == []
        assert all(link.startswith(("#", "data:")) for link in page.having("href"))
        assert "@import" not in html and "url(" not in html


def test_no_style_or_handler_attributes(every, rendered):
    for results in every:
        names = {name for _, attributes in Page(rendered(results)).elements for name in attributes}
        assert "style" not in names and not any(name.startswith("on") for name in names)


def test_the_policy_allows_this_style_and_script_and_nothing_else(shop_results, rendered):
    html = rendered(shop_results)
    policy = next(a["content"] for _, a in Page(html).elements if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert rules["default-src"] == "'none'" and "unsafe" not in policy
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_the_file_is_small(shop_results, rendered):
    assert len(rendered(shop_results).encode()) < 200_000


def test_every_number_of_the_results_appears(shop_results, rendered):
    text = Page(rendered(shop_results)).text
    for model in shop_results["models"]:
        assert model["label"] in text and model["summary"] in text
        for name, value in model["metrics"].items():
            if name == "coverage@20":
                assert f"{value['mean'] * 100:.0f} %" in text
                continue
            assert f"{value['mean']:.3f}" in text
            assert f"{value['low']:.3f} to {value['high']:.3f}" in text
        assert f"{model['score_ms']:.1f} ms" in text
    for expected in (
        "4,148,906",
        "61,412",
        "48,210",
        "754,346",
        "31 %",
        "16,842 sessions",
        "842 of 16,842",
        "0.371",
        "19 min",
    ):
        assert expected in text, expected
    for row in shop_results["expect"]:
        assert f"{row['value']:.4f}" in text and f"{row['published']:.4f}" in text and row["source"] in text


def test_the_pairs_are_told_with_interval_and_verdict(shop_results, rendered):
    text = Page(rendered(shop_results)).text
    assert "SASRec against V-SKNN +0.025 +0.021 to +0.029 below 0.001 SASRec is better" in text
    assert "SASRec against GRU4Rec +0.003 \u22120.001 to +0.006 0.310 not distinguishable" in text


def test_the_verdict_on_an_error_names_the_lower_one(rating_results, rendered):
    text = Page(rendered(rating_results)).text
    assert "MF against Bias \u22120.010 \u22120.011 to \u22120.009 below 0.001 MF is better" in text
    assert "RMSE is an error: lower is better." in text


def test_independent_draws_are_not_called_folds(rating_results, rendered):
    assert "Test 5 folds 20,000 ratings" in Page(rendered(rating_results)).text
    drawn = {**rating_results, "split": {**rating_results["split"], "fold": "draw"}}
    assert "Test 5 draws 20,000 ratings" in Page(rendered(drawn)).text


def test_groups_carry_letters_and_start_with_a_line(shop_results, rendered):
    html = rendered(shop_results)
    letters = re.findall(r'<span class="gtag( a)?"><span class="sr">group </span>(\w)</span>', html)
    assert letters == [(" a", "A"), (" a", "A"), ("", "B"), ("", "C"), ("", "C"), ("", "D"), ("", "D"), ("", "E")]
    assert html.count('<tr class="gstart">') == 4


def test_shared_letters_do_not_start_a_group(shop_results, rendered):
    for model, letter in zip(shop_results["models"], ["A", "AB", "B", "C", "C", "C", "C", "D"], strict=True):
        model["letter"] = letter
    assert rendered(shop_results).count('<tr class="gstart">') == 2


def test_the_next_item_is_framed_and_says_so(shop_results, rendered):
    html = rendered(shop_results)
    hits = re.findall(r'<li class="hit">.*?</li>', html)
    assert len(hits) == 2 and all("came next" in hit for hit in hits)
    assert "Paper filters" in hits[0] and "Beeswax pillar candle" in hits[1]


def test_hostile_text_stays_text(shop_results, rendered):
    attack = '<script>alert("1")</script><img src=x onerror=alert(2)>\'"&amp;'
    shop_results["run"] |= {"name": attack, "command": attack, "created": attack}
    shop_results["data"]["description"] = shop_results["protocol"]["sentence"] = attack
    shop_results["models"][0] |= {"label": attack, "summary": attack, "letter": attack}
    shop_results["examples"][0] |= {"title": attack, "text": attack, "model": attack}
    shop_results["examples"][0]["rows"][0] |= {"title": attack, "category": attack, "source": attack}
    shop_results["checks"][0]["text"] = shop_results["expect"][0]["source"] = attack
    shop_results["models"][0]["by_temperature"][0]["bucket"] = attack
    html = rendered(shop_results)
    page = Page(html)
    assert [tag for tag, _ in page.elements].count("script") == 1 and "img" not in [tag for tag, _ in page.elements]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count('<script>alert("1")</script>') >= 8
    for drawing in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(drawing)


def test_parts_that_are_missing_are_left_out_or_said(rendered):
    text = Page(rendered({})).text
    assert "This run has no results" in text and "No model was evaluated in this run." in text
    assert "No audit was recorded with this run" in text
    for absent in (
        "Learning",
        "Accuracy against popularity",
        "Cold start",
        "Examples",
        "Published figures",
        "Run it again",
    ):
        assert absent not in text


def test_every_optional_part_may_be_null(shop_results):
    shop_results["models"] = shop_results["models"][:3]
    for part in ("run", "data", "split", "oracle", "examples", "checks", "expect", "pairs"):
        Page(render(shop_results | {part: None}))
    for key in ("popularity", "fit_s", "score_ms", "curve", "by_temperature", "summary", "mark", "baseline", "letter"):
        models = [model | {key: None} for model in shop_results["models"]]
        Page(render(shop_results | {"models": models}))
    for key in shop_results["data"]:
        Page(render(shop_results | {"data": shop_results["data"] | {key: None}}))
    for key in shop_results["split"]:
        Page(render(shop_results | {"split": shop_results["split"] | {key: None}}))
    for key in shop_results["run"]:
        Page(render(shop_results | {"run": shop_results["run"] | {key: None}}))


def test_an_empty_bucket_leaves_a_gap(shop_results):
    for model in shop_results["models"]:
        model["by_temperature"][1] = {"bucket": "1 to 4", "n": 0, "mean": None, "low": None, "high": None}
    Page(render(shop_results))


def test_many_models_become_other(shop_results):
    shop_results["models"] = [
        m | {"name": f"{m['name']}{i}", "mark": i + 1} for i in range(3) for m in shop_results["models"]
    ]
    html = render(shop_results)
    Page(html)
    assert not re.search(r'class="f(9|1\d)', html)
    assert len(html.encode()) < 1_000_000


def test_figures_off_the_tolerance_are_told_apart_by_word_and_icon(shop_results, rendered):
    html = rendered(shop_results)
    assert re.search(r'b-good"><svg[^>]*><use href="#i-check"/></svg>within tolerance', html)
    assert re.search(r'b-bad"><svg[^>]*><use href="#i-warn"/></svg>off', html)
    assert "1 of 2 is within the stated tolerance" in html


def test_write_makes_the_file(tmp_path, single_results):
    path = tmp_path / "report.html"
    write(single_results, path)
    assert path.read_text(encoding="utf-8") == render(single_results)


def test_results_of_the_wrong_kind_are_a_clear_error():
    with pytest.raises(DataError, match="`results` must be a mapping; got list"):
        render([])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="`examples` of the results must be a list of tables"):
        render({"examples": {"a": 1}})


def test_rendering_twice_gives_the_same_page(shop_results):
    assert render(shop_results) == render(shop_results)


def test_every_drawn_thing_has_a_symbol():
    symbols = (Path(report.__file__).parent / "symbols.html").read_text()
    assert set(re.findall(r'id="g-(\w+)"', symbols)) == set(THINGS)


@pytest.mark.parametrize(
    ("category", "thing"),
    [("Coffee and tea", "cup"), ("Desk and paper", "notebook"), ("Candles", "candle"), ("1173", None), ("", None)],
)
def test_categories_are_drawn_by_their_words(category, thing):
    assert thing_of(category) == thing


def test_a_category_keeps_its_colour():
    pictures = Pictures()
    first, other, again = (pictures.tile("x", category) for category in ("Lighting", "Jazz", "Lighting"))
    assert first == again
    assert 'class="thumb p1"' in first and 'class="thumb p2"' in other


@pytest.mark.parametrize(
    ("title", "letters"), [("Toy Story", "TS"), ("up", "U"), ("<script>", "?"), ("", "?"), ("Cast-iron pot", "CI")]
)
def test_initials(title, letters):
    assert initials(title) == letters
