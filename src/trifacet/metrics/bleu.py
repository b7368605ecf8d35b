"""Corpus BLEU as the COCO toolkit computes it, from counts per caption.

Invariant: a caption's statistics do not depend on the others, so BLEU of any selection of captions is a formula over
the sum of their rows. Shape letters: S samples, K = 10 statistics.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trifacet.metrics.ngrams import ORDERS, Index, Ints
from trifacet.statistics.measures import Array, Condition

# The toolkit's guards against division by zero: they are part of its numbers, of one caption's above all.
TINY, SMALL = 1e-15, 1e-9
_STATISTICS = ("words", "reference words", *(f"guess {n + 1}" for n in range(ORDERS)),
              *(f"correct {n + 1}" for n in range(ORDERS)))  # fmt: skip


def bleu_statistics(index: Index) -> Array:
    """The ``_STATISTICS`` of each caption, (S, K).

    Length of the reference that is closest to the caption's, of two the shorter; n-grams of the caption ("guess"); and
    those among them that a reference has, each counted at most as often as in the one reference that has most.
    """
    words_S = index.hypothesis_words_S
    guess = [np.maximum(words_S - n, 0) for n in range(ORDERS)]
    correct = [
        np.bincount(order.sample_P, np.minimum(order.ours_P, order.most_P), minlength=len(words_S))
        for order in index.orders
    ]
    return np.column_stack([words_S, _closest(index), *guess, *correct]).astype(np.float64)


def bleu(order: int) -> Callable[[Array], Array]:
    """The formula of BLEU-``order`` x 100 over sums (..., K) of the statistics."""

    def formula(sums: Array) -> Array:
        words, reference = sums[..., 0], sums[..., 1]
        guess, correct = sums[..., 2 : 2 + order], sums[..., 2 + ORDERS : 2 + ORDERS + order]
        precision = np.prod((correct + TINY) / (guess + SMALL), axis=-1) ** (1 / order)
        ratio = (words + TINY) / (reference + SMALL)
        return np.asarray(100.0 * precision * np.exp(np.minimum(0.0, 1 - 1 / ratio)))

    return formula


def nothing_right(order: int) -> Condition:
    """Whether no n-gram of length ``order`` is right: what BLEU is then, the guards make."""
    return lambda sums: np.equal(sums[..., 1 + ORDERS + order], 0)


def _closest(index: Index) -> Ints:
    apart_R = np.abs(index.reference_words_R - index.hypothesis_words_S[index.sample_R])
    best = np.lexsort((index.reference_words_R, apart_R, index.sample_R))
    first = np.flatnonzero(np.diff(index.sample_R, prepend=-1))  # lexsort keeps the samples in their order
    return index.reference_words_R[best][first]
