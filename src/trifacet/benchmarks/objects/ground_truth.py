"""Which objects are in COCO's images: those that were outlined, and those that its captions mention.

Invariant: COCO's files are read as streams; what is kept grows with the images asked for, not with the files.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from trifacet.base.errors import DataError
from trifacet.base.files import write_atomically
from trifacet.base.opening import opened
from trifacet.benchmarks.objects.coco_objects import ObjectFinder, Rules, read_synonyms
from trifacet.benchmarks.objects.records import DIGITS, read_object
from trifacet.benchmarks.objects.words import Sentences
from trifacet.benchmarks.provenance import write_record

_SLICE = 4096  # bytes that are looked at together
_DEEPEST = 3000
_RULE = "COCO's captions were split into sentences by a rule and not by NLTK's punkt (prepare with sentences=punkt)"
# How many annotations COCO's complete files hold together: of instances, and of captions. The images of 2014 and of
# 2017 are the same, divided otherwise.
_COMPLETE = {
    (896_782, 616_767): "COCO 2014 or 2017, train and val",
    (1_793_564, 1_233_534): "COCO 2014 and 2017, train and val",  # in one folder: the same objects twice
    (291_875, 202_654): "COCO 2014, val",
    (36_781, 25_014): "COCO 2017, val",
}


class GroundTruth(NamedTuple):
    """{image id: sorted names}, images in the order of their ids; and how many annotations the files held in all."""

    objects: dict[str, list[str]]
    instances: int
    captions: int


def build_ground_truth(
    instances: Sequence[Path],
    captions: Sequence[Path],
    synonyms: Path,
    *,
    rules: Rules = "chair",
    sentences: Sentences = "rule",
    only: Collection[int] | None = None,
) -> GroundTruth:
    """The objects of each image.

    Args:
        instances: COCO's ``instances_*.json``, train and val.
        captions: COCO's ``captions_*.json``, train and val.
        synonyms: the benchmark's table, see ``read_synonyms``.
        rules: how captions are read: CHAIR's way or Object HalBench's.
        sentences: how captions are split into sentences, see ``word_splitter``.
        only: the images wanted; None: all that have an annotation.

    Raises:
        DataError: naming the file, and the annotation's number where one is not as it should be.
    """
    table = read_synonyms(synonyms, rules)
    finder = ObjectFinder(table, rules, sentences)
    found: dict[int, set[str]] = {}
    counts = {"instances": 0, "captions": 0}
    for path in instances:
        categories = {}
        for number, category in _stream(path, "categories.item"):
            name = category.get("name")
            if not isinstance(name, str) or name not in table.names:
                raise DataError(
                    f"category {name!r} is not among the synonyms",
                    fix=f"give COCO's own file, and the table of its 80 objects ({synonyms.name})",
                    file=path,
                    row=number,
                    field="categories.name",
                )
            categories[_whole(category, "id", path, number)] = table.names[name]
        for number, annotation in _stream(path, "annotations.item"):
            counts["instances"] += 1
            image = _whole(annotation, "image_id", path, number)
            if only is None or image in only:
                kind = _whole(annotation, "category_id", path, number)
                if kind not in categories:
                    raise DataError(
                        f"category {kind} is not defined",
                        fix="give COCO's own file",
                        file=path,
                        row=number,
                        field="category_id",
                    )
                found.setdefault(image, set()).add(categories[kind])
    for path in captions:
        for number, annotation in _stream(path, "annotations.item"):
            counts["captions"] += 1
            image = _whole(annotation, "image_id", path, number)
            if only is None or image in only:
                caption = annotation.get("caption")
                if not isinstance(caption, str):
                    raise DataError(
                        "is missing or no text", fix="give COCO's own file", file=path, row=number, field="caption"
                    )
                found.setdefault(image, set()).update(mention.object for mention in finder.find(caption))
    return GroundTruth({str(image): sorted(found[image]) for image in sorted(found)}, **counts)


def annotation_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """COCO's ``instances_*.json`` and ``captions_*.json`` in a folder. Raises DataError where one kind is missing."""
    found = []
    for kind in ("instances", "captions"):
        paths = sorted(folder.glob(f"{kind}_*.json"))
        if not paths:
            raise DataError(
                f"has no {kind}_*.json", fix="give the folder of COCO's annotations_trainval2014.zip", file=folder
            )
        found.append(paths)
    return found[0], found[1]


def write_objects(
    path: Path,
    objects: Mapping[str, Sequence[str]],
    truth: GroundTruth,
    sources: Sequence[Path],
    *,
    sentences: Sentences,
) -> str:
    """Write ``objects``, one image a line, and the record of what they were made of; gives a line that says it.

    Args:
        path: the file to write.
        objects: all that ``truth`` holds, or those of the images wanted.
        truth: what was built.
        sources: the files that it was built from.
        sentences: how captions were split.
    """
    lines = ",\n".join(f"{json.dumps(image)}: {json.dumps(list(names))}" for image, names in objects.items())
    write_atomically(path, f"{{{lines}}}\n")
    count = (truth.instances, truth.captions)
    release = _COMPLETE.get(count, "")
    problems = [] if release else [f"{count[0]} outlines and {count[1]} captions are not the numbers of COCO's files"]
    problems += [_RULE] if sentences == "rule" else []
    write_record(path, sources, release=release, problems=problems)
    return "; ".join([f"{path.name}: {len(objects)} images of {release or 'other files than COCO has'}", *problems])


def read_objects(path: Path, names: Collection[str]) -> dict[str, list[str]]:
    """A file that was built so: {"image id": ["object", ...]}.

    Args:
        path: the file.
        names: the objects that there are.

    Raises:
        DataError: naming the image.
    """
    truth = read_object(path)
    for image, objects in truth.items():
        if not (image.isascii() and image.isdigit() and len(image) <= DIGITS):
            raise DataError(f"{image[:40]!r} is no image id", fix="write COCO's number in quotes", file=path)
        if not isinstance(objects, list) or not all(isinstance(name, str) and name in names for name in objects):
            raise DataError(
                "is no list of COCO's objects",
                fix='give ["person", ...], or build it anew',
                file=path,
                field=image,
            )
    if not truth:
        raise DataError("has no image", fix="build it from COCO's annotations", file=path)
    return truth


class _Shallow:
    """A JSON file that is refused where it is nested deeper than any of COCO's, before a parser sees it.

    The parser's memory grows with the square of the depth. Brackets in texts are counted too, as if they meant nesting.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path, self._depth = file, path, 0

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes. Raises DataError."""
        data = self._file.read(min(size, _SLICE) if size >= 0 else _SLICE)
        opened, closed = data.count(b"[") + data.count(b"{"), data.count(b"]") + data.count(b"}")
        self._depth = max(self._depth + opened - closed, 0)
        if self._depth > _DEEPEST:
            raise DataError("is nested too deep", fix="give COCO's own file", file=self._path)
        return data


def _stream(path: Path, prefix: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The members of a list in a JSON file, with their numbers from 1."""
    import ijson

    number = 0
    try:
        with opened(path) as file:
            shallow = _Shallow(file, path)
            for number, value in enumerate(ijson.items(shallow, prefix, buf_size=_SLICE, use_float=True), start=1):
                if not isinstance(value, dict):
                    raise DataError("is no JSON object", fix="give COCO's own file", file=path, row=number)
                yield number, value
    except (ijson.JSONError, ValueError, OverflowError) as error:
        reason = str(error).split("\n", 1)[0][:120]
        raise DataError(f"broken JSON ({reason})", fix="download the file again", file=path) from None
    if not number:
        raise DataError(f"has no {prefix.removesuffix('.item')}", fix="give COCO's own file", file=path)


def _whole(values: dict[str, Any], field: str, path: Path, number: int) -> int:
    value = values.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**DIGITS:
        raise DataError("is no whole number", fix="give COCO's own file", file=path, row=number, field=field)
    return value
