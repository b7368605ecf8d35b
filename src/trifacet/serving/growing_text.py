"""One text of a request as it grows: its pieces, the log-probs of its tokens, and where it ends.

Invariant: the pieces that were handed on join to the text as it is at last: that which ``FamilyWriter`` gives for the
same tokens, up to a stop. Shape letter: V vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple

from torch import Tensor
from transformers.convert_slow_tokenizer import bytes_to_unicode

from trifacet.serving.constraint import Constraint

_TIDIED = 4  # characters at the end that a tokenizer which tidies up may still change: " n't"
_BEFORE = 8  # tokens behind which one is spelled
_LEAST = -9999.0  # JSON knows no infinity
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # as tokenizers with single bytes beside words spell one
_BROKEN = "\ufffd"  # what an unfinished character is decoded to


@dataclass(frozen=True)
class Wish:
    """What a request wants of its texts."""

    ends: frozenset[int]
    longest: int
    stop: Sequence[str] = ()
    likeliest: int | None = None  # of so many tokens beside each the log-probs are told; None: of none
    streamed: bool = False
    schema: Constraint | None = None


class Piece(NamedTuple):
    """What was added to a text, with the log-probs of the tokens that came since the last one."""

    text: str
    logprobs: list[dict[str, Any]]
    finish: Literal["stop", "length"] | None


@dataclass
class GrowingText:
    """One draw."""

    wish: Wish
    tokenizer: Any
    tokens: list[int] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    written: int = 0  # tokens, the end too
    finish: Literal["stop", "length"] | None = None
    text: str = ""  # whole, once it is finished
    _sent: int = 0  # characters that were handed on, and entries of ``logprobs``
    _told: int = 0
    _schema: Constraint | None = None

    def __post_init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """As if no token had come; what was handed on stays so."""
        self.tokens, self.logprobs, self.written, self.finish = [], [], 0, None
        self._schema = self.wish.schema.copy() if self.wish.schema else None

    def allowed(self) -> Tensor | None:
        """Which ids may come next."""
        return self._schema.allowed(self.wish.ends) if self._schema else None

    def took(self, token: int, logits_V: Tensor) -> bool:
        """Told of a token with the logits before it; whether the text ends here."""
        self.written += 1
        if token in self.wish.ends:
            self._end("stop", self._decoded().strip())
            return True
        if self.wish.likeliest is not None:
            self.logprobs.append(self._logprob(token, logits_V))
        self.tokens.append(token)
        if self._schema is not None and self._schema.took(token):
            self._end("stop", self._decoded().strip())
        elif self.wish.stop and (cut := self._stopped()) is not None:
            self._keep_tokens_of(cut)
            self._end("stop", cut.strip())
        elif len(self.tokens) == self.wish.longest:
            self._end("length", self._decoded().strip())
        return self.finish is not None

    def piece(self) -> Piece | None:
        """What can be handed on since the last time, if anything can."""
        whole = self.finish is not None
        text = self.text if whole else self._settled(self._decoded().lstrip())
        added, told = text[self._sent :], self.logprobs[self._told :] if whole or self.text_is_certain else []
        if not (added or told or whole):
            return None
        self._sent, self._told = max(self._sent, len(text)), max(self._told, self._told + len(told))
        return Piece(added, told, self.finish)

    @property
    def text_is_certain(self) -> bool:
        """Whether no token that is there may be taken back: with ``stop`` it may."""
        return not self.wish.stop

    def _end(self, why: Literal["stop", "length"], text: str) -> None:
        self.finish, self.text = why, text

    def _decoded(self, tokens: Sequence[int] | None = None) -> str:
        return self.tokenizer.decode(self.tokens if tokens is None else tokens, skip_special_tokens=True)

    def _stopped(self) -> str | None:
        """The text before the first stop in it, if there is one."""
        text = self._decoded()
        places = [at for stop in self.wish.stop if (at := text.find(stop)) >= 0]
        return text[: min(places)] if places else None

    def _keep_tokens_of(self, text: str) -> None:
        """The log-probs of the tokens that the text before a stop has a part in."""
        while self.logprobs and len(self._decoded(self.tokens[: len(self.logprobs) - 1])) >= len(text):
            self.logprobs.pop()

    def _settled(self, text: str) -> str:
        """The beginning of an unfinished text that is certain to stay."""
        text = text.rstrip(_BROKEN).rstrip()
        if getattr(self.tokenizer, "clean_up_tokenization_spaces", False):
            text = text[:-_TIDIED].rstrip()
        begun = (
            length for stop in self.wish.stop for length in range(1, len(stop)) if text.endswith(stop[:length])
        )  # of a stop that may come
        return text[: len(text) - max(begun, default=0)].rstrip()

    def _logprob(self, token: int, logits_V: Tensor) -> dict[str, Any]:
        logprobs_V = logits_V.log_softmax(-1)
        entry = self._entry(token, float(logprobs_V[token]))
        best = logprobs_V.topk(min(self.wish.likeliest or 0, len(logprobs_V)))
        likely = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return entry | {"top_logprobs": [self._entry(one, value) for one, value in likely]}

    def _entry(self, token: int, logprob: float) -> dict[str, Any]:
        """A token as OpenAI has it: spelled as it is behind the tokens before it; bytes join to the text."""
        before = self.tokens[-_BEFORE:]
        text = self._decoded([*before, token])[len(self._decoded(before)) :] if before else self._decoded([token])
        text = text or self.tokenizer.decode([token])  # one that a text leaves out
        told = self._bytes(token) if _BROKEN in text else list(text.encode("utf-8"))
        return {"token": text, "logprob": max(logprob, _LEAST), "bytes": told}

    def _bytes(self, token: int) -> list[int] | None:
        """Those of a token that holds a part of a character, by either way of spelling them; None: of no such one."""
        spelled = self.tokenizer.convert_ids_to_tokens(token)
        if found := _BYTE.fullmatch(spelled):
            return [int(found[1], 16)]
        letters = _byte_letters()
        return [letters[letter] for letter in spelled] if letters.keys() >= set(spelled) else None


@cache
def _byte_letters() -> dict[str, int]:
    """The letters by which tokenizers of bytes, as GPT-2's, spell them."""
    return {letter: byte for byte, letter in bytes_to_unicode().items()}
