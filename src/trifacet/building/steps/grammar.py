"""A language model corrects grammar and spelling, and as little else as possible.

Invariant: a text is replaced only by one that differs from it in few words, has the same links and the same bracketed
words such as [person]; every other answer leaves it as it was and is counted.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from trifacet.building.lettered import LETTERED, named_fields, needs_lettering
from trifacet.building.rows import Post
from trifacet.building.step import AskStep, Tools
from trifacet.llm.model import Answer, LanguageModel, unanswered
from trifacet.llm.parsing import UnparsedError, parse_object
from trifacet.llm.prompts import load_prompt
from trifacet.metrics.texts import words
from trifacet.settings.section import MOST, Section, Unit

_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_BRACKETED = re.compile(r"\[[^\[\]]*\]")


class Parameters(Section):
    """What is corrected, by whom, and how far a correction may go."""

    model: str | None = Field(None, description="which of the recipe's models (null: the only one)")
    fields: list[Literal["context", "alt"]] = Field(["context", "alt"], description="texts that are looked at")
    max_change: Unit = Field(
        0.3, description="largest share of words that a correction may change (rounded up to whole words)"
    )
    max_chars: int = Field(
        5000,
        ge=1,
        le=MOST,
        description="a longer text is left as it is: to compare it with its correction takes too long",
    )
    on_problem: Literal["keep", "drop"] = Field("keep", description="rows whose answer cannot be used")
    prompt: Path | None = Field(None, description="file with a prompt of yours in place of the package's")


@dataclass(frozen=True)
class _Correction:
    """An answer: the corrected text, or None where there is no error."""

    text: str | None


async def ask(post: Post, parameters: Parameters, model: LanguageModel, tools: Tools) -> None:
    """Ask about each text of the row by itself and keep what passes ``refusal``."""
    prompt = load_prompt("grammar", parameters.prompt, LETTERED)
    fields = []
    for field in dict.fromkeys(parameters.fields):
        if len(post[field]) > parameters.max_chars:
            post.note("text too long to be checked", field=field, characters=len(post[field]))
        elif post[field].strip():
            fields.append(field)
    answers = await asyncio.gather(
        *(
            model.ask(
                prompt,
                named_fields(prompt, {"text": post[field]}, post),
                parse_correction,
                max_tokens=_room_for(post[field]),
            )
            for field in fields
        )
    )
    for field, answer in zip(fields, answers, strict=True):  # in one order, whichever answer came first
        _decide(post, field, answer, parameters)


def _decide(post: Post, field: str, answer: Answer[_Correction], parameters: Parameters) -> None:
    text = post[field]
    if answer.value is None:
        tell = post.drop if parameters.on_problem == "drop" else post.note
        unchecked = unanswered("grammar not checked", answer.problem)
        tell(unchecked, field=field, before=text, problem=answer.problem, answer=answer.text[:500])
    elif answer.value.text is not None:
        corrected = _with_ends_of(text, answer.value.text)
        reason = refusal(text, corrected, parameters.max_change)
        if reason:
            post.note(reason, field=field, before=text, after=corrected)
        else:
            post.change(field, corrected, "grammar corrected")


def parse_correction(text: str) -> _Correction:
    """{"error": false, "text": ""} or {"error": true, "text": "..."}; anything else raises UnparsedError."""
    answer = parse_object(text, {"error": bool, "text": str})
    if not answer["error"]:
        return _Correction(None)
    if not answer["text"].strip():
        raise UnparsedError("an error without a corrected text")
    return _Correction(answer["text"])


def refusal(before: str, after: str, max_change: float) -> str | None:
    """Why ``after`` is no minimal correction of ``before``; None where it is one."""
    old, new = words(before), words(after)
    allowed = math.ceil(max_change * len(old))
    if abs(len(old) - len(new)) > allowed or word_distance(old, new) > allowed:
        return "correction changes too much"
    if Counter(_LINK.findall(after)) != Counter(_LINK.findall(before)):
        return "correction changes a link"
    if Counter(_BRACKETED.findall(after)) != Counter(_BRACKETED.findall(before)):
        return "correction changes a placeholder"
    return None


def word_distance(a: list[str], b: list[str]) -> int:
    """How many words must be put in, taken out or replaced to make ``b`` of ``a`` (Levenshtein's distance)."""
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def _room_for(text: str) -> int:
    """Tokens for an answer that repeats ``text``: twice what English takes, one for about four characters."""
    return 128 + len(text) // 2


def _with_ends_of(text: str, corrected: str) -> str:
    """The correction with the white space around ``text``, so that trimming alone is no change."""
    start = text[: len(text) - len(text.lstrip())]
    return start + corrected.strip() + text[len(text.rstrip()) :]


def _outside(parameters: Parameters) -> dict[str, str]:
    return {"prompt": load_prompt("grammar", parameters.prompt, LETTERED).version}


STEP = AskStep("grammar", Parameters, ask, needs=lambda p: needs_lettering(("grammar", p.prompt)), outside=_outside)
