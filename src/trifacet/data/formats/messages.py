"""Messages of a conversation, as TRL, ms-swift and LLaMA-Factory have them: one request, at most one answer.

Invariant: what a message says is used, refused by its field, or told as lost.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from trifacet.base.errors import DataError
from trifacet.base.json_text import parse_json
from trifacet.data.formats.chat import BEHIND, OnLost, apart, ignore, shown_in_answer, unmarked
from trifacet.data.formats.pictures import picture

_TEXT_PARTS = ("text", "input_text", "output_text")
_IMAGE_PARTS = ("image", "image_url", "input_image")
_SOURCES = ("image", "image_url", "url", "path", "base64", "bytes")  # where a part may have its picture
_TRAINS = ("loss", "weight", "train")  # how tools say whether a message is learned


class Tags(NamedTuple):
    """How a format spells its messages; the defaults are OpenAI's, as in TRL and ms-swift."""

    role: str = "role"
    content: str = "content"
    user: str = "user"
    assistant: str = "assistant"
    system: str = "system"


class ChatTurn(NamedTuple):
    """A conversation of one request and at most one answer.

    ``pictures`` has an element for each image that the request shows: its own, or None for the row's next one.
    """

    user: str | None
    assistant: str | None
    system: str | None
    pictures: tuple[str | None, ...] = ()


def content_text(content: Any, field: str, lost: OnLost = ignore) -> str:
    """The text of a message's content: a string, or a list of parts. Raises DataError where it shows an image."""
    text, pictures = _read_content(content, field, lost)
    if pictures:
        raise shown_in_answer(field)
    return text


def _read_content(content: Any, field: str, lost: OnLost) -> tuple[str, tuple[str | None, ...]]:
    """The text, and the pictures among its parts."""
    if isinstance(content, str):
        return content, ()
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        fix = 'write a string or a list of {"type": "text", "text": ...} parts'
        raise DataError("holds no text", fix=fix, field=field)
    pieces: list[str] = []
    pictures: list[str | None] = []
    order = ""  # of images and of texts that are not blank: i, t
    for part in content:
        kind = part.get("type") or next((key for key in (*_TEXT_PARTS, *_IMAGE_PARTS) if key in part), None)
        if kind in _TEXT_PARTS:
            known: tuple[str, ...] = (kind, "text")
            pieces.append(_text_of(part, kind, field))
            order += "t" if pieces[-1].strip() else ""
        elif kind in _IMAGE_PARTS:
            known = (*_SOURCES, "index", "detail", "text")
            if part.get("index") not in (None, len(pictures)):
                raise DataError("numbers its images in another order", fix="name them in their order", field=field)
            pictures.append(_picture_of(part, field))
            order += "i"
        else:
            fix = "use 'text' and 'image'"
            raise DataError(f"has a part of type {kind!r}, which no model is shown", fix=fix, field=field)
        for key in part.keys() - {"type", *known}:
            if part[key] is not None:
                lost(f"a {key!r} of parts of type {kind!r}")
    if "t" in order.strip("t") or re.search("ti+t", order):
        raise apart("images", field)
    if re.search("ti", order):
        lost(BEHIND)
    return "".join(pieces), tuple(pictures)


def _text_of(part: dict[str, Any], kind: str, field: str) -> str:
    text = next((part[key] for key in (kind, "text") if isinstance(part.get(key), str)), None)
    if text is None:
        raise DataError(f"has a part of type {kind!r} without text", fix="give its 'text'", field=field)
    return text


def _picture_of(part: dict[str, Any], field: str) -> str | None:
    given = {key: part[key] for key in _SOURCES if part.get(key) is not None}
    if not given:
        return None
    key, value = next(iter(given.items()))
    return picture({key: value} if key in ("base64", "bytes") else value, field)


def read_messages(
    value: Any,
    field: str,
    tags: Tags = Tags(),  # noqa: B008 - immutable
    lost: OnLost = ignore,
) -> ChatTurn:
    """The one turn of a list of messages, the images' marks taken off the user's text.

    Raises:
        DataError: not messages, unknown roles, more than one request and one answer, an order other than system,
            request, answer, or a message that is not to be trained as it would be here.
    """
    messages = [value] if isinstance(value, dict) else _listed(value)
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise DataError(
            "is not a list of messages", fix=f"write objects with {tags.role!r} and {tags.content!r}", field=field
        )
    order = (tags.system, tags.user, tags.assistant)
    found: dict[str, str] = {}
    pictures: tuple[str | None, ...] = ()
    for message in messages:
        role = message.get(tags.role)
        if role not in order:
            known = f"{tags.system}, {tags.user} or {tags.assistant}"
            raise DataError(f"has a message with {tags.role} {role!r}", fix=f"use {known}", field=field)
        if role in found:
            raise DataError(
                f"has more than one message of {role!r}", fix="keep one request and one answer", field=field
            )
        if found and order.index(role) < max(map(order.index, found)):
            later = max(found, key=order.index)
            fix = f"leave out what stands before the request; the order is {', '.join(order)}"
            raise DataError(f"has a message of {later!r} before that of {role!r}", fix=fix, field=field)
        _refuse_untrained(message, field, learned=role == tags.assistant)
        for key in message.keys() - {tags.role, tags.content, *_TRAINS}:
            if message[key] not in (None, "", [], {}):
                if key in ("tool_calls", "function_call"):
                    raise DataError(f"has a message with {key!r}", fix="leave the row out", field=field)
                lost(f"a {key!r} of messages")
        content = message.get(tags.content)
        if role != tags.user:
            found[role] = content_text(content, field, lost)
        elif isinstance(content, str):  # among parts the image has a part of its own
            found[role], marks = unmarked(content, field, lost)
            pictures = (None,) * marks
        else:
            found[role], pictures = _read_content(content, field, lost)
    return ChatTurn(found.get(tags.user), found.get(tags.assistant), found.get(tags.system), pictures)


def _listed(value: Any) -> Any:
    """Messages that a table holds as JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return parse_json(value)
        except ValueError:
            return None
    return value


def _refuse_untrained(message: dict[str, Any], field: str, *, learned: bool) -> None:
    for key in _TRAINS:
        if (told := message.get(key)) is not None and bool(told) != learned:
            what = "an answer that is not to be trained" if learned else "a request that is to be trained"
            fix = "leave the row out: answers are trained, and they alone"
            raise DataError(f"has {what} ({key!r}: {str(told).lower()})", fix=fix, field=field)
