"""The layout of VLFeedback, on which Silkie was trained: several answers to a prompt, each rated by aspect. Read only.

``completions`` is a list of {response, model, annotations}, or as ``datasets`` stores that in Parquet an object of
three lists; ``annotations`` has for each aspect an object with ``Rating`` (a number as text) and ``Rationale``. The
answers are ranked by the mean of their ratings: the best is chosen, the others are rejected in descending order.
Invariant: two answers whose means are equal are never put in an order; what is left out of a row is told as lost.
Source: huggingface.co/datasets/MMInstruction/VLFeedback, its card.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from trifacet.base.errors import DataError
from trifacet.data.formats.chat import LABEL, OnLost, ignore, images_of, shown, split_post, unmarked, values_of
from trifacet.data.rows import Values

__all__ = ["LABEL", "NAMES", "reader"]
NAMES = {
    "image": "img_path",
    "more_images": "img_path",
    "context": "prompt",
    "response": "completions",
    "references": "completions",
    "rejected_responses": "completions",
}
_IMAGES = ("image", "img_path", "images")  # the picture itself first
_CONSUMED = frozenset({*_IMAGES, "prompt", "completions"})
_MOST = 1000  # answers to a prompt


class _Rated(NamedTuple):
    response: str
    score: float
    about: dict[str, Any]  # all else that the row says of it


def reader(path: Path, label: str, lost: OnLost = ignore) -> Callable[[Values], Values]:
    """A function from a row to a record's values."""
    return lambda row: _values(row, label, lost)


def _values(row: Values, label: str, lost: OnLost) -> Values:
    prompt = row.get("prompt")
    if not isinstance(prompt, str):
        raise DataError("is missing", fix="give each row its prompt", field="prompt")
    request, marks = unmarked(prompt, "prompt", lost)
    asked, context = split_post(request, label)
    ranked = _ranked([_rated(one, lost) for one in _completions(row.get("completions"))], lost)
    used = next((field for field in _IMAGES if row.get(field)), None)
    return values_of(
        row,
        _CONSUMED - {field for field in _IMAGES if row.get(field) and field != used},
        **shown(images_of(row, *_IMAGES), (None,) * marks, "prompt"),
        prompt=asked,
        context=context,
        response=ranked[0].response,
        rejected_responses=[one.response for one in ranked[1:]],
        extra={"ranking": [{"score": one.score, **one.about} for one in ranked]},
    )


def _completions(given: Any) -> Iterator[Mapping[str, Any]]:
    fix = "write a list of {response, model, annotations}"
    if isinstance(given, dict):
        columns = {name: column for name, column in given.items() if isinstance(column, list)}
        if len({len(column) for column in columns.values()}) > 1 or len(columns) < len(given):
            raise DataError("is an object whose lists differ in length", fix=fix, field="completions")
        given = [dict(zip(columns, one, strict=True)) for one in zip(*columns.values(), strict=True)]
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise DataError("is no list of answers", fix=fix, field="completions")
    if len(given) > _MOST:
        raise DataError(f"has {len(given)} answers", fix=f"keep at most {_MOST} of a prompt", field="completions")
    yield from given


def _rated(one: Mapping[str, Any], lost: OnLost) -> _Rated | None:
    """An answer with the mean of its ratings; None, which is told, where it has no text or an aspect no number."""
    response, annotations = one.get("response"), one.get("annotations")
    if not isinstance(response, str) or not response.strip():
        lost("an answer without a text")
        return None
    aspects = list(annotations.values()) if isinstance(annotations, dict) else []
    ratings = [_number(aspect.get("Rating")) if isinstance(aspect, dict) else None for aspect in aspects]
    known = [rating for rating in ratings if rating is not None]
    if not known or len(known) < len(ratings):
        lost("an answer that is not rated in every aspect")
        return None
    return _Rated(response, fmean(known), {name: value for name, value in one.items() if name != "response"})


def _number(rating: Any) -> float | None:
    try:
        value = float(rating) if isinstance(rating, str | int | float) and not isinstance(rating, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and abs(value) <= 1_000_000 else None


def _ranked(rated: list[_Rated | None], lost: OnLost) -> list[_Rated]:
    """The best first, no two alike. Raises DataError where none has ratings."""
    found = sorted((one for one in rated if one is not None), key=lambda one: -one.score)
    if not found:
        fix = "leave the row out, or give an answer a number for each aspect"
        raise DataError("has no answer that is rated", fix=fix, field="completions")
    ranked = found[:1]
    for one in found[1:]:
        if one.response.strip() in {other.response.strip() for other in ranked}:
            lost("an answer that is given twice")
        elif math.isclose(one.score, ranked[-1].score):
            lost("an answer that is rated like another one")
        else:
            ranked.append(one)
    return ranked
