"""``trifacet data check`` finds what is wrong with the regions of a file: row, field, cause and cure."""

import json

import numpy as np
import pytest
from PIL import Image

from trifacet.data.checking import check_file


@pytest.fixture
def file(tmp_path):
    def write(*regions, image="a.png"):
        rows = [
            {"id": f"s{n}", "image": image, "response": f"Dog {n}", "rejected_responses": ["Cat"],
             "extra": {"regions": value}}
            for n, value in enumerate(regions)
        ]  # fmt: skip
        path = tmp_path / "pairs.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    Image.new("RGB", (40, 30), "teal").save(tmp_path / "a.png")
    return write


def found(path, severity="error"):
    report = check_file(path, "preference")
    told = [one for one in report.findings if one.severity == severity and "very small" not in one.cause]
    return [(one.row, one.field, one.cause) for one in told]


def test_good_regions_are_no_finding(file):
    path = file([{"word": "dog", "box": [1, 2, 9, 9]}], None, [])
    assert found(path) == []
    assert found(path, "warning") == []


def test_every_bad_region_is_told_with_row_and_field(file, tmp_path):
    Image.new("L", (30, 40), 255).save(tmp_path / "turned.png")
    path = file("dog", [{"box": [0, 0, 5, 5]}, {"box": [50, 0, 60, 9]}, {"mask": "turned.png"}], [{"mask": "/x.png"}])
    told = found(path)
    assert [(row, field) for row, field, _ in told] == [
        (1, "extra.regions"), (2, "extra.regions[1].box"), (2, "extra.regions[2].mask"), (3, "extra.regions[0].mask")
    ]  # fmt: skip
    assert "lies outside the picture of 40 x 30" in told[1][2]
    assert "mask 'turned.png' of 30 x 40 pixels, but the picture has 40 x 30" in told[2][2]
    assert "outside the data root" in told[3][2]


def test_what_comes_to_nothing_is_a_warning(file, tmp_path):
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(tmp_path / "empty.png")
    warned = found(file([{"mask": "empty.png"}], [{"box": [0, 0, 40, 30]}]), "warning")
    assert [(row, field, cause.split(",")[0].split(":")[0]) for row, field, cause in warned] == [
        (1, "extra.regions[0]", "holds no pixel"), (2, "extra.regions[0]", "holds the whole picture")
    ]  # fmt: skip
    without = found(file([{"box": [0, 0, 9, 9]}], image=None), "warning")
    assert (1, "extra.regions", "stands without a picture") in without


def test_a_picture_that_cannot_be_read_is_told_once(file):
    path = file([{"box": [50, 0, 60, 9]}], image="none.png")
    assert [(row, field) for row, field, _ in found(path)] == [(1, "image")]


def test_in_formats_of_others_regions_are_no_field_that_is_not_used(tmp_path, file):
    file([])
    row = {"prompt": [{"role": "user", "content": "<image>Describe."}], "images": ["a.png"], "regions": [],
           "chosen": [{"role": "assistant", "content": "Dog"}],
           "rejected": [{"role": "assistant", "content": "Cat"}]}  # fmt: skip
    (tmp_path / "trl.jsonl").write_text(json.dumps(row) + "\n")
    report = check_file(tmp_path / "trl.jsonl", "preference")
    assert report.format == "trl"
    assert not [one for one in report.findings if "not used" in one.cause]
    (tmp_path / "trl.jsonl").write_text(json.dumps(row | {"regions": [{"box": [1]}], "more": 1}) + "\n")
    report = check_file(tmp_path / "trl.jsonl", "preference")
    assert [one.field for one in report.findings if one.severity == "error"] == ["extra.regions[0].box"]
    assert [one for one in report.findings if "'more' (1)" in one.cause]
