"""A check finds everything, names it by row and field, and never stumbles over a file itself."""

import json
from collections import Counter

import pytest
from PIL import Image

from trifacet.base.errors import DataError
from trifacet.data.checking import check_file


def picture(path, colour="red", size=(64, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def folder(tmp_path):
    for index, colour in enumerate(["red", "green", "blue"]):
        picture(tmp_path / f"{index}.png", colour)
    return tmp_path


def rows_file(folder, rows, name="d.jsonl"):
    path = folder / name
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


def pair(index, **values):
    base = {"id": f"p{index}", "image": f"{index}.png", "context": f"Post {index}", "response": f"Cat {index}"}
    return base | {"rejected_responses": [f"Dog {index}"]} | values


def found(report):
    return {(one.severity, one.row, one.field, one.cause) for one in report.findings}


def test_good_data_have_no_findings(folder):
    report = check_file(rows_file(folder, [pair(0), pair(1), pair(2)]), "preference")
    assert report.findings == []
    assert report.count_images("mode") == {"RGB": 3}
    assert report.count_images("format") == {"PNG": 3}
    assert (report.sizes()["width"].min, report.sizes()["height"].max) == (64, 48)
    assert report.words()["context"].median == 2


def test_all_problems_are_found_not_only_the_first(folder):
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:60])
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    (folder / "link.png").symlink_to("/etc/hostname")
    picture(folder / "long.png", size=(640, 64))
    picture(folder / "dot.png", size=(5, 5))
    rows = [
        pair(0),
        '{"id": broken}\n',
        pair(1, id="p0"),
        pair(1, id="", response=" "),
        pair(1, id="a", image="cut.png"),
        pair(1, id="b", image="moving.gif"),
        pair(1, id="c", image="../d.png"),
        pair(1, id="d", image="link.png"),
        pair(1, id="e", image="none.png"),
        pair(1, id="f", image="long.png"),
        pair(1, id="g", image="dot.png"),
        pair(1, id="h", rejected_responses=["Cat 1"]),
        pair(1, id="i", rejected_responses=["cat  1"]),
        pair(1, id="j", rejected_contexts=["Post 1"]),
        pair(1, id="k", rejected_images=["1.png"]),
        pair(1, id="l", rejected_responses=[]),
        pair(1, id="m", context=""),
    ]
    report = check_file(rows_file(folder, rows), "preference")
    causes = {(row, field): cause for _, row, field, cause in found(report) if field}
    assert "broken JSON at line 2" in next(one.cause for one in report.findings if one.row == 2)
    for key, part in {
        (3, "id"): "id 'p0' is already that of row 1",
        (4, "id"): "is empty",
        (4, "response"): "is empty",
        (5, "image"): "truncated",
        (6, "image"): "is animated (more than one frame)",
        (7, "image"): "outside the data root",
        (8, "image"): "outside the data root",
        (9, "image"): "no image file",
        (10, "image"): "extreme aspect ratio (640 x 64 pixels)",
        (11, "image"): "very small (5 x 5 pixels)",
        (12, "rejected_responses"): "equals the chosen one",
        (13, "rejected_responses"): "case or spaces only",
        (14, "rejected_contexts"): "equals the chosen one",
        (15, "rejected_images"): "equals the chosen one",
        (16, "rejected_responses"): "no rejected response",
        (17, "context"): "post is empty",
    }.items():
        assert part in causes[key], key
    severity = Counter(one.severity for one in report.findings)
    assert severity["note"] == 1
    assert report.count("error") == severity["error"] >= 12
    assert all(one.cure and "\n" not in one.line for one in report.findings)
    order = ["error", "warning", "note"]
    assert [one.severity for one in report.findings] == sorted((o.severity for o in report.findings), key=order.index)


def test_posts_with_several_images_and_without(folder):
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:60])
    rows = [
        pair(0, more_images=["1.png", "2.png"]),
        pair(1, more_images=["none.png"]),
        pair(2, image=None),
        pair(0, id="order", more_images=["2.png", "1.png"]),
        pair(0, id="twice", more_images=["1.png", "1.png"]),
        pair(0, id="again", more_images=["1.png", "2.png"]),
        pair(0, id="alone", image=None, more_images=["1.png"]),
        pair(0, id="against nothing", image=None, rejected_images=["1.png"]),
        pair(1, id="cut", more_images=["2.png", "cut.png"]),
    ]
    report = check_file(rows_file(folder, rows), "preference", "trifacet")
    causes = {(severity, row, field): cause for severity, row, field, cause in found(report)}
    assert "no image file 'none.png'" in causes.pop(("error", 2, "more_images"))
    assert "truncated" in causes.pop(("error", 9, "more_images"))
    assert causes == {
        ("note", 3, "image"): "no image",
        ("warning", 5, "more_images"): "the same picture twice in one post",
        ("warning", 6, None): "same image, context and response as row 1",
        ("error", 7, "more_images"): "stands without 'image'",
        ("error", 8, "rejected_images"): "stands without 'image'",
    }
    told = report.as_dict()["images"]
    assert (told["rows_without"], told["rows_with_several"], told["files"]) == (1, 6, 5)


def test_a_file_without_any_image_is_doubted(folder):
    row = {"prompt": "Describe.", "chosen": "Cat", "rejected": "Dog", "picture": "0.png"}  # trl's column is images
    report = check_file(rows_file(folder, [row]), "preference")
    doubt, lost = [one for one in report.findings if one.severity == "warning"]
    assert (doubt.row, doubt.cause) == (None, "no row has an image")
    assert "'images'" in doubt.cure
    assert lost.cause == "lost: the column 'picture', which no format reads: is it an image? (this row)"


def test_duplicates(folder):
    picture(folder / "again.png", "red")
    rows = [
        pair(0),
        pair(0, id="twin"),
        pair(1, image="again.png"),
        pair(2, rejected_images=["copy.png"]),
    ]
    picture(folder / "copy.png", "blue")
    report = check_file(rows_file(folder, rows), "preference")
    assert found(report) == {
        ("warning", 2, None, "same image, context and response as row 1"),
        ("note", 3, "image", "'again.png' has the same content as '0.png'"),
        ("error", 4, "rejected_images", "rejected image 'copy.png' has the content of the chosen one"),
    }


def test_problems_carry_the_names_of_the_file(folder):
    row = {"question": "Describe.\ncontext:\n", "image_path": "none.png", "chosen": "Cat", "rejected": "Cat"}
    report = check_file(rows_file(folder, [row], "d.json"), "preference")
    assert {(one.severity, one.field) for one in report.findings} == {
        ("error", "rejected"),
        ("error", "image_path"),
        ("note", "question"),
    }


def test_test_samples_want_a_reference(folder):
    report = check_file(rows_file(folder, [{"id": "t", "image": "0.png", "context": "Post"}]), "test")
    assert [(one.severity, one.field) for one in report.findings] == [("warning", "references")]


def test_image_root_limits_and_processes(folder):
    picture(folder / "sub" / "9.png")
    path = rows_file(folder, [pair(9)])
    assert check_file(path, "preference").count("error") == 1
    assert check_file(path, "preference", images=folder / "sub").count("error") == 0
    limited = check_file(path, "preference", images=folder / "sub", max_pixels=100, workers=2)
    assert "more than the limit of 100" in limited.findings[0].cause


def test_a_file_of_nothing(folder):
    report = check_file(rows_file(folder, []), "sft", "trifacet")
    assert [(one.severity, one.cause) for one in report.findings] == [("error", "has no rows")]
    with pytest.raises(DataError, match="no such file"):
        check_file(folder / "none.jsonl", "sft")
    broken = check_file(rows_file(folder, ["[1, 2"], "d.json"), "sft", "trifacet")
    assert "broken JSON at line 1" in broken.findings[0].cause


def test_names_no_file_can_have(folder):
    report = check_file(rows_file(folder, [pair(0, image="a\x00b.png"), pair(1, image="x" * 5000)]), "preference")
    assert [one.row for one in report.findings if one.severity == "error"] == [1, 2]
