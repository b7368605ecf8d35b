"""TRL's formats for vision-language models: ``images`` with ``prompt``/``chosen``/``rejected``, or with ``messages``.

Read are the conversational form (messages whose content is text or a list of parts) and the plain one (strings), with
an explicit prompt or one repeated in chosen and rejected. Written is the conversational form with explicit prompt and
content parts, in which ``{"type": "image"}`` is an image's place.
Invariant: a preference row has one chosen and one rejected response, so a sample without a rejected one is left out.
Source: huggingface.co/docs/trl/dataset_formats.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trifacet.data.formats.chat import (
    LABEL,
    ChatTurn,
    answer_of,
    extra_of,
    images_of,
    join_post,
    read_messages,
    shown,
    split_post,
    unmarked,
    values_of,
)
from trifacet.data.records import PreferenceSample, Sample, SupervisedSample
from trifacet.data.rows import Values

__all__ = ["LABEL", "NAMES", "NEEDS", "reader", "to_row"]
NAMES = {
    "image": "images",
    "more_images": "images",
    "context": "prompt",
    "response": "chosen",
    "references": "completion",
    "rejected_responses": "rejected",
}
NEEDS = "a rejected response"
_CONSUMED = frozenset({"image", "images", "prompt", "messages", "chosen", "rejected", "completion"})


def reader(path: Path, label: str) -> Callable[[Values], Values]:
    """A function from a row to a record's values."""
    return lambda row: _values(row, label)


def _values(row: Values, label: str) -> Values:
    turns = {
        field: _turn(row.get(field), field) for field in ("prompt", "messages", "chosen", "rejected", "completion")
    }
    answers = [turns[field].assistant for field in ("chosen", "completion", "messages")]
    systems = [turns[field].system for field in ("prompt", "messages", "chosen")]
    asking = next((field for field in ("prompt", "messages", "chosen") if turns[field].user is not None), "prompt")
    system = next((text for text in systems if text is not None), None)
    prompt, context = split_post(turns[asking].user or "", label)
    rejected = turns["rejected"].assistant
    return values_of(
        row,
        _CONSUMED,
        **shown(images_of(row, "images", "image"), turns[asking].marks, asking),
        prompt=prompt,
        context=context,
        response=next((text for text in answers if text is not None), None),
        rejected_responses=[rejected] if rejected is not None else None,
        extra={"system": system} if system is not None else {},
    )


def _turn(value: Any, field: str) -> ChatTurn:
    if value is None:
        return ChatTurn(None, None, None)
    if isinstance(value, str) and field == "prompt":
        user, marks = unmarked(value, field)
        return ChatTurn(user, None, None, marks)
    if isinstance(value, str) and field != "messages":
        return ChatTurn(None, value, None)
    return read_messages(value, field)


def to_row(sample: Sample, label: str) -> Values | None:
    """A conversational row; None where a preference sample has no rejected response."""
    system = sample.extra.get("system")
    user: list[dict[str, str]] = [{"type": "image"} for _ in sample.pictures]
    user.append({"type": "text", "text": join_post(sample.prompt, sample.context, label)})
    prompt: list[dict[str, Any]] = [{"role": "user", "content": user}]
    if isinstance(system, str):
        prompt.insert(0, _message("system", system))
    row: Values = {"images": list(sample.pictures)}
    answer = answer_of(sample)
    if isinstance(sample, PreferenceSample):
        if not sample.rejected_responses:
            return None
        rejected = sample.rejected_responses[0]
        row |= {"prompt": prompt, "chosen": _answer(sample.response), "rejected": _answer(rejected)}
    elif isinstance(sample, SupervisedSample):
        row |= {"messages": prompt + _answer(sample.response)}
    else:
        row |= {"prompt": prompt} | ({"completion": _answer(answer)} if answer is not None else {})
    return row | extra_of(sample, _CONSUMED | ({"system"} if isinstance(system, str) else set()))


def _answer(text: str) -> list[dict[str, Any]]:
    return [_message("assistant", text)]


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}
