"""N-grams of hypotheses and references as arrays, counted once for BLEU and CIDEr.

Invariant: an n-gram has one number in all texts of an index, so equal numbers mean equal words.
Shape letters: T texts, W words of all texts, S samples, R references, P pairs (a sample and an n-gram that one of its
texts holds), E entries (a reference and an n-gram that it holds).
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
    # A sample's hypothesis, then its references, sample by sample: places in the corpus are in the samples' order.
    texts = [text for ours, theirs in zip(hypotheses, references, strict=True) for text in (ours, *theirs)]
    words_T = np.fromiter(map(len, texts), np.int64, len(texts))
    of_each_S = np.fromiter(map(len, references), np.int64, len(references)) + 1
    sample_T = np.repeat(np.arange(len(hypotheses)), of_each_S)
    ours_T = np.diff(sample_T, prepend=-1) > 0
    reference_T = np.cumsum(~ours_T) - 1  # the number of a reference among all of them
    numbers = _numbers()
    orders = tuple(_order(found, sample_T, ours_T, reference_T) for found in _occurrences(texts, words_T, numbers))
    return Index(list(numbers), words_T[ours_T], words_T[~ours_T], sample_T[~ours_T], orders)


def _numbers() -> dict[str, int]:
    """Numbers the words that it is asked for, from 0."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    return numbers


class _Found(NamedTuple):
    """All n-grams of one length, ordered by n-gram and place: the text that each stands in, and its number."""

    text_W: Ints
    gram_W: Ints


def _occurrences(texts: Sequence[Sequence[str]], words_T: Ints, numbers: dict[str, int]) -> Iterator[_Found]:
    """The n-grams of each order, numbered by sorting: those of a length are those one shorter and a word more."""
    total = int(words_T.sum())
    word_W = np.fromiter(map(numbers.__getitem__, chain.from_iterable(texts)), np.int64, total)
    text_W = np.repeat(np.arange(len(texts)), words_T)
    left_W = np.repeat(np.cumsum(words_T), words_T) - np.arange(total)  # words from here to the text's end
    start_W, key_W = np.arange(total), word_W
    gram_at = np.empty(total, np.int64)  # the number of the n-gram that starts at a place of the corpus
    for order in range(1, ORDERS + 1):
        sorted_W, key_W = _by_key(key_W, start_W, total)
        gram_W = _group(np.diff(key_W, prepend=-1) != 0)
        gram_at[sorted_W] = gram_W
        yield _Found(text_W[sorted_W], gram_W)
        start_W = start_W[left_W[start_W] > order]
        key_W = gram_at[start_W] * len(numbers) + word_W[start_W + order]


def _by_key(key_W: Ints, start_W: Ints, total: int) -> tuple[Ints, Ints]:
    """The places in the order of their keys, equal keys in the order of the places; and the keys in that order."""
    bits, highest = total.bit_length(), int(key_W.max(initial=0))
    if highest < 2**16 or highest.bit_length() + bits > 63:
        small = np.uint16 if highest < 2**16 else np.int64  # numpy sorts the small ones in linear time
        order = np.argsort(key_W.astype(small), kind="stable")
        return start_W[order], key_W[order]
    both_W = np.sort(key_W << bits | start_W)  # quicker than to sort by reference
    return both_W & (1 << bits) - 1, both_W >> bits


def _group(first_W: NDArray[np.bool_]) -> Ints:
    """The number of the group that each place is in, where groups begin at the marked places, the first at 0."""
    narrow = np.int32 if len(first_W) < 2**31 else np.int64  # sums of 32 bits take a tenth of the time
    return np.cumsum(first_W, dtype=narrow).astype(np.int64) - 1


def _order(found: _Found, sample_T: Ints, ours_T: NDArray[np.bool_], reference_T: Ints) -> Order:
    """Counts of what stands side by side: one n-gram of one text, and of all texts of one sample."""
    text_W, gram_W = found
    first_E = np.flatnonzero((np.diff(text_W, prepend=-1) != 0) | (np.diff(gram_W, prepend=-1) != 0))
    count_E = np.diff(first_E, append=len(text_W))
    text_E, gram_E = text_W[first_E], gram_W[first_E]
    sample_E, ours_E = sample_T[text_E], ours_T[text_E]
    first_P = (np.diff(sample_E, prepend=-1) != 0) | (np.diff(gram_E, prepend=-1) != 0)
    pair_E = _group(first_P)
    sample_P, gram_P = sample_E[first_P], gram_E[first_P]
    ours_P, most_P = np.zeros_like(sample_P), np.zeros_like(sample_P)
    ours_P[pair_E[ours_E]] = count_E[ours_E]
    pair_E, count_E, reference_E = pair_E[~ours_E], count_E[~ours_E], reference_T[text_E[~ours_E]]
    if len(pair_E):
        most_P[pair_E] = 1
        twice_E = count_E > 1  # few: most n-grams stand once in a text
        np.maximum.at(most_P, pair_E[twice_E], count_E[twice_E])
    return Order(sample_P, gram_P, ours_P, most_P, reference_E, pair_E, count_E, int(gram_W.max(initial=-1)) + 1)
