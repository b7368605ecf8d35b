"""ms-swift's format: ``messages``, ``images`` and ``rejected_response``, ``rejected_images``, ``rejected_messages``.

Each ``<image>`` in the user's text is an image's place. ms-swift compares the chosen sequence with ONE rejected
sequence, in which images, user text and answer may each differ; here each of the three is read as a rejected version of
its facet, the first image being the one that the text describes.
Invariant: ``rejected_messages`` is written only where a rejected context makes it necessary (it needs ms-swift 3.8).
Source: swift.readthedocs.io, Customization/Custom-dataset.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.data.formats.chat import (
    LABEL,
    answer_of,
    disarmed,
    extra_of,
    images_of,
    join_post,
    read_messages,
    shown,
    split_post,
    values_of,
    with_image_marks,
)
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


def reader(path: Path, label: str) -> Callable[[Values], Values]:
    """A function from a row to a record's values."""
    return lambda row: _values(row, label)


def _values(row: Values, label: str) -> Values:
    turn = read_messages(row.get("messages"), "messages")
    prompt, context = split_post(turn.user or "", label)
    images = images_of(row, "images", "image")
    rejected: dict[str, list[Any]] = {}
    if row.get("rejected_response") is not None:
        given = row["rejected_response"]
        rejected["rejected_responses"] = given if isinstance(given, list) else [given]
    if (rejected_images := images_of(row, "rejected_images")) and rejected_images != images:
        rejected["rejected_images"] = [_rejected_image(images, rejected_images)]
    if row.get("rejected_messages") is not None:
        if "rejected_responses" in rejected:
            raise DataError("stands beside rejected_response", fix="keep one of the two", field="rejected_messages")
        other = read_messages(row["rejected_messages"], "rejected_messages")
        other_prompt, other_context = split_post(other.user or "", label)
        if other_prompt != prompt:
            raise DataError(
                "differs from messages in the request, not only in the post",
                fix=f"mark the post in both with a line {label!r}",
                field="rejected_messages",
            )
        if other_context != context:
            rejected["rejected_contexts"] = [other_context]
        if other.assistant is not None and other.assistant != turn.assistant:
            rejected["rejected_responses"] = [other.assistant]
    return values_of(
        row,
        _CONSUMED,
        **shown(images, turn.marks, "messages"),
        prompt=prompt,
        context=context,
        response=turn.assistant,
        extra={"system": turn.system} if turn.system is not None else {},
        **rejected,
    )


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
    return row | extra_of(sample, _CONSUMED | ({"system"} if isinstance(system, str) else set()))
