"""The tokens by which a chat template and a processor speak to the model: turns, ends, images.

Invariant: no text of a record reaches a model with one of them in it, so that a post cannot smuggle in an image or end
the turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class ControlTokens:
    """The control tokens of a processor or tokenizer, in ``tokens``, the longest first; ``reserved``: ids of more."""

    def __init__(self, processor: Any, reserved: Iterable[int] = ()) -> None:
        tokenizer = getattr(processor, "tokenizer", processor)
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        found = {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)
        found |= set(tokenizer.convert_ids_to_tokens(sorted(reserved)))
        # those that a processor expands or reads, which a vocabulary need not call special
        found |= {value for key, value in vars(processor).items() if key.endswith("_token") and isinstance(value, str)}
        self.tokens = tuple(sorted(found, key=lambda token: (-len(token), token)))

    def broken(self, text: str) -> str:
        """``text`` with every control token broken by a space."""
        for token in self.tokens:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text
