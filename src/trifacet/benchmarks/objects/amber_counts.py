"""AMBER's counts: what the nouns of a response cover, and the formulas of its numbers.

Invariant: the official program's constants are here and nowhere else: denominators that start at 0.001, and numbers
that it rounds to one decimal before it goes on with them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trifacet.benchmarks.objects.nouns import Alike
from trifacet.statistics.measures import Array, Formula

START = 0.001


@dataclass(frozen=True)
class WordList:
    """Words of an image with what is associated with each; ``words`` may hold one twice."""

    words: tuple[str, ...]
    associates: tuple[tuple[str, ...], ...]

    @property
    def positions(self) -> list[tuple[str, int]]:
        """(text, which of the words it stands for): all associates in order, then the words themselves."""
        pairs = [(text, at) for at, texts in enumerate(self.associates) for text in texts]
        return pairs + [(word, at) for at, word in enumerate(self.words)]


class AmberCounts(NamedTuple):
    """Of one response: kept nouns, and the hallucinated ones; truth words, and the covered ones; words that a model is
    apt to hallucinate, and those mentioned.
    """

    nouns: int
    hallucinated: int
    truth: int
    covered: int
    tempting: int
    mentioned: int


def count_nouns(
    nouns: Sequence[str],
    truth: WordList,
    tempting: WordList,
    vocabulary: Collection[str],
    ignored: Collection[str],
    alike: Alike,
) -> AmberCounts:
    """AMBER's counts of one response.

    Nouns outside the vocabulary are dropped; each of the others counts in the denominator. In order: an ignored one is
    never a hallucination; one in the truth list covers its word; otherwise it marks the tempting word that it is, and
    the first one that it is like; if it is like one in the truth list it covers that, else it is hallucinated.
    """
    kept = [noun for noun in nouns if noun in vocabulary]
    there, apt = truth.positions, tempting.positions
    covered: set[int] = set()
    mentioned: set[int] = set()
    hallucinated = 0
    for noun in kept:
        if noun in ignored:
            continue
        same = next((at for text, at in there if text == noun), None)
        if same is not None:
            covered.add(same)
            continue
        for found in (
            next((at for text, at in apt if text == noun), None),
            next((at for text, at in apt if alike(noun, text)), None),
        ):
            if found is not None:
                mentioned.add(found)
        like = next((at for text, at in there if alike(noun, text)), None)
        if like is None:
            hallucinated += 1
        else:
            covered.add(like)
    return AmberCounts(len(kept), hallucinated, len(truth.words), len(covered), len(tempting.words), len(mentioned))


def rate(sums: Array) -> Array:
    """100 x the first sum over the second and 0.001; nan where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums[..., 1] == 0, np.nan, 100.0 * sums[..., 0] / (sums[..., 1] + START))


def without(sums: Array) -> Array:
    """100 less the rate: the share of responses with a hallucination from the share without."""
    return 100.0 - rate(sums)


# Statistics of a question: right, asked, "No" where it is no, answered "No", is no.
DISCRIMINATIVE = ("right", "asked", "right_no", "answered_no", "is_no")


def amber_accuracy(sums: Array) -> Array:
    """Share of right answers."""
    return rate(sums[..., [0, 1]])


def amber_precision(sums: Array) -> Array:
    """Share of the "No" answers that are right: "No" is the positive class."""
    return rate(sums[..., [2, 3]])


def amber_recall(sums: Array) -> Array:
    """Share of the questions that are to be answered by "No" and are."""
    return rate(sums[..., [2, 4]])


def amber_f1(epsilon: float) -> Formula:
    """F1 of the rounded precision and recall; the program adds ``epsilon`` below: 0.0001, for existence 0.001."""
    return lambda sums: f1_of(rounded(amber_precision(sums)), rounded(amber_recall(sums)), epsilon)


def f1_of(precision: Array, recall: Array, epsilon: float) -> Array:
    """F1 of precision and recall, all in per cent."""
    p, r = precision / 100, recall / 100
    return 100.0 * 2 * p * r / (p + r + epsilon)


def amber_score(sums: Array) -> Array:
    """The AMBER score from the rounded numbers; two statistics for CHAIR, then those of all questions."""
    return both(rounded(rate(sums[..., :2])), rounded(amber_f1(0.0001)(sums[..., 2:])))


def both(chair: Array, f1: Array) -> Array:
    """(100 - CHAIR + F1) / 2."""
    return (100.0 - chair + f1) / 2


def rounded(values: Array) -> Array:
    """To one decimal, as Python's own ``round`` does it (NumPy's differs on some halves)."""
    flat = np.asarray(values, dtype=np.float64)
    return np.array([round(value, 1) for value in flat.ravel().tolist()]).reshape(flat.shape)
