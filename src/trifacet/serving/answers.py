"""Answers in OpenAI's form. Invariant: the same texts give the same choices, whole or in pieces."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

from trifacet.serving.growing_text import GrowingText, Piece
from trifacet.serving.job import Job


class Form:
    """The answer to one request."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._common = {
            "id": f"chatcmpl-{uuid4().hex}",
            "created": int(time.time()),
            "model": job.hosted.name,
            "system_fingerprint": job.hosted.weights[:16],
        }

    def whole(self) -> dict[str, Any]:
        """All texts."""
        choices = [self._choice(number, text) for number, text in enumerate(self._job.every_text())]
        return {**self._common, "object": "chat.completion", "choices": choices, "usage": self.usage(), **self._cut()}

    def _cut(self) -> dict[str, int]:
        return {"cut_tokens": self._job.put.cut_tokens} if self._job.put.cut_tokens else {}

    def usage(self) -> dict[str, int]:
        """Tokens of the prompt, and of all texts with their ends."""
        prompt = len(self._job.put.prompt.path.tokens_L)
        written = sum(text.written for text in self._job.every_text())
        return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}

    def beginning(self) -> list[bytes]:
        """The first event of every choice."""
        delta = {"role": "assistant", "content": ""}
        return [self._event([self._piece(number, delta)], **self._cut()) for number in range(self._job.draws)]

    def added(self, draw: int, piece: Piece) -> list[bytes]:
        """A piece of a text; where all are alike, of each."""
        numbers = [draw] if self._job.how.temperature else range(self._job.draws)
        told = {"content": piece.text} if piece.text or piece.logprobs else {}
        events = []
        for number in numbers:
            choice = self._piece(number, told)
            if piece.logprobs:
                choice["logprobs"] = {"content": piece.logprobs}
            if told:
                events.append(self._event([choice]))
            if piece.finish:
                events.append(self._event([self._piece(number, {}, piece.finish)]))
        return events

    def last(self, *, usage: bool) -> bytes:
        """What ends a stream."""
        told = self._event([], usage=self.usage()) if usage else b""
        return told + b"data: [DONE]\n\n"

    def failed(self, body: dict[str, Any]) -> bytes:
        """What ends a stream that comes to nothing."""
        return _sent(body)

    def _event(self, choices: list[dict[str, Any]], **others: Any) -> bytes:
        return _sent({**self._common, "object": "chat.completion.chunk", "choices": choices, **others})

    def _piece(self, number: int, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
        return {"index": number, "delta": delta, "logprobs": None, "finish_reason": finish}

    def _choice(self, number: int, text: GrowingText) -> dict[str, Any]:
        logprobs = None if text.wish.likeliest is None else {"content": text.logprobs, "refusal": None}
        message = {"role": "assistant", "content": text.text, "refusal": None}
        return {"index": number, "message": message, "logprobs": logprobs, "finish_reason": text.finish}


def _sent(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document).encode("ascii") + b"\n\n"
