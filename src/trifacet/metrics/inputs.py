"""Reading what ``trifacet score`` compares: generated texts, and the samples they belong to.

Invariant: what is read has one row per id; everything else is an error that names file and row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.data.formats import read_samples
from trifacet.data.records import TestSample
from trifacet.data.rows import iter_rows
from trifacet.metrics.coco_files import checked_text, image_id, is_result, read_annotations
from trifacet.metrics.target import Reference, Target


def read_predictions(path: Path) -> dict[str, str]:
    """The texts of a file by id; other keys are ignored, a text may be empty.

    Rows are {"id", "text"}, or COCO's results {"image_id", "caption"}, whose id is the image's number as text.

    Raises:
        DataError: naming file, row and field.
    """
    texts: dict[str, str] = {}
    for number, row in iter_rows(path):
        if is_result(row):
            name = image_id(row, "image_id", path, number)
            _once(name, "image_id", path, number, texts)
            texts[name] = checked_text(row["caption"], "caption", path, number)
        else:
            if "text" not in row and ("texts" in row or "annotations" in row):
                problem = "is a file of references, not of generated texts"
                raise DataError(problem, fix="give the texts first and this file as --references", file=path)
            name = _id(row, path, number, texts)
            texts[name] = checked_text(row.get("text"), "text", path, number)
    if not texts:
        fix = 'give one row {"id", "text"} (or COCO\'s {"image_id", "caption"}) per sample'
        raise DataError("has no row", fix=fix, file=path)
    return texts


def read_targets(path: Path) -> list[Target]:
    """The samples to score against.

    Rows of {"id", "texts"} or {"id", "text"} are a plain file of references, and one object with "annotations" is a
    caption file of COCO's. Every other file is read as a test set in one of the data formats; the chosen texts of a
    training file serve as references too.

    Raises:
        DataError: naming file, row and field.
    """
    annotated = read_annotations(path)
    if annotated is not None:
        return list(annotated)
    first = next(iter_rows(path), None)
    if first is None:
        raise DataError("has no row", fix="give a test set, or one reference per row", file=path)
    row = first.values
    if is_result(row):
        problem = "is a file of COCO results, not of references"
        raise DataError(problem, fix="give the annotation file (captions_*.json); the texts come first", file=path)
    if "id" in row and "image" not in row and ("texts" in row or "text" in row):
        return _plain_targets(path)
    return [sample for sample in read_samples(path, "test") if isinstance(sample, TestSample)]


def _plain_targets(path: Path) -> list[Target]:
    targets: dict[str, Target] = {}
    for number, row in iter_rows(path):
        name = _id(row, path, number, targets)
        field = "texts" if "texts" in row else "text"
        given = row["texts"] if field == "texts" else [row.get("text")]
        if not isinstance(given, list):
            raise DataError("is not a list", fix="give a list of texts", file=path, row=number, field=field)
        references = [checked_text(text, field, path, number) for text in given]
        if not all(text.strip() for text in references):
            raise DataError("is empty", fix="give a text, or an empty list", file=path, row=number, field=field)
        targets[name] = Reference(name, references)
    return list(targets.values())


def _id(row: dict[str, Any], path: Path, number: int, known: Mapping[str, Any]) -> str:
    value = row.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise DataError("is missing or no text", fix="give each row an id", file=path, row=number, field="id")
    _once(str(value), "id", path, number, known)
    return str(value)


def _once(name: str, field: str, path: Path, number: int, known: Mapping[str, Any]) -> None:
    if name in known:
        raise DataError(f"{name!r} occurs twice", fix="keep one row per id", file=path, row=number, field=field)
