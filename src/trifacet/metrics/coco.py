"""The coco profile: BLEU-1..4, ROUGE-L and CIDEr-D as the COCO caption toolkit computes them, without Java, x 100.

Invariant: each number equals the toolkit's on the same captions, of the set and of each caption. They are NOT the
numbers of the paper profile, which tokenises otherwise and defines BLEU and ROUGE otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from trifacet.metrics.bleu import bleu, bleu_statistics, nothing_right
from trifacet.metrics.cider import cider_of
from trifacet.metrics.ngrams import ORDERS, index
from trifacet.metrics.rouge import rouge_l_coco
from trifacet.statistics.measures import Array, Measure, mean_measure

COCO_METRICS = (*(f"coco/bleu_{order}" for order in range(1, ORDERS + 1)), "coco/rouge_l", "coco/cider")

Tokens = list[str]


class Tokenized(NamedTuple):
    """Captions after the PTB tokeniser: of each sample one hypothesis and any references."""

    ids: tuple[str, ...]
    hypotheses: list[Tokens]
    references: list[list[Tokens]]


def tokenized(ids: Sequence[str], hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Tokenized:
    """Tokenise captions as the toolkit does: the hypotheses as one file, and all references as another."""
    from trifacet.metrics import ptb

    theirs = iter(ptb.tokenize_all([text for texts in references for text in texts]))
    return Tokenized(
        tuple(ids), ptb.tokenize_all(hypotheses), [list(itertools.islice(theirs, len(texts))) for texts in references]
    )


def coco_measures(captions: Tokenized) -> list[Measure]:
    """``COCO_METRICS`` of a set of captions.

    CIDEr's word weights come from the references of all samples and stay those of the whole set when samples are
    drawn from it: a resampled value is the mean of the drawn samples' scores. With one sample CIDEr is 0.

    Raises:
        ValueError: a sample without a reference.
    """
    ids, hypotheses, references = captions
    sums_SK, ciders = _counted(hypotheses, references)
    rouges = map(rouge_l_coco, hypotheses, references)
    return [
        *(
            Measure(f"coco/bleu_{order}", ids, sums_SK, bleu(order), nothing=nothing_right(order))
            for order in range(1, ORDERS + 1)
        ),
        mean_measure("coco/rouge_l", {name: 100.0 * value for name, value in zip(ids, rouges, strict=True)}),
        mean_measure("coco/cider", {name: 100.0 * value for name, value in zip(ids, ciders, strict=True)}),
    ]


def _counted(hypotheses: list[Tokens], references: list[list[Tokens]]) -> tuple[Array, list[float]]:
    """BLEU's statistics and CIDEr-D per sample.

    A token may hold a no-break space ("1 1/2"). For these two metrics the toolkit splits at any white space, for
    ROUGE-L at spaces only.
    """
    counted = index(hypotheses, references)
    if any(word.split() != [word] for word in counted.words):
        counted = index(list(map(_split, hypotheses)), [list(map(_split, texts)) for texts in references])
    return bleu_statistics(counted), cider_of(counted).tolist()


def _split(tokens: Tokens) -> Tokens:
    return " ".join(tokens).split()
