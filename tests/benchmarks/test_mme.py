"""MME: how an answer is read, pairs, the two sums, and its folder."""

import numpy as np
import pytest
from PIL import Image

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered
from trifacet.benchmarks.checking import check_item_images
from trifacet.benchmarks.known import mme


def released(folder, pictures=2, **others):
    """The release with so many pictures a subtask; ``others``: the text of a subtask's file."""
    place = folder / mme.FOLDER
    place.mkdir(parents=True)
    for name in mme.SUBTASKS:
        lines = [
            f"{number:04}.jpg\tIs it {what} {number}? Please answer yes or no.\t{label}"
            for number in range(pictures)
            for what, label in (("a dog", "Yes"), ("a cat", "No"))
        ]
        (place / f"{name}.txt").write_text(others.get(name, "\n".join(lines) + "\n"))
    return folder


def outcome_of(folder, answers):
    """``answers``: by subtask the four texts, else all right."""
    items = mme.read(folder)
    left = {name: list(texts) for name, texts in answers.items()}
    said = [left[item.extra["category"]].pop(0) if item.extra["category"] in left else item.extra["label"].title()
            for item in items]  # fmt: skip
    return mme.score([Answered(*pair) for pair in zip(items, said, strict=True) if pair[1] is not None])


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("Yes", "yes"),
        ("no", "no"),
        ("YES, it is", "yes"),
        ("No.", "no"),
        (" Yes", "yes"),
        ("  Yes", "other"),  # the third letter is the fifth character
        ("Not sure", "no"),
        ("None", "no"),
        ("I know", "other"),
        ("Eyes", "yes"),
        ("The answer is yes", "other"),
        ("", "other"),
        ("是", "other"),
    ],
)
def test_what_is_read_off_an_answer(answer, read):
    assert mme.said(answer) == read


def test_all_right_is_all_there_is(tmp_path):
    outcome = outcome_of(released(tmp_path), {})
    values = {measure.name: measure.value for measure in outcome.measures}
    assert (values["perception"], values["cognition"], values["total"]) == (2000.0, 800.0, 2800.0)
    assert values["OCR/score"] == 200.0 and values["OCR/accuracy"] == values["OCR/accuracy_plus"] == 100.0
    assert outcome.notes == [] and not any(measure.unofficial for measure in outcome.measures)


def test_numbers(tmp_path):
    """Of count's four answers three are right, of its two pictures one has both; colour says nothing at all."""
    outcome = outcome_of(released(tmp_path), {"count": ["Yes", "No", "yes", "Yes"], "color": ["", "maybe", "?", "x"]})
    values = {measure.name: measure.value for measure in outcome.measures}
    assert (values["count/accuracy"], values["count/accuracy_plus"], values["count/score"]) == (75.0, 50.0, 125.0)
    assert values["color/score"] == 0.0
    assert values["perception"] == 2000 - 75 - 200 and values["cognition"] == 800
    assert outcome.counts["count/right"] == 3 and outcome.counts["count/both_right"] == 1
    assert outcome.counts["other"] == 4 and "neither yes nor no" in outcome.notes[0]
    assert outcome.of_items["count/0001.jpg/2"] == {"correct": 0.0}


def test_a_picture_is_drawn_with_both_questions_and_its_subtask(tmp_path):
    outcome = outcome_of(released(tmp_path), {"count": ["Yes", "No", "no", "Yes"]})
    total = next(measure for measure in outcome.measures if measure.name == "total")
    assert len(total.units) == 28 and "count/0001.jpg" in total.units
    weights = np.ones((2, 28))
    weights[1, total.units.index("count/0001.jpg")] = 0  # without the picture that is wrong
    assert total.resampled(weights).tolist() == [2700.0, 2800.0]


def test_half_a_picture_is_left_out(tmp_path):
    outcome = outcome_of(released(tmp_path), {"count": ["Yes", "No", "Yes", None]})
    values = {measure.name: measure.value for measure in outcome.measures}
    assert values["count/score"] == 200.0 and outcome.counts["count/pictures"] == 1
    assert any("1 pictures of which one question alone" in note for note in outcome.notes)


def test_a_sum_without_a_subtask_says_so(tmp_path):
    items = [item for item in mme.read(released(tmp_path)) if item.extra["category"] in ("existence", "count")]
    outcome = mme.score([Answered(item, item.extra["label"]) for item in items])
    found = {measure.name: measure for measure in outcome.measures}
    assert found["perception"].value == 400.0 and "without position, color" in found["perception"].unofficial
    assert "cognition" not in found


def test_pictures_lie_where_the_release_has_them(tmp_path):
    folder = released(tmp_path / "a")
    places = {item.image.rpartition("/")[0] for item in mme.read(folder)}
    assert places == {f"{name}/images" if name in mme.IN_IMAGES else name for name in mme.SUBTASKS}
    (folder / "artwork").mkdir()
    (folder / "count" / "images").mkdir(parents=True)
    places = {item.image.rpartition("/")[0] for item in mme.read(folder)}
    assert {"artwork", "count/images", "scene/images", "position"} <= places


@pytest.mark.parametrize(
    ("text", "row", "field"),
    [
        ("a.jpg\tIs it?\tYes\na.jpg\tIs it not?", 2, None),
        ("a.jpg\tIs it?\tYes\tNo\na.jpg\tIs it not?\tNo", 1, None),
        ("a.jpg\tIs it?\tYes\nb.jpg\tIs it?\tNo", 2, "image"),
        ("a.jpg\tIs it?\tYes\na.jpg\tOr not?\tNo\na.jpg\tIs it red?\tYes\na.jpg\tOr not?\tNo", 3, "image"),
        ("a.jpg\tIs it?\tPerhaps\na.jpg\tOr not?\tNo", 1, "answer"),
        ("a.jpg\t \tYes\na.jpg\tOr not?\tNo", 1, "question"),
        ("a.jpg\tIs it?\tYes", None, None),
        ("", None, None),
    ],
)
def test_bad_lines_are_named(tmp_path, text, row, field):
    with pytest.raises(DataError) as caught:
        mme.read(released(tmp_path, landmark=text))
    assert (caught.value.file.name, caught.value.row, caught.value.field) == ("landmark.txt", row, field)


def test_a_missing_file_and_pictures_outside(trifacet, tmp_path):
    outside = "../../../a.jpg"
    folder = released(tmp_path / "a", landmark=f"{outside}\tIs it?\tYes\n{outside}\tOr not?\tNo\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    landmark = [item for item in mme.read(folder) if item.extra["category"] == "landmark"]
    assert check_item_images(landmark, folder).missing == [f"landmark/images/{outside}"]
    (folder / mme.FOLDER / "scene.txt").unlink()
    code, out, _ = trifacet("benchmarks", "check", "mme", "--data", folder)
    assert code == 1 and "scene.txt" in out
    with pytest.raises(DataError, match="no such file"):
        mme.read(folder)
