"""Regions that the data themselves give: boxes, PNG masks, COCO's polygons and run lengths, as masks over the picture.

Invariant: a mask that leaves here has the picture's own size; nothing larger than the picture is decoded for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trifacet.base.embedded import plain_name
from trifacet.base.errors import DataError
from trifacet.base.images import image_facts, load_image, resolve_inside
from trifacet.preferences.rejected.masks import Corners, Mask, box_mask

COLUMN = "regions"  # of ``extra``
FIELD = f"extra.{COLUMN}"
MOST_REGIONS = 1_000  # of a picture
MOST_POINTS = 100_000  # of its polygons
_FARTHEST = 1_000_000  # pixels from the corner of a picture
_GEOMETRIES = ("box", "mask", "bbox", "segmentation")
_PLAIN_MODES = ("1", "L", "P", "RGB")


class GivenRegion(NamedTuple):
    """A region of the data: the word that names it (may be blank), its mask, which may be empty, and its box."""

    word: str
    mask: Mask
    box: Corners | None = None


def given_regions(
    value: Any, size: tuple[int, int], images: Path, *, max_pixels: int, field: str = FIELD
) -> list[GivenRegion]:
    """The regions that a row lists under ``extra.regions``.

    Each is an object with one of: ``box`` [left, upper, right, lower] in pixels; ``mask``, the path of a PNG of the
    picture's size, non-zero inside; or as in COCO ``segmentation`` (polygons, or run lengths of either form) or
    ``bbox`` [x, y, width, height]. ``word`` names it. Boxes and polygons are cut at the picture's edge.

    Args:
        value: the list.
        size: width and height of the upright picture.
        images: the folder that the paths of masks are relative to.
        max_pixels: largest mask.
        field: for messages.

    Raises:
        DataError: what cannot be read, is of another size, or lies outside the picture, with its field.
    """
    return [
        given_region(one, size, images, max_pixels=max_pixels, field=f"{field}[{number}]")
        for number, one in enumerate(listed_regions(value, field))
    ]


def given_region(
    one: Mapping[str, Any], size: tuple[int, int], images: Path, *, max_pixels: int, field: str
) -> GivenRegion:
    """One of them, as ``listed_regions`` lets through. Raises as ``given_regions``."""
    word = region_word(one, field)
    if one.get("mask") is not None:
        return GivenRegion(word, _png_mask(one["mask"], size, images, max_pixels, f"{field}.mask"))
    if one.get("box") is not None:
        box = corners_of(one["box"], f"{field}.box")
        return GivenRegion(word, _inside(box_mask(size, box), size, f"{field}.box"), box)
    return GivenRegion(word, *coco_region(one, size, field))


def listed_regions(value: Any, field: str = FIELD) -> Sequence[Mapping[str, Any]]:
    """The objects of the list, each with one way to say where it is. Raises DataError."""
    if value is None:
        return ()
    if not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
        raise DataError(
            "is no list of objects",
            fix='write [{"word": "dog", "box": [left, upper, right, lower]}]',
            field=field,
        )
    if len(value) > MOST_REGIONS:
        raise DataError(f"has {len(value)} regions, more than {MOST_REGIONS}", fix="leave some out", field=field)
    for number, one in enumerate(value):
        ways = [name for name in _GEOMETRIES if one.get(name) is not None]
        if len(ways) != 1 and ways != ["bbox", "segmentation"]:
            found = " and ".join(ways) if ways else f"none of {', '.join(_GEOMETRIES)}"
            raise DataError(f"has {found}", fix="give one of box, mask, bbox, segmentation", field=f"{field}[{number}]")
    return value


def region_word(one: Mapping[str, Any], field: str) -> str:
    """The word that names a region, blank where none does. Raises DataError for what is no text."""
    word = one.get("word")
    if not (word is None or isinstance(word, str)):
        raise DataError(f"is {type(word).__name__}, not a text", fix="give the word as text", field=f"{field}.word")
    return (word or "").strip()


def mask_files(value: Any, field: str = FIELD) -> list[str]:
    """The paths of the PNG masks that the list names. Raises DataError as ``given_regions`` does for their form."""
    return [
        _path(one["mask"], f"{field}[{number}].mask")
        for number, one in enumerate(listed_regions(value, field))
        if one.get("mask") is not None
    ]


def corners_of(value: Any, field: str) -> Corners:
    """Four numbers as left, upper, right, lower. Raises DataError."""
    left, upper, right, lower = _four(value, field)
    if not (left < right and upper < lower):
        raise DataError(
            f"{list(map(_short, (left, upper, right, lower)))} has no area",
            fix="write [left, upper, right, lower] with left < right and upper < lower",
            field=field,
        )
    return left, upper, right, lower


def coco_region(one: Mapping[str, Any], size: tuple[int, int], field: str) -> tuple[Mask, Corners | None]:
    """Mask and box of an annotation as COCO has them: its segmentation where it has one, else its box.

    Raises:
        DataError: what is of another size, lies outside the picture or is no such thing.
    """
    box = None
    if (given := one.get("bbox")) is not None:
        x, y, width, height = _four(given, f"{field}.bbox")
        if not (width > 0 and height > 0):
            raise DataError("has no area", fix="write [x, y, width, height] in pixels", field=f"{field}.bbox")
        box = (x, y, x + width, y + height)
    segmentation = one.get("segmentation")
    if isinstance(segmentation, dict):
        return run_length_mask(segmentation, size, f"{field}.segmentation"), box
    if segmentation:
        mask = polygon_mask(segmentation, size, f"{field}.segmentation")
        return _inside(mask, size, f"{field}.segmentation"), box
    if box is None:
        raise DataError("has neither bbox nor segmentation", fix="give one of them", field=field)
    return _inside(box_mask(size, box), size, f"{field}.bbox"), box


def polygon_mask(value: Any, size: tuple[int, int], field: str) -> Mask:
    """The pixels whose middle any of COCO's polygons [x1, y1, x2, y2, ...] holds, by the even-odd rule.

    Pillow's own polygons take the pixels around the edges in as well. Raises DataError for what is no polygon.
    """
    fix = "write a list of [x1, y1, x2, y2, x3, y3, ...] in pixels"
    if not isinstance(value, list) or sum(len(one) for one in value if isinstance(one, list)) > 2 * MOST_POINTS:
        raise DataError(f"is no list of polygons of at most {MOST_POINTS} points", fix=fix, field=field)
    mask = np.zeros(size[::-1], np.bool_)
    for one in value:
        if not (isinstance(one, list) and len(one) >= 6 and len(one) % 2 == 0 and all(map(_is_number, one))):
            raise DataError("holds what is no polygon of three points or more", fix=fix, field=field)
        mask |= _within(np.asarray(one, np.float64).reshape(-1, 2), size)
    return mask


def _within(corners: NDArray[np.float64], size: tuple[int, int]) -> Mask:
    """Along each row every edge that is crossed turns outside into inside, or back."""
    width, height = size
    turns = np.zeros((height, width + 1), np.int32)
    for (x, y), (to_x, to_y) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        first, last = (math.ceil(end - 0.5) for end in sorted((y, to_y)))
        rows = np.arange(max(first, 0), min(last, height))
        crossed = x + (rows + 0.5 - y) * ((to_x - x) / (to_y - y)) if len(rows) else rows
        turns[rows, np.clip(np.ceil(crossed - 0.5), 0, width).astype(np.int64)] += 1
    inside: Mask = np.cumsum(turns, axis=1)[:, :width] % 2 == 1
    return inside


def run_length_mask(value: Mapping[str, Any], size: tuple[int, int], field: str) -> Mask:
    """The mask of COCO's run lengths, {"size": [height, width], "counts": numbers, or these as a text}.

    Runs go down the columns and begin with what is outside. Raises DataError for what is none, or of another size.
    """
    width, height = size
    if value.get("size") != [height, width]:
        raise _another_size(f"run lengths of size {_short(value.get('size'))} (height, width)", size, field)
    counts = value.get("counts")
    runs: Any = _runs_of_text(counts, 2 * width * height + 2) if isinstance(counts, str) else counts
    whole = isinstance(runs, list) and all(type(run) is int and run >= 0 for run in runs)
    if not whole or sum(runs) != width * height:
        raise DataError(
            f"has counts that are no run lengths of {width * height} pixels",
            fix="write counts as COCO does: pixels outside, inside, outside ... down the columns",
            field=field,
        )
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(inside.reshape(width, height).T)


def _runs_of_text(text: str, most: int) -> list[int] | None:
    """The numbers of the text form: 5 bits a character from 48 on, each but the first two less the one two before."""
    runs: list[int] = []
    number = shift = 0
    for char in text:
        bits = ord(char) - 48
        if not 0 <= bits < 64 or len(runs) > most or shift > 60:
            return None
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                number -= 1 << shift
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = shift = 0
    return None if shift else runs


def _png_mask(name: Any, size: tuple[int, int], images: Path, max_pixels: int, field: str) -> Mask:
    """The header first: a mask of another size is never decoded."""
    path = _path(name, field)
    try:
        called = plain_name(path)
        facts = image_facts(resolve_inside(images, path), called, max_pixels=max_pixels)
        if (facts.width, facts.height) != size:
            raise _another_size(f"mask {called!r} of {facts.width} x {facts.height} pixels", size, field)
        if facts.format != "PNG" or facts.mode not in _PLAIN_MODES:
            told = f"mask {called!r} is {facts.format} of mode {facts.mode}"
            raise DataError(told, fix="save it as PNG of 1 or 8 bits without transparency", field=field)
        return np.asarray(load_image(images, path, max_pixels=max_pixels)).max(axis=2) > 0
    except DataError as error:
        raise DataError(error.problem, fix=error.fix, field=field) from None


def _path(name: Any, field: str) -> str:
    if not (isinstance(name, str) and name.strip()):
        raise DataError("is no path", fix="name a PNG file below the data root", field=field)
    return name


def _inside(mask: Mask, size: tuple[int, int], field: str) -> Mask:
    if not mask.any():
        told = f"lies outside the picture of {size[0]} x {size[1]} pixels, or between two of them"
        raise DataError(told, fix="correct it", field=field)
    return mask


def _another_size(what: str, size: tuple[int, int], field: str) -> DataError:
    return DataError(
        f"{what}, but the picture has {size[0]} x {size[1]} pixels",
        fix="give it the size of the picture, as it stands upright",
        field=field,
    )


def _four(value: Any, field: str) -> tuple[float, float, float, float]:
    if not (isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))):
        raise DataError(f"is {_short(value)}, not four numbers in pixels", fix="give four numbers", field=field)
    one, two, three, four = map(float, value)
    return one, two, three, four


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and abs(value) <= _FARTHEST


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
