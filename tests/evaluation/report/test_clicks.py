"""The pictures of click models: what is drawn, what is said, and what is left out."""

import copy
import re
from xml.etree import ElementTree

import pytest

from rankine.evaluation.report import (
    calibration,
    click_tables,
    dots,
    fields,
    figures,
    learning,
    render,
    scores,
    tradeoff,
)
from rankine.evaluation.report.clicks import read_clicks, read_drops
from rankine.evaluation.report.comparison import read_comparison
from rankine.evaluation.report.svg import NARROW, WIDE


def plain(html):
    text = re.sub(r"<(style|script).*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).replace("\u00a0", " ").split())


def parts(svg, tag, css=""):
    return [e for e in ElementTree.fromstring(svg).iter(tag) if css in (e.get("class") or "").split() or not css]


@pytest.fixture(scope="module")
def results(made):
    return made.clicks()


@pytest.fixture(scope="module")
def comparison(results):
    return read_comparison(results)


@pytest.fixture(scope="module")
def text(results):
    return plain(render(results))


def every_plot(comparison):
    models = list(comparison.models)
    yield calibration.calibration(calibration.shown(models))
    yield scores.scores(scores.shown(models))
    yield fields.fields(models[0])
    yield dots.dots(comparison)
    yield learning.learning(models, comparison.primary, 4)
    sized = tradeoff.sized(comparison)
    assert sized is not None
    yield tradeoff.tradeoff(comparison, sized)


@pytest.mark.parametrize("rate", [0.33, 0.004])
def test_all_charts_are_well_formed_speak_and_stay_inside(rate, made):
    for plot in every_plot(read_comparison(made.clicks(rate))):
        for svg, width in ((plot.wide, WIDE), (plot.narrow, NARROW)):
            root = ElementTree.fromstring(svg)
            assert root.get("role") == "img" and len(root.get("aria-label")) > 20
            height = float(root.get("height"))
            for name, most in (
                ("x", width),
                ("x1", width),
                ("x2", width),
                ("y", height),
                ("y1", height),
                ("y2", height),
            ):
                assert all(-0.1 <= float(e.get(name)) <= most + 0.1 for e in root.iter() if e.get(name))
            for shape in root.iter("polygon"):
                pairs = [tuple(map(float, p.split(","))) for p in shape.get("points").split()]
                assert all(-9 <= x <= width + 9 and -1 <= y <= height + 1 for x, y in pairs)


def test_a_perfect_prediction_lies_on_the_diagonal(results):
    some = copy.deepcopy(results)
    for b in some["models"][0]["clicks"]["bins"]:
        b["observed"] = b["predicted"]
    models = [read_comparison(some).models[0]]
    svg = calibration.calibration(models).wide
    diagonal = next(e for e in parts(svg, "line", "ref"))
    x1, y1, x2, y2 = (float(diagonal.get(k)) for k in ("x1", "y1", "x2", "y2"))
    marks = parts(svg, "circle", "mk")
    assert len(marks) == len(models[0].clicks.bins)
    for mark in marks:
        x, y = float(mark.get("cx")), float(mark.get("cy"))
        assert (x - x1) / (x2 - x1) == pytest.approx((y - y1) / (y2 - y1), abs=0.01)


def test_every_bin_says_its_numbers_to_a_pointer_and_in_the_table(comparison):
    plot = calibration.calibration(calibration.shown(comparison.models))
    said = [e.text for e in ElementTree.fromstring(plot.wide).iter("title")]
    assert sum("predicted" in (s or "") for s in said) == sum(len(m.clicks.bins) for m in comparison.models)
    table = click_tables.calibration(comparison.models)
    assert len(table.lines) == 10 and len(table.columns) == 6
    assert table.lines[0].label.startswith("1, 2,886 rows")


def test_taken_rows_go_up_and_left_rows_go_down(comparison):
    svg = scores.scores([comparison.models[0]]).wide
    taken, left = (
        [tuple(map(float, p.split(","))) for p in shape.get("points").split()]
        for shape in parts(svg, "polygon", "area")
    )
    base = taken[0][1]
    assert min(y for _, y in taken) < base == max(y for _, y in taken)
    assert max(y for _, y in left) > base == min(y for _, y in left)


def test_importance_is_drawn_from_zero_largest_first_for_the_best_model(comparison):
    best = comparison.models[0]
    svg = fields.fields(best).wide
    widths = [float(e.get("width")) for e in parts(svg, "rect", "facc")]
    assert len(widths) == 10 and widths == sorted(widths, reverse=True)
    assert widths[-1] == 0
    assert widths[0] / widths[1] == pytest.approx(best.drops[0].mean / best.drops[1].mean, abs=0.02)
    table = click_tables.importance([m for m in comparison.models if m.drops])
    assert table.columns == ("DeepFM", "IPNN", "Wide & Deep", "FM", "LR")


def test_many_fields_are_cut_and_counted(results):
    some = copy.deepcopy(results)
    rows = [{"field": f"f{i}", "drop": 0.01 / (i + 1), "sd": 0.0} for i in range(39)]
    some["models"][0]["importance"]["fields"] = rows
    figure = figures.importance(read_comparison(some))
    assert "The first 15 of 39 fields." in figure.caption
    assert len(figure.numbers.lines) == 39 + 10


def test_auc_is_drawn_on_a_stated_stretch_and_not_as_bars(text, comparison):
    figure = figures.of_primary(comparison)
    assert "The scale runs from 0.93 to 0.99, not from zero; guessing gives 0.5." in figure.caption.replace(
        "\u00a0", " "
    )
    assert not parts(figure.plot.wide, "rect")
    assert "\u25c4 0.7100" in figure.plot.wide  # far behind: an arrow with its number
    assert "Small rings: the 3 fits" in text


def test_metrics_that_begin_at_zero_keep_their_bars(shop_results):
    assert "bars from zero" in figures.of_primary(read_comparison(shop_results)).caption


def test_means_over_seeds_say_so_with_their_deviation(text, results, made):
    assert "Each figure is the mean of 3 fits from different seeds" in text
    assert "3 seeds" in text and "sd 0.000" in text
    one = plain(render(made.clicks(seeds=1)))
    assert "seeds" not in one.replace("another seed", "")


def test_precision_speed_and_parameters_are_told(results, text):
    assert "Trained in fp32." in text
    for said in ("423,280", "59,279", "105,000"):
        assert said in text
    mixed = copy.deepcopy(results)
    mixed["models"][0]["training"]["precision"] = "bf16"
    said = plain(render(mixed))
    assert "DeepFM was trained in bf16." in said and "IPNN, Wide &amp; Deep, FM and LR were trained in fp32." in said


def test_rows_and_the_share_taken_are_counted(text):
    assert "941 users, 28,860 rows, 33 % taken" in text


def test_an_auc_near_one_is_told_in_pairs_of_a_thousand(text):
    assert "DeepFM puts 984 of 1,000 pairs in the right order, one of which was taken and the other was not" in text


def test_drops_of_the_rate_are_rings_and_other_seeds_are_faint(comparison):
    svg = learning.learning([comparison.models[0]], comparison.primary, 4).wide
    assert len(parts(svg, "circle", "ring")) == 1
    assert len(parts(svg, "path", "faint")) == 2
    assert "training loss" in [e.text for e in parts(svg, "text")]


def test_a_bad_first_epoch_does_not_flatten_the_rest(comparison):
    curves = [m.curve for m in comparison.models if m.curve]
    assert float(learning.edge(curves)) > min(v for c in curves for v in c.values)
    caption = figures.learnt(comparison)[0].caption
    assert f"Values below {learning.edge(curves)} are not drawn." in caption


def test_curves_without_loss_or_drops_stay_as_they_were(shop_results):
    figure = figures.learnt(read_comparison(shop_results))[0]
    assert "loss" not in figure.caption and "Ring" not in figure.caption
    assert not parts(figure.plot.wide, "circle", "ring")


def test_the_loss_of_each_epoch_is_in_the_numbers(text):
    assert re.search(r"loss 0\.\d{4}", text)


def test_compressed_tables_are_drawn_by_kind_with_a_line_each(made):
    found = tradeoff.sized(read_comparison(made.compressed()))
    assert found.word == "table parameters"
    assert len(found.lines) == 3 and all(len(line) == 4 for line in found.lines)
    marks = {m.name.rstrip("0123456789."): mark for m, mark in zip(found.models, found.marks, strict=True)}
    assert len(set(marks.values())) == 4  # the whole model and three kinds
    kinds = {m.name.split()[-1].rstrip("0123456789."): mark for m, mark in zip(found.models, found.marks, strict=True)}
    assert len(set(zip(kinds.values(), kinds, strict=True))) == len(set(found.marks)) == 4
    text = plain(render(made.compressed()))
    assert "0.005 less AUC than DeepFM, with 10 % of its table parameters" in text
    assert "Lines join variants of one kind." in text


def test_models_with_the_same_mark_are_told_apart_and_baselines_keep_theirs(results):
    some = copy.deepcopy(results)
    for m in some["models"]:
        m["mark"] = 8
    marks = {m.name: m.mark for m in read_comparison(some).models}
    assert len(set(marks.values())) == len(marks) and marks["popularity"] == 8


def test_importance_within_the_luck_of_the_deal_is_said_to_be_so(results):
    some = copy.deepcopy(results)
    for row in some["models"][0]["importance"]["fields"]:
        row |= {"drop": 0.002, "sd": 0.004}
    figure = figures.importance(read_comparison(some))
    assert figure.finding == "What a field costs DeepFM is not told from the luck of the deal"


def test_models_of_about_one_size_have_no_picture_of_sizes(results):
    some = copy.deepcopy(results)
    for m in some["models"]:
        m["n_parameters"], m["table_parameters"] = 1000, 900
    assert tradeoff.sized(read_comparison(some)) is None
    assert "Quality against size" not in render(some)


def test_parameters_come_first_where_they_differ(comparison):
    assert tradeoff.sized(comparison).word == "parameters"


def test_a_log_with_propensities_shows_what_it_earned_itself(made):
    text = plain(render(made.logged()))
    assert "Dashed line: the mean reward of the log itself, 0.0051." in text
    assert "the log earned 0.0051" in text
    assert "1,210" in text and "6.0 %" in text


def test_two_stages_name_the_first_and_its_ceiling(made):
    text = plain(render(made.staged()))
    assert "DeepFM on Implicit ALS, recall@20 Implicit ALS 200 0.610 0.310 51 %" in text
    assert "Two stages" not in plain(render(made.clicks()))


def test_lower_is_better_reads_right_for_log_loss(made):
    results = {
        "protocol": {"name": "impressions", "primary": "logloss"},
        "models": [made.model("a", 0.20, 0.004, "logloss"), made.model("b", 0.15, 0.004, "logloss")],
        "pairs": [made.pair("a", "b", 0.05, True, "logloss")],
    }
    text = plain(render(results))
    assert "b beats a by 0.046 to 0.054 log loss." in text
    assert "Log loss is an error: lower is better." in text


def test_what_is_missing_or_broken_is_left_out(results):
    some = copy.deepcopy(results)
    for m in some["models"]:
        m |= dict.fromkeys(("clicks", "importance", "fits", "training", "stages", "n_parameters", "table_parameters"))
        if "curve" in m:
            m["curve"] |= {"loss": None, "drops": None, "others": None}
    html = render(some)
    for anchor in ("prob", "fields", "size"):
        assert f'id="{anchor}"' not in html
    assert read_clicks({"bins": [{"predicted": None}], "histogram": {"edges": [0, 1], "taken": []}}) is None
    assert read_drops({"fields": [{"field": "a", "drop": float("nan")}]}) == ()


def test_a_model_without_a_taken_row_can_be_drawn(results):
    some = copy.deepcopy(results)
    card = some["models"][0]["clicks"]
    for b in card["bins"]:
        b |= {"observed": 0.0, "low": 0.0, "high": 0.001}
    card |= {"median_taken": None, "left_above": None}
    card["histogram"]["taken"] = [0.0] * len(card["histogram"]["taken"])
    assert "Probabilities" in plain(render(some))
