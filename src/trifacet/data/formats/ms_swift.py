"""ms-swift's format: ``messages``, ``images`` and ``rejected_response``, ``rejected_images``, ``rejected_messages``.

Each ``<image>`` in the user's text is an image's place. ms-swift compares the chosen sequence with ONE rejected
sequence, in which images, user text and answer may each differ; here each of the three is read as a rejected version of
its facet, the first image being the one that the text describes.
Invariant: ``rejected_messages`` is written only where a rejected context makes it necessary (it needs ms-swift 3.8).
Source: swift.readthedocs.io, Customization/Custom-dataset.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.data.formats.chat import (
    LABEL,
    OnLost,
    answer_of,
    disarmed,
    extra_of,
    ignore,
    images_of,
    join_post,
    no_images,
    refuse_history,
    refuse_present,
    shown,
    split_post,
    values_of,
    with_image_marks,
)
from trifacet.data.formats.messages import ChatTurn, read_messages
from trifacet.data.records import PreferenceSample, Sample
from trifacet.data.rows import Values

__all__ = ["LABEL", "NAMES", "NEEDS", "reader", "to_row"]
NAMES = {
    "image": "images",
    "more_images": "images",
    "context": "messages",
    "response": "messages",
    "references": "messages",
    "rejected_responses": "rejected_response",
    "rejected_contexts": "rejected_messages",
}
NEEDS = "a rejected image, context or response"
_CONSUMED = frozenset({"image", "images", "messages", "rejected_response", "rejected_messages", "rejected_images"})
_NOT_SHOWN = ("videos", "audios", "tools", "objects")
_QUERY = "query"
_IMAGE_IN_TEXT = re.compile(r"<img>[^<]+</img>")  # as the second version of ms-swift had it


def reader(path: Path, label: str, lost: OnLost = ignore) -> Callable[[Values], Values]:
    """A function from a row to a record's values."""
    return lambda row: _values(row, label, lost)


def _values(row: Values, label: str, lost: OnLost) -> Values:
    refuse_present(row, *_NOT_SHOWN)
    if row.get("label") is False:
        raise DataError("says that the answer is not wanted", fix="leave the row out", field="label")
    asked = _QUERY if "messages" not in row else "messages"
    row = _with_messages(row)
    turn = _read(row.get("messages"), "messages", lost)
    prompt, context = split_post(turn.user or "", label)
    images = images_of(row, "images", "image")
    if not images and _IMAGE_IN_TEXT.search(turn.user or ""):
        fix = "write <image> in its place and the path in images"
        raise DataError("names an image within the text", fix=fix, field=asked)
    rejected: dict[str, list[Any]] = {}
    if row.get("rejected_response") is not None:
        given = row["rejected_response"]
        given = given if isinstance(given, list) else [given]
        rejected["rejected_responses"] = [
            no_images(one, "rejected_response") if isinstance(one, str) else one for one in given
        ]
    if (rejected_images := images_of(row, "rejected_images")) and rejected_images != images:
        rejected["rejected_images"] = [_rejected_image(images, rejected_images)]
    if row.get("rejected_messages") is not None:
        if "rejected_responses" in rejected:
            raise DataError("stands beside rejected_response", fix="keep one of the two", field="rejected_messages")
        other = _read(row["rejected_messages"], "rejected_messages", lost)
        other_prompt, other_context = split_post(other.user or "", label)
        if (other_prompt, other.system) != (prompt, turn.system):
            raise DataError(
                "differs from messages in the request, not only in the post",
                fix=f"mark the post in both with a line {label!r}, and use one system message",
                field="rejected_messages",
            )
        if any(other.pictures) and other.pictures != turn.pictures:
            fix = "give the rejected ones as rejected_images"
            raise DataError("shows other images than messages", fix=fix, field="rejected_messages")
        if other_context != context:
            rejected["rejected_contexts"] = [other_context]
        if other.assistant is not None and other.assistant != turn.assistant:
            rejected["rejected_responses"] = [other.assistant]
    return values_of(
        row,
        _CONSUMED,
        **shown(images, turn.pictures, asked),
        prompt=prompt,
        context=context,
        response=turn.assistant,
        extra={"system": turn.system} if turn.system is not None else {},
        **rejected,
    )


def _with_messages(row: Values) -> Values:
    """The older layout, of a query and a response, which ms-swift still reads, as messages."""
    if "messages" in row or not {_QUERY, "response"} & row.keys():
        return row
    refuse_history(row, "history")
    said = [("user", row.get(_QUERY)), ("assistant", row.get("response"))]
    messages = [{"role": role, "content": text} for role, text in said if text is not None]
    return {name: value for name, value in row.items() if name not in (_QUERY, "response", "history")} | {
        "messages": messages
    }


def _read(messages: Any, field: str, lost: OnLost) -> ChatTurn:
    turn = read_messages(messages, field, lost=lost)
    if turn.assistant is not None:
        no_images(turn.assistant, field)
    return turn


def _rejected_image(images: list[str], rejected: list[str]) -> str:
    """The rejected version of the first image; the others are the same on both sides."""
    if images and rejected[1:] != images[1:]:
        raise DataError(
            "differs from images in more than the first, which is the one that the text describes",
            fix="give as many as in images, and the same after the first",
            field="rejected_images",
        )
    return rejected[0]


def to_row(sample: Sample, label: str) -> Values | None:
    """A row; None where a preference sample has no rejected version of anything."""
    system = sample.extra.get("system")
    answer = answer_of(sample)

    def messages(context: str, answer: str | None) -> list[dict[str, str]]:
        turns = [("system", system if isinstance(system, str) else None)]
        turns += [("user", with_image_marks(join_post(sample.prompt, context, label), len(sample.pictures)))]
        turns += [("assistant", disarmed(answer) if answer is not None else None)]
        return [{"role": role, "content": text} for role, text in turns if text is not None]

    row: Values = {"messages": messages(sample.context, answer), "images": list(sample.pictures)}
    if isinstance(sample, PreferenceSample):
        response = sample.rejected_responses[0] if sample.rejected_responses else None
        rejected_images = [*sample.rejected_images[:1], *sample.more_images]
        if sample.rejected_contexts:
            row["rejected_messages"] = messages(sample.rejected_contexts[0], response or sample.response)
            row["rejected_images"] = rejected_images if sample.rejected_images else list(sample.pictures)
        elif sample.rejected_images or response:
            row |= {"rejected_response": disarmed(response)} if response else {}
            row |= {"rejected_images": rejected_images} if sample.rejected_images else {}
        else:
            return None
    taken = _CONSUMED | {"label", *_NOT_SHOWN}
    return row | extra_of(sample, taken | ({"system"} if isinstance(system, str) else set()))
