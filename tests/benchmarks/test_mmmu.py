"""MMMU: letters and free answers, draws, the numbers, and its files."""

import io
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trifacet.base.embedded import kept_picture
from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered
from trifacet.benchmarks.known import mmmu
from trifacet.benchmarks.objects.mmmu_answers import agrees, chosen, free_readings

OPTIONS = {"A": "$6", "B": "the red line", "C": "$7", "D": "red"}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("B.", "B"),
        ("'B'", "B"),
        ("B.,", "B"),  # commas go first, then full stops
        ("B,.", None),  # so that a comma is left over
        ("(B) the red line", "B"),
        ("(A) or rather (C)", "C"),  # of several the last
        ("(C), not (A), but (C)", "C"),
        ("A B", "B"),
        ("(A) B", "A"),  # brackets before all else
        ("b", None),
        ("B)", None),
        ("B: the red line", None),
        ("Answer:\nB", None),  # a line end is no space
        ("I think that it is the red line", "D"),  # "red" is a part of it, and stands behind where B begins
        ("I think that it must be $7 today", "C"),
        ("It must be $7", None),  # too short to be searched
        ("a b c d e f", None),
        ("A man is on it, I think", "A"),  # the article
        ("", None),
        ("5" * 20_000 + " (A)", None),
    ],
)
def test_the_letter_of_an_answer(answer, letter):
    assert chosen(answer, OPTIONS) == letter


@pytest.mark.parametrize(
    ("answer", "right", "agreed"),
    [
        ("8", ["8"], True),
        ("8.0", ["8"], True),
        ("18", ["8"], False),
        ("The result is 8.004 m.", ["8"], True),  # two decimals
        ("It is 12,000", ["12000"], True),
        ("1.2e3", ["1200"], True),
        ("x = 5", ["5"], True),
        ("x = 5\nthat is all", ["5"], False),  # "=" counts in the last line, and a line with "is" tells the rest
        ("x = 5\nthat was all", ["5"], True),  # else the whole answer is read
        ("Because it is so the answer is Vertigo.", ["vertigo"], True),
        ("The answer is Vertigo, so no", ["vertigo"], False),  # the shortest of the ends
        ("Hypervertigo", ["Vertigo"], True),
        ("a", ["a"], True),
        ("an apple and a pear", ["a"], True),
        ("pear", ["a"], False),  # a single letter needs a space beside it
        ("24/7", ["24/7", "0.29"], True),
        ("half", ["24/7", "0.29"], False),
        ("", ["8"], False),
    ],
)
def test_free_answers(answer, right, agreed):
    assert agrees(free_readings(answer), right) is agreed


def picture(colour="red", size=(8, 6)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def row(subject, number, **more):
    images = {f"image_{at}": None for at in range(2, mmmu.PICTURES + 1)}
    return {
        "id": f"validation_{subject}_{number}",
        "question": f"What does <image 1> show, {number}?",
        "options": "['$6', 'the red line', '$7', \"one's own\"]",
        "answer": "B",
        "question_type": "multiple-choice",
        "image_1": {"bytes": picture(), "path": "x.png"},
        **images,
        **more,
    }


def released(folder, **others):
    """Two questions a subject: one with options, one open; ``others``: a subject's rows."""
    for subject in mmmu.SUBJECTS:
        rows = others.get(subject) or [
            row(subject, 1),
            row(subject, 2, options="[]", answer="['24/7', '0.29']", question_type="open"),
        ]
        write(folder, subject, rows)
    return folder


def write(folder, subject, rows):
    (folder / subject).mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / subject / "validation-00000-of-00001.parquet")


def test_questions_and_pictures(tmp_path):
    shown = row("Art", 1, image_2={"bytes": picture("blue"), "path": None})
    items = mmmu.read(released(tmp_path, Art=[shown]))
    assert len(items) == 59 and items[0].id == "validation_Accounting_1"
    art = next(item for item in items if item.extra["subject"] == "Art")
    assert art.prompt.split("\n") == [
        "What does <image 1> show, 1?", "(A) $6", "(B) the red line", "(C) $7", "(D) one's own", mmmu.OF_OPTIONS,
    ]  # fmt: skip
    assert [kept_picture(name).read_bytes() for name in art.images] == [picture(), picture("blue")]
    assert items[1].prompt == f"What does <image 1> show, 2?\n{mmmu.OF_OPEN}"
    assert items[1].extra["right"] == ("24/7", "0.29")


def test_numbers(tmp_path):
    items = mmmu.read(released(tmp_path))
    art = [item for item in items if item.extra["subject"] == "Art"]
    said = {item.id: "(B)" if item.extra["options"] else "It is 0.29" for item in items}
    said |= {art[0].id: "(A)", art[1].id: "no idea"}
    outcome = mmmu.score([Answered(item, said[item.id]) for item in items])
    values = {measure.name: measure.value for measure in outcome.measures}
    assert values["accuracy"] == pytest.approx(100 * 58 / 60)
    assert (values["art_and_design"], values["art_and_design/art"], values["business/manage"]) == (75.0, 0.0, 100.0)
    assert len(values) == 1 + 6 + 30 and not any(measure.unofficial for measure in outcome.measures)
    assert (outcome.counts["accuracy/right"], outcome.counts["open"], outcome.counts["unread"]) == (58, 30, 0)
    assert outcome.of_items[art[0].id] == {"correct": 0.0}


def test_what_cannot_be_read_is_drawn_as_the_original_draws(tmp_path):
    items = [item for item in mmmu.read(released(tmp_path)) if item.extra["options"]]
    said = ["(B)" if at % 2 else "who knows" for at in range(len(items))]
    answered = [Answered(*pair) for pair in zip(items, said, strict=True)]
    random.seed(42)  # as the program does, and draws only where nothing can be read
    drawn = [random.choice(["A", "B", "C", "D"]) for at in range(len(items)) if not at % 2]
    lucky = drawn.count("B")
    assert 0 < lucky < len(drawn)
    outcome = mmmu.score(answered)
    assert outcome.counts["accuracy/right"] == 15 + lucky and outcome.counts["unread"] == 15
    assert f"right {lucky} times" in outcome.notes[0] and mmmu.score(answered).of_items == outcome.of_items
    wrong = mmmu.score(answered, mmmu.Options(unread="wrong"))
    assert wrong.counts["accuracy/right"] == 15 and all("not drawn" in one.unofficial for one in wrong.measures)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "validation_Accounting_1"),
        ("question", ""),
        ("options", "['one']"),
        ("options", "['one', 2]"),
        ("options", "__import__('os').getcwd()"),
        ("options", "[" * 5000),
        ("options", "['a', " + "-" * 15_000 + "1]"),
        ("options", "['a', 'b\n']"),
        ("options", "['a', '\\x']"),
        ("options", "'a' * 10"),
        ("answer", "E"),
        ("question_type", "multiple"),
        ("image_1", None),
        ("image_2", {"bytes": None, "path": "../x.png"}),
    ],
)
def test_bad_rows_are_named(tmp_path, field, value):
    first = mmmu.SUBJECTS[0]  # so that no other file need be there
    write(tmp_path, first, [row(first, 1), row(first, 2, **{field: value})])
    with pytest.raises(DataError) as caught:
        mmmu.read(tmp_path)
    assert (caught.value.file.parent.name, caught.value.row, caught.value.field) == (first, 2, field)


def test_a_model_is_shown_all_pictures(trifacet, tmp_path, tiny_folder):
    several = {f"image_{at}": {"bytes": picture(size=(40, 30)), "path": None} for at in (1, 2, 3)}
    data = released(tmp_path / "data", Accounting=[row("Accounting", 1, **several)])
    command = ["benchmarks", "run", "mmmu", "--data", data, "--model", tiny_folder, "--output", tmp_path / "out"]
    code, out, told = trifacet(*command, "--limit", 1, "--max-new-tokens", 3, "--json", "-")
    assert code == 0, told
    found = json.loads(out)
    assert found["items"] == 1 and any("1 questions show several pictures" in note for note in found["notes"])
