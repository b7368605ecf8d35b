"""One number, day, price or name exchanged for another of its kind, so that nothing but the lettering is wrong.

Invariant: what comes out differs from what went in in one place, keeps its form (digits for digits, capitals for
capitals), and depends on the text and the random numbers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

Kind = Literal["number", "price", "time", "day", "month", "name", "word"]


class Exchange(NamedTuple):
    """A text with one word of it exchanged: the word, what stands for it, where it stood (characters), its kind."""

    text: str
    before: str
    after: str
    span: tuple[int, int]
    kind: Kind


def misread(text: str, allowed: Sequence[tuple[int, int]], rng: np.random.Generator) -> Exchange | None:
    """Exchange one word within the ``allowed`` spans of a text; None where none is of a known kind."""
    raise NotImplementedError


def other_word(word: str, rng: np.random.Generator) -> str:
    """Another word of the same kind, case and about the same length, for setting into a picture."""
    raise NotImplementedError
