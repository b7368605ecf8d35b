"""What the chat formats share: one user text for request and post, messages, the mark that stands for the image.

Invariant: reading undoes writing. Where it can't (a request that itself holds a line with the label, say), the writer
finds out by reading its own row back (``formats.losses``).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from trifacet.errors import DataError
from trifacet.records import Sample

LABEL = "Context:"
MARK = "<image>"
_MARK_IN_TEXT = "< image>"  # a post that talks of "<image>" must not be taken for one


class Tags(NamedTuple):
    """How a format spells its messages; the defaults are OpenAI's, as in TRL and ms-swift."""

    role: str = "role"
    content: str = "content"
    user: str = "user"
    assistant: str = "assistant"
    system: str = "system"


class Turn(NamedTuple):
    """A conversation of one request and at most one answer."""

    user: str | None
    assistant: str | None
    system: str | None


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


def marked(text: str) -> str:
    """The user text with the image's mark before it; marks in the text itself are disarmed."""
    return MARK + disarmed(text)


def disarmed(text: str) -> str:
    """The text with no mark in it that a tool would take for an image."""
    return text.replace(MARK, _MARK_IN_TEXT)


def unmarked(text: str, field: str) -> str:
    """The user text without the image's mark and the line break beside it."""
    if text.count(MARK) > 1:
        raise DataError(f"has {text.count(MARK)} {MARK} marks", fix="use one image per row", field=field)
    if text.endswith("\n" + MARK):
        return text.removesuffix("\n" + MARK)
    return text.replace(MARK + "\n", "", 1) if MARK + "\n" in text else text.replace(MARK, "", 1)


def text_of(content: Any, field: str) -> str:
    """The text of a message's content: a string, or a list of parts of which the text ones count."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        texts = [part.get("text") for part in content if part.get("type", "text") == "text"]
        if all(isinstance(text, str) for text in texts):
            return "".join(texts)
    raise DataError("holds no text", fix='write a string or a list of {"type": "text", "text": ...} parts', field=field)


def read_messages(value: Any, field: str, tags: Tags = Tags()) -> Turn:  # noqa: B008 - immutable
    """The one turn of a list of messages, the image's mark taken off the user's text.

    Raises:
        DataError: not messages, unknown roles, or more than one request and one answer.
    """
    messages = [value] if isinstance(value, dict) else value
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise DataError(
            "is not a list of messages", fix=f"write objects with {tags.role!r} and {tags.content!r}", field=field
        )
    found: dict[str, str] = {}
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
        plain = isinstance(content, str) and role == tags.user  # among parts the image has a part of its own
        found[role] = unmarked(content, field) if plain else text_of(content, field)
    return Turn(found.get(tags.user), found.get(tags.assistant), found.get(tags.system))


def one_image(row: dict[str, Any], *fields: str) -> str | None:
    """The path of the row's single image, under the first of ``fields`` that is there; None where there is none."""
    field = next((name for name in fields if row.get(name)), None)
    if field is None:
        return None
    entries = row[field] if isinstance(row[field], list) else [row[field]]
    if len(entries) != 1:
        raise DataError(f"has {len(entries)} images", fix="use one image per row", field=field)
    path = entries[0].get("path") if isinstance(entries[0], dict) else entries[0]
    if not isinstance(path, str):
        raise DataError("is not a path", fix="save embedded images as files and give their paths", field=field)
    return path


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
