"""What was read, held against what stands there: errors, words, what was taken for unreadable, and confidence.

A line or unreadable place belongs to the text whose line runs nearest to its middle; what belongs to a text is joined
in the order in which it stands along it. Case, marks and signs count.

Invariant: every letter that was read counts, also where nothing stands; pages are the units of all intervals.
Shape letters: B bins, K statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from nltk.metrics.distance import edit_distance, edit_distance_align

from lettered.pictures import Page, Truth
from trifacet.lettering.lines import Lettering, Line
from trifacet.statistics.measures import Measure, grouped_measure, per_hundred, share_measure

EDGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # where bins of confidence begin; the last one ends with 1
Array = np.ndarray


class Judged(NamedTuple):
    """A word or line that was read, how sure the engine was of it, and whether it stands there."""

    confidence: float
    right: bool


class Outcome(NamedTuple):
    """What became of one text; ``unit`` is its page."""

    unit: str
    text: str
    read: str
    errors: int  # characters
    words: int
    words_right: int
    unreadable: bool  # nothing was read, and letters were seen
    judged_words: tuple[Judged, ...]
    judged_lines: tuple[Judged, ...]


def outcomes(page: Page, found: Lettering, unit: str) -> list[Outcome]:
    """Of each text of a page."""
    pieces: list[list[tuple[float, Line]]] = [[] for _ in page.truths]
    unseen = [False] * len(page.truths)
    for line in found.lines:
        middle = np.mean(line.quad, axis=0) if line.quad else _middle(line.box)
        owner, along = _nearest(page.truths, middle)
        pieces[owner].append((along, line))
    for box in found.unreadable:
        unseen[_nearest(page.truths, _middle(box))[0]] = True
    return [
        _outcome(truth.text, [line for _, line in sorted(own, key=lambda one: one[0])], lost, unit)
        for truth, own, lost in zip(page.truths, pieces, unseen, strict=True)
    ]


def _outcome(text: str, lines: Sequence[Line], unseen: bool, unit: str) -> Outcome:
    read = " ".join(line.text for line in lines)
    words, read_words = text.split(), read.split()
    right = right_words(words, read_words)
    confidences = [word.confidence for line in lines for word in line.words or ()]
    judged, at = [], 0
    for line in lines:
        count = len(line.text.split())
        judged.append(Judged(line.confidence, bool(right[at : at + count].all())))
        at += count
    known = confidences if len(confidences) == len(read_words) else []
    return Outcome(
        unit,
        text,
        read,
        edit_distance(text, read),
        len(words),
        int(right.sum()),
        unseen and not lines,
        tuple(Judged(sure, bool(one)) for sure, one in zip(known, right, strict=False)),
        tuple(judged),
    )


def right_words(words: Sequence[str], read: Sequence[str]) -> Array:
    """Which of the words read stand there, by an alignment with fewest errors."""
    right = np.zeros(len(read), bool)
    if words and read:
        for before, after in pairwise(edit_distance_align(list(words), list(read))):
            both = after[0] == before[0] + 1 and after[1] == before[1] + 1
            if both and words[after[0] - 1] == read[after[1] - 1]:
                right[after[1] - 1] = True
    return right


def _middle(box: Sequence[float]) -> Array:
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])


def _nearest(truths: Sequence[Truth], point: Array) -> tuple[int, float]:
    """The text whose line runs nearest, and how far along it that is."""
    best = min(range(len(truths)), key=lambda at: _foot(truths[at].points_P2, point)[0])
    return best, _foot(truths[best].points_P2, point)[1]


def _foot(points_P2: Array, point: Array) -> tuple[float, float]:
    """Distance to a line of segments, and the way along it to where it is nearest."""
    found, walked = [], 0.0
    for start, end in pairwise(points_P2):
        length = float(np.linalg.norm(end - start))
        share = float(np.clip((point - start) @ (end - start) / max(length, 1e-9) ** 2, 0, 1))
        away = float(np.linalg.norm(start + share * (end - start) - point))
        found.append((away, walked + share * length))
        walked += length
    return min(found)


def error_measures(found: Sequence[Outcome]) -> list[Measure]:
    """Per cent: character error rate, words right, lines in which nothing was read though letters were seen, and
    lines of which nothing was seen.
    """
    units = [one.unit for one in found]
    each = np.ones(len(found))
    return [
        share_measure("CER", units, [one.errors for one in found], [len(one.text) for one in found], better="lower"),
        share_measure("words right", units, [one.words_right for one in found], [one.words for one in found]),
        share_measure("cannot read", units, [one.unreadable for one in found], each),
        share_measure("not seen", units, [not one.read and not one.unreadable for one in found], each),
        share_measure("read", units, [bool(one.read) for one in found], each),
    ]


class Reliability(NamedTuple):
    """A bin of confidences: how many, how sure on average, how many right in per cent (over pages)."""

    begin: float
    count: int
    confidence: float
    right: Measure


def judged(found: Iterable[Outcome], what: str) -> list[tuple[str, Judged]]:
    """All words (``"words"``) or lines (``"lines"``) that were read, each with its page."""
    return [(one.unit, each) for one in found for each in (one.judged_words if what == "words" else one.judged_lines)]


def reliability(given: Sequence[tuple[str, Judged]]) -> list[Reliability]:
    """Of the bins that hold anything."""
    rows = []
    for begin, end in zip(EDGES, (*EDGES[1:], 2.0), strict=True):
        here = [(unit, one) for unit, one in given if begin <= one.confidence < end]
        if here:
            rights = share_measure("right", [unit for unit, _ in here], [one.right for _, one in here], [1] * len(here))
            rows.append(Reliability(begin, len(here), float(np.mean([one.confidence for _, one in here])), rights))
    return rows


def calibration_error(given: Sequence[tuple[str, Judged]]) -> Measure:
    """Expected calibration error in per cent: over bins, |mean confidence - share right|, weighted by their numbers."""
    bins = np.searchsorted(EDGES, [one.confidence for _, one in given], side="right") - 1
    rows_NK = np.zeros((len(given), 3 * len(EDGES)))
    for row, ((_, one), at) in enumerate(zip(given, bins, strict=True)):
        rows_NK[row, 3 * max(at, 0) : 3 * max(at, 0) + 3] = one.confidence, one.right, 1
    return grouped_measure("ECE", [unit for unit, _ in given], rows_NK, _ece, better="lower")


def _ece(sums: Any) -> Any:
    """From sums of confidence, right and number of each bin."""
    by_bin = sums.reshape(*sums.shape[:-1], len(EDGES), 3)
    apart = np.abs(by_bin[..., 0] - by_bin[..., 1]).sum(axis=-1)
    return per_hundred(np.stack([apart, by_bin[..., 2].sum(axis=-1)], axis=-1))
