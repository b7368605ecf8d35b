"""Texts that are JSON by a schema: which tokens may come next, by llguidance.

Invariants: a schema is taken whole or refused with what of it is not supported; nothing of it is looked up elsewhere.
What reads it first is a process that is ended where that costs too much: a few characters can ask for hours.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trifacet.base.bounded import OutOfBoundsError, call_bounded
from trifacet.base.errors import TrifacetError
from trifacet.base.extras import needed_for
from trifacet.base.words import visible
from trifacet.serving.refusals import Refusal
from trifacet.serving.schema import OPTIONS, objection

_LONGEST = 300  # characters of what llguidance says
_SECONDS, _MEMORY = 3.0, 2**29  # that reading a schema may take, the start of llguidance included
_KEPT = 32  # schemas: clients send the same one again and again


class NoWayOnError(Exception):
    """A text by a schema cannot go on, in llguidance's words: the schema has no end, or is too complex."""


class Grammars:
    """Makes constraints for one model.

    Args:
        tokenizer: its own, a fast one.
        vocabulary: ids of its head.
        ends, suppressed: ids that end a text, and that none holds.

    Raises:
        TrifacetError: llguidance is not installed, or cannot read such a tokenizer.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, ends: frozenset[int], suppressed: Collection[int] = ()) -> None:
        with needed_for("response_format"):
            import llguidance
            import llguidance.hf

        self._library, self._vocabulary = llguidance, vocabulary
        self._ends, self._suppressed = ends, list(suppressed)
        self._known: OrderedDict[str, Constraint] = OrderedDict()
        self._lock = threading.Lock()
        try:
            self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
        except ValueError as error:
            raise TrifacetError(f"response_format: llguidance cannot read the tokenizer ({error})") from None

    def constraint(self, schema: str) -> Constraint:
        """One for a text by a JSON schema, of which no text has begun. Raises Refusal."""
        with self._lock:
            if (known := self._known.get(schema)) is not None:
                self._known.move_to_end(schema)
                return known
        try:
            said = call_bounded(objection, schema, seconds=_SECONDS, memory=_MEMORY)
        except OutOfBoundsError as error:
            said = f"reading it {error}"
        if said is not None:
            raise _unsupported(said)
        matcher = self._library.LLMatcher
        begun = Constraint(
            matcher(self._tokenizer, matcher.grammar_from_json_schema(schema, overrides=OPTIONS), log_level=0),
            self._vocabulary,
        )
        try:
            allowed_V = begun.copy().allowed(self._ends)
        except NoWayOnError as error:
            raise _unsupported(str(error)) from None
        allowed_V[self._suppressed] = False
        if not allowed_V.any():
            raise _unsupported("no text of this model's tokens can begin by it")
        with self._lock:
            self._known[schema] = begun
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return begun


class Constraint:
    """What one text may go on with."""

    def __init__(self, matcher: Any, vocabulary: int) -> None:
        self._matcher, self._vocabulary = matcher, vocabulary

    def copy(self) -> Constraint:
        """The same at the same place, for another text."""
        return Constraint(self._matcher.deep_copy(), self._vocabulary)

    def allowed(self, ends: frozenset[int]) -> Tensor:
        """Which ids may come next, (V,); the ``ends`` where the text may end here. Raises NoWayOnError."""
        mask = self._matcher.compute_bitmask()
        if self._matcher.is_error():  # it is noticed here; the mask holds an end then
            raise NoWayOnError(cleaned(self._matcher.get_error()))
        bits = np.frombuffer(mask, dtype=np.uint8)
        allowed_V = torch.from_numpy(np.unpackbits(bits, bitorder="little")[: self._vocabulary].astype(bool))
        allowed_V[list(ends)] = self._matcher.is_accepting()
        return allowed_V

    def took(self, token: int) -> bool:
        """Told of a token that is no end; whether the text is whole with it. Raises NoWayOnError."""
        if not self._matcher.consume_token(token):
            raise NoWayOnError(cleaned(self._matcher.get_error()))
        return bool(self._matcher.is_stopped())


def cleaned(said: str) -> str:
    """What llguidance says, in one bounded line that a terminal can show; without its state, which holds the text."""
    return visible(" ".join(said.partition("<state>")[0].split()))[:_LONGEST]


def _unsupported(said: str) -> Refusal:
    return Refusal(
        400, f"response_format: the schema is not supported: {cleaned(said)}", param="response_format",
        code="unsupported_schema",
    )  # fmt: skip
