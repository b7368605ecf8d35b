"""``trifacet regions``: regions for use, a page, totals; locator ``given`` with rows, masks and COCO files."""

import json

import numpy as np
import pytest
import yaml
from axe import assert_accessible, in_light_and_dark
from hostile_pages import HOSTILE, only_our_markup
from PIL import Image

from trifacet.regions.store import LINES, read_located


@pytest.fixture
def data(tmp_path):
    """Pairs with a box, a mask, an empty mask, a mask of everything, none, and no picture."""
    rng = np.random.default_rng(7)
    for name in "abcde":
        Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).save(tmp_path / f"{name}.png")
    for name, value in (("empty", 0), ("full", 255)):
        Image.new("L", (40, 30), value).save(tmp_path / f"{name}.png")
    mask = np.zeros((30, 40), np.uint8)
    mask[5:10, 20:30] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    regions = {
        "a": [{"word": "dog", "box": [1, 2, 11, 12]}, {"word": "sofa", "box": [20, 2, 90, 12]}],
        "b": [{"mask": "mask.png"}],
        "c": [{"word": "dog", "mask": "empty.png"}],
        "d": [{"mask": "full.png"}],
        "e": None,
        "f": [{"box": [0, 0, 1, 1]}],
    }
    rows = [
        {"id": name, "image": None if name == "f" else f"{name}.png", "response": "Two dogs on a sofa.",
         "rejected_responses": ["A cat."], "extra": {"regions": given}}
        for name, given in regions.items()
    ]  # fmt: skip
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def kept(folder):
    return {one.id: one for one in read_located(folder)}


def test_totals_page_and_lines(data, trifacet):
    code, printed, said = trifacet("regions", data / "pairs.jsonl", "--output", data / "r", "--json", "-")
    assert code == 0, said
    told = json.loads(printed)
    assert told["samples"] == 6
    assert told["located"] == 2
    assert told["global noise"] == {"no picture": 1, "nothing found": 2, "whole picture": 1}
    lines = kept(data / "r")
    assert lines["a"].area == pytest.approx((100 + 200) / 1200)
    assert lines["b"].area == pytest.approx(50 / 1200)
    assert told["mean area"] == pytest.approx((lines["a"].area + lines["b"].area) / 2, abs=1e-6)
    assert [(word.text, word.spans) for word in lines["a"].words] == [("dog", ((4, 8),)), ("sofa", ((14, 18),))]
    assert lines["c"].missing == ("dog",)
    page = (data / "r" / "regions.html").read_text()
    only_our_markup(page, "regions.html.jinja")
    assert page.count("<img ") == 5
    for text in ("Nothing found", "Whole picture", "No picture", "<strong>not found</strong>", "25.0 % of the picture"):
        assert text in page
    code, printed, said = trifacet("regions", data / "pairs.jsonl", "--output", data / "r")
    assert code == 0
    assert "0 of 6 located now" in said
    assert "global" not in printed
    assert "nothing found" in printed


def test_more_workers_leave_the_same_bytes(data, trifacet):
    for name, workers in (("one", 1), ("two", 2)):
        assert trifacet("regions", data / "pairs.jsonl", "--output", data / name, "--workers", workers)[0] == 0
    assert (data / "one" / LINES).read_bytes() == (data / "two" / LINES).read_bytes()


def test_coco_annotations(data, trifacet):
    segmentation = {"size": [30, 40], "counts": [0, 30, 1170]}
    coco = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "train/b.png"}, {"id": 3, "file_name": "z"}],
        "categories": [{"id": 7, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 2, "category_id": 7, "bbox": [0, 0, 1, 30], "segmentation": segmentation},
            {"id": 2, "image_id": 2, "category_id": 8, "bbox": [10, 0, 4, 5], "segmentation": []},
            {"id": 3, "image_id": 3, "category_id": 7, "bbox": ["bad"]},
            {"id": 4, "image_id": 2, "segmentation": [[20, 10, 30, 10, 30, 20, 20, 20]]},
        ],
    }
    file = data / "instances.json"
    file.write_text(json.dumps(coco))
    out = ("regions", data / "pairs.jsonl", "--output", data / "r", "--set", "annotations=instances.json")
    code, _, said = trifacet(*out)
    assert code == 0, said
    (dog, *others) = kept(data / "r")["b"].regions
    assert (dog.word, dog.area) == ("dog", 30 / 1200)
    assert [one.word for one in others] == ["", "", ""]
    assert kept(data / "r")["b"].area == pytest.approx((30 + 20 + 100 + 50) / 1200)
    coco["annotations"][1]["bbox"] = [100, 0, 4, 5]
    file.write_text(json.dumps(coco))
    code, _, said = trifacet(*out)
    assert code == 2
    assert "row 2: sample 'b' is not the one whose regions" in said
    assert "annotations" in said
    code, _, said = trifacet(*out, "--overwrite")
    assert code == 2
    assert "instances.json, row 2, field 'annotations.bbox': " in said
    assert "lies outside the picture of 40 x 30" in said
    for broken, told in (({}, "field 'images': is no list"), ({"images": [{}], "annotations": []}, "lacks id or file")):
        file.write_text(json.dumps(broken))
        code, _, said = trifacet(*out, "--overwrite")
        assert code == 2
        assert told in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none.jsonl"], "no such file"),
        (["pairs.jsonl", "--set", "annotation=x"], "--set: unknown key 'annotation'; did you mean 'annotations'?"),
        (["pairs.jsonl", "--set", "annotations=none.json"], "none.json: no such file"),
        (["pairs.jsonl", "--set", "largest=2"], "--set: largest: Input should be less than or equal to 1"),
        (["recipe.yaml", "--images", "x"], "--images is for a data file; of a recipe it is a key: --set data.images=x"),
    ],
)
def test_what_is_wrong_is_one_line_and_2(data, trifacet, monkeypatch, arguments, told):
    monkeypatch.chdir(data)
    code, printed, said = trifacet("regions", *arguments)
    assert code == 2
    assert told in said
    assert not printed


def test_a_bad_region_ends_it_with_row_and_field_or_is_skipped_and_told(data, trifacet):
    text = (data / "pairs.jsonl").read_text()
    (data / "pairs.jsonl").write_text(text.replace("[1, 2, 11, 12]", "[41, 2, 51, 12]"))
    code, _, said = trifacet("regions", data / "pairs.jsonl", "--output", data / "r")
    assert code == 2
    assert "pairs.jsonl, row 1, field 'extra.regions[0].box': sample 'a': lies outside the picture" in said
    code, printed, said = trifacet(
        "regions", data / "pairs.jsonl", "--output", data / "r", "--on-bad-row", "skip", "--json", "-"
    )
    assert code == 0, said
    assert json.loads(printed)["global noise"]["unusable"] == 1
    assert "lies outside the picture" in (data / "r" / "regions.html").read_text()


def test_a_folder_of_something_else_is_left_alone(data, trifacet):
    code, _, said = trifacet("regions", data / "pairs.jsonl", "--output", data, "--overwrite")
    assert code == 2
    assert "is not empty and holds no regions.json" in said
    assert (data / "a.png").exists()


def test_of_a_recipe_the_preference_samples_are_taken(data, trifacet, monkeypatch):
    monkeypatch.chdir(data)
    recipe = {
        "name": "n", "output": "run", "model": {"path": "m"}, "data": {"preference": "pairs.jsonl"},
        "regions": {"largest": 0.2}, "align": {"dpo": {"objective": "dpo"}},
    }  # fmt: skip
    (data / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    code, printed, said = trifacet("regions", "recipe.yaml", "--limit", 2, "--json", "-")
    assert code == 0, said
    assert json.loads(printed)["global noise"] == {"whole picture": 1}
    assert list(kept(data / "regions")) == ["a", "b"]
    code, _, said = trifacet("regions", "recipe.yaml", "--set", "regions.largest=1")
    assert code == 2
    assert "largest 0.2 there, 1.0 now" in said


@pytest.fixture
def hostile(tmp_path):
    Image.new("RGB", (300, 200), "teal").save(tmp_path / "a.png")
    regions = [{"word": HOSTILE, "box": [5, 5, 90, 90]}, {"word": "cat", "box": [5, 5, 90, 90]}]
    rows = [
        {"id": HOSTILE, "image": "a.png", "response": HOSTILE, "extra": {"regions": regions}},
        {"id": "bad", "image": HOSTILE, "response": "Cat"},
        {"id": "two", "image": "a.png", "response": "Cat", "extra": {"regions": [{"word": HOSTILE, "box": HOSTILE}]}},
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "pairs.jsonl"


def test_the_page_escapes_everything(hostile, trifacet):
    folder = hostile.parent / "r"
    code, printed, said = trifacet("regions", hostile, "--output", folder, "--on-bad-row", "skip")
    assert code == 0, said
    assert "\x1b" not in printed + said
    page = (folder / "regions.html").read_text(encoding="utf-8")
    only_our_markup(page, "regions.html.jinja")
    assert "hostile-two" in page


@in_light_and_dark
def test_the_page_is_accessible_and_fits(data, trifacet, dark):
    trifacet("regions", data / "pairs.jsonl", "--output", data / "r")
    assert_accessible(data / "r" / "regions.html", dark=dark, rules=15)


def test_data_show_draws_the_regions_of_the_rows(data, trifacet):
    page = data / "gallery.html"
    assert trifacet("data", "show", data / "pairs.jsonl", "--output", page)[0] == 0
    text = page.read_text()
    only_our_markup(text, "gallery.html.jinja")
    assert "regions given by the data: 1 dog, 2 sofa" in text
    assert text.count("regions given by the data") == 4 * 1  # a, b, c, d; e gives none, f has no picture
    assert text.count("<img ") == 5 + 4


def test_data_show_shows_what_a_strategy_makes_of_the_regions(data, trifacet):
    page = data / "gallery.html"
    show = ("data", "show", data / "pairs.jsonl", "--output", page, "--strategy", "region-black")
    assert trifacet(*show)[0] == 0
    own = page.read_text()
    only_our_markup(own, "gallery.html.jinja")
    assert own.count("nothing located, so all of it</bdi></figcaption>") == 3  # c, d, e
    assert trifacet("regions", data / "pairs.jsonl", "--output", data / "r")[0] == 0
    code, _, said = trifacet(*show, "--regions", data / "r")
    assert code == 0, said
    assert page.read_text() == own
    code, _, said = trifacet(*show, "--regions", data)
    assert code == 2
    assert "holds no located regions" in said


def test_keys_are_those_of_a_recipe_too_and_data_without_regions_are_warned_of(data, trifacet):
    rows = [json.loads(line) for line in (data / "pairs.jsonl").read_text().splitlines()]
    (data / "bare.jsonl").write_text("".join(json.dumps({**row, "extra": {}}) + "\n" for row in rows))
    said = {}
    for name in ("pairs", "bare"):
        options = ("--set", "regions.largest=0.9", "--output", data / name)
        code, _, said[name] = trifacet("regions", data / f"{name}.jsonl", *options)
        assert code == 0
        assert json.loads((data / name / "regions.json").read_text())["fingerprint"]["largest"] == 0.9
    assert "warning: no sample has a region" in said["bare"]
    assert "extra.regions" in said["bare"]
    assert "warning" not in said["pairs"]
    assert "key words" not in (data / "bare" / "regions.html").read_text()


def test_data_show_refuses_regions_of_other_responses_and_those_that_nothing_uses(data, trifacet):
    assert trifacet("regions", data / "pairs.jsonl", "--output", data / "r")[0] == 0
    other = (data / "pairs.jsonl").read_text().replace("Two dogs on a sofa.", "A dog.", 1)
    (data / "other.jsonl").write_text(other)
    options = ("--regions", data / "r", "--output", data / "page.html")
    code, _, said = trifacet("data", "show", data / "other.jsonl", "--strategy", "region-black", *options)
    assert code == 2
    assert "other.jsonl, row 1: sample 'a' is not the one whose regions" in said
    code, _, said = trifacet("data", "show", data / "pairs.jsonl", *options)
    assert code == 2
    assert "add --strategy" in said
    code, _, said = trifacet("data", "show", data / "pairs.jsonl", "--strategy", "region-blak", *options)
    assert code == 2
    assert "did you mean 'region-black'?" in said
    assert not (data / "page.html").exists()
    assert trifacet("data", "show", data / "pairs.jsonl", "--strategy", "region-black", *options)[0] == 0
    page = (data / "page.html").read_text()
    assert "Context" not in page
    assert "No sample has a context." in page
