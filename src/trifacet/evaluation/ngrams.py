"""N-grams of hypotheses and references as arrays, counted once for BLEU and CIDEr.

Invariant: an n-gram has one number in all texts of an index, so equal numbers mean equal words.
Shape letters: T texts, W words of all texts, S samples, R references, P pairs (a sample and an n-gram that one of its
texts holds), E entries (a reference and an n-gram that it holds).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

ORDERS = 4


class Order(NamedTuple):
    """The n-grams of one length.

    Of each pair: its sample and n-gram, how often the hypothesis holds it (0: not at all), and how often that one of
    the references holds it which holds it most. Of each entry: its reference, its pair and its count. ``grams`` is how
    many different n-grams there are.
    """

    sample_P: Ints
    gram_P: Ints
    ours_P: Ints
    most_P: Ints
    reference_E: Ints
    pair_E: Ints
    count_E: Ints
    grams: int


class Index(NamedTuple):
    """What BLEU and CIDEr need of a set of samples.

    Its different words, the texts' lengths in words, the sample that each reference is of, and ``ORDERS`` orders.
    """

    words: list[str]
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
    samples = np.arange(len(hypotheses))
    of_each_S = np.fromiter(map(len, references), np.int64, len(references))
    sample_R = np.repeat(samples, of_each_S)
    first_S = np.cumsum(of_each_S) - of_each_S  # the number of the sample's first reference
    place_R = np.arange(len(sample_R)) - first_S[sample_R]
    owner_T = np.concatenate([samples, sample_R])
    place_T = np.concatenate([np.zeros_like(samples), place_R + 1])  # among the sample's texts; 0 is the hypothesis
    numbers = _numbers()
    orders = tuple(
        _order(owner_T[text_W], place_T[text_W], gram_W, first_S)
        for text_W, gram_W in _occurrences(texts, words_T, numbers)
    )
    return Index(list(numbers), words_T[: len(samples)], words_T[len(samples) :], sample_R, orders)


def _numbers() -> dict[str, int]:
    """Numbers the words that it is asked for, from 0."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    return numbers


def _occurrences(texts: Sequence[Sequence[str]], words_T: Ints, numbers: dict[str, int]) -> Iterator[tuple[Ints, Ints]]:
    """For each order: the text and the number of the n-gram that starts at each word where one can start."""
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
        gram_W = np.unique(_narrow(longer_W), return_inverse=True)[1]
        yield text_W[start_W], gram_W


def _order(sample_W: Ints, place_W: Ints, gram_W: Ints, first_S: Ints) -> Order:
    """Sorted once, by sample, n-gram and text, so that a pair's counts stand side by side."""
    grams, places = (int(values.max(initial=0)) + 1 for values in (gram_W, place_W))
    key_W = (sample_W * grams + gram_W) * places + place_W
    key_E, count_E = np.unique(_narrow(key_W), return_counts=True)
    key_E, place_E = np.divmod(key_E, places)
    starts = np.diff(key_E, prepend=-1) != 0
    sample_P, gram_P = np.divmod(key_E[starts], grams)
    pair_E = np.cumsum(starts) - 1
    ours = place_E == 0
    ours_P, most_P = np.zeros_like(sample_P), np.zeros_like(sample_P)
    ours_P[pair_E[ours]] = count_E[ours]
    theirs = ~ours
    pair_E, place_E, count_E = pair_E[theirs], place_E[theirs], count_E[theirs]
    if len(pair_E):
        first_E = np.flatnonzero(np.diff(pair_E, prepend=-1))
        most_P[pair_E[first_E]] = np.maximum.reduceat(count_E, first_E)
    reference_E = first_S[sample_P[pair_E]] + place_E - 1
    return Order(sample_P, gram_P, ours_P, most_P, reference_E, pair_E, count_E, grams)


def _narrow(values: Ints) -> NDArray[np.integer[Any]]:
    """The same numbers in 32 bits where they fit: sorted in half the time."""
    return values.astype(np.int32) if values.max(initial=0) <= np.iinfo(np.int32).max else values
