"""The locator ``given``: the regions are in the data, in each row or in a file of COCO annotations. No model.

Invariant: what counts for a sample is what its row, its masks' files and the annotations of its picture say.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trifacet.base.digests import file_digest, json_digest
from trifacet.base.errors import DataError, of_sample
from trifacet.base.images import load_image, resolve_inside
from trifacet.base.json_text import read_json
from trifacet.data.given_regions import (
    COLUMN,
    FIELD,
    GivenRegion,
    coco_region,
    given_regions,
    listed_regions,
    mask_files,
    region_word,
)
from trifacet.data.records import PreferenceSample
from trifacet.data.rows import MAX_ARRAY
from trifacet.preferences.rejected.masks import Mask, union
from trifacet.regions.looking import KeyWord, Look, Region

_WORDS = re.compile(r"\w+")


class Given:
    """Boxes and masks of the data.

    A region counts for a key word where one of the two names holds the other, word for word and whether plural or
    not; one without a name counts always. Nothing is scored: each region has 1.

    Args:
        images: the folder that the paths of pictures and masks are relative to.
        max_pixels: largest mask.
        annotations: a COCO file (None: rows only).

    Raises:
        DataError: the file cannot be read, or is none of COCO's.
    """

    name = "given"

    def __init__(self, images: Path, *, max_pixels: int, annotations: Path | None = None) -> None:
        self.images, self.max_pixels = images, max_pixels
        self.annotations = Annotations(annotations) if annotations else None

    def fingerprint(self) -> dict[str, Any]:
        """What the data give is each sample's own: ``sees``."""
        return {"name": self.name, "definition": 1}

    def sees(self, sample: PreferenceSample) -> dict[str, str]:
        """Digests of what the data give for a sample, the files of masks included. Raises DataError."""
        rows = sample.extra.get(COLUMN)
        try:
            digests = [file_digest(resolve_inside(self.images, name)) for name in mask_files(rows)]
        except DataError as error:
            raise DataError(error.problem, fix=error.fix, field=error.field or FIELD) from None
        found = {COLUMN: json_digest([rows, digests])}
        if self.annotations:
            found["annotations"] = json_digest(self.annotations.of(sample.image))
        return found

    def words(self, look: Look) -> tuple[KeyWord, ...]:
        """The names of the regions of a sample as key words, with the places where its response has them."""
        sample = look.sample
        rows = listed_regions(sample.extra.get(COLUMN))
        names = [region_word(one, f"{FIELD}[{number}]") for number, one in enumerate(rows)]
        if self.annotations:
            names += [self.annotations.word(one) for _, one in self.annotations.of(sample.image)]
        return tuple(KeyWord(name, 1.0, _places(name, sample.response)) for name in dict.fromkeys(filter(None, names)))

    def locate(self, look: Look) -> Sequence[Region]:
        """The regions of the words, in the words' order, then those without a name; empty masks are none."""
        size, sample = look.picture.size, look.sample
        rows = sample.extra.get(COLUMN)
        given = given_regions(rows, size, self.images, max_pixels=self.max_pixels)
        if self.annotations:
            given += self.annotations.regions(sample.image, size)
        found = []
        for order, word in enumerate([*(word.text for word in look.words), ""]):
            mine = [one for one in given if (alike(one.word, word) if word else not one.word)]
            found += [(order, Region(word, one.mask, 1.0, one.box)) for one in mine if one.mask.any()]
        return [region for _, region in found]


class MasksOfRows:
    """The union of all regions that a sample's row gives, for those who look at data before anything is located."""

    def __init__(self, images: Path, *, max_pixels: int) -> None:
        self.images, self.max_pixels = images, max_pixels

    def __call__(self, sample: PreferenceSample) -> Mask | None:
        """None where it gives none, or they cover the whole picture. Raises DataError as ``given_regions``."""
        if sample.image is None or not sample.extra.get(COLUMN):
            return None
        size = load_image(self.images, sample.image, max_pixels=self.max_pixels).size
        given = given_regions(sample.extra[COLUMN], size, self.images, max_pixels=self.max_pixels)
        mask = union(one.mask for one in given)
        return None if mask is None or mask.all() else mask


class Annotations:
    """A file of COCO annotations, by picture.

    A picture is that of the same path, or else the only one of the same file name.

    Raises:
        DataError: it cannot be read, or lacks what such a file has.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        whole = read_json(path, MAX_ARRAY, "give a file of COCO annotations")
        pictures, annotations = self._objects(whole, "images"), self._objects(whole, "annotations")
        self._names = {one.get("id"): one.get("name") for one in self._objects(whole, "categories", needed=False)}
        self._of_picture: dict[Any, list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
        for number, annotation in enumerate(annotations, start=1):
            self._of_picture[_hashable(annotation.get("image_id"))].append((number, annotation))
        self._pictures: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for number, picture in enumerate(pictures, start=1):
            name = picture.get("file_name")
            if not isinstance(name, str) or picture.get("id") is None:
                raise DataError("lacks id or file_name", fix="give both", file=path, row=number, field="images")
            for key in dict.fromkeys((posixpath.normpath(name), f"*/{posixpath.basename(name)}")):
                self._pictures[key].append(picture)

    def _objects(self, whole: Any, field: str, *, needed: bool = True) -> list[Mapping[str, Any]]:
        found = whole.get(field, None if needed else []) if isinstance(whole, dict) else None
        if not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
            raise DataError("is no list of objects", fix="give a file of COCO annotations", file=self.path, field=field)
        return found

    def _picture(self, image: str | None) -> Mapping[str, Any] | None:
        if image is None:
            return None
        for key in (posixpath.normpath(image), f"*/{posixpath.basename(image)}"):
            if len(found := self._pictures.get(key, [])) == 1:
                return found[0]
        return None

    def of(self, image: str | None) -> list[tuple[int, Mapping[str, Any]]]:
        """The annotations of a picture with their numbers in the file, from 1."""
        picture = self._picture(image)
        return [] if picture is None else self._of_picture.get(_hashable(picture["id"]), [])

    def word(self, annotation: Mapping[str, Any]) -> str:
        """The name of an annotation's category; blank where it has none."""
        name = self._names.get(_hashable(annotation.get("category_id")))
        return name.strip() if isinstance(name, str) else ""

    def regions(self, image: str | None, size: tuple[int, int]) -> list[GivenRegion]:
        """The regions of a picture of ``size`` (width, height). Raises DataError naming the annotation."""
        regions = []
        for number, one in self.of(image):
            try:
                regions.append(GivenRegion(self.word(one), *coco_region(one, size, "annotations")))
            except DataError as error:
                raise of_sample(str(image), error, file=self.path, row=number) from None
        return regions


def alike(name: str, word: str) -> bool:
    """Whether one of two names holds the other, word for word; letters' case and a plural's s make no difference."""
    one, other = _stems(name), _stems(word)
    short, long = sorted((one, other), key=len)
    return bool(short) and any(long[at : at + len(short)] == short for at in range(len(long) - len(short) + 1))


def _stems(text: str) -> list[str]:
    return [_stem(word) for word in _WORDS.findall(text.casefold())]


def _stem(word: str) -> str:
    for end, kept in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("ss", "ss"), ("s", "")):
        if word.endswith(end) and len(word) > len(end) + 1:
            return word[: -len(end)] + kept
    return word


def _places(name: str, response: str) -> tuple[tuple[int, int], ...]:
    found = re.finditer(rf"\b{re.escape(name)}(?:e?s)?\b", response, re.IGNORECASE)
    return tuple((one.start(), one.end()) for one in found)


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int) else None
