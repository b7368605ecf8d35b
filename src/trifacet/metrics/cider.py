"""CIDEr-D over tokens that are already split by spaces.

Invariant: a score belongs to the whole set of samples (document frequencies), so it is never averaged over shards.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trifacet.metrics.ngrams import Index, Ints, Order, index
from trifacet.statistics.measures import Array

SIGMA = 6.0
ONE_SAMPLE = "CIDEr of a single sample is 0 by definition: its word weights come from the other samples"


def cider_d(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each hypothesis (0 to 10), as the COCO toolkit's scorer class computes it from text split at spaces.

    Args:
        hypotheses: one text per sample.
        references: for each sample, one or more texts.

    Raises:
        ValueError: when the lengths differ or a sample has no reference.
    """
    words = [[text.split() for text in texts] for texts in references]
    return [float(score) for score in cider_of(index([text.split() for text in hypotheses], words))]


def cider_of(counted: Index) -> Array:
    """CIDEr-D of each sample of an index, (S,), 0 to 10.

    The arithmetic: raw counts x (ln N - ln max(1, df)); df counts the samples whose references hold the n-gram; the
    cosine clips the hypothesis at the reference; the length penalty compares numbers of BIGRAMS, a habit of the
    original that is kept. With one sample ln N is 0 and so is every score.

    Source: Vedantam et al., arXiv 1411.5726, in its CIDEr-D form.
    """
    sample_R, samples = counted.sample_R, len(counted.hypothesis_words_S)
    if not samples:
        return np.zeros(0)
    similarity_R = np.mean([_cosine(order, sample_R, samples) for order in counted.orders], axis=0)
    bigrams_S, bigrams_R = (np.maximum(words - 1, 0) for words in counted[1:3])
    similarity_R *= np.exp(-((bigrams_S[sample_R] - bigrams_R) ** 2) / (2 * SIGMA**2))
    return np.asarray(10.0 * np.bincount(sample_R, similarity_R) / np.bincount(sample_R))


def _cosine(order: Order, sample_R: Ints, samples: int) -> Array:
    """The clipped cosine of each reference with its sample's hypothesis, (R,); 0 where either has no weight."""
    frequency = np.bincount(order.gram_P[order.most_P > 0], minlength=order.grams)
    idf_P = (np.log(samples) - np.log(np.maximum(frequency, 1)))[order.gram_P]
    ours_E, theirs_E, idf_E = order.ours_P[order.pair_E], order.count_E, idf_P[order.pair_E]
    overlap_R = _sums(order.reference_E, np.minimum(ours_E, theirs_E) * theirs_E * idf_E**2, len(sample_R))
    norm_S = np.sqrt(_sums(order.sample_P, (order.ours_P * idf_P) ** 2, samples))
    norm_R = np.sqrt(_sums(order.reference_E, (theirs_E * idf_E) ** 2, len(sample_R))) * norm_S[sample_R]
    return np.divide(overlap_R, norm_R, out=np.zeros(len(sample_R)), where=norm_R > 0)


def _sums(owner_K: Ints, values_K: Array, owners: int) -> Array:
    return np.bincount(owner_K, values_K, minlength=owners).astype(np.float64, copy=False)
