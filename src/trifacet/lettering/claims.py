"""What a text says that the picture's letters say: its quotations, and what follows "reads", "titled", "says"."""

from __future__ import annotations

from typing import NamedTuple


class Claim(NamedTuple):
    """Words that a text says stand in the picture, and where it says so (characters, end exclusive)."""

    text: str
    span: tuple[int, int]


def claimed(text: str) -> tuple[Claim, ...]:
    """The claims of a text, in its order."""
    raise NotImplementedError
