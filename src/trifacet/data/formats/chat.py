"""What the chat formats share: one user text for request and post, messages, the marks that stand for the images.

Invariant: reading undoes writing. Where it can't (a request that itself holds a line with the label, say), the writer
finds out by reading its own row back (``formats.losses``).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from trifacet.base.errors import DataError
from trifacet.data.records import Sample

LABEL = "Context:"
_MARK = "<image>"
_MARKS = re.compile(rf"{_MARK}(?:\s*{_MARK})*")
_MARK_IN_TEXT = "< image>"  # a post that talks of "<image>" must not be taken for one


class Tags(NamedTuple):
    """How a format spells its messages; the defaults are OpenAI's, as in TRL and ms-swift."""

    role: str = "role"
    content: str = "content"
    user: str = "user"
    assistant: str = "assistant"
    system: str = "system"


class ChatTurn(NamedTuple):
    """A conversation of one request and at most one answer; ``marks`` is how many images the request shows."""

    user: str | None
    assistant: str | None
    system: str | None
    marks: int = 0


def join_post(prompt: str | None, context: str, label: str = LABEL) -> str:
    """Request and post as one user text; the label stands only before a post."""
    if not context:
        return prompt or ""
    return "\n".join(part for part in (prompt, label, context) if part)


def split_post(text: str, label: str = LABEL) -> tuple[str | None, str]:
    """Request and post of a user text: split at the first line that starts with the label, in any case.

    The first, not the last: the request is a developer's, the post is anybody's, and a post must not be able to move
    its own text into the request. Without such a line all of it is request and the post is empty.
    """
    wanted = label.strip().lower()
    lines = text.split("\n")
    for index, line in enumerate(lines):
        bare = line.strip()
        if wanted and bare[: len(wanted)].lower() == wanted:
            rest = bare[len(wanted) :].strip()
            post = "\n".join(([rest] if rest else []) + lines[index + 1 :])
            prompt = "\n".join(lines[:index]).removesuffix("\r")
            return (prompt if prompt.strip() else None), post
    return (text if text.strip() else None), ""


def with_image_marks(text: str, images: int = 1) -> str:
    """The user text with a mark for each image before it; marks in the text itself are disarmed."""
    return _MARK * images + disarmed(text)


def disarmed(text: str) -> str:
    """The text with no mark in it that a tool would take for an image."""
    return text.replace(_MARK, _MARK_IN_TEXT)


def unmarked(text: str, field: str) -> tuple[str, int]:
    """The user text without the images' marks and the line break beside them, and how many marks there were.

    Raises:
        DataError: marks with words between them: a post's images are shown together, before its words.
    """
    runs = list(_MARKS.finditer(text))
    if not runs:
        return text, 0
    if len(runs) > 1:
        raise _apart(f"{_MARK} marks", field)
    start, end = runs[0].span()
    before, after = text[:start], text[end:]
    if not after and before.endswith("\n"):
        before = before[:-1]
    return before + after.removeprefix("\n"), runs[0][0].count(_MARK)


def _apart(what: str, field: str) -> DataError:
    return DataError(f"has {what} with words between them", fix="put all images before the words", field=field)


def content_text(content: Any, field: str) -> str:
    """The text of a message's content: a string, or a list of parts of which the text ones count."""
    return _read_content(content, field)[0]


def _read_content(content: Any, field: str) -> tuple[str, int]:
    """The text, and how many parts are images."""
    if isinstance(content, str):
        return content, 0
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        kinds = [part.get("type", "text") for part in content]
        texts = [part.get("text") for part, kind in zip(content, kinds, strict=True) if kind == "text"]
        if all(isinstance(text, str) for text in texts):
            places = [at for at, kind in enumerate(kinds) if kind == "image"]
            if places and "text" in kinds[places[0] : places[-1]]:
                raise _apart("images", field)
            return "".join(texts), len(places)
    raise DataError("holds no text", fix='write a string or a list of {"type": "text", "text": ...} parts', field=field)


def read_messages(value: Any, field: str, tags: Tags = Tags()) -> ChatTurn:  # noqa: B008 - immutable
    """The one turn of a list of messages, the images' marks taken off the user's text.

    Raises:
        DataError: not messages, unknown roles, or more than one request and one answer.
    """
    messages = [value] if isinstance(value, dict) else value
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise DataError(
            "is not a list of messages", fix=f"write objects with {tags.role!r} and {tags.content!r}", field=field
        )
    found: dict[str, str] = {}
    marks = 0
    for message in messages:
        role = message.get(tags.role)
        if role not in (tags.user, tags.assistant, tags.system):
            known = f"{tags.system}, {tags.user} or {tags.assistant}"
            raise DataError(f"has a message with {tags.role} {role!r}", fix=f"use {known}", field=field)
        if role in found:
            raise DataError(
                f"has more than one message of {role!r}", fix="keep one request and one answer", field=field
            )
        content = message.get(tags.content)
        if role == tags.user:  # among parts the image has a part of its own
            found[role], marks = unmarked(content, field) if isinstance(content, str) else _read_content(content, field)
        else:
            found[role] = content_text(content, field)
    return ChatTurn(found.get(tags.user), found.get(tags.assistant), found.get(tags.system), marks)


def images_of(row: dict[str, Any], *fields: str) -> list[str]:
    """The paths of the row's images, under the first of ``fields`` that is there; empty where there is none."""
    field = next((name for name in fields if row.get(name)), None)
    if field is None:
        return []
    entries = row[field] if isinstance(row[field], list) else [row[field]]
    paths: list[Any] = [entry.get("path") if isinstance(entry, dict) else entry for entry in entries]
    if not all(isinstance(path, str) for path in paths):
        raise DataError("is not a path", fix="save embedded images as files and give their paths", field=field)
    return paths


def shown(images: list[str], marks: int, field: str) -> dict[str, Any]:
    """A record's values for the images of a row, the described one first.

    Raises:
        DataError: the user's text has marks, but not one for each image.
    """
    if marks not in (0, len(images)):
        many = "s" if marks > 1 else ""
        raise DataError(
            f"has {marks} {_MARK} mark{many} for images: {len(images)}",
            fix="write one mark for each image, or none; name each image's path",
            field=field,
        )
    return {"image": images[0] if images else None, "more_images": images[1:] or None}


def values_of(row: dict[str, Any], consumed: frozenset[str], **values: Any) -> dict[str, Any]:
    """Values for a record: those given (None left out), the row's id if it has one, every other field in ``extra``."""
    found = {name: value for name, value in values.items() if value is not None}
    if row.get("id") is not None:
        found["id"] = str(row["id"]) if isinstance(row["id"], int) else row["id"]
    extra = {name: value for name, value in row.items() if name not in consumed and name != "id"}
    return found | {"extra": extra | values.get("extra", {})}


def extra_of(sample: Sample, consumed: frozenset[str]) -> dict[str, Any]:
    """The sample's id and the extra fields that don't collide with the format's own."""
    return {"id": sample.id} | {k: v for k, v in sample.extra.items() if k not in consumed and k != "id"}


def answer_of(sample: Sample) -> str | None:
    """The sample's answer: its response, or the first reference of a test sample that has one."""
    references = getattr(sample, "references", ())
    return getattr(sample, "response", references[0] if references else None)
