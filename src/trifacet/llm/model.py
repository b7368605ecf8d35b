"""Asking a language model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from trifacet.llm.prompts import Prompt

T = TypeVar("T")


class UnparsedError(ValueError):
    """An answer that is not of the form that was asked for; raised by parsers."""


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What came of a question: ``value``, or None with ``problem``; ``text`` is what the model said last."""

    value: T | None
    problem: str | None
    text: str


class LanguageModel:
    """A model that a step may ask."""

    async def ask(
        self,
        prompt: Prompt,
        fields: Mapping[str, str],
        parse: Callable[[str], T],
        *,
        images: Sequence[Path] = (),
        temperature: float = 0.0,
        max_tokens: int | None = None,
    ) -> Answer[T]:
        """The parsed answer to ``prompt`` filled with ``fields``."""
        raise NotImplementedError
