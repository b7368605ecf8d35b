"""OCRBench: what is a right answer, and what is read."""

import json

import pytest

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered, NoOptions
from trifacet.benchmarks.known.ocrbench import BENCHMARK, TYPES, is_right

ROW = {
    "dataset_name": "IIIT5K",
    "question": "what is written?",
    "answers": ["CENTRE"],
    "type": TYPES[0],
    "image_path": "a/1.png",
}


def released(folder, rows):
    (folder / "OCRBench.json").write_text(json.dumps(rows))
    return BENCHMARK.read(folder)


@pytest.mark.parametrize(
    ("answer", "references", "formula", "right"),
    [
        ("It says Centre.", ["CENTRE"], False, True),
        ("centres", ["centre"], False, True),  # a part of a word is enough
        ("the\nold mill", ["The Old Mill"], False, True),
        ("one of two", ["none", "two"], False, True),
        ("cent re", ["centre"], False, False),
        ("", [""], False, False),
        ("x + 1 = y", ["x+1=y"], True, True),
        ("X+1", ["x+1"], True, False),
    ],
)
def test_an_answer_that_holds_a_reference_is_right(answer, references, formula, right):
    assert is_right(answer, references, formula=formula) is right


def test_a_file_without_questions_is_no_benchmark(tmp_path):
    with pytest.raises(DataError, match="has no row"):
        released(tmp_path, [])


def test_points_by_type_and_of_all(tmp_path):
    rows = [
        ROW,
        {**ROW, "answers": "12", "type": TYPES[4]},
        {**ROW, "dataset_name": "HME100k", "answers": ["a b"], "type": TYPES[9]},
    ]
    items = released(tmp_path, rows)
    outcome = BENCHMARK.score(
        [Answered(*pair) for pair in zip(items, ["centre", "13", "so ab"], strict=True)], NoOptions()
    )
    assert outcome.counts["points/accuracy"] == 2
    assert outcome.counts["points/text_recognition"] == 1
    values = {measure.name: measure.value for measure in outcome.measures}
    assert values["accuracy"] == pytest.approx(200 / 3)
    assert (values["digit_string_recognition"], values["handwritten_mathematical_expression_recognition"]) == (0, 100)
    assert all("3 of 1000" in measure.unofficial for measure in outcome.measures)


@pytest.mark.parametrize(
    ("field", "value"), [("type", "Reading"), ("answers", []), ("answers", [3]), ("image_path", None)]
)
def test_a_row_that_is_none_is_named(tmp_path, field, value):
    with pytest.raises(DataError, match=f"row 2, field '{field}'"):
        released(tmp_path, [ROW, {**ROW, field: value}])
