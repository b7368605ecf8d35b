"""ROUGE-L as the package ``rouge`` 1.0.1 defines it, for texts of any length.

Invariant: equal to that package's ``rouge-l`` ``f`` wherever the package gives a value. The package itself recurses
once per word, so a long text stops it, and it refuses texts without words.
"""

from __future__ import annotations


def rouge_l(hypothesis: str, reference: str) -> float:
    """The F of summary-level ROUGE-L (0 to 1), over sets of UNIQUE words.

    Sentences end at every "."; words are split at spaces and keep their case. A text in which nothing is left between
    the full stops scores 0.
    """
    ours, theirs = _sentences(hypothesis), _sentences(reference)
    if not ours or not theirs:
        return 0.0
    common: set[str] = set()
    for reference_words in theirs:
        for words in ours:
            common |= _common_subsequence(reference_words, words)
    precision = len(common) / len({word for words in ours for word in words})
    recall = len(common) / len({word for words in theirs for word in words})
    return 2.0 * (precision * recall) / (precision + recall + 1e-8)


def _sentences(text: str) -> list[list[str]]:
    # A sentence of nothing but spaces counts as one empty word: "A dog. " has two sentences in the package.
    return [" ".join(part.split()).split(" ") for part in text.split(".") if part]


def _common_subsequence(x: list[str], y: list[str]) -> set[str]:
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
