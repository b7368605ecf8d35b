"""The coco profile: BLEU-1..4, ROUGE-L and CIDEr-D as the COCO caption toolkit computes them, without Java, x 100.

Invariant: each number equals the toolkit's on the same captions, of the set and of each caption. They are NOT the
numbers of the paper profile, which tokenises otherwise and defines BLEU and ROUGE otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from trifacet.evaluation.bleu import bleu, bleu_statistics
from trifacet.evaluation.cider import cider_of
from trifacet.evaluation.measures import Measure, mean_measure
from trifacet.evaluation.ngrams import ORDERS, index
from trifacet.evaluation.rouge import rouge_l_coco

METRICS = (*(f"coco/bleu_{order}" for order in range(1, ORDERS + 1)), "coco/rouge_l", "coco/cider")

Tokenize = Callable[[str], list[str]]


class Tokenized(NamedTuple):
    """Captions after the PTB tokeniser, words joined by spaces: one hypothesis and any references per sample."""

    ids: tuple[str, ...]
    hypotheses: list[str]
    references: list[list[str]]


def tokenized(
    ids: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenize: Tokenize | None = None,
) -> Tokenized:
    """Tokenise captions; by default with ``ptb.tokenize``."""
    if tokenize is None:
        from trifacet.evaluation import ptb

        tokenize = ptb.tokenize
    one = functools.partial(_joined, tokenize)
    return Tokenized(tuple(ids), list(map(one, hypotheses)), [list(map(one, texts)) for texts in references])


def _joined(tokenize: Tokenize, text: str) -> str:
    return " ".join(tokenize(text))


def coco_measures(captions: Tokenized) -> list[Measure]:
    """``METRICS`` of a set of captions.

    CIDEr's word weights come from the references of all samples and stay those of the whole set when samples are
    drawn from it: a resampled value is the mean of the drawn samples' scores. With one sample CIDEr is 0.

    Raises:
        ValueError: a sample without a reference.
    """
    ids = captions.ids
    # A token of the tokeniser may hold a no-break space ("1 1/2"). The toolkit splits there for BLEU and CIDEr, which
    # split at any white space, and not for ROUGE-L, which splits at spaces.
    counted = index(
        [text.split() for text in captions.hypotheses],
        [[text.split() for text in texts] for texts in captions.references],
    )
    sums_SK = bleu_statistics(counted)
    ciders = (100.0 * cider_of(counted)).tolist()
    rouges = (
        100.0 * rouge_l_coco(text.split(" "), [reference.split(" ") for reference in references])
        for text, references in zip(captions.hypotheses, captions.references, strict=True)
    )
    return [
        *(Measure(f"coco/bleu_{order}", ids, sums_SK, bleu(order)) for order in range(1, ORDERS + 1)),
        mean_measure("coco/rouge_l", dict(zip(ids, rouges, strict=True))),
        mean_measure("coco/cider", dict(zip(ids, ciders, strict=True))),
    ]
