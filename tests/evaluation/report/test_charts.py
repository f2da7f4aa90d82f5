import re
from xml.etree import ElementTree

import pytest

from rankine.evaluation.report import charts, learning, scatter, temperature
from rankine.evaluation.report.axes import Axis
from rankine.evaluation.report.comparison import read_comparison
from rankine.evaluation.report.svg import NARROW, SHAPES, WIDE, Drawing, fitted, key, text_width
from rankine.evaluation.report.values import Estimate


def parts(svg, tag):
    return list(ElementTree.fromstring(svg).iter(tag))


def numbers(element, *names):
    return [float(element.get(name).removesuffix("%")) for name in names]


@pytest.fixture
def shop(shop_results):
    return read_comparison(shop_results)


def every_plot(comparison):
    models = comparison.models
    yield charts.bars(comparison)
    yield learning.learning(models, models[0].curve.metric, 3)
    yield temperature.temperature(temperature.shown_by_temperature(comparison), comparison.primary)
    yield scatter.accuracy_popularity(comparison, models)


def test_all_charts_are_well_formed_speak_and_have_two_widths(shop):
    for plot in every_plot(shop):
        for svg, width in ((plot.wide, WIDE), (plot.narrow, NARROW)):
            root = ElementTree.fromstring(svg)
            assert root.get("role") == "img" and len(root.get("aria-label")) > 20
            assert root.get("viewBox").startswith(f"0 0 {width} ")
            assert "style" not in {name for e in root.iter() for name in e.attrib}


def test_nothing_is_drawn_outside_of_the_drawing(shop):
    for plot in every_plot(shop):
        for svg in (plot.wide, plot.narrow):
            root = ElementTree.fromstring(svg)
            width, height = float(root.get("width")), float(root.get("height"))
            for name, most in (
                ("x", width),
                ("x1", width),
                ("x2", width),
                ("y", height),
                ("y1", height),
                ("y2", height),
            ):
                assert all(-0.1 <= float(e.get(name)) <= most + 0.1 for e in root.iter() if e.get(name))


def test_bars_begin_at_zero_and_end_at_the_mean(shop):
    for svg in (charts.bars(shop).wide, charts.bars(shop).narrow):
        bars = [e for e in parts(svg, "rect") if e.get("class") in ("facc", "fbar")]
        assert len(bars) == 8
        labels = {e.text: numbers(e, "x")[0] for e in parts(svg, "text") if "ax" in e.get("class").split()}
        assert {numbers(b, "x")[0] for b in bars} == {labels["0.0"]}
        scale = [numbers(b, "width")[0] / shop.value(m).mean for b, m in zip(bars, shop.scored, strict=True)]
        assert max(scale) - min(scale) < 1
        assert scale[0] * 0.4 == pytest.approx(labels["0.4"] - labels["0.0"], abs=0.3)


def test_only_leaders_by_test_stand_out(shop_results):
    svg = charts.bars(read_comparison(shop_results)).wide
    assert [e.get("class") for e in parts(svg, "rect")] == ["facc"] * 2 + ["fbar"] * 6
    shop_results["pairs"] = []
    assert "facc" not in charts.bars(read_comparison(shop_results)).wide


def test_bars_of_negative_values_go_left_of_zero(build):
    svg = charts.bars(read_comparison(build([("A", 0.2, None), ("B", -0.1, None)], []))).wide
    (x_a, w_a), (x_b, w_b) = (numbers(e, "x", "width") for e in parts(svg, "rect"))
    assert x_b + w_b == pytest.approx(x_a, abs=0.2) and w_a == pytest.approx(2 * w_b, abs=0.2)


def test_a_whisker_spans_the_interval_with_a_dot_at_the_mean():
    axis = Axis.between(0.2, 0.4, 3, 97)
    svg = charts.whisker(Estimate(0.3, 0.28, 0.33), axis, 3, 0.38, leads=True)
    bar = next(e for e in parts(svg, "line") if e.get("class") == "wk a")
    assert numbers(bar, "x1", "x2") == pytest.approx([axis.at(0.28), axis.at(0.33)], abs=0.01)
    assert numbers(parts(svg, "circle")[0], "cx") == pytest.approx([axis.at(0.3)], abs=0.01)
    best = next(e for e in parts(svg, "line") if e.get("class") == "ref")
    assert numbers(best, "x1") == pytest.approx([axis.at(0.38)], abs=0.01)


@pytest.mark.parametrize(("mean", "arrow"), [(0.074, "\u25c4 0.074"), (0.9, "0.900 \u25ba")])
def test_what_lies_outside_of_the_scale_is_an_arrow_with_its_number(mean, arrow):
    svg = charts.whisker(Estimate(mean, mean - 0.01, mean + 0.01), Axis.between(0.2, 0.4, 3, 97), 3, None, leads=False)
    assert [e.text for e in parts(svg, "text")] == [arrow]
    assert not parts(svg, "circle")


def test_a_straggler_does_not_squeeze_the_scale(shop, rating_results):
    axis = charts.whisker_axis(shop)
    assert not axis.holds(0.074) and axis.holds(0.221) and axis.holds(0.371)
    ratings = charts.whisker_axis(read_comparison(rating_results))
    assert ratings.holds(0.944) and not ratings.holds(1.018)


def test_a_far_oracle_is_left_off_the_scale(shop_results):
    shop_results["oracle"]["recall@20"] = 0.95
    assert not charts.whisker_axis(read_comparison(shop_results)).holds(0.95)


def test_the_learning_curve_marks_the_kept_epoch(shop):
    svg = learning.learning([shop.models[0]], shop.primary, 3).wide
    epochs = {e.text: numbers(e, "x")[0] for e in parts(svg, "text") if e.text and e.text.isdigit()}
    first, tenth = epochs["1"], epochs["10"]
    mark = next(e for e in parts(svg, "circle") if e.get("class") == "f1 mk")
    assert numbers(mark, "cx")[0] == pytest.approx(first + (tenth - first) * 12 / 9, abs=0.2)


def test_the_temperature_chart_draws_few_models_and_counts_targets(shop):
    shown = temperature.shown_by_temperature(shop)
    assert [m.name for m in shown] == ["sasrec", "gru4rec", "vsknn", "popularity"]
    svg = temperature.temperature(shown, shop.primary).wide
    texts = [e.text for e in parts(svg, "text")]
    assert [t for t in texts if t and t.endswith("targets")] == [
        "842 targets", "2,360 targets", "5,421 targets", "5,434 targets", "2,785 targets"
    ]  # fmt: skip
    assert [e.get("class") for e in parts(svg, "rect")] == ["fh1", "fh2", "fh3", "fh4", "fh5"]


def test_the_model_that_is_best_for_the_coldest_items_is_drawn(shop_results):
    shop_results["models"][6]["by_temperature"][0] |= {"mean": 0.3, "low": 0.28, "high": 0.32}
    assert "markov" in [m.name for m in temperature.shown_by_temperature(read_comparison(shop_results))]


def test_every_model_is_named_in_the_scatter_or_its_legend(shop_results):
    for model in shop_results["models"]:
        model["popularity"] = 0.6  # all on one line: not all labels can fit
        model["metrics"]["recall@20"] = {"mean": 0.3, "low": 0.29, "high": 0.31}
    plot = scatter.accuracy_popularity(read_comparison(shop_results), read_comparison(shop_results).models)
    for svg, legend in ((plot.wide, plot.wide_legend), (plot.narrow, plot.narrow_legend)):
        named = {e.text for e in parts(svg, "text")} | {entry.label for entry in legend}
        assert {m["label"] for m in shop_results["models"]} <= named


def test_each_series_has_a_shape_of_its_own():
    outlines = {tuple((round(x, 3), round(y, 3)) for x, y in shape()) for shape in SHAPES.values()}
    assert len(outlines) == 7 and set(SHAPES) == set(range(2, 9))
    assert all(f'class="f{kind}"' in key(kind) for kind in range(1, 9))


def test_text_in_a_drawing_is_escaped():
    drawing = Drawing(100, 20, 'a "label" <b>')
    drawing.text("lab", 0, 10, "<script>", full="<script>alert(1)</script>")
    root = ElementTree.fromstring(drawing.markup())
    assert root.get("aria-label") == 'a "label" <b>'
    assert root.find("text/title").text == "<script>alert(1)</script>"
    assert not re.search(r"<script", drawing.markup())


def test_long_names_are_cut_to_their_room():
    cut = fitted("a name that is far too long for its place", 80)
    assert cut.endswith("\u2026") and text_width(cut) <= 80
    assert fitted("short", 80) == "short"
