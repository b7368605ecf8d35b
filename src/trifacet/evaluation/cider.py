"""CIDEr-D over tokens that are already split by spaces.

Invariant: a score belongs to the whole set of samples (document frequencies), so it is never averaged over shards.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

Gram = tuple[str, ...]
Counts = list[Counter[Gram]]

ORDERS = 4
SIGMA = 6.0


def cider_d(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each hypothesis (0 to 10), as the COCO toolkit's scorer class computes it from text split at spaces.

    The arithmetic: raw counts x (ln N - ln max(1, df)); df counts the samples whose references hold the n-gram; the
    cosine clips the hypothesis at the reference; the length penalty compares numbers of BIGRAMS, a habit of the
    original that is kept. With one sample ln N is 0 and so is every score.

    Args:
        hypotheses: one text per sample.
        references: for each sample, one or more texts.

    Raises:
        ValueError: when the lengths differ or a sample has no reference.

    Source: Vedantam et al., arXiv 1411.5726, in its CIDEr-D form.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses but {len(references)} lists of references")
    if not all(references):
        raise ValueError("a sample has no reference")
    counted = [[_count(text) for text in texts] for texts in references]
    frequency: Counter[Gram] = Counter()
    for sample in counted:
        frequency.update({gram for reference in sample for counts in reference for gram in counts})
    log_samples = math.log(len(hypotheses)) if hypotheses else 0.0
    idf = {gram: log_samples - math.log(samples) for gram, samples in frequency.items()}

    scores = []
    for text, sample in zip(hypotheses, counted, strict=True):
        hypothesis = _count(text)
        total = sum(_similarity(hypothesis, reference, idf, log_samples) for reference in sample)
        scores.append(10.0 * total / len(sample))
    return scores


def _count(text: str) -> Counts:
    words = text.split()
    return [
        Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))
        for order in range(1, ORDERS + 1)
    ]


def _similarity(hypothesis: Counts, reference: Counts, idf: dict[Gram, float], unseen: float) -> float:
    """The clipped cosine, mean over the orders, times the length penalty; ``unseen`` is the idf of a new n-gram."""
    total = 0.0
    for ours, theirs in zip(hypothesis, reference, strict=True):
        norm = _norm(ours, idf, unseen) * _norm(theirs, idf, unseen)
        if norm:
            overlap = sum(
                min(count, theirs[gram]) * theirs[gram] * idf[gram] ** 2
                for gram, count in ours.items()
                if gram in theirs
            )
            total += overlap / norm
    apart = hypothesis[1].total() - reference[1].total()
    return total / ORDERS * math.exp(-(apart**2) / (2 * SIGMA**2))


def _norm(counts: Counter[Gram], idf: dict[Gram, float], unseen: float) -> float:
    return math.sqrt(sum((count * idf.get(gram, unseen)) ** 2 for gram, count in counts.items()))
