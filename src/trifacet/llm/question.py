"""A request to a model: what it is known by, what it may take, and what is sent.

Invariant: two questions have one key if and only if the same is asked of the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trifacet.base.digests import json_digest
from trifacet.llm.capabilities import Form
from trifacet.llm.estimate import PER_MESSAGE, image_tokens, text_tokens
from trifacet.llm.pictures import SentPicture, data_url


@dataclass(frozen=True)
class Question:
    """One request as it is identified, estimated and sent.

    ``form`` is what an endpoint may be told of how the answer has to look. It is no part of the key: the words say it.
    """

    model: str
    system: str
    user: str
    pictures: tuple[SentPicture, ...]
    temperature: float
    max_tokens: int
    seed: int
    form: Form | None = None

    @property
    def key(self) -> str:
        """SHA-256 of everything that the answer may depend on; not of address, key or limits."""
        identity = self._body([picture.identity for picture in self.pictures])
        return json_digest(identity)

    @property
    def tokens(self) -> tuple[int, int]:
        """(in, out) by the rules of ``trifacet.llm.estimate``."""
        texts = sum(text_tokens(text) + PER_MESSAGE for text in (self.system, self.user) if text)
        return texts + sum(image_tokens(one.width, one.height) for one in self.pictures), self.max_tokens

    def body(self, max_pixels: int) -> dict[str, Any]:
        """The request, with its images encoded. Raises DataError for one that cannot be."""
        urls = (data_url(picture, max_pixels=max_pixels) for picture in self.pictures)
        return self._body([{"type": "image_url", "image_url": {"url": url}} for url in urls])

    def _body(self, images: Sequence[dict[str, Any]]) -> dict[str, Any]:
        # pictures, then the prompt's fixed words, then what varies: endpoints keep the beginnings that requests share
        content = [*images, {"type": "text", "text": self.user}] if images else self.user
        system = [{"role": "system", "content": self.system}] if self.system else []
        sampling = {"temperature": self.temperature} | ({"seed": self.seed} if self.temperature > 0 else {})
        messages = [*system, {"role": "user", "content": content}]
        return {"model": self.model, "messages": messages, "max_tokens": self.max_tokens, **sampling}
