"""TRL's formats for vision-language models: ``images`` with ``prompt``/``chosen``/``rejected``, or with ``messages``.

Read are the conversational form (messages whose content is text or a list of parts) and the plain one (strings), with
an explicit prompt or one with which chosen and rejected both begin. Written is the conversational form with explicit
prompt and content parts, in which ``{"type": "image"}`` is an image's place.
Invariant: a preference row has one chosen and one rejected response, so a sample without a rejected one is left out.
Source: huggingface.co/docs/trl/dataset_formats.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.data.formats.chat import (
    LABEL,
    OnLost,
    answer_of,
    extra_of,
    ignore,
    images_of,
    join_post,
    refuse_present,
    shown,
    split_post,
    unmarked,
    values_of,
)
from trifacet.data.formats.messages import ChatTurn, read_messages
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
_IMAGES = ("images", "image", "image_path", "img_path")  # the last two: as data of mDPO and RLHF-V have them
_TURNS = ("prompt", "messages", "chosen", "rejected", "completion")
_CONSUMED = frozenset({*_IMAGES, *_TURNS})
_NOT_SHOWN = ("videos", "audios", "tools")
_HUMAN, _ASSISTANT = "\n\nHuman:", "\n\nAssistant:"  # as in the strings that TRL's implicit prompts began with


def reader(path: Path, label: str, lost: OnLost = ignore) -> Callable[[Values], Values]:
    """A function from a row to a record's values."""
    return lambda row: _values(row, label, lost)


def _values(row: Values, label: str, lost: OnLost) -> Values:
    refuse_present(row, *_NOT_SHOWN)
    if row.get("label") is False:
        raise DataError("says that the completion is not wanted", fix="leave the row out", field="label")
    row = _with_prompt(row)
    turns = {field: _turn(row.get(field), field, lost) for field in _TURNS}
    asking = _asking(turns)
    answers = [turns[field].assistant for field in ("chosen", "completion", "messages")]
    system = next((turn.system for turn in turns.values() if turn.system is not None), None)
    prompt, context = split_post(turns[asking].user or "", label)
    rejected = turns["rejected"].assistant
    return values_of(
        row,
        _CONSUMED - {field for field in _IMAGES if row.get(field) and field != _images_field(row)},
        **shown(images_of(row, *_IMAGES), turns[asking].pictures, asking),
        prompt=prompt,
        context=context,
        response=next((text for text in answers if text is not None), None),
        rejected_responses=[rejected] if rejected is not None else None,
        extra={"system": system} if system is not None else {},
    )


def _images_field(row: Values) -> str | None:
    return next((field for field in _IMAGES if row.get(field)), None)


def _asking(turns: dict[str, ChatTurn]) -> str:
    """The field whose request is the row's. Raises DataError where another one asks something else."""
    if turns["prompt"].assistant is not None:
        fix = "move it into chosen and rejected, or leave the row out"
        raise DataError("ends with the beginning of an answer", fix=fix, field="prompt")
    asked = [field for field, turn in turns.items() if turn.user is not None]
    for field in asked[1:]:
        if turns[field].user != turns[asked[0]].user:
            raise DataError(f"asks another question than {asked[0]}", fix="put one request to both", field=field)
    systems = [field for field, turn in turns.items() if turn.system is not None]
    for field in systems[1:]:
        if turns[field].system != turns[systems[0]].system:
            raise DataError(f"has another system message than {systems[0]}", fix="use one for both", field=field)
    with_pictures = [field for field in asked if turns[field].pictures]
    return (with_pictures or asked or ["prompt"])[0]


def _with_prompt(row: Values) -> Values:
    """Plain strings may both begin with the request: up to the last turn of "Assistant:", else the last line break."""
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if row.get("prompt") is not None or not (isinstance(chosen, str) and isinstance(rejected, str)):
        return row
    same = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False)))
    if _ASSISTANT in same:
        end = same.rindex(_ASSISTANT)
        request = same[:end].strip().removeprefix(_HUMAN.strip()).strip()
        if _HUMAN in request or _ASSISTANT in request:
            raise DataError("has more than one request", fix="keep one request and one answer", field="chosen")
        end += len(_ASSISTANT)
    else:
        end = same.rfind("\n") + 1
        request = same[:end].strip()
    if not request:
        return row
    return row | {"prompt": request, "chosen": chosen[end:].strip(), "rejected": rejected[end:].strip()}


def _turn(value: Any, field: str, lost: OnLost) -> ChatTurn:
    if value is None:
        return ChatTurn(None, None, None)
    if isinstance(value, str) and field == "prompt":
        user, marks = unmarked(value, field, lost)
        return ChatTurn(user, None, None, (None,) * marks)
    if isinstance(value, str) and field != "messages":
        return ChatTurn(None, value, None)
    return read_messages(value, field, lost=lost)


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
    taken = (_CONSUMED - set(_IMAGES[2:]) if sample.pictures else _CONSUMED) | {"label", *_NOT_SHOWN}
    return row | extra_of(sample, taken | ({"system"} if isinstance(system, str) else set()))


def _answer(text: str) -> list[dict[str, Any]]:
    return [_message("assistant", text)]


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}
