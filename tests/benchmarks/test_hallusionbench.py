"""HallusionBench: grades, groups, figures and causes."""

import itertools
import json

import numpy as np
import pytest

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered
from trifacet.benchmarks.known import hallusionbench
from trifacet.benchmarks.objects.hallusion import HallusionQuestion, JudgedQuestion, cause
from trifacet.llm.parsing import UnparsedError
from trifacet.llm.prompts import load_prompt


def row(category, figure, visual, number="0", label="1", **more):
    return {
        "category": category,
        "subcategory": "chart",
        "visual_input": visual,
        "set_id": "0",
        "figure_id": figure,
        "question_id": number,
        "question": "Is it so?",
        "gt_answer_details": "It is.",
        "gt_answer": label,
        "filename": None if visual == "0" else f"./{category}/chart/0_{figure}.png",
        **more,
    }


ROWS = [row("VD", "0", "1"), row("VD", "1", "2", label="0"), row("VS", "0", "0"), row("VS", "1", "2", label="0")]


def items_of(folder, rows=ROWS):
    (folder / hallusionbench.FILE).write_text(json.dumps(rows))
    return hallusionbench.read(folder)


def outcome_of(folder, grades, rows=ROWS):
    items = items_of(folder, rows)
    verdicts = [None if grade is None else {"grade": grade} for grade in grades]
    return hallusionbench.score([Answered(item, "", said) for item, said in zip(items, verdicts, strict=True)])


def test_items_and_their_pictures(tmp_path):
    items = items_of(tmp_path)
    assert [item.id for item in items] == ["VD_chart_0_0_0", "VD_chart_0_1_0", "VS_chart_0_0_0", "VS_chart_0_1_0"]
    assert [item.image for item in items] == ["VD/chart/0_0.png", "VD/chart/0_1.png", None, "VS/chart/0_1.png"]


def test_unclear_is_right_only_without_the_picture(tmp_path):
    outcome = outcome_of(tmp_path, ["unclear", "correct", "unclear", "correct"])
    values = {measure.name: measure.value for measure in outcome.measures}
    assert values["accuracy"] == 75.0
    assert values["question_accuracy"] == 50.0  # both of VS, not both of VD
    assert values["figure_accuracy"] == pytest.approx(200 / 3)  # figure 0 of VS is none
    assert (values["easy_accuracy"], values["hard_accuracy"]) == (50.0, 100.0)
    assert values["yes_share_of_errors"] == 0.0  # the one error should have been yes
    assert values["yes_bias"] == pytest.approx(1 / 4 - 2 / 4)
    assert values["errors_vision"] == 100.0
    assert outcome.measures[0].units == ("VD_chart_0", "VS_chart_0")


def test_easy_questions_are_those_without_an_edited_picture(tmp_path):
    rows = [row("VS", "0", "0"), row("VS", "1", "1"), row("VS", "2", "2")]
    outcome = outcome_of(tmp_path, ["correct", "incorrect", "correct"], rows)
    values = {measure.name: measure.value for measure in outcome.measures}
    assert (values["easy_accuracy"], values["hard_accuracy"]) == (0.0, 100.0)


def test_a_question_without_a_judgement_is_left_out_with_its_group(tmp_path):
    outcome = outcome_of(tmp_path, [None, "correct", "correct", "incorrect"])
    assert outcome.counts["without_judgement"] == 1
    assert (outcome.counts["questions"], outcome.counts["groups"], outcome.counts["figures"]) == (3, 1, 2)
    assert any("left out" in note for note in outcome.notes)


def test_without_any_judgement_there_is_no_number(tmp_path):
    outcome = outcome_of(tmp_path, [None] * 4)
    assert outcome.measures == [] and outcome.counts["without_judgement"] == 4
    lonely = outcome_of(tmp_path, ["correct", None, None, None])  # and no group is whole
    assert {m.name: m.value for m in lonely.measures if m.name == "accuracy"} == {"accuracy": 100.0}
    assert np.isnan(lonely.measures[0].value)


def judged(category, figure, visual, grade, same=None):
    return JudgedQuestion(HallusionQuestion(category, "chart", "0", figure, "0", visual, "yes"), grade, same)


@pytest.mark.parametrize(
    ("category", "original", "grade", "visual", "same", "expected"),
    [
        ("VD", "correct", "incorrect", "2", True, "mixed"),
        ("VD", "correct", "incorrect", "2", False, "vision"),
        ("VD", "correct", "unclear", "2", True, "vision"),
        ("VD", "incorrect", "incorrect", "2", True, "vision"),
        ("VS", "incorrect", "incorrect", "1", True, "language"),
        ("VS", "incorrect", "incorrect", "1", False, "mixed"),
        ("VS", "incorrect", "unclear", "1", True, "mixed"),
        ("VS", "unclear", "incorrect", "2", True, "vision"),
        ("VS", "correct", "incorrect", "1", True, "vision"),
        ("VS", "correct", "incorrect", "2", True, "language"),
        ("VS", "correct", "incorrect", "2", False, "vision"),
        ("VS", "correct", "unclear", "2", True, "vision"),
        ("VS", "correct", "correct", "2", True, None),
    ],
)
def test_causes_of_errors(category, original, grade, visual, same, expected):
    first = judged(category, "0", "1" if category == "VD" else "0", original)
    assert cause(judged(category, "1", visual, grade, same), first) == expected


@pytest.mark.parametrize(("category", "expected"), [("VD", "vision"), ("VS", "language")])
def test_cause_of_an_error_about_figure_0(category, expected):
    one = judged(category, "0", "1", "incorrect")
    assert cause(one, one) == expected


def test_every_error_has_a_cause():
    grades = ("correct", "incorrect", "unclear")
    for category, original, grade, visual, same in itertools.product(("VD", "VS"), grades, grades, "12", (True, False)):
        one = judged(category, "1", visual, grade, same)
        first = judged(category, "0", "0", original)
        assert (cause(one, first) is None) == one.right


def test_without_a_judge_yes_and_no_are_read_off(tmp_path):
    items = items_of(tmp_path)
    answers = ["Yes, it is.", "yes", "I cannot tell", "**No**"]
    answered = [Answered(item, text) for item, text in zip(items, answers, strict=True)]
    outcome = hallusionbench.score(answered, hallusionbench.Options(matching="words"))
    values = {measure.name: measure.value for measure in outcome.measures}
    assert values["accuracy"] == 75.0
    assert values["errors_mixed"] == 100.0  # both answers say yes, and so the second is wrong
    assert all("GPT-4" in measure.unofficial for measure in outcome.measures)


def test_what_the_judge_is_asked_and_answers(tmp_path):
    item = items_of(tmp_path)[0]
    prompt = load_prompt(hallusionbench.BENCHMARK.judge.prompt)
    assert "It is." in prompt.render(hallusionbench.fields(item, "Yes"))[1]
    assert hallusionbench.fields(item, " ") is None
    assert hallusionbench.BENCHMARK.judge.otherwise(item, " ") == {"grade": "unclear"}
    assert hallusionbench.parse('{"grade": "unclear"}') == {"grade": "unclear"}
    for text in ("correct", '{"grade": "right"}', '{"grade": "correct", "why": ""}', '{"grade": true}', ""):
        with pytest.raises(UnparsedError):
            hallusionbench.parse(text)
    with pytest.raises(DataError, match="is no grade"):
        hallusionbench.score([Answered(item, "Yes", {"grade": "right"})])


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (row("VX", "0", "1"), "category"),
        (row("VD", "zero", "1"), "figure_id"),
        (row("VD", "0", "3"), "visual_input"),
        (row("VD", "0", "1", label="yes"), "gt_answer"),
        (row("VD", "0", "1", gt_answer_details=None), "gt_answer_details"),
        (row("VD", "0", "1", filename=None), "filename"),
        (ROWS[0], "question_id"),
    ],
)
def test_bad_rows_are_named(tmp_path, bad, field):
    with pytest.raises(DataError) as caught:
        items_of(tmp_path, [ROWS[0], bad])
    assert (caught.value.row, caught.value.field) == (2, field)
