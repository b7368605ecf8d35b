"""The words around pictures: paragraphs in the order in which a reader meets them.

Invariant: of every picture a bounded number of characters is looked at, whatever the document holds; a heading ends
what counts as beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

LONGEST = 600  # characters before a picture, and behind it
MOST_HEADINGS = 6


@dataclass
class Paragraph:
    """A paragraph's words, in pieces between which pictures may stand; ``level`` of a heading, 0 of others."""

    level: int = 0
    pieces: list[str] = field(default_factory=list)


class Flow:
    """Paragraphs and the headings above each."""

    def __init__(self, paragraphs: Sequence[Paragraph]) -> None:
        self._paragraphs = paragraphs
        self._before = _nearest(paragraphs)
        self._after = [len(paragraphs) - 1 - near for near in reversed(_nearest(list(reversed(paragraphs))))]
        self._headings: list[tuple[tuple[int, str], ...]] = []
        above: tuple[tuple[int, str], ...] = ()
        for paragraph in paragraphs:
            self._headings.append(above)
            if paragraph.level and (words := _first(paragraph.pieces)):
                above = (*(one for one in above if one[0] < paragraph.level), (paragraph.level, words))
        self._last = above  # above what comes behind all of them

    def headings(self, number: int) -> tuple[str, ...]:
        """The headings above a paragraph, the outermost first."""
        if not self._paragraphs or number < 0:
            return ()
        if number >= len(self._paragraphs):
            return tuple(words for _, words in self._last)[-MOST_HEADINGS:]
        return tuple(words for _, words in self._headings[number])[-MOST_HEADINGS:]

    def beside(self, number: int, piece: int) -> tuple[str, str, bool]:
        """The words before and behind a place in a paragraph, and whether they are this paragraph's.

        Where it has none they are those of the paragraphs beside it.
        """
        pieces = self._paragraphs[number].pieces
        before, after = _last(pieces[max(piece - LONGEST, 0) : piece]), _first(pieces[piece : piece + LONGEST])
        if before or after:
            return before, after, True
        return self._of(self._before[number], last=True), self._of(self._after[number], last=False), False

    def between(self, number: int) -> tuple[str, str]:
        """The words of a paragraph and those of the next one, for what stands between them."""
        return self._of(number, last=True), self._of(number + 1, last=False)

    def _of(self, number: int, *, last: bool) -> str:
        """The words of a neighbour; "" where there is none, or a heading stands there."""
        if not 0 <= number < len(self._paragraphs) or self._paragraphs[number].level:
            return ""
        return (_last if last else _first)(self._paragraphs[number].pieces)


def _nearest(paragraphs: Sequence[Paragraph]) -> list[int]:
    """For each the number of the nearest one before it that has words; -1 for none."""
    found, near = [], -1
    for number, paragraph in enumerate(paragraphs):
        found.append(near)
        if paragraph.pieces:
            near = number
    return found


def _first(pieces: Sequence[str]) -> str:
    said: list[str] = []
    length = 0
    for piece in pieces:
        if length > LONGEST:
            break
        said.append(piece[: LONGEST + 1])
        length += len(piece)
    return " ".join("".join(said).split())[:LONGEST]


def _last(pieces: Sequence[str]) -> str:
    said: list[str] = []
    length = 0
    for piece in reversed(pieces):
        if length > LONGEST:
            break
        said.append(piece[-LONGEST - 1 :])
        length += len(piece)
    return " ".join("".join(reversed(said)).split())[-LONGEST:]
