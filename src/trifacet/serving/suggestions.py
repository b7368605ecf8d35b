"""What the page for people asks and shows: a suggestion, how sure it is, and what lint finds.

Invariant: it is asked as any program's request is; the suggestion is the greedy text, its samples are drawn, with one
seed, so that the same picture and post show the same again.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from trifacet.generation.variation import parts, vary
from trifacet.lint import lint_text
from trifacet.serving.job import Job
from trifacet.serving.request import ChatRequest, validated

SAMPLES = 3
_TEMPERATURE = 0.7
_SEED = 17


class _Wish(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    picture: str = Field(min_length=1)  # a data URL
    post: str = ""


def read(body: bytes) -> list[ChatRequest]:
    """The page's wish as two requests, for the suggestion and its samples. Raises Refusal."""
    wish = validated(_Wish, body)
    shown = {"type": "image_url", "image_url": wish.picture}
    common = {"model": wish.model, "messages": [{"role": "user", "content": [shown]}], "post": wish.post}
    drawn = {"n": SAMPLES, "temperature": _TEMPERATURE, "seed": _SEED}
    return [ChatRequest.model_validate(common | how) for how in ({}, drawn)]


def told(asked: ChatRequest, suggestion: Job, sampled: Job) -> dict[str, Any]:
    """What the page shows of one model."""
    text, samples = suggestion.texts[0], [one.text for one in sampled.texts]
    findings = lint_text(text.text, context=asked.post)
    spans = vary([text.text, *samples], among=(0,)).spans
    return {
        "text": text.text,
        "cut": text.finish == "length",
        "parts": [
            {"words": one.text, "shared": SAMPLES if one.said is None else one.said - 1}  # not its own
            for one in parts(text.text, spans)
        ],
        "samples": samples,
        "findings": [{"rule": one.rule, "level": one.level, "cause": one.cause, "cure": one.cure} for one in findings],
        "cut_tokens": suggestion.put.cut_tokens,
    }
