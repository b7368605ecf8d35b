"""What the chat formats share: one user text for request and post, the marks that stand for the images, values.

Invariant: reading undoes writing. Where it can't (a request that itself holds a line with the label, say), the writer
finds out by reading its own row back (``formats.losses``). What a message says is used, refused, or told as lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from trifacet.base.errors import DataError
from trifacet.data.formats.pictures import picture
from trifacet.data.records import Sample

LABEL = "Context:"
OnLost = Callable[[str], None]  # told what of a row nothing is made of: "a 'name' of messages"
_MARK = "<image>"
_MARKS = re.compile(rf"{_MARK}(?:\s*{_MARK})*")
_MARK_IN_TEXT = "< image>"  # a post that talks of "<image>" must not be taken for one
BEHIND = "the place of images behind the words: they are shown before them"


def ignore(lost: str) -> None:
    """The default for what is lost."""


def join_post(prompt: str | None, context: str, label: str = LABEL) -> str:
    """Request and post as one user text; the label stands only before a post."""
    if not context:
        return prompt or ""
    return "\n".join(part for part in (prompt, label, context) if part)


def split_post(text: str, label: str = LABEL) -> tuple[str | None, str]:
    """Request and post of a user text: split at the first line that starts with the label, in any case, or at the
    first label behind the end of a sentence that is followed by a line break or touches the sentence.

    The first, not the last: the request is a developer's, the post is anybody's, and a post must not be able to move
    its own text into the request. Without such a label all of it is request and the post is empty.
    """
    wanted = re.escape(label.strip())
    found = re.search(rf"^[^\S\n]*{wanted}|(?<=[.!?]){wanted}|(?<=[.!?]) {wanted}(?=\s*\n)", text, re.I | re.M)
    if not (wanted and found):
        return (text if text.strip() else None), ""
    first, line_break, rest = text[found.end() :].partition("\n")
    post = "\n".join(([first.strip()] if first.strip() else []) + ([rest] if line_break else []))
    prompt = text[: found.start()].removesuffix("\n").removesuffix("\r")
    return (prompt if prompt.strip() else None), post


def with_image_marks(text: str, images: int = 1) -> str:
    """The user text with a mark for each image before it; marks in the text itself are disarmed."""
    return _MARK * images + disarmed(text)


def disarmed(text: str) -> str:
    """The text with no mark in it that a tool would take for an image."""
    return text.replace(_MARK, _MARK_IN_TEXT)


def unmarked(text: str, field: str, lost: OnLost = ignore) -> tuple[str, int]:
    """The user text without the images' marks and the line break beside them, and how many marks there were.

    Raises:
        DataError: marks between words: a post's images are shown together, before its words.
    """
    runs = list(_MARKS.finditer(text))
    if not runs:
        return text, 0
    start, end = runs[0].span()
    before, after = text[:start], text[end:]
    if len(runs) > 1 or (before.strip() and after.strip()):
        raise apart(f"{_MARK} marks", field)
    if before.strip():
        lost(BEHIND)
    if not after and before.endswith("\n"):
        before = before[:-1]
    return before + after.removeprefix("\n"), runs[0][0].count(_MARK)


def no_images(text: str, field: str) -> str:
    """An answer in which a mark would stand for an image. Raises DataError where one does."""
    if _MARK in text:
        raise shown_in_answer(field)
    return text


def apart(what: str, field: str) -> DataError:
    return DataError(f"has {what} with words between them", fix="put all images before the words", field=field)


def shown_in_answer(field: str) -> DataError:
    return DataError("shows an image in an answer", fix="leave the row out, or show it in the request", field=field)


def refuse_history(row: dict[str, Any], field: str) -> None:
    """Raise DataError where the row has earlier turns."""
    if row.get(field) not in (None, "", "[]", []):
        raise DataError("has earlier turns", fix="keep one request and one answer", field=field)


def refuse_present(row: dict[str, Any], *fields: str) -> None:
    """Raise DataError where the row has one of these: moving pictures, sounds, tools, places in pictures."""
    for field in fields:
        if row.get(field) not in (None, "", "[]", "null", [], {}, [None]):
            raise DataError("is nothing that a model here is given", fix="leave it or the row out", field=field)


def images_of(row: dict[str, Any], *fields: str) -> list[str]:
    """The pictures of the row, under the first of ``fields`` that is there; empty where there is none."""
    field = next((name for name in fields if row.get(name)), None)
    if field is None:
        return []
    entries = row[field] if isinstance(row[field], list) else [row[field]]
    return [picture(entry, field) for entry in entries]


def shown(images: list[str], pictures: tuple[str | None, ...], field: str) -> dict[str, Any]:
    """A record's values for the images of a row, the described one first: those that the request's parts hold
    themselves, those of the row for its marks, or all of the row's where it has none.

    Raises:
        DataError: the user's text has marks, but not one for each image.
    """
    marks = pictures.count(None)
    if (marks or len(pictures) > marks) and marks != len(images):
        many = "s" if marks != 1 else ""
        raise DataError(
            f"has {marks} {_MARK} mark{many} for images: {len(images)}",
            fix="write one mark for each image, or none; name each image's path",
            field=field,
        )
    following = iter(images)
    every = [one if one is not None else next(following) for one in pictures] or images
    return {"image": every[0] if every else None, "more_images": every[1:] or None}


def values_of(row: dict[str, Any], consumed: frozenset[str], **values: Any) -> dict[str, Any]:
    """Values for a record: those given (None left out), the row's id if it has one, every other field in ``extra``."""
    found = {name: value for name, value in values.items() if value is not None}
    if row.get("id") is not None:
        found["id"] = _id(row["id"])
    extra = {name: value for name, value in row.items() if name not in consumed and name != "id"}
    return found | {"extra": extra | values.get("extra", {})}


def _id(value: Any) -> Any:
    """Numbers as text; a table that lacks some ids holds the others as 3.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def extra_of(sample: Sample, consumed: frozenset[str]) -> dict[str, Any]:
    """The sample's id and the extra fields that don't collide with the format's own."""
    return {"id": sample.id} | {k: v for k, v in sample.extra.items() if k not in consumed and k != "id"}


def answer_of(sample: Sample) -> str | None:
    """The sample's answer: its response, or the first reference of a test sample that has one."""
    references = getattr(sample, "references", ())
    return getattr(sample, "response", references[0] if references else None)
