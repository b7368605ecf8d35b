"""The coco profile: BLEU-1..4, ROUGE-L and CIDEr-D as the COCO caption toolkit computes them, without Java, x 100.

Invariant: each number equals the toolkit's on the same captions, of the set and of each caption. They are NOT the
numbers of the paper profile, which tokenises otherwise and defines BLEU and ROUGE otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from trifacet.evaluation.bleu import bleu, bleu_statistics
from trifacet.evaluation.cider import cider_of
from trifacet.evaluation.measures import Array, Measure, mean_measure
from trifacet.evaluation.ngrams import ORDERS, index
from trifacet.evaluation.rouge import rouge_l_coco

METRICS = (*(f"coco/bleu_{order}" for order in range(1, ORDERS + 1)), "coco/rouge_l", "coco/cider")

Tokens = list[str]
Tokenize = Callable[[str], Tokens]


class Tokenized(NamedTuple):
    """Captions after the PTB tokeniser: of each sample one hypothesis and any references."""

    ids: tuple[str, ...]
    hypotheses: list[Tokens]
    references: list[list[Tokens]]


def tokenized(
    ids: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenize: Tokenize | None = None,
) -> Tokenized:
    """Tokenise captions; by default with ``ptb.tokenize``, whose tokens of plain words are remembered."""
    if tokenize is None:
        from trifacet.evaluation import ptb

        tokenize = remembering(_at_spaces(ptb.tokenize))
    return Tokenized(
        tuple(ids), list(map(tokenize, hypotheses)), [[tokenize(text) for text in texts] for texts in references]
    )


def _at_spaces(tokenize: Tokenize) -> Tokenize:
    """The toolkit splits tokenised captions at spaces, also at those within a token ("1 1/2" holds U+00A0)."""

    def tokens(text: str) -> Tokens:
        found = tokenize(text)
        return [part for token in found for part in token.split()] if any("\xa0" in one for one in found) else found

    return tokens


def remembering(tokenize: Tokenize) -> Tokenize:
    """``tokenize``, quicker for captions of plain English words: equal to it on every text.

    Between spaces, the tokens of letters (perhaps with hyphens, perhaps a comma at the end) do not depend on what
    stands around them, and neither do those of the last word with its full stop. All other captions are given to
    ``tokenize`` whole.
    """
    inner: dict[str, str] = _Plain(tokenize, ",")
    last: dict[str, str] = _Plain(tokenize, ".")

    def tokens(text: str) -> Tokens:
        if text.isascii() and text.isprintable():  # so that nothing but spaces separates
            *words, end = text.split() or [""]
            try:
                return [*map(inner.__getitem__, words), last[end]]
            except LookupError:
                pass
        return tokenize(text)

    return tokens


class _Plain(dict[str, str]):
    """The token of each word met so far, perhaps with ``mark`` behind it.

    Raises LookupError for what is no plain word, and for the few that are more than one token ("cannot").
    """

    def __init__(self, tokenize: Tokenize, mark: str) -> None:
        self._tokenize, self._mark = tokenize, mark

    def __missing__(self, word: str) -> str:
        bare = word.removesuffix(self._mark)
        if not (bare.isalpha() or all(map(str.isalpha, bare.split("-")))):
            raise LookupError(word)
        tokens = self._tokenize(word)
        if len(tokens) != 1:
            raise LookupError(word)
        self[word] = tokens[0]
        return tokens[0]


def coco_measures(captions: Tokenized) -> list[Measure]:
    """``METRICS`` of a set of captions.

    CIDEr's word weights come from the references of all samples and stay those of the whole set when samples are
    drawn from it: a resampled value is the mean of the drawn samples' scores. With one sample CIDEr is 0.

    Raises:
        ValueError: a sample without a reference.
    """
    ids, hypotheses, references = captions
    sums_SK, ciders = _counted(hypotheses, references)
    rouges = map(rouge_l_coco, hypotheses, references)
    return [
        *(Measure(f"coco/bleu_{order}", ids, sums_SK, bleu(order)) for order in range(1, ORDERS + 1)),
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
