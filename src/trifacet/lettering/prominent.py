"""Which lettering a reader should hear of: prominent by size and confidence, no small print, address or credit."""

from __future__ import annotations

from dataclasses import dataclass

from trifacet.lettering.lines import Lettering, Line


@dataclass(frozen=True)
class Prominence:
    """What counts as prominent.

    Args:
        least_confidence: of a line.
        least_height: of its letters, a share of the picture's height.
        page_words: with more prominent words than this the picture is a page of text, which is asked for its title.
    """

    least_confidence: float = 0.8
    least_height: float = 0.03
    page_words: int = 25


def prominent(lettering: Lettering, rule: Prominence | None = None) -> tuple[Line, ...]:
    """The prominent lines, in their order; of a page of text its title's."""
    rule = rule or Prominence()
    height = lettering.size[1]
    return tuple(
        line
        for line in lettering.lines
        if line.confidence >= rule.least_confidence and line.box[3] - line.box[1] >= rule.least_height * height
    )
