"""COCO's caption files as they are: the annotations, and rows of results.

Invariant: an image is known by its number, as text; captions keep the order of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.base.json_text import parse_json
from trifacet.base.opening import opened
from trifacet.metrics.target import Reference

_MAX_BYTES = 1_000_000_000  # of an annotation file, which is held whole
MAX_CHARS = 20_000  # of one text: some of the metrics take time that grows with its square

RESULT_FIX = 'give rows of {"image_id", "caption"}'
ANNOTATION_FIX = 'give {"images": [{"id", ...}], "annotations": [{"image_id", "caption"}, ...]}'


def is_result(row: Mapping[str, Any]) -> bool:
    """Whether a row of predictions is one of COCO's results."""
    return "image_id" in row and "caption" in row and "text" not in row


def read_annotations(path: Path) -> list[Reference] | None:
    """The images of an annotation file with their captions, or None where ``path`` is no such file.

    An image without a caption has no references. A caption without a word counts, as in COCO's toolkit.

    Raises:
        DataError: an annotation file with something wrong in it, by row (of the list that is named as field).
    """
    document = _document(path)
    if document is None:
        return None
    images = _rows(document.get("images", []), path, "images")
    files: dict[str, str | None] = {}
    for number, image in enumerate(images, start=1):
        name, file = image_id(image, "images.id", path, number, ANNOTATION_FIX), image.get("file_name")
        if name in files:
            fix = "keep one row per image"
            raise DataError(f"{name} occurs twice", fix=fix, file=path, row=number, field="images.id")
        files[name] = file if isinstance(file, str) and file else None
    captions: dict[str, list[str]] = {name: [] for name in files}
    for number, row in enumerate(_rows(document["annotations"], path, "annotations"), start=1):
        name = image_id(row, "annotations.image_id", path, number, ANNOTATION_FIX)
        if images and name not in files:
            problem, field = f"{name} is not among the images", "annotations.image_id"
            raise DataError(problem, fix="add the image, or drop the row", file=path, row=number, field=field)
        caption = checked_text(row.get("caption"), "annotations.caption", path, number)
        captions.setdefault(name, []).append(caption)
    if not captions:
        raise DataError("has no image", fix=ANNOTATION_FIX, file=path)
    return [Reference(name, tuple(texts), files.get(name)) for name, texts in captions.items()]


def image_id(row: Mapping[str, Any], field: str, path: Path, number: int, fix: str = RESULT_FIX) -> str:
    """The image's number (or name) as text; ``field`` may say which list the row is of ("images.id").

    Raises:
        DataError: there is none.
    """
    value = row.get(field.rpartition(".")[2])
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
        raise DataError("is missing or no number", fix=fix, file=path, row=number, field=field)
    return str(value)


def _document(path: Path) -> dict[str, Any] | None:
    """The file as one JSON object with annotations; None for JSON lines, arrays, Parquet and everything else."""
    try:
        with opened(path, most=_MAX_BYTES) as file:
            first = file.readline().removeprefix(b"\xef\xbb\xbf")
            if not first.lstrip().startswith(b"{"):
                return None
            document = _whole(first)
            if document is None:  # an object over several lines, or a broken row
                document = _whole(first + file.read())
    except DataError:
        return None  # the reader of rows says what is wrong with it
    return document if document and "annotations" in document else None


def checked_text(value: Any, field: str, path: Path, number: int) -> str:
    """``value`` as a text to score; it may be empty.

    Raises:
        DataError: it is no text, or one of more than ``MAX_CHARS`` characters.
    """
    if not isinstance(value, str):
        raise DataError("is missing or no text", fix="give a text in quotes", file=path, row=number, field=field)
    if len(value) > MAX_CHARS:
        problem, fix = f"has {len(value)} characters", f"give a text of at most {MAX_CHARS}, or leave the sample out"
        raise DataError(problem, fix=fix, file=path, row=number, field=field)
    return value


def _whole(data: bytes) -> dict[str, Any] | None:
    try:
        value = parse_json(data.decode("utf-8"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _rows(value: Any, path: Path, part: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise DataError("is not a list of objects", fix=ANNOTATION_FIX, file=path, field=part)
    return value
