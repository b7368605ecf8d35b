"""ROUGE-L twice: as the package ``rouge`` 1.0.1 defines it, and as the COCO toolkit does; two metrics of one name.

Invariant: ``rouge_l`` equals that package's ``rouge-l`` ``f`` wherever the package gives a value. The package itself
recurses once per word, so a long text stops it, and it refuses texts without words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

_BETA = 1.2  # weight of recall over precision in the COCO toolkit


def rouge_l(hypothesis: str, reference: str) -> float:
    """The F of summary-level ROUGE-L (0 to 1), over sets of UNIQUE words.

    Sentences end at every "."; words are split at spaces and keep their case. A text in which nothing is left between
    the full stops scores 0.
    """
    ours, theirs = _sentences(hypothesis), _sentences(reference)
    if not ours or not theirs:
        return 0.0
    common: set[str] = set()
    for reference_words in dict.fromkeys(map(tuple, theirs)):  # a sentence that stands twice adds nothing new
        for words in dict.fromkeys(map(tuple, ours)):
            common |= _common_subsequence(reference_words, words)
    precision = len(common) / len({word for words in ours for word in words})
    recall = len(common) / len({word for words in theirs for word in words})
    return 2.0 * (precision * recall) / (precision + recall + 1e-8)


def _sentences(text: str) -> list[list[str]]:
    # A sentence of nothing but spaces counts as one empty word: "A dog. " has two sentences in the package.
    return [" ".join(part.split()).split(" ") for part in text.split(".") if part]


def _common_subsequence(x: Sequence[str], y: Sequence[str]) -> set[str]:
    """The words of one longest common subsequence; where two are equally long, the one the package walks to."""
    table = [[0] * (len(y) + 1) for _ in range(len(x) + 1)]
    for i, word in enumerate(x, start=1):
        above, row = table[i - 1], table[i]
        for j, other in enumerate(y, start=1):
            row[j] = above[j - 1] + 1 if word == other else max(above[j], row[j - 1])
    words, i, j = set(), len(x), len(y)
    while i and j:
        if x[i - 1] == y[j - 1]:
            words.add(x[i - 1])
            i, j = i - 1, j - 1
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return words


def rouge_l_coco(hypothesis: Sequence[str], references: Iterable[Sequence[str]]) -> float:
    """The F of ROUGE-L (0 to 1) as the COCO toolkit has it, over words with their repetitions.

    Precision and recall are each the best over the references, chosen independently; beta is 1.2. A text without a
    word counts as one empty word: two such texts are alike.
    """
    ours = hypothesis or [""]
    places: dict[str, int] = {}
    for place, word in enumerate(ours):
        places[word] = places.get(word, 0) | 1 << place
    precision = recall = 0.0
    for reference in references:
        theirs = reference or [""]
        common = _common_length(places, len(ours), theirs)
        precision, recall = max(precision, common / len(ours)), max(recall, common / len(theirs))
    if not precision or not recall:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _common_length(places: Mapping[str, int], words: int, other: Iterable[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time as the bits of one number.

    ``places`` has, for each word of a text of ``words`` words, a bit where it stands. A bit of ``row`` is 0 where the
    table's row steps up; what carries beyond the text's bits is dropped at the end.
    Source: Hyyrö, "Bit-parallel LCS-length computation revisited", 2004.
    """
    row = full = (1 << words) - 1
    for bits in filter(None, map(places.get, other)):  # a word that the text lacks leaves the row as it is
        matches = row & bits
        row = (row + matches) | (row - matches)
    return words - (row & full).bit_count()
