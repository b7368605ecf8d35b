"""The words in a picture as a row states them: what was read and kept before, or what its owner knows.

Invariant: what a row states is taken as it is or refused with the field's name; no picture is opened.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trifacet.base.errors import DataError
from trifacet.lettering.lines import Corners, Lettering, Line

MOST_LINES = 10_000  # of one picture
LONGEST_LINE = 10_000  # characters
FORMS = 'give a list of lines, each "text" or {"text": ..., "box": [left, upper, right, lower], "confidence": 0 to 1}'


class _Stated(BaseModel):
    """A line as users write it: in pixels of the upright picture."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    text: str
    box: Corners | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0


def given_lettering(value: Any, size: tuple[int, int], field: str) -> Lettering:
    """What a row's field says stands in its picture.

    Args:
        value: ``Lettering.model_dump(mode="json")``, or a list of lines (``FORMS``); an empty list says that there is
            no lettering.
        size: width and height of the row's picture, upright.
        field: the field's name, for messages.

    Raises:
        DataError: it is neither, is of a picture of another size, or has a box outside the picture.
    """
    try:
        found = _kept(value, size, field) if isinstance(value, dict) else _stated(value, size, field)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        problem = first["msg"].removeprefix("Value error, ")
        raise DataError(problem, fix=FORMS, field=f"{field}.{where}" if where else field) from None
    for number, line in enumerate(found.lines):
        _refuse_text(line.text, f"{field}.{number}")
    return found


def _kept(value: dict[str, Any], size: tuple[int, int], field: str) -> Lettering:
    found = Lettering.model_validate(value)
    if found.size != tuple(size):
        was, now = (f"{width} x {height}" for width, height in (found.size, size))
        raise DataError(f"was read in a picture of {was} pixels, this one has {now}", fix="read it anew", field=field)
    _refuse_many(len(found.lines), field)
    return found


def _stated(value: Any, size: tuple[int, int], field: str) -> Lettering:
    if not isinstance(value, list):
        raise DataError(f"is {type(value).__name__}, not a list", fix=FORMS, field=field)
    _refuse_many(len(value), field)
    whole = (0.0, 0.0, float(size[0]), float(size[1]))
    lines = []
    for number, one in enumerate(value):
        try:
            stated = _Stated.model_validate({"text": one} if isinstance(one, str) else one)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, (field, number, *first["loc"])))
            raise DataError(first["msg"], fix=FORMS, field=where) from None
        text = " ".join(stated.text.split())
        lines.append(
            Line(text=text, box=stated.box or whole, confidence=stated.confidence, placed=stated.box is not None)
        )
    return Lettering(size=size, lines=tuple(lines))


def _refuse_many(count: int, field: str) -> None:
    if count > MOST_LINES:
        raise DataError(f"has {count} lines", fix=f"give at most {MOST_LINES}", field=field)


def _refuse_text(text: str, field: str) -> None:
    if not text.strip():
        raise DataError("is empty", fix="leave the line out", field=field)
    if len(text) > LONGEST_LINE:
        raise DataError(f"has {len(text)} characters", fix=f"give at most {LONGEST_LINE} a line", field=field)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError("holds half of a surrogate pair", fix="give text of whole characters", field=field) from None
