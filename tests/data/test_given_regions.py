"""Regions in the data: boxes, masks, polygons, run lengths; each mistake is told with its field."""

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from trifacet.base.errors import DataError
from trifacet.data.given_regions import given_regions, polygon_mask, run_length_mask

SIZE = (40, 30)  # width, height


def masks(value, tmp_path, size=SIZE):
    return given_regions(value, size, tmp_path, max_pixels=10_000)


def saved(tmp_path, mask, name="mask.png", mode=None):
    picture = Image.fromarray(mask)
    (picture.convert(mode) if mode else picture).save(tmp_path / name)
    return name


def drawn(rng, size=SIZE):
    mask = np.zeros(size[::-1], np.uint8)
    for _ in range(3):
        left, upper = rng.integers(size[0] - 3), rng.integers(size[1] - 3)
        mask[upper : upper + rng.integers(1, 20), left : left + rng.integers(1, 20)] = 1
    return mask


def test_a_box_holds_the_pixels_that_it_touches_and_is_cut_at_the_edge(tmp_path):
    (whole,) = masks([{"word": "dog", "box": [2, 3, 10.5, 8]}], tmp_path)
    assert whole.word == "dog"
    assert whole.mask.sum() == 9 * 5
    assert whole.mask[3:8, 2:11].all()
    (cut,) = masks([{"box": [-5, -5, 4, 1e5]}], tmp_path)
    assert cut.mask.sum() == 4 * 30
    (coco_box,) = masks([{"bbox": [2, 3, 8.5, 5]}], tmp_path)
    assert np.array_equal(coco_box.mask, whole.mask)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_png_is_inside_where_it_is_not_zero(tmp_path, mode):
    there = drawn(np.random.default_rng(1)).astype(bool)
    name = saved(tmp_path, there.astype(np.uint8) * 255, mode=mode)
    (found,) = masks([{"mask": name}], tmp_path)
    assert np.array_equal(found.mask, there)


def test_a_png_of_numbers_counts_each_but_zero(tmp_path):
    numbers = np.arange(40 * 30).reshape(30, 40).astype(np.uint8)
    (found,) = masks([{"mask": saved(tmp_path, numbers)}], tmp_path)
    assert np.array_equal(found.mask, numbers > 0)


@pytest.mark.parametrize("seed", range(20))
def test_run_lengths_are_those_of_pycocotools_in_both_forms(seed):
    there = drawn(np.random.default_rng(seed))
    packed = coco.encode(np.asfortranarray(there))
    text = {"size": packed["size"], "counts": packed["counts"].decode()}
    runs = np.flatnonzero(np.diff(np.concatenate(([0], there.T.reshape(-1)))) != 0)
    numbers = {"size": packed["size"], "counts": np.diff([0, *runs.tolist(), there.size]).tolist()}
    assert np.array_equal(run_length_mask(text, SIZE, "f"), there)
    assert np.array_equal(run_length_mask(numbers, SIZE, "f"), there)


@pytest.mark.parametrize("seed", range(20))
def test_polygons_differ_from_those_of_pycocotools_by_a_pixel_at_the_edge_only(seed):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    points = np.stack([20 + 17 * np.cos(angles), 15 + 12 * np.sin(angles)], 1).round(2)
    polygon = points.reshape(-1).tolist()
    theirs = coco.decode(coco.merge(coco.frPyObjects([polygon], 30, 40))).astype(bool)
    ours = polygon_mask([polygon], SIZE, "f")
    outer, inner = (spread(theirs), ~spread(~theirs))
    assert not (ours & ~outer).any()
    assert not (inner & ~ours).any()
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.9


def spread(mask):
    padded = np.pad(mask, 1)
    shifts = [padded[1 + y : 31 + y, 1 + x : 41 + x] for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return np.logical_or.reduce(shifts)


@pytest.mark.parametrize(
    ("value", "field", "words"),
    [
        ("dog", "extra.regions", "is no list of objects"),
        ([1], "extra.regions", "is no list of objects"),
        ([{"word": "dog"}], "extra.regions[0]", "has none of box, mask, bbox, segmentation; give one"),
        ([{"box": [0, 0, 1, 1], "mask": "m.png"}], "extra.regions[0]", "has box and mask"),
        ([{"box": [0, 0, 9, 9]}, {"box": [1, 2, 3]}], "extra.regions[1].box", "not four numbers"),
        ([{"box": [1, 2, 3, True]}], "extra.regions[0].box", "not four numbers"),
        ([{"box": [0, 0, float("nan"), 3]}], "extra.regions[0].box", "not four numbers"),
        ([{"box": [9, 0, 3, 3]}], "extra.regions[0].box", "has no area; write [left, upper, right, lower]"),
        ([{"box": [40, 0, 50, 9]}], "extra.regions[0].box", "lies outside the picture of 40 x 30 pixels"),
        ([{"word": 3, "box": [0, 0, 1, 1]}], "extra.regions[0].word", "is int, not a text"),
        ([{"bbox": [0, 0, 0, 3]}], "extra.regions[0].bbox", "has no area; write [x, y, width, height]"),
        ([{"bbox": [0, 31, 2, 3]}], "extra.regions[0].bbox", "lies outside"),
        ([{"segmentation": [[0, 0, 1, 1]]}], "extra.regions[0].segmentation", "no polygon of three points"),
        ([{"segmentation": [[0, 0, 1, 1, 1]]}], "extra.regions[0].segmentation", "no polygon of three points"),
        ([{"segmentation": [[0, 0, 1e300, 1, 1, 5]]}], "extra.regions[0].segmentation", "no polygon"),
        ([{"segmentation": [[60, 50, 70, 50, 70, 60]]}], "extra.regions[0].segmentation", "lies outside"),
        ([{"segmentation": {"size": [40, 30], "counts": [1200]}}], "extra.regions[0].segmentation", "[40, 30] (height"),
        ([{"segmentation": {"size": [30, 40], "counts": [10**9]}}], "extra.regions[0].segmentation", "1200 pixels"),
        ([{"segmentation": {"size": [30, 40], "counts": [-1, 1201]}}], "extra.regions[0].segmentation", "run lengths"),
        ([{"segmentation": {"size": [30, 40], "counts": "~~~"}}], "extra.regions[0].segmentation", "run lengths"),
        ([{"segmentation": {"size": [30, 40], "counts": "o" * 99}}], "extra.regions[0].segmentation", "run lengths"),
        ([{"mask": ""}], "extra.regions[0].mask", "is no path"),
        ([{"mask": "../mask.png"}], "extra.regions[0].mask", "outside the data root"),
        ([{"mask": "none.png"}], "extra.regions[0].mask", "no image file"),
        ([{"box": [0, 0, 1, 1]}] * 1001, "extra.regions", "1001 regions, more than 1000"),
    ],
)
def test_mistakes_are_told_with_their_field(tmp_path, value, field, words):
    with pytest.raises(DataError) as caught:
        masks(value, tmp_path)
    assert caught.value.field == field
    assert words in str(caught.value)
    assert caught.value.fix


def test_masks_of_another_size_kind_or_cost(tmp_path):
    def told(name):
        with pytest.raises(DataError) as caught:
            masks([{"mask": name}], tmp_path)
        assert caught.value.field == "extra.regions[0].mask"
        return str(caught.value)

    other = saved(tmp_path, np.ones((40, 30), np.uint8))
    assert "mask 'mask.png' of 30 x 40 pixels, but the picture has 40 x 30" in told(other)
    bomb = tmp_path / "bomb.png"
    Image.new("1", (14_000, 14_000)).save(bomb)
    Image.new("1", (200, 200)).save(tmp_path / "large.png")
    assert "200 x 200 pixels, more than the limit of 10000" in told("large.png")
    assert "bomb.png' is too large" in told("bomb.png")
    Image.new("RGBA", SIZE).save(tmp_path / "clear.png")
    assert "is PNG of mode RGBA; save it as PNG of 1 or 8 bits" in told("clear.png")
    Image.new("L", SIZE).save(tmp_path / "mask.jpg")
    assert "is JPEG of mode L" in told("mask.jpg")
    (tmp_path / "text.png").write_text("dog")
    assert "not an image" in told("text.png")


def test_an_empty_mask_is_handed_on_as_empty(tmp_path):
    (found,) = masks([{"mask": saved(tmp_path, np.zeros((30, 40), np.uint8))}], tmp_path)
    assert not found.mask.any()
