"""Charts are safe markup, and their lines can be told apart without colour."""

from __future__ import annotations

import re

from trifacet.evaluation.run_folder import ModelRun
from trifacet.metrics.grounding import Span
from trifacet.reports.plots import Line, bar_chart, line_chart, swatch
from trifacet.reports.run.curves import stage
from trifacet.reports.run.posts import segments
from trifacet.reports.run.watched import watched


def test_names_in_a_chart_are_text_and_ids_carry_its_prefix():
    names = {"<script>$x^{$": 1.0, "a#b\x00": None}
    svg = bar_chart(names, alternative='say "<hi>"', texts=dict.fromkeys(names, "1.0"), chart_id="one")
    assert "<script" not in svg
    assert "&lt;script&gt;$x^{$" in svg
    assert "a#b<" in svg
    assert 'aria-label="say &quot;&lt;hi&gt;&quot;"' in svg
    assert all(identity.startswith("one-") for identity in re.findall(r'\bid="([^"]*)"', svg))


def test_every_style_differs_in_dash_or_marker_from_every_other():
    looks = set()
    for style in range(16):
        svg = swatch(style, "key")
        dash = re.findall(r"stroke-dasharray: [^;]*", svg)
        marker = re.findall(r'<defs><path d="([^"]*)"', svg)
        looks.add((tuple(dash), tuple(marker)))
    assert len(looks) == 16


def test_a_chart_survives_gaps_and_no_points():
    nan = float("nan")
    assert "<svg" in line_chart([Line("a", [1, 2, 3], [1.0, nan, 2.0], 0)], alternative="a", chart_id="c", named=True)
    assert "<svg" in line_chart([], alternative="nothing", chart_id="c")
    assert "<svg" in bar_chart({"a": nan, "b": -2.0}, alternative="x", texts={"a": "", "b": "-2"}, chart_id="c")


def test_the_room_of_bars_holds_their_whiskers():
    """Also where an interval does not hold its value, as those of BCa may not."""
    svg = bar_chart(
        {"a": 1.0, "b": 2.0}, alternative="x", texts={"a": "1", "b": "2"}, chart_id="c",
        whiskers={"a": (1.1, 3.0), "b": (2.0, 2.0)},
    )  # fmt: skip
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    ends = [float(x) for x in re.findall(r'<use x="([\d.]+)"', svg)]
    assert max(ends) < 0.9 * width
    assert max(ends) - min(ends) > 0.3 * width


def test_bars_below_zero_begin_at_a_line_and_their_whiskers_are_inside():
    svg = bar_chart(
        {"a": -60.0, "b": 30.0}, alternative="x", texts={"a": "-60", "b": "30"}, chart_id="c",
        whiskers={"a": (-80.0, -50.0), "b": (20.0, 40.0)},
    )  # fmt: skip
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    left = 0.34 * width  # right of the names
    assert min(float(x) for x in re.findall(r'<use x="([\d.]+)"', svg)) >= left
    corners = [re.findall(r"[ML] ([\d.]+) [\d.]+", path) for path in re.findall(r'd="([^"]*)"', svg)]
    below, above = [set(map(float, one)) for one in corners if len(one) == 4]  # a frame has five
    (zero,) = below & above
    assert {zero} in [set(map(float, one)) for one in corners if len(one) == 2]


def test_names_of_curves_that_end_together_stand_apart_and_steps_are_whole():
    lines = [Line("chosen", [1, 2], [0.0, 0.0], 0), Line("rejected", [1, 2], [0.5, 0.0], 1)]
    svg = line_chart(lines, alternative="x", chart_id="c", named=True)
    places = [re.findall(rf'<text[^>]*y="([\d.]+)"[^>]*>[^<]*{name}', svg) for name in ("chosen", "rejected")]
    assert all(places) and places[0] != places[1]
    assert ">1.25<" not in svg


def test_a_value_that_is_told_as_nothing_has_no_bar():
    def drawn(value):
        return bar_chart({"a": value, "b": 0.0}, alternative="x", texts={"a": "0.0", "b": "0.0"}, chart_id="c")

    assert drawn(1e-77) == drawn(0.0)


def test_the_lines_of_a_stage_are_its_terms():
    rows = [
        {"step": step, "loss": 0.7, "rewards/margins": 0.1 * step, "rewards/accuracies": 0.5}
        | {f"rewards/margins/{term}": 0.1 * step for term in ("image", "response")}
        for step in (1, 2)
    ]
    shown = stage(ModelRun("mcm-dpo", log=rows), "c")
    assert shown is not None
    assert [row.label for row in shown.rows] == ["whole loss", "image", "response"]
    assert shown.rows[1].cells == ["", "0.10 → 0.20", ""]
    assert shown.steps == 2
    assert shown.outcome == [("Loss", "0.70 → 0.70"), ("Margin", "0.10 → 0.20"), ("Accuracy", "0.50 → 0.50")]
    assert stage(ModelRun("base", log=[]), "c") is None


def test_margins_of_the_facets_stand_in_one_chart():
    over = {"rpo": "response", "vpo": "image", "mtpo": "image+context+response"}
    terms = [{"kind": "pair", "name": name, "preferred": "chosen", "over": what} for name, what in over.items()]
    rows = [{"step": step, "loss": 0.7} | {f"rewards/margins/{name}": step * 0.1 for name in over} for step in (1, 2)]
    shown = stage(ModelRun("mcm-dpo", log=rows, done={"objective": {"terms": terms}}), "c")
    (chart,) = [chart for chart in shown.charts if chart.title == "Margin by facet"]
    assert "text from 0.10 to 0.20; image from 0.10 to 0.20." in chart.svg
    lists = [{"kind": "list", "name": "vpo", "facet": "image"}, {"kind": "list", "name": "rpo", "facet": "response"}]
    lists.append({"kind": "list", "name": "mtpo", "facet": None, "order": ["chosen", "image"]})
    balance = [row | {"rewards/text_minus_image": 0.5, "rewards/text_over_image": row["step"]} for row in rows]
    ranked = stage(ModelRun("lists", log=balance, done={"objective": {"terms": lists}}), "c")
    (chart,) = [chart for chart in ranked.charts if chart.title == "Margin by facet"]
    assert "text from 0.10 to 0.20; image from 0.10 to 0.20." in chart.svg
    assert ranked.outcome[1:] == [("Text minus image", "0.50 → 0.50"), ("Text over image", "1.00 → 2.00")]
    compares = {row.label: row.compares for row in ranked.rows}
    assert compares["vpo"] == "chosen over each rejected image, these in their order"
    assert compares["mtpo"] == "in this order: chosen, image"
    alone = stage(ModelRun("dpo", log=rows, done={"objective": {"terms": terms[:1]}}), "c")
    assert "Margin by facet" not in [chart.title for chart in alone.charts]


def test_a_stage_that_goes_on_is_warned_of_by_its_log():
    log = [{"step": step, "loss": 0.7, "rewards/margins": 0.1, "log_ratio/chosen": -0.3 * step} for step in (1, 2, 3)]
    assert stage(ModelRun("dpo", log=log), "c", 0.5).warnings == [
        "since step 2 chosen responses have been more than 0.5 nats per token less likely than under the reference, "
        "now by 0.90"
    ]
    assert stage(ModelRun("dpo", log=log), "c").warnings == stage(ModelRun("dpo", log=log), "c", 1.0).warnings == []
    assert stage(ModelRun("dpo", log=log, done={"warnings": ["said"]}), "c", 0.5).warnings == ["said"]


def test_own_texts_are_curves_and_changes_of_text():
    rows = [
        {"step": step, "id": post, "text": "one two" if step else "one", "at_limit": False, "drawn_tokens": 3}
        | {"logp": -1.0, "reference_logp": -1.0 - step}
        for step in (0, 2, 4)
        for post in ("a", "b", "c", "d")
    ]
    shown = watched(rows, "c")
    assert [chart.title for chart in shown.charts] == ["Words", "Repetition", "Cut at the limit", "KL to the reference"]
    assert "words from 1.00 to 2.00." in shown.charts[0].svg
    assert "k1 from 0.00 to 4.00; k3 from 0.00 to 3.02." in shown.charts[3].svg
    assert shown.posts == 4
    assert [told.post for told in shown.told] == ["a", "b", "c"]
    assert shown.told[0].texts == [(0, "one"), (2, "one two"), (4, None)]
    assert watched([], "c") is None
    plain = [{key: row[key] for key in ("step", "id", "text", "at_limit")} for row in rows]
    assert len(watched(plain, "c").charts) == 3


def test_a_supervised_stage_has_no_margins():
    rows = [{"step": step, "loss": 6.0 / step, "loss/nll": 6.0 / step, "learning_rate": 1e-3} for step in (1, 2)]
    shown = stage(ModelRun("sft", log=rows), "c")
    assert shown is not None
    assert [chart.title for chart in shown.charts][:2] == ["Loss", "Learning rate"]
    assert shown.columns == []


def test_segments_join_to_the_text_again():
    text = "two red balls"
    spans = [Span(4, 7, "wrong", "colour"), Span(0, 3, "right", "count"), Span(5, 13, "right", "shape")]
    pieces = segments(text, spans)
    assert "".join(piece.text for piece in pieces) == text
    assert [(piece.text, piece.kind) for piece in pieces if piece.fact] == [("two", "right"), ("red", "wrong")]
    assert [piece.text for piece in segments("", [])] == [""]
