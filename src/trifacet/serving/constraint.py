"""Texts that are JSON by a schema: which tokens may come next, by llguidance.

Invariant: a schema is taken whole or refused with what of it is not supported; nothing of it is looked up elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import needed_for
from trifacet.base.words import visible
from trifacet.serving.refusals import Refusal

# one blank at most between tokens of JSON: a model may else write blanks until its text is at its longest
_OPTIONS = {"lenient": False, "whitespace_pattern": " ?"}
_LONGEST = 300  # characters of what llguidance says


class Grammars:
    """Makes constraints for one model.

    Args:
        tokenizer: its own, a fast one.
        vocabulary: ids of its head.

    Raises:
        TrifacetError: llguidance is not installed, or cannot read such a tokenizer.
    """

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        with needed_for("response_format"):
            import llguidance
            import llguidance.hf

        self._library, self._vocabulary = llguidance, vocabulary
        try:
            self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
        except ValueError as error:
            raise TrifacetError(f"response_format: llguidance cannot read the tokenizer ({error})") from None

    def constraint(self, schema: str) -> Constraint:
        """One for a text by a JSON schema. Raises Refusal."""
        matcher = self._library.LLMatcher
        try:
            grammar = matcher.grammar_from_json_schema(schema, overrides=_OPTIONS)
            failed, told = matcher.validate_grammar_with_warnings(grammar, self._tokenizer)
            begun = matcher(self._tokenizer, grammar, log_level=0)
            told = told or ([begun.get_error()] if begun.is_error() else [])
        except ValueError as error:
            failed, told = True, [str(error)]
        if failed or told:
            said = visible(" ".join(told[0].split()))[:_LONGEST]
            raise Refusal(
                400, f"response_format: the schema is not supported: {said}", param="response_format",
                code="unsupported_schema",
            )  # fmt: skip
        return Constraint(begun, self._vocabulary)


class Constraint:
    """What one text may go on with."""

    def __init__(self, matcher: Any, vocabulary: int) -> None:
        self._matcher, self._vocabulary = matcher, vocabulary

    def copy(self) -> Constraint:
        """The same at the same place, for another text."""
        return Constraint(self._matcher.deep_copy(), self._vocabulary)

    def allowed(self, ends: frozenset[int]) -> Tensor:
        """Which ids may come next, (V,); the ``ends`` where the text may end here."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        allowed_V = torch.from_numpy(np.unpackbits(bits, bitorder="little")[: self._vocabulary].astype(bool))
        allowed_V[list(ends)] = self._matcher.is_accepting()
        return allowed_V

    def took(self, token: int) -> bool:
        """Told of a token that is no end; whether the text is whole with it. Raises ValueError where it did not fit."""
        if not self._matcher.consume_token(token):
            raise ValueError(self._matcher.get_error())
        return bool(self._matcher.is_stopped())
