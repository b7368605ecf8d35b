"""Where each word of a line stands: a rectangle turned as the line is.

Invariant: the words are those of the line's text, between its blanks and hyphens; a place lies within the line along
it, and is as high as the line. Engines cut words in pieces and run them together: their boxes say where letters are,
not what is a word.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trifacet.lettering.lines import Line, Quad
from trifacet.lettering.matching import WORD

_CLOSED = ".,:;!?…)]}»”’\"'%"  # belongs to the word before it
_OPEN = "([{«„“‘#@$€£\"'"  # and to the one behind it

Point = NDArray[np.float64]


class Placed(NamedTuple):
    """A word as it is lettered, with the signs that hang on it; the word alone; and where it stands."""

    text: str
    word: str
    quad: Quad


def placed_words(line: Line) -> tuple[Placed, ...]:
    """The words of a line in its order."""
    start, along, down = _axes(line)
    shares = _shares(line, start, along, down)
    found = []
    for one in WORD.finditer(line.text):
        first, last = _with_signs(line.text, *one.span())
        left, right = shares[first][0], shares[last - 1][1]
        upper_left, upper_right = start + left * along, start + right * along
        corners = (upper_left, upper_right, upper_right + down, upper_left + down)
        quad = tuple((float(x), float(y)) for x, y in corners)
        found.append(Placed(line.text[first:last], one[0], quad))  # type: ignore[arg-type]
    return tuple(found)


def _axes(line: Line) -> tuple[Point, Point, Point]:
    """The upper left corner of a line, and the vectors along it and down from it."""
    if line.quad is None:
        left, upper, right, lower = line.box
        return np.array((left, upper)), np.array((right - left, 0.0)), np.array((0.0, lower - upper))
    upper_left, upper_right, lower_right, lower_left = (np.array(corner) for corner in line.quad)
    along = (upper_right - upper_left + lower_right - lower_left) / 2
    down = (lower_left - upper_left + lower_right - upper_right) / 2
    return (upper_left + upper_right + lower_left + lower_right) / 4 - (along + down) / 2, along, down


def _shares(line: Line, start: Point, along: Point, down: Point) -> list[tuple[float, float]]:
    """Where each character of a line's text begins and ends along it, as shares of its length.

    By the engine's pieces where these spell the line, else all characters are as wide.
    """
    pieces = [piece for piece in line.words if piece.text.strip()]
    spelled = [char for piece in pieces for char in piece.text if not char.isspace()]
    if spelled != [char for char in line.text if not char.isspace()] or not float(along @ along):
        wide = 1 / max(len(line.text), 1)
        return [(place * wide, (place + 1) * wide) for place in range(len(line.text))]
    letters: list[tuple[float, float]] = []
    for piece in pieces:
        count = sum(not char.isspace() for char in piece.text)
        begin, end = _extent(piece.box, start, along, down)
        wide = (end - begin) / count
        letters += [(begin + place * wide, begin + (place + 1) * wide) for place in range(count)]
    ends = [end for _, end in letters]
    shares, number = [], 0
    for char in line.text:
        if char.isspace():
            at = ends[number - 1] if number else 0.0
            shares.append((at, at))
        else:
            shares.append(letters[number])
            number += 1
    return shares


def _extent(box: tuple[float, float, float, float], start: Point, along: Point, down: Point) -> tuple[float, float]:
    """Where an upright box around a turned piece begins and ends along its line, as shares of the line's length.

    The box of a rectangle of length l and height h, turned by an angle, is l |cos| + h |sin| wide and l |sin| + h |cos|
    high: of the two the one in which l weighs more gives l.
    """
    length = float(np.hypot(*along))
    cos, sin = np.abs(along) / length
    high = float(np.hypot(*down))
    width, height = box[2] - box[0], box[3] - box[1]
    own = (width - high * sin) / cos if cos >= sin else (height - high * cos) / sin
    middle = float((np.array(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)) - start) @ along) / length
    own = min(max(own, 1.0), length)
    return tuple(np.clip(((middle - own / 2) / length, (middle + own / 2) / length), 0.0, 1.0).tolist())


def _with_signs(text: str, first: int, last: int) -> tuple[int, int]:
    """The place of a word with the signs that hang on it."""
    while first and text[first - 1] in _OPEN:
        first -= 1
    while last < len(text) and text[last] in _CLOSED:
        last += 1
    return first, last
