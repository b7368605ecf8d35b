"""The paper profile: BLEU-4, METEOR, ROUGE-L and CIDEr as MCM-DPO's own script computes them, times 100.

Invariant: each number equals what NLTK, ``rouge`` 1.0.1 and the CIDEr-D scorer give on the same text. They are NOT the
numbers of the COCO toolkit, which tokenises otherwise and defines BLEU, METEOR and ROUGE otherwise.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from trifacet.metrics.cider import ONE_SAMPLE, cider_d
from trifacet.metrics.rouge import rouge_l
from trifacet.metrics.wordnet import WordNet, find_wordnet

PAPER_METRICS = ("bleu_4", "bleu_4_cumulative", "meteor", "rouge_l", "cider")
# The most that NLTK leaves of a text's BLEU x 100 where a precision is 0: it takes the smallest float for it, and the
# exponential of a logarithm so large is off by rounding.
NOTHING = {"bleu_4": 101.0 * sys.float_info.min, "bleu_4_cumulative": 101.0 * sys.float_info.min**0.25}

Tokenize = Callable[[str], list[str]]


class PaperScores(NamedTuple):
    """One row of metric values per sample, in the order given, and what a reader of the numbers must know.

    ``unofficial`` says of a metric why its value may not be the one of MCM-DPO's script.
    """

    rows: list[dict[str, float]]
    notes: list[str]
    unofficial: dict[str, str] = {}  # noqa: RUF012


def paper_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    tokenize: Tokenize | None = None,
    wordnet: WordNet | None = None,
) -> PaperScores:
    """The paper profile of each hypothesis against its one reference; a corpus value is the mean over the rows.

    A hypothesis without a word scores 0 in every metric; one of full stops only scores 0 in ROUGE-L, where the
    package refuses it.

    Args:
        hypotheses: the generated texts.
        references: one text for each.
        tokenize: splits a text for BLEU and METEOR; by default ``word_tokenizer``.
        wordnet: what METEOR looks synonyms up in; by default ``find_wordnet``.
    """
    notes = []
    unofficial = {}
    if tokenize is None:
        tokenize, note = word_tokenizer()
        notes.append(note)
        several = sum(map(_may_have_sentences, [*hypotheses, *references]))
        if several and not punkt_installed():
            reason = f"NLTK's punkt is not installed, and {several} of the texts may have several sentences"
            unofficial = dict.fromkeys(("bleu_4", "bleu_4_cumulative", "meteor"), reason)
    wordnet = wordnet or find_wordnet()
    notes.append(f"METEOR is NLTK's, with {wordnet.note}; the METEOR 1.5 program gives other values")

    rows = []
    ciders = cider_d(hypotheses, [[reference] for reference in references])
    for hypothesis, reference, cider in zip(hypotheses, references, ciders, strict=True):
        ours, theirs = tokenize(hypothesis), tokenize(reference)
        plain, cumulative = _bleu(ours, theirs)
        meteor = _meteor(ours, theirs, wordnet.reader)
        row = {"bleu_4": plain, "bleu_4_cumulative": cumulative, "meteor": meteor}
        row["rouge_l"] = rouge_l(hypothesis, reference) if hypothesis.strip() else 0.0
        row["cider"] = cider
        rows.append({name: 100.0 * value for name, value in row.items()})

    if len(rows) == 1:
        notes.append(ONE_SAMPLE)
    return PaperScores(rows, notes, unofficial)


def punkt_installed() -> bool:
    """Whether NLTK finds the corpus that tells it where sentences end."""
    from nltk.tokenize import word_tokenize

    try:
        word_tokenize("A sentence.")
    except (LookupError, OSError):
        return False
    return True


def _may_have_sentences(text: str) -> bool:
    return re.search(r"\.\S*\s+\S", text) is not None


def word_tokenizer() -> tuple[Tokenize, str]:
    """NLTK's ``word_tokenize``, which needs the corpus punkt to find sentences, and a note saying what was used.

    Without punkt a text is taken as one sentence (``preserve_line=True``): the same tokens for one-sentence texts;
    in longer ones a full stop inside the text stays with its word.
    """
    from nltk.tokenize import word_tokenize

    if not punkt_installed():
        return (
            lambda text: word_tokenize(text, preserve_line=True),
            "tokens are NLTK's word_tokenize(preserve_line=True), since NLTK's punkt is not installed: the same for "
            "texts of one sentence",
        )
    return word_tokenize, "tokens are NLTK's word_tokenize"


def _bleu(hypothesis: list[str], reference: list[str]) -> tuple[float, float]:
    """Sentence BLEU with weights (0, 0, 0, 1), and the cumulative BLEU-4 with a quarter each; no smoothing."""
    from nltk.translate.bleu_score import sentence_bleu

    with warnings.catch_warnings():
        # NLTK warns of each text without a common 4-gram and gives it about 1e-308; the value is kept.
        warnings.simplefilter("ignore")
        plain, cumulative = sentence_bleu([reference], hypothesis, weights=[(0, 0, 0, 1), (0.25, 0.25, 0.25, 0.25)])
    return float(plain), float(cumulative)


def _meteor(hypothesis: list[str], reference: list[str], wordnet: Any) -> float:
    from nltk.translate.meteor_score import meteor_score

    return float(meteor_score([reference], hypothesis, wordnet=wordnet))
