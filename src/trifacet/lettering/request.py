"""From the words read in a picture to the lines that a request quotes.

Invariant: what stands in a picture is a stranger's data. A line that leaves here is one line, holds no quotation mark
that could end its quotation, no character that a terminal obeys or nobody sees, and all lines together are no longer
than they may be. Control tokens of a chat template are broken where the request is put together
(``engine/encode.py``), as those of a post are.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trifacet.base.words import without_sequences
from trifacet.lettering.given import given_lettering
from trifacet.lettering.lines import Lettering, Line
from trifacet.lettering.settings import COLUMN, Reading

FIELD = f"extra.{COLUMN}"
_QUOTES = re.compile('["\u201c-\u201f\uff02]')
_LETTER = r"[^\x00-\x7f\u200c\u200d]"
_JOINERS = re.compile(rf"(?<!{_LETTER})[\u200c\u200d]|[\u200c\u200d](?!{_LETTER})")  # where no script has them
_AROUND = 3  # what a line costs besides its characters: two quotation marks and its end
_CUT = "…"
_ANY_SIZE = (
    1_000_000_000,
    1_000_000_000,
)  # of a picture that need not be opened: which line is larger is all that counts


@dataclass(frozen=True)
class Quoting:
    """How the words of pictures are put to a model.

    Args:
        label: stands on a line before them.
        characters: most of them in a request.
        reading: how pictures are read whose rows do not say what stands in them.
    """

    label: str
    characters: int
    reading: Reading


class Quoted(NamedTuple):
    """The lines that a request quotes, in the picture's order; ``cut``: some of what was read is left out."""

    lines: tuple[str, ...]
    cut: bool


def quoted(lettering: Lettering, most: int) -> Quoted:
    """The lines of a picture for a request, ``most`` characters of them.

    Which lines are in is decided by the height of their letters, so that small print goes first; those that are in
    stand in the order in which they were read, so that words that go on in the next line stay together. The last line
    that does not fit whole ends at a word's border, with an ellipsis.
    """
    lines = [(number, text, _height(line)) for number, line in enumerate(lettering.lines) if (text := plain(line.text))]
    left = most
    kept: dict[int, str] = {}
    for number, text, _ in sorted(lines, key=lambda line: (-line[2], line[0])):
        if len(text) + _AROUND > left:
            if head := _head(text, left - _AROUND - len(_CUT), whole_words=bool(kept)):
                kept[number] = head + _CUT
            break
        kept[number] = text
        left -= len(text) + _AROUND
    shown = tuple(kept[number] for number in sorted(kept))
    return Quoted(shown, len(shown) < len(lines) or any(kept[number] != text for number, text, _ in lines))


def block(lines: Sequence[str], label: str) -> str:
    """The label and the lines in quotation marks, each on a line of its own."""
    return "\n".join([label, *(f'"{line}"' for line in lines)])


def plain(text: str) -> str:
    """``text`` as one line: what a terminal obeys or nobody sees is gone, double quotation marks are single ones."""
    kept = "".join(" " if char.isspace() else char for char in without_sequences(text) if _is_seen(char))
    return " ".join(_QUOTES.sub("'", _JOINERS.sub("", kept)).split())


def stated(value: Any, field: str = FIELD) -> Lettering:
    """What a row says stands in its picture, whatever its size. Raises DataError as ``given_lettering``."""
    size = value.get("size") if isinstance(value, dict) else None
    return given_lettering(value, tuple(size) if isinstance(size, list | tuple) else _ANY_SIZE, field)


def _is_seen(char: str) -> bool:
    return char.isspace() or char in "\u200c\u200d" or not unicodedata.category(char).startswith("C")


def _height(line: Line) -> float:
    """The height of its letters in pixels: the shorter side, for lines that run down a picture as for others."""
    if line.quad is None:
        return min(line.box[2] - line.box[0], line.box[3] - line.box[1])
    first, second, third, _ = line.quad
    return min(math.dist(first, second), math.dist(second, third))


def _head(text: str, most: int, *, whole_words: bool) -> str:
    """As many whole words as fit; with none, and unless only ``whole_words`` will do, as many characters."""
    if most <= 0:
        return ""
    head = text[: most + 1]
    if " " in head:
        return head[: head.rindex(" ")]
    if whole_words:
        return ""
    end = most
    while end and unicodedata.combining(text[end : end + 1] or " "):
        end -= 1
    return text[:end]
