"""Whether texts and lettering have the same words, tolerant of how letters are misread and set."""

from __future__ import annotations

from collections.abc import Sequence

from trifacet.lettering.lines import Lettering, Line


def holds(lettering: Lettering, phrase: str) -> bool:
    """Whether the words of ``phrase`` stand in the picture, but for errors of reading."""
    raise NotImplementedError


def left_out(lines: Sequence[Line], *texts: str) -> tuple[str, ...]:
    """The words of the lines that stand in none of the texts, as they are lettered."""
    raise NotImplementedError
