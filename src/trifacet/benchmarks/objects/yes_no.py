"""Answers that are yes or no: counting them, and what follows from the counts.

Invariant: the formulas take sums of the counts in the order of ``YES_NO_COUNTS``, of one question or of many.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from trifacet.statistics.measures import Array

YesNo = Literal["yes", "no"]
YES_NO_COUNTS = ("tp", "fp", "tn", "fn")
_FIRST_WORD = re.compile(r"[^\W_]+")


def counts_of(predicted: YesNo, label: YesNo, positive: YesNo = "yes") -> tuple[int, int, int, int]:
    """True and false positives, true and false negatives of one question: one of the four is 1."""
    says, is_so = predicted == positive, label == positive
    return int(says and is_so), int(says and not is_so), int(not says and not is_so), int(not says and is_so)


def first_word(answer: str) -> YesNo | None:
    """The answer's first word where it is yes or no, in any case; else None."""
    found = _FIRST_WORD.search(answer)
    word = found[0].lower() if found else ""
    return "yes" if word == "yes" else "no" if word == "no" else None


def accuracy(sums: Array) -> Array:
    """Share of questions answered rightly."""
    return _over(sums[..., 0] + sums[..., 2], sums.sum(axis=-1))


def precision(sums: Array) -> Array:
    """Share of the positive answers that are right."""
    return _over(sums[..., 0], sums[..., 0] + sums[..., 1])


def recall(sums: Array) -> Array:
    """Share of the positive labels that were found."""
    return _over(sums[..., 0], sums[..., 0] + sums[..., 3])


def f1(sums: Array) -> Array:
    """Harmonic mean of precision and recall; nan where one of them is, or both are 0."""
    p, r = precision(sums), recall(sums)
    return _over(2 * p * r, p + r)


def positive_ratio(sums: Array) -> Array:
    """Share of the answers that are positive, whatever the labels."""
    return _over(sums[..., 0] + sums[..., 1], sums.sum(axis=-1))


def _over(numerator: Array, denominator: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)
