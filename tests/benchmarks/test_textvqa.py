"""TextVQA: how answers are made alike, what one is worth, and its file."""

import json

import pytest

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered
from trifacet.benchmarks.known import textvqa
from trifacet.benchmarks.objects.vqa_answers import CONTRACTIONS, alike, worth


@pytest.mark.parametrize(
    ("answer", "compared"),
    [
        ("The Coca-Cola", "coca cola"),  # a mark inside a word leaves a space
        ("coca -cola", "coca cola"),  # beside a space it goes; so do all of its kind
        ("a-b - c", "ab c"),
        ("1,000", "1000"),
        ("Really?", "really"),
        ("Two", "2"),
        ("none", "0"),
        ("eleven", "eleven"),
        ("Mr. Smith", "mr smith"),
        ("v1.5", "v1.5"),
        ("5.", "5"),
        (".5", ".5"),
        ("dont", "don't"),
        ("don't", "don't"),
        ("couldntve", "couldntve"),  # of two apostrophes one may be missing
        ("couldnt've", "couldn't've"),
        ("somebody'd", "somebodyd"),
        ("hes", "he's"),
        ("thered itdve", "there'd itdve"),
        ("itd've", "it'd've"),
        ("he's", "he 's"),  # so that these two differ
        ("an", ""),
        ("line one\nline\ttwo", "line 1 line 2"),
        ("$5", "$5"),
        ("", ""),
        ("the-a", ""),
        ("x" + "." * 40, "x" + "." * 8),  # 32 full stops are taken away
    ],
)
def test_what_is_compared(answer, compared):
    assert alike(answer) == compared


def test_an_apostrophe_comes_back():
    assert len(CONTRACTIONS) > 100 and all(key != word for key, word in CONTRACTIONS.items())
    assert CONTRACTIONS["y'allll"] == CONTRACTIONS["yall'll"] == "y'all'll"


@pytest.mark.parametrize(("same", "value"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_what_people_make_an_answer_worth(same, value):
    people = ["Two"] * same + [f"other {number}" for number in range(10 - same)]
    assert worth("2.", people) == pytest.approx(value)


def row(number, answers=("nokia",) * 10, **more):
    return {
        "question_id": 34602 + number,
        "question": "what is the brand?",
        "image_id": f"003a8ae2ef43b90{number}",
        "image_classes": [],
        "answers": list(answers),
        "set_name": "val",
        **more,
    }


def released(folder, rows):
    content = {"dataset_type": "val", "dataset_name": "textvqa", "dataset_version": "0.5.1", "data": rows}
    (folder / textvqa.FILE).write_text(json.dumps(content))
    return textvqa.read(folder)


def test_numbers(tmp_path):
    rows = [row(0), row(1, ["dakota"] * 3 + ["dakota digital"] * 7), row(2, ["a"] * 10)]
    items = released(tmp_path, rows)
    assert (items[0].id, items[0].image) == ("34602", "train_images/003a8ae2ef43b900.jpg")
    assert items[0].prompt == f"{rows[0]['question']}\n{textvqa.INSTRUCTION}"
    outcome = textvqa.score([Answered(*pair) for pair in zip(items, ["Nokia.", "Dakota", "nothing"], strict=True)])
    (accuracy,) = outcome.measures
    assert accuracy.value == pytest.approx(100 * 1.9 / 3) and accuracy.unofficial == ""
    assert outcome.counts == {"questions": 3, "wholly_right": 1, "as_nobody": 1}
    assert outcome.of_items["34603"] == {"worth": pytest.approx(0.9)}


def test_an_article_alone_is_as_good_as_nothing(tmp_path):
    """As in the original: what remains of both is empty, and equal."""
    items = released(tmp_path, [row(0, ["a"] * 10)])
    assert textvqa.score([Answered(items[0], "")]).measures[0].value == 100.0


def test_questions_about_one_picture_are_drawn_together(tmp_path):
    items = released(tmp_path, [row(0), row(1, image_id=row(0)["image_id"], question="and the model?")])
    outcome = textvqa.score([Answered(item, "nokia") for item in items])
    assert outcome.measures[0].units == (items[0].image,)


@pytest.mark.parametrize(
    ("field", "value"),
    [("question_id", 34602), ("question_id", "x"), ("question", ""), ("image_id", None), ("answers", ["a"] * 9),
     ("answers", [1] * 10), ("answers", "nokia")],
)  # fmt: skip
def test_bad_rows_are_named(tmp_path, field, value):
    with pytest.raises(DataError) as caught:
        released(tmp_path, [row(0), row(1, **{field: value})])
    assert (caught.value.file.name, caught.value.row, caught.value.field) == (textvqa.FILE, 2, field)


@pytest.mark.parametrize("content", ["[]", "{}", '{"data": {}}', '{"data": []}', '{"data": [3]}'])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / textvqa.FILE).write_text(content)
    with pytest.raises(DataError):
        textvqa.read(tmp_path)


def test_llavas_own_answers_are_matched(trifacet, tmp_path):
    """They call rows by their pictures, and tell the OCR's words after the question."""
    rows = [row(0), row(1, image_id=row(0)["image_id"], question="and the model?")]
    released(tmp_path, rows)
    answers = tmp_path / "llava-v1.5-7b.jsonl"
    lines = [
        {"question_id": one["image_id"], "text": "Nokia", "answer_id": "x", "model_id": "y",
         "prompt": f"{one['question'].capitalize()}\nReference OCR token: NOKIA\n{textvqa.INSTRUCTION}"}
        for one in rows
    ]  # fmt: skip
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, told = trifacet(
        "benchmarks", "score", "textvqa", "--data", tmp_path, "--answers", answers, "--json", "-"
    )
    assert code == 0, told
    assert json.loads(out)["metrics"]["accuracy"]["value"] == 100.0
