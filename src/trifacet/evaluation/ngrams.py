"""N-grams of hypotheses and references as arrays, counted once for BLEU and CIDEr.

Invariant: an n-gram has one number in all texts of an index, so equal numbers mean equal words.
Shape letters: T texts, W words of all texts, E entries (a text and an n-gram that it holds), S samples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

ORDERS = 4


class Entries(NamedTuple):
    """How often each owner (a text, or a sample) holds each n-gram; ordered by owner, then n-gram; no pair twice."""

    owner_E: Ints
    gram_E: Ints
    count_E: Ints


class Order(NamedTuple):
    """The n-grams of one length.

    ``hypothesis`` is owned by samples (each has one), ``reference`` by references, and ``most`` by samples again: the
    largest count that any one reference of the sample has. ``grams`` is how many different n-grams there are.
    """

    hypothesis: Entries
    reference: Entries
    most: Entries
    grams: int

    def key(self, owner_E: Ints, gram_E: Ints) -> Ints:
        """One number for the pair, in the order of the entries."""
        return owner_E * self.grams + gram_E


class Index(NamedTuple):
    """What BLEU and CIDEr need of a set of S samples with R references: lengths in words, and ``ORDERS`` orders."""

    hypothesis_words_S: Ints
    reference_words_R: Ints
    sample_R: Ints
    orders: tuple[Order, ...]


def index(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> Index:
    """Count the n-grams of the hypotheses and of their references, all given as words.

    Raises:
        ValueError: when the lengths differ or a sample has no reference.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses but {len(references)} lists of references")
    if not all(references):
        raise ValueError("a sample has no reference")
    texts = [*hypotheses, *chain.from_iterable(references)]
    words_T = np.fromiter(map(len, texts), np.int64, len(texts))
    samples = len(hypotheses)
    per_sample = np.fromiter(map(len, references), np.int64, samples)
    sample_R = np.repeat(np.arange(samples), per_sample)
    orders = tuple(_order(text_W, gram_W, samples, sample_R) for text_W, gram_W in _occurrences(texts, words_T))
    return Index(words_T[:samples], words_T[samples:], sample_R, orders)


def _occurrences(texts: Sequence[Sequence[str]], words_T: Ints) -> Iterator[tuple[Ints, Ints]]:
    """For each order: the text and the number of the n-gram that starts at each word where one can start."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    total = int(words_T.sum())
    word_W = np.fromiter(map(numbers.__getitem__, chain.from_iterable(texts)), np.int64, total)
    text_W = np.repeat(np.arange(len(texts)), words_T)
    left_W = np.repeat(np.cumsum(words_T), words_T) - np.arange(total)  # words from here to the text's end
    start_W, gram_W = np.arange(total), word_W
    yield text_W, gram_W
    for order in range(2, ORDERS + 1):
        fits = left_W[start_W] >= order
        start_W = start_W[fits]
        longer_W = gram_W[fits] * len(numbers) + word_W[start_W + order - 1]
        gram_W = np.unique(longer_W, return_inverse=True)[1]
        yield text_W[start_W], gram_W


def _order(text_W: Ints, gram_W: Ints, samples: int, sample_R: Ints) -> Order:
    grams = int(gram_W.max()) + 1 if len(gram_W) else 1
    key_E, count_E = np.unique(text_W * grams + gram_W, return_counts=True)
    text_E, gram_E = np.divmod(key_E, grams)
    split = int(np.searchsorted(text_E, samples))  # the hypotheses stand first
    hypothesis = Entries(text_E[:split], gram_E[:split], count_E[:split])
    reference = Entries(text_E[split:] - samples, gram_E[split:], count_E[split:])
    return Order(hypothesis, reference, _most(reference, sample_R, grams), grams)


def _most(reference: Entries, sample_R: Ints, grams: int) -> Entries:
    """The reference entries of each sample joined, with the largest count of each n-gram."""
    key_E = sample_R[reference.owner_E] * grams + reference.gram_E
    by_key = np.argsort(key_E, kind="stable")
    key_E = key_E[by_key]
    first = np.flatnonzero(np.diff(key_E, prepend=-1))
    count_E = np.maximum.reduceat(reference.count_E[by_key], first) if len(first) else reference.count_E
    sample_E, gram_E = np.divmod(key_E[first], grams)
    return Entries(sample_E, gram_E, count_E)


def look_up(wanted_K: Ints, key_E: Ints, count_E: Ints) -> Ints:
    """The count beside each wanted key, 0 where ``key_E`` (ascending, each once) does not have it."""
    if not len(key_E):
        return np.zeros_like(wanted_K)
    at_K = np.minimum(np.searchsorted(key_E, wanted_K), len(key_E) - 1)
    return np.where(key_E[at_K] == wanted_K, count_E[at_K], 0)
