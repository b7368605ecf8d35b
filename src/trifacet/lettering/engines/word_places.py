"""Where the words of a recognised line are: from the columns at which a CTC model has its letters, and from the ink.

Invariant: a box for each blank-separated word of the text, in its order, from end to end of the line; boxes of one line
do not overlap along it.
"""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import normalize

import numpy as np

from trifacet.lettering.engines.legible import busy
from trifacet.lettering.lines import Corners, Quad, Word, cut

_QUIET = 0.1  # of the way from the quietest column to the middling one: what is below is a gap


def placed_words(
    text: str,
    columns: Sequence[int],
    confidences: Sequence[float],
    steps: float,
    crop_HWC: np.ndarray,
    quad: Quad,
    size: tuple[int, int],
) -> tuple[Word, ...]:
    """The words of a line with their boxes.

    Args:
        text: of the line, as it was recognised.
        columns: the step of each letter of it that is no blank.
        confidences: of each letter, blanks among them.
        steps: how many the line is long.
        crop_HWC: the line's pixels, as they were recognised.
        quad: the line's corners in the picture, from where one begins to read clockwise.
        size: the picture's width and height.
    """
    words = text.split()
    if not words or len(columns) != sum(map(len, words)) or steps <= 0:
        return ()
    ends = np.cumsum([len(word) for word in words])
    width = crop_HWC.shape[1]
    centres = (np.asarray(columns, dtype=float) + 0.5) * width / steps
    how_busy = busy(crop_HWC)
    edges = [0.0]
    for end in ends[:-1]:
        edges += _gap(how_busy, centres[end - 1], centres[end])
    edges.append(float(width))
    sure = _confidences(text, words, confidences)
    return tuple(
        Word(
            text=normalize("NFC", word),
            box=box_between(quad, edges[2 * i] / width, edges[2 * i + 1] / width, size),
            confidence=sure[i],
        )
        for i, word in enumerate(words)
    )


def box_between(quad: Quad, start: float, end: float, size: tuple[int, int]) -> Corners:
    """The box of the part of a line from ``start`` to ``end`` (shares of its length), cut to the picture."""
    corners = np.asarray(quad, dtype=float)
    upper, lower = corners[1] - corners[0], corners[2] - corners[3]
    points = np.stack([corners[k] + at * way for at in (start, end) for k, way in ((0, upper), (3, lower))])
    left, top, right, bottom = (float(round(v, 1)) for v in (*points.min(0), *points.max(0)))
    return cut((left, top, right, bottom), size)


def _gap(how_busy: np.ndarray, before: float, after: float) -> tuple[float, float]:
    """The gap between the centres of two letters: the longest quiet run of columns, else the middle."""
    first, last = int(before) + 1, max(int(np.ceil(after)), int(before) + 1)
    between = how_busy[first:last]
    middle = (before + after) / 2
    if not len(between):
        return middle, middle
    quietest = float(between.min())
    quiet = between <= quietest + _QUIET * max(float(np.median(how_busy)) - quietest, 0.0)
    bounds = np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(np.int8), [0]))))
    starts, ends = bounds[::2], bounds[1::2]
    longest = int(np.argmax(ends - starts))
    return float(first + starts[longest]), float(first + ends[longest])


def _confidences(text: str, words: Sequence[str], confidences: Sequence[float]) -> list[float]:
    """The mean of each word's letters."""
    letters = [sure for letter, sure in zip(text, confidences, strict=False) if not letter.isspace()]
    at, means = 0, []
    for word in words:
        part = letters[at : at + len(word)]
        means.append(min(round(float(np.mean(part)), 4), 1.0) if part else 0.0)
        at += len(word)
    return means
