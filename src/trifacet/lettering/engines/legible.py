"""Whether a recognised line is what stands there, or nonsense that a model makes of letters that it does not know.

Three things give nonsense away, found by measuring (``bench/lettering_scripts.py``): ink along the line where no letter
was recognised; letters of a script of which the model knows but a few, amid others; and a reading, less than sure, that
does not hold when the line is shown with a margin or cut closer.

Invariant: nothing is looked up in a dictionary: names, numbers and misspelt words are as good as all others.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

LEAST_INK = 6.0  # grey levels by which the darkest columns of a line vary; with less there are no letters at all
MOST_SILENT = 0.15  # share of the inked columns
SURE = 0.95  # confidence from which a line is not read again
HOLDS = 0.85  # mean confidence of all readings of a line that is
SAME = 0.7  # mean likeness of the further readings to the first
_FURTHER = 2  # readings of a line that is
_REACH = 0.45  # of the line's height: how far from its middle a letter has ink
_INKED = 0.25  # of the way from the palest to the darkest columns
_LETTERS = re.compile(r"[^\W\d_]+")

Recognise = Callable[[Sequence[np.ndarray]], Sequence[tuple[str, float]]]


class Candidate(NamedTuple):
    """A recognised line: its text, confidence, pixels (height, width, 3), and at which of ``steps`` its letters are."""

    text: str
    confidence: float
    crop_HWC: np.ndarray
    columns: Sequence[int]
    steps: float


def inked(crop_HWC: np.ndarray) -> bool:
    """Whether anything is drawn in a place that is said to hold letters."""
    return float(np.quantile(busy(crop_HWC), 0.9)) >= LEAST_INK


def legible(lines: Sequence[Candidate], recognise: Recognise) -> list[bool]:
    """Whether each line is what stands there.

    Args:
        lines: of one picture.
        recognise: text and confidence of crops, for those lines that are read again.
    """
    good = [
        bool(line.text.strip())
        and (line.confidence + _FURTHER) / (1 + _FURTHER) >= HOLDS  # or no further reading could help it
        and silent_ink(line.crop_HWC, line.columns, line.steps) <= MOST_SILENT
        and not foreign(line.text)
        for line in lines
    ]
    doubtful = [number for number, line in enumerate(lines) if good[number] and line.confidence < SURE]
    if doubtful:
        shown = [crop for number in doubtful for crop in _otherwise(lines[number].crop_HWC)]
        again = recognise(shown)
        for at, number in enumerate(doubtful):
            good[number] = _holds(lines[number], again[at * _FURTHER : (at + 1) * _FURTHER])
    return good


def silent_ink(crop_HWC: np.ndarray, columns: Sequence[int], steps: float) -> float:
    """The share of a line's inked columns that are far from every letter recognised; its ends are left out."""
    height, width = crop_HWC.shape[:2]
    if not columns or steps <= 0:
        return 1.0
    how_busy = busy(crop_HWC)
    palest, darkest = np.quantile(how_busy, (0.05, 0.9))
    ink = how_busy > palest + _INKED * (darkest - palest)
    letters = (np.asarray(columns) + 0.5) * width / steps
    far = np.abs(np.arange(width)[:, None] - letters[None]).min(axis=1) > _REACH * height
    end = height // 10
    inside = slice(end, max(width - end, end + 1))
    return float((ink & far)[inside].sum() / max(int(ink[inside].sum()), 1))


def foreign(text: str) -> bool:
    """Whether Greek letters stand together or amid others: the model knows them as signs of mathematics only."""
    for run in _LETTERS.findall(text):
        greek = sum(unicodedata.name(letter, "").startswith("GREEK") for letter in run)
        if greek >= 2 or (greek and len(run) > 2):
            return True
    return False


def busy(crop_HWC: np.ndarray) -> np.ndarray:
    """How much the brightness changes down each column: (width,) in grey levels."""
    return crop_HWC.astype(np.float32).mean(axis=2).std(axis=0)


def _otherwise(crop_HWC: np.ndarray) -> list[np.ndarray]:
    """The line with a margin of its own edge, and cut closer."""
    height = crop_HWC.shape[0]
    high, wide, close = height // 8, height // 4, max(height // 12, 1)
    margin = np.pad(crop_HWC, ((high, high), (wide, wide), (0, 0)), mode="edge")
    return [margin, np.ascontiguousarray(crop_HWC[close : height - close]) if height > 12 else crop_HWC]


def _holds(line: Candidate, again: Sequence[tuple[str, float]]) -> bool:
    first = "".join(line.text.split())
    same = [difflib.SequenceMatcher(None, first, "".join(text.split()), autojunk=False).ratio() for text, _ in again]
    sure = [line.confidence, *(confidence for _, confidence in again)]
    return float(np.mean(sure)) >= HOLDS and float(np.mean(same)) >= SAME
