"""What can be said of a text without a reference: its length, its repetition, and when a run degenerated.

Invariant: every rule here reads texts only, so it applies to any model and any language written with spaces.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import pairwise

# A healthy short text repeats a few per cent of its bigrams at most; a loop ("red disc red disc ...") nears 1.
MAX_MEAN_REPETITION = 0.2
# Alt-text ends long before the limit; a text that runs into it did not find its end.
MAX_SHARE_AT_LIMIT = 0.1
MAX_SHARE_EMPTY = 0.1

# Thai, Lao, Myanmar, Khmer; kana; Han with its extensions. Korean has spaces.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_WORD = re.compile(r"\w+(?:['’\-]\w+)*")


def words(text: str) -> list[str]:
    """The words of ``text`` in lower case, without punctuation ("don't" and "light-blue" are one word each)."""
    return _WORD.findall(text.lower())


def repetition(text: str) -> float:
    """The share of word pairs that occurred before in the text, 0 to 1: 1 - unique bigrams / bigrams.

    0 for a text of fewer than two words.
    """
    tokens = words(text)
    if len(tokens) < 2:
        return 0.0
    bigrams = list(pairwise(tokens))
    return 1.0 - len(set(bigrams)) / len(bigrams)


def length(text: str) -> int:
    """The number of words."""
    return len(words(text))


def unspaced(text: str) -> bool:
    """Whether most letters of ``text`` are of scripts that put no space between words (Chinese, Japanese, Thai ...)."""
    letters = sum(map(str.isalpha, text))
    return letters > 0 and len(_UNSPACED.findall(text)) > letters / 2


def degenerate(texts: Collection[str], at_limit: int = 0) -> str | None:
    """Why a model's texts show that it degenerated, or None.

    It did when the mean repetition is above ``MAX_MEAN_REPETITION``, when more than ``MAX_SHARE_AT_LIMIT`` of the
    texts ran into the limit of new tokens, or when more than ``MAX_SHARE_EMPTY`` of them have no word.

    Args:
        texts: the generated texts.
        at_limit: how many of them ended only because the limit was reached; 0 where that is not known.
    """
    if not texts:
        return None
    reasons = []
    mean = sum(map(repetition, texts)) / len(texts)
    if mean > MAX_MEAN_REPETITION:
        reasons.append(f"{mean:.0%} of the word pairs are repeats (above {MAX_MEAN_REPETITION:.0%})")
    if at_limit / len(texts) > MAX_SHARE_AT_LIMIT:
        reasons.append(
            f"{at_limit} of {len(texts)} texts ran into the limit of new tokens (above {MAX_SHARE_AT_LIMIT:.0%})"
        )
    empty = sum(not length(text) for text in texts)
    if empty / len(texts) > MAX_SHARE_EMPTY:
        reasons.append(f"{empty} of {len(texts)} texts have no word (above {MAX_SHARE_EMPTY:.0%})")
    return "; ".join(reasons) or None
